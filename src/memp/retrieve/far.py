"""The index of a namespace that is too large to hold in every process: the store searches it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from memp.errors import StoreError
from memp.models.base import Embedder, Vectors
from memp.retrieve.index import Index
from memp.stores.base import Head, SearchesVectors, Store

_STATUS = ("active", "retired", "any")


class FarIndex(Index):
    """Holds no rows: it sees to it that the store knows of every procedure, and asks the store. Approximate."""

    def __init__(self, store: Store, namespace: str, embedder: Embedder, near: SearchesVectors, upto: int) -> None:
        super().__init__(store, namespace, embedder)
        self._near = near
        self._seen = upto

    def __len__(self) -> int:
        """1 where there is anything to search."""
        return int(self._seen > 0)

    def _anew(self) -> Index:
        return index_of(self._store, self._namespace, self._embedder, far=True)

    def _take(self, heads: Sequence[Head], vectors: Vectors) -> None:
        self._near.keep_near(self._namespace, self._embedder.fingerprint, heads, vectors)

    def hidden(self, *, status: str = "active", only_success: bool = False) -> NDArray[np.bool_] | None:
        """What to hide, for `nearest`: whether the status is each of three, and whether failures are left out."""
        return np.array([*(status == each for each in _STATUS), only_success])

    def nearest(self, vector: Vectors, k: int, hidden: NDArray[np.bool_] | None) -> list[tuple[str, float]]:
        """See `Index.nearest`."""
        chosen = [True, False, False, False] if hidden is None else hidden.tolist()
        found = self._near.nearest(
            self._namespace,
            self._embedder.fingerprint,
            vector,
            k,
            status=_STATUS[chosen.index(True)],
            only_success=chosen[3],
        )
        return list(found)


def index_of(store: Store, namespace: str, embedder: Embedder, *, far: bool) -> Index:
    """The index of a namespace. `far`: the policy asks for the nearest only, so the store may search where it offers
    to; otherwise every procedure has its row here."""
    if far and isinstance(store, SearchesVectors):
        upto = store.searched(namespace, embedder.fingerprint)
        if upto is not None:
            return FarIndex(store, namespace, embedder, store, upto)
    return Index(store, namespace, embedder)


async def search_in_store(store: Store, namespace: str, embedder: Embedder) -> int:
    """Let the store search a namespace from now on; returns how many procedures it knows of. For operators.

    Raises:
        StoreError: the store does not offer it, or may not.
    """
    if not isinstance(store, SearchesVectors):
        raise StoreError("this store searches nothing itself; vectors are held and searched by every process")
    store.searched(namespace, embedder.fingerprint)  # what is not there any more is forgotten
    index = Index(store, namespace, embedder)
    heads = store.heads(namespace, embedder.fingerprint)
    if not heads:
        raise StoreError(f"there is nothing to search in namespace {namespace!r}")
    store.keep_near(namespace, embedder.fingerprint, heads, await index._vectors(heads))
    store.index_near(namespace, embedder.fingerprint, embedder.dimensions)
    return len(heads)
