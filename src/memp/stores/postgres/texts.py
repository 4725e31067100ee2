"""Texts as PostgreSQL can keep them: without zero bytes, and as words to search for."""

import re
import unicodedata
from collections.abc import Iterable
from itertools import islice
from typing import Final

from memp.records import Content

_WORD: Final = re.compile(r"[^\W_]+")
_LONGEST_WORD: Final = 500
"""Characters of a word that count: PostgreSQL refuses to index words of more than 2 kB."""
_MOST_WORDS: Final = 20_000
"""Words of a procedure that can be searched for: an index entry holds less than 1 MB."""


def safe(text: str) -> str:
    """`text` without zero bytes, which PostgreSQL cannot keep; different for different texts, in the same order."""
    if "\0" in text or "\1" in text:
        return text.replace("\1", "\1b").replace("\0", "\1a")
    return text


def plain(text: str) -> str:
    """What `safe` was made from."""
    return text.replace("\1a", "\0").replace("\1b", "\1") if "\1" in text else text


def words(text: str) -> Iterable[str]:
    """Letters and digits in lower case and without accents; everything else separates."""
    bare = text.lower()
    if not bare.isascii():
        bare = "".join(c for c in unicodedata.normalize("NFKD", bare) if not unicodedata.combining(c))
    return (word[:_LONGEST_WORD] for word in _WORD.findall(bare))


def searchable(content: Content) -> str:
    """The words of a procedure's task and script."""
    script = content.script
    said = "\n".join((script.goal, *script.steps, *script.pitfalls)) if script else ""
    return " ".join(islice(words(f"{content.task}\n{said}"), _MOST_WORDS))


def all_of(asked: str) -> str:
    """A tsquery for texts that hold every word that was asked for; empty: no word was. Nothing in it is an operator."""
    phrases = (" <-> ".join(f"'{word}'" for word in words(part)) for part in asked.split())
    return " & ".join(f"({phrase})" for phrase in phrases if phrase)
