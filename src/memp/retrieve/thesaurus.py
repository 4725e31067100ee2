"""A thesaurus of short phrases, read from the bundled static table: which known word a phrase may stand for."""

from functools import cache, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memp.models.base import Vectors

if TYPE_CHECKING:
    from memp.models.static import StaticEmbedder

_NEIGHBOURS = 10
_AT_ONCE = 64
_KEPT = 50_000
_SHORTEST = 3
_LEAST_SCALE = 0.3
_SUFFIXES = (("ing", ""), ("ing", "e"), ("ed", ""), ("ed", "e"), ("es", ""), ("s", ""))

EXACT = 2.0
"""Likeness of a phrase that is the word itself."""


class Thesaurus:
    """The known words, and how like them a phrase is.

    Likeness is the cosine of the two divided by that of the known word with its ten nearest in English: at 1 the
    phrase is as near as the word's own synonyms are. Words with many near neighbours would otherwise draw
    everything to themselves (local scaling; the correction for hubs that CSLS makes in word translation).
    """

    def __init__(self) -> None:
        self.words: list[str] = []
        self.number: dict[str, int] = {}
        """Known word -> its number."""
        self._spelled: dict[str, int] = {}
        self._vectors: Vectors = np.zeros((0, _dimensions()), dtype=np.float32)
        self._digits: list[int] = []
        self._phrases: dict[str, Vectors] = {}

    def add(self, words: list[str]) -> None:
        """Make these words known; those that are known already stay as they are."""
        new = [word for word in dict.fromkeys(words) if word not in self.number]
        for word in new:
            self.number[word] = len(self.words)
            self.words.append(word)
            self._spelled.setdefault(word, self.number[word])
            self._spelled.setdefault(word + "s", self.number[word])
            if any(letter.isdigit() for letter in word):
                self._digits.append(self.number[word])
        parts = [self._vectors]
        for start in range(0, len(new), _AT_ONCE):
            vectors = _encode([split_compound(word) for word in new[start : start + _AT_ONCE]])
            parts.append(vectors / _scales(vectors)[:, None])
        if new:
            self._vectors = np.concatenate(parts)

    def likeness(self, phrases: list[str]) -> NDArray[np.float32]:
        """How like each known word each phrase is; shape (len(phrases), len(self.words)). About 1 for a synonym."""
        like = np.zeros((len(phrases), len(self.words)), dtype=np.float32)
        if not like.size:
            return like
        spellings = [(n, form) for n, phrase in enumerate(phrases) for form in _forms(phrase)]
        starts = [i for i, (n, _) in enumerate(spellings) if i == 0 or n != spellings[i - 1][0]]
        products = self._encoded([form for _, form in spellings]) @ self._vectors.T
        like = products if len(starts) == len(spellings) else np.maximum.reduceat(products, starts, axis=0)
        like[:, self._digits] = 0  # numbers are like themselves only
        for n, phrase in enumerate(phrases):
            if phrase.isdigit():
                like[n] = 0
            known = self._spelled.get(phrase.replace(" ", ""))
            if known is not None:
                like[n, known] = EXACT
        return like

    def _encoded(self, texts: list[str]) -> Vectors:
        new = [text for text in dict.fromkeys(texts) if text not in self._phrases]
        if new:
            if len(self._phrases) + len(new) > _KEPT:
                self._phrases.clear()
                new = list(dict.fromkeys(texts))
            self._phrases.update(zip(new, _encode(new), strict=True))
        return np.stack([self._phrases[text] for text in texts])


@lru_cache(_KEPT)
def split_compound(word: str) -> str:
    """A compound as its parts where English has both (`webserver` -> `web server`); else the word as it is."""
    known = _english()
    if word in known or not word.isalpha():
        return word
    best = ""
    for cut in range(_SHORTEST, len(word) - _SHORTEST + 1):
        head, tail = word[:cut], word[cut:]
        if head not in known:
            continue
        rest = tail if tail in known else split_compound(tail)
        if (tail in known or " " in rest) and (not best or _evenness(f"{head} {rest}") > _evenness(best)):
            best = f"{head} {rest}"
    return best or word


def _evenness(parts: str) -> int:
    return min(map(len, parts.split()))


def _forms(phrase: str) -> list[str]:
    """The phrase; for a single word also its parts if it is a compound, and its stem where that is a word."""
    forms = [phrase]
    if " " not in phrase:
        parts = split_compound(phrase)
        if parts != phrase:
            forms.append(parts)
        for suffix, instead in _SUFFIXES:
            stem = phrase.removesuffix(suffix)
            if stem != phrase and len(stem) > _SHORTEST and stem + instead in _english():
                forms.append(stem + instead)
    return forms


def _encode(texts: list[str]) -> Vectors:
    return _embedder().encode(texts)


@cache
def _embedder() -> "StaticEmbedder":
    from memp.models.static import StaticEmbedder

    return StaticEmbedder()


def _dimensions() -> int:
    from memp.models.static import DIMENSIONS

    return DIMENSIONS


@cache
def _english() -> frozenset[str]:
    from memp.models.static import bundled_table

    return frozenset(word for word in bundled_table().vocabulary if word.isalpha() and len(word) >= _SHORTEST)


@cache
def _background() -> Vectors:
    return _encode(sorted(_english()))


def _scales(vectors: Vectors) -> NDArray[np.float32]:
    """Mean cosine of each vector with its nearest in English, itself left out."""
    cosines = np.partition(vectors @ _background().T, -_NEIGHBOURS - 1, axis=1)[:, -_NEIGHBOURS - 1 :]
    nearest = (cosines.sum(axis=1) - cosines.max(axis=1)) / _NEIGHBOURS
    scales: NDArray[np.float32] = np.maximum(nearest, _LEAST_SCALE)
    return scales
