"""The shared store: PostgreSQL with pgvector, many processes and machines at once."""

from collections.abc import Collection, Generator, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Final

from memp.errors import StoreCorrupt
from memp.stores.base import Compacted, Erased, Stats
from memp.stores.entries import Entry, Loaded
from memp.stores.postgres import statements as sql
from memp.stores.postgres import transfer
from memp.stores.postgres.audit import problems
from memp.stores.postgres.forgetting import compact_some, erase
from memp.stores.postgres.logs import Logs
from memp.stores.postgres.near import Near
from memp.stores.postgres.part import Row
from memp.stores.postgres.pool import Pool
from memp.stores.postgres.texts import plain
from memp.stores.postgres.trajectories import Trajectories
from memp.stores.postgres.transaction import Transaction
from memp.stores.statements import check_namespace

_ALL: Final = ""
"""The namespace of what is asked about all of them."""


class PostgresStore(Trajectories, Logs, Near):
    """A `Store` in a PostgreSQL database: its parts are those it is made of, and here is what concerns the whole.

    Args:
        url: `postgresql://user@host/database`; what is missing comes from libpq's environment and files.
        create: make the tables where there are none.
        timeout: seconds to wait for a lock, a connection, and for a server that restarts; statements have four times
            as long.
        pool: most connections of this process.

    Raises:
        MissingExtra: psycopg is not installed.
        StoreError: no server answers, it refuses, is too old, has no pgvector ...
    """

    def __init__(self, url: str, *, create: bool = True, timeout: float = 30.0, pool: int = 8) -> None:
        super().__init__(Pool(url, create=create, timeout=timeout, size=pool))
        self._erasures: dict[str, int] = {}

    def namespaces(self) -> Sequence[str]:
        """See `Store.namespaces`."""
        return sorted(plain(name) for (name,) in self._listed(sql.NAMESPACES))

    def stats(self, namespace: str) -> Stats:
        """See `Store.stats`."""

        (counts,), statuses, ((size,),) = self._pool.read_all(
            namespace, (sql.COUNTS, {}), (sql.STATUSES, {}), (sql.SIZE, {})
        )
        names = ("trajectories", "waiting", "revisions", "recalls", "outcomes", "receipts")
        return Stats(**dict(zip(names, counts, strict=True)), procedures=dict(statuses), bytes=int(size or 0))

    def dump(self, namespace: str) -> Generator[Entry, None, None]:
        """See `Store.dump`."""
        with self._pool.snapshot(namespace) as transaction:
            yield from transfer.entries(transaction)

    def load(self, entries: Iterable[tuple[str, Entry]]) -> Loaded:
        """See `Store.load`."""

        def write(transaction: Transaction) -> Loaded:
            loader = transfer.Loader(transaction)
            for namespace, entry in entries:
                loader.take(namespace, entry)
            return loader.finish()

        return self._pool.write(_ALL, write, again=False)

    def forget(
        self, namespace: str, *, trajectories: Collection[str] = (), task: str | None = None, at: datetime
    ) -> Erased:
        """See `Store.forget`. The bytes of the server's files are not searched: it keeps them until it vacuums."""
        check_namespace(namespace)
        return self._pool.write(namespace, lambda it: erase(it, namespace, trajectories, task, at), forgetting=True)

    def erasures(self, namespace: str = "") -> int:
        """See `Store.erasures`."""
        number = self._number(namespace, sql.ERASURES, sql.ALL_ERASURES)
        if self._erasures.get(namespace) != number:  # what is empty now is listed no more
            self._named.discard(namespace)
            self._erasures[namespace] = number
        return number

    def compact(self, namespace: str, *, before: datetime) -> Compacted:
        """See `Store.compact`."""
        check_namespace(namespace)
        parts: list[Compacted] = []
        last: int | None = -1
        while last is not None:  # in parts: others may write between them
            work = partial(compact_some, before=before, after=last)
            part, last = self._pool.write(namespace, work, forgetting=True)
            parts.append(part)
        totals = {name: sum(getattr(part, name) for part in parts) for name in ("trajectories", "before", "after")}
        return Compacted(**totals)

    def version(self, namespace: str = "") -> int:
        """See `Store.version`."""
        return self._number(namespace, sql.VERSION, sql.ANY_VERSION)

    def check(self) -> list[str]:
        """What is wrong with what is kept: counters that do not match the logged outcomes, ..."""
        found: list[str] = []
        for namespace in self.namespaces():
            try:
                with self._pool.snapshot(namespace) as transaction:
                    found.extend(problems(transaction, namespace))
            except StoreCorrupt as error:
                found.append(f"{namespace}: {error}")
        return found

    def close(self) -> None:
        """See `Store.close`."""
        self._pool.close()

    def _number(self, namespace: str, of_one: str, of_all: str) -> int:
        rows = self._pool.read(namespace, of_one) if namespace else self._listed(of_all)
        return int(rows[0][0]) if rows else 0

    def _listed(self, statement: str) -> list[Row]:
        return self._pool.read_all(_ALL, (sql.LISTING, {}), (statement, {}))[1]
