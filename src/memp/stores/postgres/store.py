"""The shared store: PostgreSQL with pgvector, many processes and machines at once."""

from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from itertools import count
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from memp.errors import StoreCorrupt
from memp.recall import Recall
from memp.records import Outcome, Procedure, Receipt, Record, Revision, Trajectory
from memp.stores.base import Compacted, Erased, Head, Stats, Waiting, Write, text_key
from memp.stores.entries import Entry, Loaded, LoggedRecall
from memp.stores.postgres import statements as sql
from memp.stores.postgres import transfer
from memp.stores.postgres.audit import problems
from memp.stores.postgres.errors import translated
from memp.stores.postgres.forgetting import compact_some, erase, still_there
from memp.stores.postgres.near import Near
from memp.stores.postgres.pool import Pool
from memp.stores.postgres.texts import all_of, plain, safe
from memp.stores.postgres.transaction import Transaction
from memp.stores.postgres.writing import (
    append,
    check_credit,
    check_parent,
    check_same,
    creditable,
    insert_recall,
    insert_receipt,
    packed_trajectory,
    record_outcome,
    record_trajectory,
)
from memp.stores.statements import check_namespace, read_procedure, read_trajectory, stamp

Row = tuple[Any, ...]
R = TypeVar("R", bound=Record)
T = TypeVar("T")
_OVERTAKEN: Final = ("23502", "23505")
"""A trajectory was recorded, or something erased, since it was looked whether it was."""
_ALL: Final = ""
"""The namespace of what is asked about all of them."""


