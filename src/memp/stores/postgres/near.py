"""Similarity in the database: pgvector's HNSW with iterative scans, for namespaces that an operator chose."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from memp.errors import StoreError
from memp.records import SERVABLE
from memp.stores.base import Head
from memp.stores.postgres import statements as sql
from memp.stores.postgres.migrations import index_near, near_kind
from memp.stores.postgres.part import Part
from memp.stores.postgres.pool import Pool
from memp.stores.postgres.texts import plain, safe
from memp.stores.postgres.transaction import Transaction

_AT_ONCE: Final = 2_000
_LEAST_EXPLORED: Final = 120
"""Candidates that a search holds (`hnsw.ef_search`), or four times `k`: with 100,000 real tasks 95 % are found."""
_SPARE: Final = 6
"""Scored exactly besides those asked for: half floats confuse near equal ones."""
_FILTERS: Final = {"active": "AND servable", "retired": "AND NOT servable", "any": ""}


class Near(Part):
    """Keeps the searched copy of vectors and asks it."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool)
        self._dimensions: dict[tuple[str, str], int] = {}

    def searched(self, namespace: str, fingerprint: str) -> int | None:
        """See `SearchesVectors.searched`."""
        rows = self._pool.read(namespace, sql.SPACE, fingerprint=safe(fingerprint))
        if not rows:
            return None
        self._dimensions[namespace, fingerprint] = rows[0][0]
        return int(rows[0][1])

    def keep_near(self, namespace: str, fingerprint: str, heads: Sequence[Head], vectors: NDArray[np.float32]) -> None:
        """See `SearchesVectors.keep_near`."""
        order = sorted(range(len(heads)), key=lambda n: heads[n].id)  # two who keep the same do not wait for each other

        def write(transaction: Transaction, part: Sequence[int]) -> None:
            chosen = [heads[n] for n in part]
            transaction.send(
                sql.SAVE_NEAR,
                fingerprint=safe(fingerprint),
                ids=[safe(head.id) for head in chosen],
                seqs=[head.seq for head in chosen],
                changed=[head.changed for head in chosen],
                servable=[head.status in SERVABLE for head in chosen],
                success=[bool(head.success) for head in chosen],
                vectors=[_text(vectors[n]) for n in part],
            )

        for start in range(0, len(order), _AT_ONCE):
            part = order[start : start + _AT_ONCE]
            self._pool.write(namespace, lambda it, part=part: write(it, part), durable=False)  # type: ignore[misc]
        if heads:
            self._searched_up_to(namespace, fingerprint, vectors.shape[1], max(head.changed for head in heads))

    def nearest(
        self, namespace: str, fingerprint: str, vector: NDArray[np.float32], k: int, *, status: str, only_success: bool
    ) -> Sequence[tuple[str, float]]:
        """See `SearchesVectors.nearest`."""
        if (namespace, fingerprint) not in self._dimensions and self.searched(namespace, fingerprint) is None:
            raise StoreError(f"namespace {namespace!r} is not searched in the database; run `memp memory index`")
        kind = near_kind(self._dimensions[namespace, fingerprint])
        chosen = _FILTERS[status] + (" AND success" if only_success else "")
        statement = sql.NEAREST.format(kind=kind, filter=chosen)
        wide = {"ef": str(min(1_000, max(_LEAST_EXPLORED, 4 * k)))}
        asked = {"fingerprint": safe(fingerprint), "vector": np.asarray(vector), "n": k + _SPARE}
        rows = self._pool.read_all(namespace, (sql.WIDE, wide), (statement, asked))[1]
        found = [(plain(id), seq, round(float(score), 6)) for id, seq, score in rows]
        return [(id, score) for id, _, score in sorted(found, key=lambda hit: (-hit[2], hit[1]))[:k]]

    def index_near(self, namespace: str, fingerprint: str, dimensions: int) -> None:
        """See `SearchesVectors.index_near`."""
        self._pool.administer(lambda db: index_near(db, safe(namespace), safe(fingerprint), dimensions))

    def forget_near(self, namespace: str, fingerprint: str) -> None:
        """See `SearchesVectors.forget_near`."""

        def write(transaction: Transaction) -> None:
            transaction.send(sql.DROP_SPACE, fingerprint=safe(fingerprint))

        self._pool.write(namespace, write)

    def _searched_up_to(self, namespace: str, fingerprint: str, dimensions: int, upto: int) -> None:
        def write(transaction: Transaction) -> None:
            transaction.send(sql.SAVE_SPACE, fingerprint=safe(fingerprint), dimensions=dimensions, upto=upto)

        self._pool.write(namespace, write, durable=False)


def _text(vector: NDArray[np.float32]) -> str:
    """A vector as pgvector reads it, to the bit."""
    return f"[{','.join(['%.9g'] * len(vector))}]" % tuple(vector.tolist())
