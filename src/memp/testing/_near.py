"""Similarity in the in-memory store: exact, over whatever was kept."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memp.errors import StoreError
from memp.records import SERVABLE
from memp.stores.base import Head


class Kept(NamedTuple):
    """A procedure that the search knows of."""

    seq: int
    changed: int
    servable: bool
    success: bool
    vector: NDArray[np.float32]


@dataclass
class Space:
    """The procedures of a namespace in one space of vectors."""

    upto: int = 0
    kept: dict[str, Kept] = field(default_factory=dict)

    def keep(self, heads: Sequence[Head], vectors: NDArray[np.float32]) -> None:
        """See `SearchesVectors.keep_near`. What is known of a later revision stays."""
        for head, vector in zip(heads, vectors, strict=True):
            known = self.kept.get(head.id)
            if known is None or known.changed < head.changed:
                servable, unit = head.status in SERVABLE, vector.astype(np.float32)
                self.kept[head.id] = Kept(head.seq, head.changed, servable, bool(head.success), unit)
            self.upto = max(self.upto, head.changed)

    def nearest(self, vector: NDArray[np.float32], k: int, status: str, only_success: bool) -> list[tuple[str, float]]:
        """See `SearchesVectors.nearest`."""
        servable = {"active": (True,), "retired": (False,), "any": (True, False)}[status]
        found = [
            (round(float(kept.vector @ vector), 6), -kept.seq, id)
            for id, kept in self.kept.items()
            if kept.servable in servable and (kept.success or not only_success)
        ]
        return [(id, score) for score, _, id in sorted(found, reverse=True)[:k]]


def absent(namespace: str) -> StoreError:
    """Nobody asked for a search there."""
    return StoreError(f"namespace {namespace!r} is not searched by the store")
