"""Text as a reader would take it: without invisible characters, look-alike letters as the letters they look like."""

import base64
import binascii
import html
import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import unquote

from memp.render import fold

_TAGS = re.compile("[\U000e0000-\U000e007f]{4,}")
_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{6,}")
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
_INVISIBLE_INSIDE = re.compile("[A-Za-z][\u200b-\u200d\u2060-\u2064\ufeff\u00ad]+[A-Za-z]")
_ENCODED = re.compile(r"(?<![A-Za-z0-9+/_=-])[A-Za-z0-9+/_-]{24,4000}={0,2}(?![A-Za-z0-9+/_=])")
_SPACED = re.compile(r"\b(?:[A-Za-z][ .\-_*]){6,}[A-Za-z]\b")
_LETTERS = re.compile(r"\b(?:[A-Za-z][ .\-_*])+[A-Za-z]\b")
_ACCENTS = re.compile("[\u0300-\u036f]")
_DIGITS = str.maketrans("013457@$", "oieastas")
_LETTERED = re.compile(r"[A-Za-z013457@$]{2,}")
_READ = 200_000
"""Characters of a text that are looked at, half of them at its end: what an agent read in one step is shorter."""


def readings(text: str) -> Iterator[str]:
    """`text` as it may be read: plainly, with its letters for digits put back, and what is encoded in it."""
    if len(text) > _READ:
        text = f"{text[: _READ // 2]}\n{text[-_READ // 2 :]}"
    yield (plain := fold(unicodedata.normalize("NFKC", html.unescape(text) if "&" in text else text)))
    if not plain.isascii():
        yield (plain := fold(_ACCENTS.sub("", unicodedata.normalize("NFKD", plain))))
    if (lettered := _LETTERED.sub(_lettered, plain)) != plain:
        yield lettered
    if _SPACED.search(plain):
        apart = re.sub(r"[ .\-_*]{2,}", "\n", plain)
        yield " ".join(_LETTERS.sub(lambda word: re.sub(r"[ .\-_*]", "", word[0]), apart).split())
    if "%" in plain and "%20" in plain:
        yield unquote(plain)
    yield from _decoded(plain)
    yield from hidden_words(text)


def hidden_words(text: str) -> Iterator[str]:
    """What is written in characters that nobody sees (tags, variation selectors)."""
    if text.isascii():
        return
    for found in _TAGS.finditer(text):
        yield "".join(chr(ord(c) - 0xE0000) for c in found[0] if 0xE0020 <= ord(c) < 0xE007F)
    for found in _SELECTORS.finditer(text):
        numbers = bytes(ord(c) - 0xFE00 if ord(c) < 0xFF00 else (ord(c) - 0xE0100 + 16) % 256 for c in found[0])
        yield numbers.decode("utf-8", "replace")


def disguised(text: str) -> str:
    """How a text hides what it says from people; empty when it does not."""
    if text.isascii():
        return ""
    if any(len(words.strip()) > 3 and not words.startswith("gb") for words in hidden_words(text)):
        return "words in invisible characters"
    if len(_BIDI.findall(text)) > 1 and re.search("[\u202d\u202e][^\u202c]*[A-Za-z]{3}", text):
        return "letters in reversed order"
    if len(_INVISIBLE_INSIDE.findall(text)) > 3:
        return "invisible characters inside words"
    return ""


def _lettered(word: re.Match[str]) -> str:
    """The word with letters for digits; numbers stay."""
    return word[0].translate(_DIGITS) if any(letter.isalpha() for letter in word[0]) else word[0]


def _decoded(text: str) -> Iterator[str]:
    for found in _ENCODED.finditer(text):
        blob = found[0].rstrip("=")
        try:
            raw = base64.b64decode(blob.replace("-", "+").replace("_", "/") + "=" * (-len(blob) % 4))
            words = raw.decode("ascii")
        except (ValueError, binascii.Error):
            continue
        if words.isprintable() and " " in words:
            yield words
