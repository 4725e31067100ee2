"""The whole of a namespace out of PostgreSQL and into it."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from memp.records import Outcome, Receipt, Revision, Trajectory
from memp.stores.base import Write
from memp.stores.entries import (
    Entry,
    Loaded,
    LoggedRecall,
    OutcomeEntry,
    RecallEntry,
    ReceiptEntry,
    RevisionEntry,
    TrajectoryEntry,
)
from memp.stores.loading import Kind, Known, Loading
from memp.stores.postgres import statements as sql
from memp.stores.postgres.texts import plain, safe
from memp.stores.postgres.transaction import Transaction
from memp.stores.postgres.writing import (
    append,
    check_credit,
    check_parent,
    check_same,
    insert_outcome,
    insert_recall,
    insert_receipt,
    insert_trajectory,
    packed_trajectory,
)
from memp.stores.statements import check_namespace, read_trajectory, stamp

Row = tuple[Any, ...]

_AT_ONCE: Final = 500
_IDS: Final[dict[Kind, str]] = {
    "trajectory": sql.TRAJECTORY_IDS,
    "recall": sql.RECALL_IDS,
    "outcome": sql.OUTCOME_IDS,
    "receipt": sql.RECEIPT_IDS,
}
_BODIES: Final = {"recall": sql.RECALL, "outcome": sql.OUTCOME, "receipt": sql.RECEIPT}


def pages(transaction: Transaction, statement: str) -> Iterator[Row]:
    """The rows of a statement that reads so many from a number on, which is its first column."""
    last = -1
    while rows := transaction.send(statement, seq=last, n=_AT_ONCE).rows():
        yield from rows
        last = rows[-1][0]


def entries(transaction: Transaction) -> Iterator[Entry]:
    """Everything but caches, each kind in the order it was written."""
    for _, body, recall_id, consumed_by, at in pages(transaction, sql.TRAJECTORIES):
        yield TrajectoryEntry(
            trajectory=read_trajectory(body),
            recall_id=None if recall_id is None else plain(recall_id),
            consumed_by=None if consumed_by is None else plain(consumed_by),
            recorded_at=at,
        )
    for _, body, served, succeeded, success, origin in pages(transaction, sql.REVISIONS):
        yield RevisionEntry(
            revision=Revision.model_validate_json(body),
            served=served,
            succeeded=succeeded,
            built_from_success=success,
            origin=None if origin is None else origin.hex(),
        )
    for _, body in pages(transaction, sql.RECALLS):
        yield RecallEntry(recall=LoggedRecall.model_validate_json(body))
    for _, body in pages(transaction, sql.OUTCOMES):
        yield OutcomeEntry(outcome=Outcome.model_validate_json(body))
    for _, body in pages(transaction, sql.RECEIPTS):
        yield ReceiptEntry(receipt=Receipt.model_validate_json(body))


class Namespace:
    """What a load has to know of one namespace: the ids that are there, read once; nobody else writes meanwhile."""

    def __init__(self, transaction: Transaction, name: str) -> None:
        self.name = name
        self.transaction = transaction
        self._left = 0
        self._next = 0
        self._take()
        asked = {kind: transaction.send(statement) for kind, statement in _IDS.items()}
        heads = transaction.send(sql.ALL_CURRENT)
        self.ids: dict[Kind, set[str]] = {kind: {id for (id,) in answer.rows()} for kind, answer in asked.items()}
        self.heads: dict[str, int] = dict(heads.rows())
        self._writes: list[tuple[Write, int]] = []

    def number(self) -> int:
        """The next number of the namespace's clock."""
        if not self._left:
            self._take()
        self._left -= 1
        self._next += 1
        return self._next

    def append(self, write: Write) -> None:
        """Append a revision: many together, and before anything else is written or read (see `appended`)."""
        check_parent(write.revision, self.heads)
        self._writes.append((write, self.number()))
        self.heads[safe(write.revision.procedure_id)] = write.revision.number
        if len(self._writes) == _AT_ONCE:
            self.appended()

    def appended(self) -> Transaction:
        """The transaction, in which all revisions are."""
        append(self.transaction, self._writes)
        self._writes = []
        return self.transaction

    def _take(self) -> None:
        self._next, self._left = self.transaction.hold(_AT_ONCE)(), _AT_ONCE


