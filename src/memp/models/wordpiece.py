"""BERT's uncased WordPiece tokenisation in plain Python: what the static table's rows are looked up with."""

import re
import unicodedata
from collections.abc import Mapping

UNKNOWN = "[UNK]"
_LONGEST_WORD = 100
_CACHED_WORDS = 100_000
_ASCII_TOKEN = re.compile(r"[a-z0-9]+|[^\sa-z0-9]")
_ASCII_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_IDEOGRAPHS = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)
"""Each character of these blocks is a word of its own. (0x2B920 is what the reference has, typo and all.)"""


class WordPiece:
    """Splits text into WordPiece ids: lower case, no accents, punctuation apart, longest known piece first.

    `vocabulary` maps a piece ("##" marks a continuation) to its id and holds "[UNK]". Words met are remembered,
    so a word costs one look-up the second time; the memory is emptied at 100,000 words.
    """

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        self._vocabulary = vocabulary
        self._longest = max(len(piece) for piece in vocabulary)
        self._cache: dict[str, list[int]] = {}

    def ids(self, text: str) -> list[int]:
        """Ids of the pieces of `text`, in order; [UNK] for a word the vocabulary cannot spell."""
        ids: list[int] = []
        cache = self._cache
        for word in _ascii_words(text) if text.isascii() else _words(text):
            pieces = cache.get(word)
            if pieces is None:
                pieces = self._pieces(word)
                if len(cache) >= _CACHED_WORDS:
                    cache.clear()
                cache[word] = pieces
            ids += pieces
        return ids

    def _pieces(self, word: str) -> list[int]:
        vocabulary = self._vocabulary
        unknown = [vocabulary[UNKNOWN]]
        if len(word) > _LONGEST_WORD:
            return unknown
        ids: list[int] = []
        start, prefix = 0, ""
        while start < len(word):
            for stop in range(min(len(word), start + self._longest), start, -1):
                found = vocabulary.get(prefix + word[start:stop])
                if found is not None:
                    ids.append(found)
                    start, prefix = stop, "##"
                    break
            else:
                return unknown
        return ids


def _ascii_words(text: str) -> list[str]:
    if not text.isprintable() and _ASCII_CONTROL.search(text):
        text = _ASCII_CONTROL.sub("", text)
    words: list[str] = _ASCII_TOKEN.findall(text.lower())
    return words


def _words(text: str) -> list[str]:
    """Words of any text: cleaned, ideographs and punctuation set apart, accents stripped, lower case."""
    spaced = "".join(_cleaned(character) for character in text)
    plain = "".join(c for c in unicodedata.normalize("NFD", spaced) if unicodedata.category(c) != "Mn")
    # One letter at a time, as the reference does it: str.lower() would write a final sigma differently.
    lowered = plain.replace("Σ", "σ").lower()
    return "".join(f" {c} " if _is_punctuation(c) else c for c in lowered).split()


def _cleaned(character: str) -> str:
    if character in "\t\n\r":
        return " "
    code, category = ord(character), unicodedata.category(character)
    if character == "\ufffd" or category in {"Cc", "Cf", "Co", "Cs"}:
        return ""
    if any(first <= code <= last for first, last in _IDEOGRAPHS):
        return f" {character} "
    return " " if character.isspace() else character


def _is_punctuation(character: str) -> bool:
    if character.isascii():
        return character.isprintable() and not character.isalnum() and character != " "
    return unicodedata.category(character).startswith("P")
