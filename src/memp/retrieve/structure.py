"""Structure: what the words call for (verbs of steps), and what they name (arguments of steps), matched softly."""

from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from memp.retrieve.base import Hit, Query
from memp.retrieve.index import Index
from memp.retrieve.view import View
from memp.stores.vectors import kth_largest

_OUTLINE, _COSINE = 1.0, 0.2
"""Weights of the outline and of the sentence, next to the arguments with 1."""


class Structure:
    """Score = weighted mean of three parts, each 0 to 1.

    - *outline* (1): how probably the new task calls for the verbs of the procedure's steps and for no others.
      Which words foretell which verbs is learned from the memory's own tasks and scripts (`outline.py`).
    - *arguments* (1): how much of what the procedure's task names is named in the new task.
    - *sentence* (0.2): cosine of the two tasks by the memory's embedder.

    Words need not be the same: a phrase stands for the known word it is most like (`thesaurus.py`).
    """

    name = "structure"
    uses_facts = False

    def __init__(self) -> None:
        self._views: WeakKeyDictionary[Index, View] = WeakKeyDictionary()

    async def rank(self, query: Query, index: Index, hidden: NDArray[np.bool_] | None) -> list[Hit]:
        """See `RetrievePolicy.rank`. Equal scores: the older procedure first."""
        sentence = (await index.embed([query.task]))[0]
        if index.table is None:
            return []
        view = self._views.setdefault(index, View())
        view.catch_up(index)
        asked = view.read(query.task)
        cosines = np.clip(index.table.scores(sentence).astype(np.float64), 0.0, 1.0)
        outline, arguments = view.outlines(asked), view.arguments(asked)
        scores = np.round((_OUTLINE * outline + arguments + _COSINE * cosines) / (1 + _OUTLINE + _COSINE), 6)
        if hidden is not None:
            scores = scores[: len(hidden)]
            scores[hidden] = -np.inf
        k = min(query.k, len(scores))
        rows = np.flatnonzero(scores >= kth_largest(scores, k)) if k else np.zeros(0, dtype=np.int64)
        rows = rows[scores[rows] > -np.inf]
        best = rows[np.lexsort((rows, -scores[rows]))[:k]]
        return [
            Hit(index.ids[row], float(scores[row]), view.why(asked, row, outline[row], cosines[row]))
            for row in best.tolist()
        ]
