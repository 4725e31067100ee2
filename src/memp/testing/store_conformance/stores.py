"""The stores that come with memp, as the suite wants them: made empty, taken away afterwards."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from memp.stores.sqlite import MEMORY, SqliteStore
from memp.testing.store import MemoryStore
from memp.testing.store_conformance.harness import Harness


@contextmanager
def sqlite_file() -> Iterator[Harness]:
    """The embedded store in a file."""
    with tempfile.TemporaryDirectory(prefix="memp-conformance-") as folder:
        connect = partial(SqliteStore, Path(folder) / "memory.db")
        store = connect()
        try:
            yield Harness(store, connect)
        finally:
            store.close()


@contextmanager
def sqlite_memory() -> Iterator[Harness]:
    """The embedded store without a file: one client only."""
    store = SqliteStore(MEMORY)
    try:
        yield Harness(store, lacks=("similarity",))
    finally:
        store.close()


@contextmanager
def memory() -> Iterator[Harness]:
    """The in-memory double: several clients, one process."""
    store = MemoryStore()
    yield Harness(store, store.client, lacks=("stemming",))