class PostgresStore:
    """A `Store` in a PostgreSQL database.

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
        self._pool = Pool(url, create=create, timeout=timeout, size=pool)
        self._near = Near(self._pool)
        self._named: set[str] = set()
        """Namespaces that are listed."""
        self._erasures: dict[str, int] = {}

    # -- trajectories ------------------------------------------------------------------------------

    def record(
        self, namespace: str, trajectory: Trajectory, recall: Recall | None, outcome: Outcome | None, at: datetime
    ) -> bool:
        """See `Store.record`."""
        check_namespace(namespace)
        body = packed_trajectory(trajectory)
        recall_id = None if recall is None else recall.id

        unsure: list[bool] = []

        def write(transaction: Transaction) -> bool:
            before = transaction.send(sql.TRAJECTORY, id=safe(trajectory.id))
            there = None if outcome is None else creditable(transaction, outcome)
            state = transaction.send(sql.LAST_ERASURE)
            if (known := before.row()) is not None:
                transaction.undo = True
                check_same((known[0], known[1]), trajectory, body, recall_id)
                return bool(unsure)  # it was we who recorded it
            logged, credited = None if recall is None else LoggedRecall.of(recall), outcome
            erased, erased_at = state.row() or (0, None)
            if logged is not None and credited is not None and there is not None:
                if erased_at is not None and erased_at >= stamp(logged.at):
                    logged, credited = still_there(transaction, logged, credited)
                check_credit(credited, there.rows(), namespace)
            # Nothing is waited for between taking the number and the commit, so that others wait as little as can be.
            transaction.send(sql.TICK, n=2)
            record_trajectory(transaction, trajectory, body, recall_id, stamp(at), erased)
            if logged is not None and credited is not None:
                insert_recall(transaction, logged)
                record_outcome(transaction, credited)
            return True

        return self._pool.write(namespace, write, overtaken=_OVERTAKEN, unsure=lambda: unsure.append(True))

    def trajectory(self, namespace: str, id: str) -> Trajectory | None:
        """See `Store.trajectory`."""
        rows = self._pool.read(namespace, sql.TRAJECTORY, id=safe(id))
        return self._one(read_trajectory, rows)

    def trajectories(self, namespace: str) -> Iterator[Trajectory]:
        """See `Store.trajectories`."""
        last = -1
        while rows := self._pool.read(namespace, sql.TRAJECTORIES, seq=last, n=200):
            last = rows[-1][0]
            with translated(self.place):
                found = [read_trajectory(row[1]) for row in rows]
            yield from found

    def waiting(self, namespace: str) -> Sequence[Waiting]:
        """See `Store.waiting`."""
        rows = self._pool.read(namespace, sql.WAITING)
        with translated(self.place):
            return [
                Waiting(
                    trajectory=read_trajectory(body),
                    outcome=Outcome.model_validate_json(outcome) if outcome else None,
                )
                for body, outcome in rows
            ]

    def requeue(self, namespace: str, trajectory_id: str) -> bool:
        """See `Store.requeue`."""

        def write(transaction: Transaction) -> bool:
            return transaction.send(sql.REQUEUE, id=safe(trajectory_id)).row() is not None

        return self._pool.write(namespace, write)

    # -- procedures --------------------------------------------------------------------------------

    def write(
        self,
        namespace: str,
        writes: Sequence[Write],
        *,
        consume: str | None,
        receipt_id: str,
        receipt: Receipt | None = None,
    ) -> bool:
        """See `Store.write`."""
        check_namespace(namespace)
        ids = [safe(write.revision.procedure_id) for write in writes]
        if not ids and consume is None and receipt is None:
            return True

        def body(transaction: Transaction) -> bool:
            held = transaction.hold(len(writes) + 1)
            current = transaction.send(sql.CURRENT, ids=ids)
            if consume is not None:
                taken = transaction.send(sql.CONSUME, id=safe(consume), by=safe(receipt_id))
                if taken.row() is None:
                    transaction.undo = True
                    return False
            seq = held()
            heads: dict[str, int] = dict(current.rows())
            for write in writes:
                check_parent(write.revision, heads)
                heads[safe(write.revision.procedure_id)] = write.revision.number
            append(transaction, list(zip(writes, count(seq + 1))))
            seq += len(writes)
            if receipt is not None:
                insert_receipt(transaction, receipt, seq + 1)
            transaction.send(sql.CHANGED, changed=seq + 1)
            return True

        return self._pool.write(namespace, body)

    def heads(self, namespace: str, fingerprint: str, since: int = 0) -> Sequence[Head]:
        """See `Store.heads`."""
        # Two passes and no join: without statistics of the tables a join of all of them may take a minute.
        if since or not fingerprint:
            rows, known = self._pool.read(namespace, sql.HEADS, since=since), dict[bytes, bytes]()
            if fingerprint:
                known = self._vectors(namespace, fingerprint, sorted({row[7] for row in rows}))
        else:
            all_of_them = (sql.ALL_VECTORS, {"fingerprint": safe(fingerprint)})
            rows, vectors = self._pool.read_all(namespace, (sql.HEADS, {"since": 0}), all_of_them)
            known = dict(vectors)
        missing = {row[7] for row in rows} - known.keys() if fingerprint else set()
        known |= self._vectors(_ALL, fingerprint, sorted(missing))
        return [
            Head(seq, plain(id), changed, status, success, plain(task), facts, known.get(key))
            for seq, id, changed, status, success, task, facts, key in rows
        ]

    def find(self, namespace: str, ids: Sequence[str]) -> Sequence[Procedure]:
        """See `Store.find`."""
        if not ids:
            return []
        rows = self._pool.read(namespace, sql.FIND, ids=[safe(id) for id in ids])
        found = {p.id: p for p in self._procedures(namespace, rows)}
        return [found[id] for id in ids if id in found]

    def at(self, namespace: str, revisions: Sequence[tuple[str, int]]) -> Sequence[Procedure]:
        """See `Store.at`."""
        if not revisions:
            return []
        ids, numbers = [safe(id) for id, _ in revisions], [number for _, number in revisions]
        rows = self._pool.read(namespace, sql.AT, ids=ids, numbers=numbers)
        found = {(p.id, p.revision.number): p for p in self._procedures(namespace, rows)}
        return [found[key] for key in revisions if key in found]

    def built_from(self, namespace: str, origin: bytes) -> str | None:
        """See `Store.built_from`."""
        return self._one(plain, self._pool.read(namespace, sql.BUILT_FROM, origin=origin))

    def history(self, namespace: str, id: str) -> Sequence[tuple[Revision, int, int]]:
        """See `Store.history`."""
        rows = self._pool.read(namespace, sql.HISTORY, id=safe(id))
        with translated(self.place):
            return [(Revision.model_validate_json(body), served, succeeded) for body, served, succeeded in rows]

    def search(self, namespace: str, words: str, limit: int) -> Sequence[Procedure]:
        """See `Store.search`."""
        query = all_of(words)
        if not query:
            safe(namespace).encode()  # half of a surrogate pair is refused here too
            return []
        return self._procedures(namespace, self._pool.read(namespace, sql.SEARCH, query=query, n=limit))

    # -- log ---------------------------------------------------------------------------------------

    def log_recall(self, recall: Recall) -> None:
        """See `Store.log_recall`."""

        def write(transaction: Transaction) -> None:
            if recall.namespace not in self._named:
                transaction.send(sql.NAMED)
                transaction.send(sql.HOLDS, holds=True)
            insert_recall(transaction, LoggedRecall.of(recall))

        self._pool.write(recall.namespace, write, durable=False)
        self._named.add(recall.namespace)

    def recalls(self, namespace: str, id: str | None = None, limit: int = 50) -> Sequence[Recall]:
        """See `Store.recalls`."""
        if id is not None:
            rows = self._pool.read(namespace, sql.RECALL, id=safe(id))
        else:
            rows = self._pool.read(namespace, sql.LAST_RECALLS, n=limit)
        with translated(self.place):
            logged = [LoggedRecall.model_validate_json(body) for (body,) in rows[:limit]]
        served = {key for recall in logged for key in recall.served()}
        found = {(p.id, p.revision.number): p for p in self.at(namespace, sorted(served))}
        return [recall.recall(namespace, lambda id, number: found.get((id, number))) for recall in logged]

    def outcomes(self, namespace: str, limit: int = 50) -> Sequence[Outcome]:
        """See `Store.outcomes`."""
        return self._log(Outcome, self._pool.read(namespace, sql.LAST_OUTCOMES, n=limit))

    def outcomes_since(self, namespace: str, seq: int = 0) -> Sequence[tuple[int, Outcome]]:
        """See `Store.outcomes_since`."""
        rows = self._pool.read(namespace, sql.OUTCOMES, seq=seq, n=None)
        with translated(self.place):
            return [(number, Outcome.model_validate_json(body)) for number, body in rows]

    def log_receipt(self, namespace: str, receipt: Receipt) -> None:
        """See `Store.log_receipt`."""
        check_namespace(namespace)

        def write(transaction: Transaction) -> None:
            insert_receipt(transaction, receipt, transaction.hold(1)() + 1)

        self._pool.write(namespace, write)

    def receipts(self, namespace: str, limit: int = 50) -> Sequence[Receipt]:
        """See `Store.receipts`."""
        return self._log(Receipt, self._pool.read(namespace, sql.LAST_RECEIPTS, n=limit))

    # -- drafts and vectors ------------------------------------------------------------------------

    def draft(self, namespace: str, key: str) -> str | None:
        """See `Store.draft`."""
        return self._one(plain, self._pool.read(namespace, sql.DRAFT, key=safe(key)))

    def save_draft(self, namespace: str, key: str, text: str) -> None:
        """See `Store.save_draft`."""

        def write(transaction: Transaction) -> None:
            transaction.send(sql.SAVE_DRAFT, key=safe(key), text=safe(text))

        self._pool.write(namespace, write)

    def drop_drafts(self, namespace: str, keys: Sequence[str]) -> None:
        """See `Store.drop_drafts`."""

        def write(transaction: Transaction) -> None:
            transaction.send(sql.DROP_DRAFTS, keys=[safe(key) for key in keys])
            transaction.send(sql.DROP_LEFT_DRAFTS)

        self._pool.write(namespace, write, durable=False)

    def vectors(self, fingerprint: str, texts: Sequence[str], namespace: str = "") -> dict[str, NDArray[np.float32]]:
        """See `Store.vectors`."""
        keys = {text: text_key(text) for text in texts}
        found = self._vectors(namespace, fingerprint, sorted(set(keys.values())))
        if namespace and len(found) < len(set(keys.values())):
            found = self._vectors(_ALL, fingerprint, sorted(set(keys.values()) - set(found))) | found
        return {text: np.frombuffer(found[key], dtype=np.float32) for text, key in keys.items() if key in found}

    def save_vectors(
        self, fingerprint: str, vectors: Iterable[tuple[str, NDArray[np.float32]]], namespace: str = ""
    ) -> None:
        """See `Store.save_vectors`."""
        rows = {text_key(text): vector.astype(np.float32).tobytes() for text, vector in vectors}

        def write(transaction: Transaction) -> None:
            # in one order, so that two who save the same do not wait for each other
            transaction.send(
                sql.SAVE_VECTORS,
                fingerprint=safe(fingerprint),
                keys=sorted(rows),
                vectors=[rows[key] for key in sorted(rows)],
            )

        if rows:
            self._pool.write(namespace, write, durable=False)

    def _vectors(self, namespace: str, fingerprint: str, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        if not keys:
            return {}
        return dict(self._pool.read(namespace, sql.VECTORS, fingerprint=safe(fingerprint), keys=keys))

    # -- similarity --------------------------------------------------------------------------------

    def searched(self, namespace: str, fingerprint: str) -> int | None:
        """See `SearchesVectors.searched`."""
        return self._near.searched(namespace, fingerprint)

    def keep_near(self, namespace: str, fingerprint: str, heads: Sequence[Head], vectors: NDArray[np.float32]) -> None:
        """See `SearchesVectors.keep_near`."""
        self._near.keep(namespace, fingerprint, heads, vectors)

    def nearest(
        self, namespace: str, fingerprint: str, vector: NDArray[np.float32], k: int, *, status: str, only_success: bool
    ) -> Sequence[tuple[str, float]]:
        """See `SearchesVectors.nearest`."""
        return self._near.nearest(namespace, fingerprint, vector, k, status, only_success)

    def index_near(self, namespace: str, fingerprint: str, dimensions: int) -> None:
        """See `SearchesVectors.index_near`."""
        self._near.index(namespace, fingerprint, dimensions)

    def forget_near(self, namespace: str, fingerprint: str) -> None:
        """See `SearchesVectors.forget_near`."""
        self._near.forget_space(namespace, fingerprint)

    # -- the whole ---------------------------------------------------------------------------------

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

    @property
    def place(self) -> str:
        """Where it is, without the password."""
        return self._pool.place

    def close(self) -> None:
        """See `Store.close`."""
        self._pool.close()

    # -- rows --------------------------------------------------------------------------------------

    def _number(self, namespace: str, of_one: str, of_all: str) -> int:
        rows = self._pool.read(namespace, of_one) if namespace else self._listed(of_all)
        return int(rows[0][0]) if rows else 0

    def _listed(self, statement: str) -> list[Row]:
        return self._pool.read_all(_ALL, (sql.LISTING, {}), (statement, {}))[1]

    def _one(self, read: Callable[[Any], T], rows: list[Row]) -> T | None:
        with translated(self.place):
            return read(rows[0][0]) if rows else None

    def _log(self, kind: type[R], rows: list[Row]) -> list[R]:
        with translated(self.place):
            return [kind.model_validate_json(body) for (body,) in rows]

    def _procedures(self, namespace: str, rows: list[Row]) -> list[Procedure]:
        with translated(self.place):
            return [read_procedure((plain(id), namespace, *rest)) for id, *rest in rows]