class Loader(Loading):
    """Takes entries within one transaction. What is new is sent without waiting for the server's answer."""

    def __init__(self, transaction: Transaction) -> None:
        super().__init__()
        self._transaction = transaction
        self._current: Namespace | None = None
        self._spaces: dict[str, Namespace] = {}

    def take(self, namespace: str, entry: Entry) -> None:
        """See `Loading.take`."""
        check_namespace(namespace)
        super().take(namespace, entry)

    def finish(self) -> Loaded:
        """See `Loading.finish`."""
        loaded = super().finish()
        for name in self._spaces:
            space = self._space(name)
            space.appended().send(sql.CHANGED, changed=space.number())
        return loaded

    def has(self, namespace: str, kind: Kind, id: str) -> bool:
        """See `Loading.has`."""
        return safe(id) in self._space(namespace).ids[kind]

    def body(self, namespace: str, kind: Kind, id: str) -> str:
        """See `Loading.body`."""
        row = self._space(namespace).transaction.send(_BODIES[kind], id=safe(id)).row()
        assert row is not None
        return str(row[0])

    def revision(self, namespace: str, id: str, number: int) -> Known | None:
        """See `Loading.revision`."""
        space = self._space(namespace)
        if number > space.heads.get(safe(id), 0):
            return None
        row = space.appended().send(sql.REVISION, id=safe(id), number=number).row()
        return None if row is None else Known(Revision.model_validate_json(row[0]), row[1], row[2])

    def add_trajectory(self, namespace: str, trajectory: Trajectory, recall_id: str | None, at: datetime) -> bool:
        """See `Loading.add_trajectory`."""
        space = self._space(namespace)
        id, body = safe(trajectory.id), packed_trajectory(trajectory)
        if id in space.ids["trajectory"]:
            row = space.transaction.send(sql.TRAJECTORY, id=id).row()
            assert row is not None
            check_same((row[0], row[1]), trajectory, body, recall_id)
            return False
        insert_trajectory(space.transaction, trajectory, body, recall_id, stamp(at), space.number())
        space.ids["trajectory"].add(id)
        return True

    def consume(self, namespace: str, trajectory_id: str, by: str) -> None:
        """See `Loading.consume`."""
        self._space(namespace).transaction.send(sql.CONSUME, id=safe(trajectory_id), by=safe(by))

    def append(self, namespace: str, write: Write) -> None:
        """See `Loading.append`."""
        self._space(namespace).append(write)

    def add_recall(self, namespace: str, recall: LoggedRecall) -> None:
        """See `Loading.add_recall`."""
        space = self._space(namespace)
        insert_recall(space.transaction, recall)
        space.ids["recall"].add(safe(recall.id))

    def add_outcome(self, namespace: str, outcome: Outcome) -> None:
        """See `Loading.add_outcome`."""
        space = self._space(namespace)
        there = [key for key in outcome.credited if 1 <= key[1] <= space.heads.get(safe(key[0]), 0)]
        check_credit(outcome, [(safe(id), number) for id, number in there], namespace)
        insert_outcome(space.appended(), outcome, space.number())
        space.ids["outcome"].add(safe(outcome.trajectory_id))

    def add_receipt(self, namespace: str, receipt: Receipt) -> None:
        """See `Loading.add_receipt`."""
        space = self._space(namespace)
        insert_receipt(space.transaction, receipt, space.number())
        space.ids["receipt"].add(safe(receipt.id))

    def _space(self, name: str) -> Namespace:
        """A namespace, seen from here on."""
        if self._current is not None and self._current.name == name:
            return self._current
        if self._current is not None:
            self._current.appended()
        known = self._spaces.get(name)
        transaction = known.transaction if known else self._transaction.inside(name)
        transaction.enter()
        self._current = self._spaces[name] = known or Namespace(transaction, name)
        return self._current
