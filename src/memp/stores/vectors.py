"""Unit vectors in one growing table, searched exactly."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
_BLOCK = 64
_AT_ONCE = 1024


class VectorTable:
    """Rows of unit vectors with an exact top-k by cosine.

    A scan of 100,000 x 256 float32 is bound by memory. The table therefore keeps an int8 copy beside the rows:
    it is scanned first, its rounding error is bounded per table, and every row that could be among the best is
    scored again in float32. The answer is the same as that of the full scan.
    """

    def __init__(self, dimensions: int) -> None:
        self._size = 0
        self._rows: Vectors = np.zeros((0, dimensions), dtype=np.float32)
        self._coarse: NDArray[np.int8] = np.zeros((0, dimensions), dtype=np.int8)
        self._scale: NDArray[np.float32] = np.zeros(0, dtype=np.float32)
        self._error = 0.0

    def __len__(self) -> int:
        return self._size

    def extend(self, vectors: Vectors) -> None:
        """Append rows; shape (n, dimensions)."""
        self._reserve(self._size + len(vectors))
        at = slice(self._size, self._size + len(vectors))
        self._size += len(vectors)
        self._store(at, vectors)

    def replace(self, row: int, vector: Vectors) -> None:
        """Put another vector in `row`; shape (dimensions,)."""
        self._store(slice(row, row + 1), vector[None, :])

    def row(self, row: int) -> Vectors:
        """The vector of `row`."""
        vector: Vectors = self._rows[row]
        return vector

    def rows(self, rows: Sequence[int]) -> Vectors:
        """The vectors of these rows."""
        vectors: Vectors = self._rows[list(rows)]
        return vectors

    def scores(self, query: Vectors) -> NDArray[np.float32]:
        """Cosine of every row with the unit vector `query`; shape (len(self),)."""
        scores: Vectors = self._rows[: self._size] @ query
        return scores

    def top(self, query: Vectors, k: int, hidden: NDArray[np.bool_] | None = None) -> tuple[list[int], list[float]]:
        """The k best rows and their cosines, best first; equal scores in row order.

        `hidden` rows are left out, and rows that came after it was made.
        """
        if self._size == 0:
            return [], []
        coarse, slack = self._coarse_scores(query)
        if hidden is not None:
            coarse = coarse[: len(hidden)]
            np.putmask(coarse, hidden[: len(coarse)], -np.inf)
        k = min(k, len(coarse))
        if k == 0:
            return [], []
        # Rounding moves a score by at most `slack`: what is not within twice that of the k-th cannot be in the top k.
        candidates = np.flatnonzero(coarse >= kth_largest(coarse, k) - 2 * slack)
        candidates = candidates[coarse[candidates] > -np.inf]
        exact = np.round((self._rows[candidates] @ query).astype(np.float64), 6)
        best = np.lexsort((candidates, -exact))[:k]
        return candidates[best].tolist(), exact[best].tolist()

    def _coarse_scores(self, query: Vectors) -> tuple[NDArray[np.float64], float]:
        """Scores in some unit, and by how much of it they may be off."""
        import simsimd

        scale = max(float(query.max(initial=0.0)), -float(query.min(initial=0.0)), 1e-12) / 127
        rounded = np.rint(query / scale).astype(np.int8)
        try:
            products = simsimd.cdist(rounded[None, :], self._coarse[: self._size], metric="dot")
        except TypeError:  # simsimd 6.5 beside usearch sometimes does not know int8 for int8
            return self.scores(query).astype(np.float64), 1e-6
        scores: NDArray[np.float64] = np.asarray(products, dtype=np.float64).reshape(-1)
        scores *= self._scale[: self._size]
        off = query - rounded * np.float32(scale)
        query_error = math.sqrt(float(off @ off))
        # |q.x - q'.x'| <= |q||x - x'| + |q - q'||x'|, with |q| <= 1 and |x'| <= 1 + |x - x'|.
        return scores, (self._error + query_error * (1 + self._error) + 1e-6) / scale

    def _store(self, at: slice, vectors: Vectors) -> None:
        self._rows[at] = vectors
        for start in range(0, len(vectors), _AT_ONCE):  # parts that fit the cache
            part = vectors[start : start + _AT_ONCE]
            scale = np.maximum(np.maximum(part.max(axis=1), -part.min(axis=1)), 1e-12)[:, None] / 127
            coarse = np.rint(part / scale)
            here = slice(at.start + start, at.start + start + len(part))
            self._coarse[here] = coarse
            self._scale[here] = scale[:, 0]
            off = part - coarse * scale
            self._error = max(self._error, float(np.sqrt(np.einsum("ij,ij->i", off, off).max())))

    def _reserve(self, size: int) -> None:
        if size <= len(self._rows):
            return
        capacity = max(size, int(len(self._rows) * 1.5), 64)
        for name in ("_rows", "_coarse", "_scale"):
            old = getattr(self, name)
            new = np.zeros((capacity, *old.shape[1:]), dtype=old.dtype)
            new[: self._size] = old[: self._size]
            setattr(self, name, new)


def kth_largest(scores: NDArray[np.float64], k: int) -> float:
    """A lower bound of the k-th largest score: the k-th largest of the maxima of groups. Much cheaper than a sort."""
    whole = len(scores) // _BLOCK * _BLOCK
    if whole // _BLOCK <= k:
        return float(np.partition(scores, len(scores) - k)[len(scores) - k])
    maxima = scores[:whole].reshape(_BLOCK, -1).max(axis=0)  # every so-manieth row: along memory
    return float(np.partition(maxima, len(maxima) - k)[len(maxima) - k])
