"""Retrieve policies to compare with, which no agent is offered: words alone, and words together with vectors."""

import math
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from memp.errors import UnknownName
from memp.retrieve import NAMES, Hit, Index, Query, RetrievePolicy, retrieve_policy

BENCH_ONLY = ("bm25", "rrf")

_K1, _B = 1.2, 0.75
"""Okapi BM25's usual constants (Robertson and Zaragoza 2009)."""
_RRF = 60
"""The constant of reciprocal rank fusion (Cormack et al. 2009)."""


class Bm25:
    """Okapi BM25 over the words of the tasks. Equal scores: the older procedure first."""

    name = "bm25"
    uses_facts = False

    def __init__(self) -> None:
        self._size = -1
        self._words: list[Counter[str]] = []
        self._found_in: Counter[str] = Counter()

    async def rank(self, query: Query, index: Index, hidden: NDArray[np.bool_] | None) -> list[Hit]:
        """See `RetrievePolicy.rank`."""
        scores = self._scores(query.task, index)
        rows = _best(scores, hidden, query.k)
        return [Hit(index.ids[row], float(scores[row]), f"BM25 {scores[row]:.3f}") for row in rows]

    def _scores(self, task: str, index: Index) -> NDArray[np.float64]:
        if self._size != len(index):  # a memory that is only read: tasks do not change
            self._size = len(index)
            self._words = [Counter(_words(text)) for text in index.tasks]
            self._found_in = Counter(word for words in self._words for word in words)
        lengths = np.array([words.total() for words in self._words], dtype=float)
        weights = 1 - _B + _B * lengths / max(lengths.mean(), 1e-9)
        scores = np.zeros(self._size)
        for word in _words(task):
            if found := self._found_in[word]:
                rarity = math.log(1 + (self._size - found + 0.5) / (found + 0.5))
                often = np.array([words[word] for words in self._words], dtype=float)
                scores += rarity * often * (_K1 + 1) / (often + _K1 * weights)
        return scores


class Fused:
    """Reciprocal rank fusion: a procedure scores 1 / (60 + its rank) in each of the parts' whole orders."""

    name = "rrf"
    uses_facts = False

    def __init__(self, parts: Sequence[RetrievePolicy]) -> None:
        self._parts = parts

    async def rank(self, query: Query, index: Index, hidden: NDArray[np.bool_] | None) -> list[Hit]:
        """See `RetrievePolicy.rank`."""
        scores = np.zeros(len(index))
        row_of = {id: row for row, id in enumerate(index.ids)}
        everything = query.model_copy(update={"k": len(index)})
        for part in self._parts:
            for rank, hit in enumerate(await part.rank(everything, index, hidden), 1):
                scores[row_of[hit.id]] += 1 / (_RRF + rank)
        rows = _best(scores, hidden, query.k)
        return [Hit(index.ids[row], float(scores[row]), f"fused ranks {scores[row]:.4f}") for row in rows]


def policy_to_score(name: str, *, seed: int = 0) -> RetrievePolicy:
    """A policy that retrieval may be scored with: the library's, or one of `BENCH_ONLY`.

    Raises:
        UnknownName: there is none of that name.
    """
    if name == "bm25":
        return Bm25()
    if name == "rrf":
        return Fused((retrieve_policy("query"), Bm25()))
    if name not in NAMES:
        raise UnknownName("retrieve policy", name, [*NAMES, *BENCH_ONLY])
    return retrieve_policy(name, seed=seed)


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


def _best(scores: NDArray[np.float64], hidden: NDArray[np.bool_] | None, k: int) -> list[int]:
    rows = np.arange(len(scores)) if hidden is None else np.flatnonzero(~hidden)
    best: list[int] = rows[np.lexsort((rows, -np.round(scores[rows], 9)))[:k]].tolist()
    return best
