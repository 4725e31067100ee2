"""The vectors of one namespace as a process searches them: a graph on the disk, and exactly what changed since."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from memp.stores.base import Head
from memp.stores.sidecar import View
from memp.stores.vectors import VectorTable

_LEAST_CHANGES: Final = 10_000
_SHARE: Final = 0.02
"""The graph is extended when this share of it has changed since, and so many at least."""
_SAME: Final = 1e-3
"""The graph holds half floats: vectors whose parts differ by less are the same."""


class Space:
    """A view of the graph, and the vectors that changed after it was made."""

    def __init__(self) -> None:
        self.view: View | None = None
        self.stamp: tuple[int, int, int] | None = None
        self._changed: dict[int, int] = {}
        self._row: dict[int, int] = {}
        self._seqs: list[int] = []
        self._table: VectorTable | None = None
        self._upto = 0
        self._most = _LEAST_CHANGES

    @property
    def upto(self) -> int:
        """The greatest `Head.changed` that is known."""
        return max(self._upto, self.view.known.upto if self.view else 0)

    @property
    def due(self) -> bool:
        """Whether the graph should take up the changes."""
        return self.view is not None and len(self._seqs) > max(self._most, _SHARE * len(self.view.graph))

    def put_off(self) -> None:
        """The graph could not take them up: wait for twice as many."""
        self._most = 2 * len(self._seqs)

    def adopt(self, view: View, stamp: tuple[int, int, int] | None) -> None:
        """Search this graph; what it knows is a change no more."""
        newer = [seq for seq in self._seqs if self._changed[seq] > view.known.upto]
        changed, vectors = [self._changed[seq] for seq in newer], self._vectors(newer)
        self.view, self.stamp, self._most = view, stamp, _LEAST_CHANGES
        self._changed, self._row, self._seqs, self._table = {}, {}, [], None
        self._put(newer, changed, vectors)

    def keep(self, heads: Sequence[Head], vectors: NDArray[np.float32]) -> None:
        """See `SearchesVectors.keep_near`. What is known of a later revision stays."""
        before = self.view.known.upto if self.view else 0
        new = [
            n
            for n, head in enumerate(heads)
            if head.changed > max(before, self._changed.get(head.seq, 0)) and not self._as_known(head.seq, vectors[n])
        ]
        chosen = vectors if len(new) == len(heads) else vectors[new]  # a million of them are not copied
        self._put([heads[n].seq for n in new], [heads[n].changed for n in new], chosen)
        self._upto = max([self._upto, *(head.changed for head in heads)])

    def changes(self) -> tuple[NDArray[np.uint64], NDArray[np.float32]]:
        """Every change: `seq`, and vector."""
        return np.array(self._seqs, dtype=np.uint64), self._vectors(self._seqs)

    def vector(self, seq: int) -> NDArray[np.float32] | None:
        """The vector of a procedure, as far as it is known here."""
        if self._table is not None and seq in self._row:
            return self._table.row(self._row[seq])
        found = self.view.graph.get(seq, dtype="f32") if self.view else None
        return None if found is None else np.asarray(found, dtype=np.float32).reshape(-1)

    def candidates(self, query: NDArray[np.float32], wide: int) -> tuple[dict[int, float], float]:
        """About the `wide` nearest of the graph and of the changes, by `seq`; and the score down to which they are all.

        The latter is -inf where there are no others, and inf where the graph gave less than it should have.
        """
        found: dict[int, float] = {}
        floor = -np.inf
        if self.view is not None:
            size = len(self.view.graph)
            matches = self.view.graph.search(query, min(wide, size), threads=1)
            scores = (1.0 - matches.distances.astype(np.float64)).tolist()
            found = dict(zip(matches.keys.tolist(), scores, strict=True))
            if len(scores) < min(wide, size):
                floor = np.inf
            elif wide < size:
                floor = scores[-1]
            for seq in self._row.keys() & found.keys():
                del found[seq]
        if self._table is not None:
            rows, exact = self._table.top(query, wide)
            found.update((self._seqs[row], score) for row, score in zip(rows, exact, strict=True))
            if wide < len(self._seqs):
                floor = max(floor, exact[-1])
        return found, float(floor)

    def _as_known(self, seq: int, vector: NDArray[np.float32]) -> bool:
        """Whether the graph has this very vector: most revisions change no task."""
        if self.view is None or seq in self._row:
            return False
        known = self.vector(seq)
        return known is not None and bool(np.abs(known - vector).max() < _SAME)

    def _vectors(self, seqs: Sequence[int]) -> NDArray[np.float32]:
        if self._table is None or not seqs:
            return np.zeros((0, 0), dtype=np.float32)
        return self._table.rows([self._row[seq] for seq in seqs])

    def _put(self, seqs: Sequence[int], changed: Sequence[int], vectors: NDArray[np.float32]) -> None:
        if not seqs:
            return
        if self._table is None:
            self._table = VectorTable(vectors.shape[1])
        fresh = [n for n, seq in enumerate(seqs) if seq not in self._row]
        for n in sorted(set(range(len(seqs))) - set(fresh)):
            self._table.replace(self._row[seqs[n]], vectors[n])
        self._row.update((seqs[n], row) for row, n in enumerate(fresh, len(self._seqs)))
        self._seqs += [seqs[n] for n in fresh]
        self._table.extend(vectors if len(fresh) == len(seqs) else vectors[fresh])
        self._changed.update(zip(seqs, changed, strict=True))
