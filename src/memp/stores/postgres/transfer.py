"""The whole of a namespace out of PostgreSQL and into it."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from memp.errors import RecordError
from memp.records import Outcome, Receipt, Revision
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

_AT_ONCE = 500


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
        self.trajectories = self._ids(sql.TRAJECTORY_IDS)
        self.heads: dict[str, int] = dict(transaction.send(sql.ALL_CURRENT).rows())
        self.recalls = self._ids(sql.RECALL_IDS)
        self.outcomes = self._ids(sql.OUTCOME_IDS)
        self.receipts = self._ids(sql.RECEIPT_IDS)

    def number(self) -> int:
        """The next number of the namespace's clock."""
        if not self._left:
            self._take()
        self._left -= 1
        self._next += 1
        return self._next

    def body(self, statement: str, **key: str | int) -> Row:
        """A row that is known to be there."""
        row = self.transaction.send(statement, **key).row()
        assert row is not None
        return row

    def _take(self) -> None:
        self._next, self._left = self.transaction.hold(_AT_ONCE)(), _AT_ONCE

    def _ids(self, statement: str) -> set[str]:
        return {id for (id,) in self.transaction.send(statement).rows()}


class Loader:
    """Takes entries within one transaction. What is new is sent without waiting for the server's answer."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._current: str | None = None
        self._spaces: dict[str, Namespace] = {}
        self._new: Counter[str] = Counter()
        self._skipped = 0
        self._said: dict[tuple[str, str, int], tuple[int, int]] = {}
        self._served: Counter[tuple[str, str, int]] = Counter()
        self._succeeded: Counter[tuple[str, str, int]] = Counter()

    def take(self, namespace: str, entry: Entry) -> None:
        """Append one entry, or see that it is there.

        Raises:
            RecordError: it contradicts what is there, or refers to something that is not there.
            Conflict: a revision between it and the current one is missing.
        """
        check_namespace(namespace)
        space = self._space(namespace)
        match entry:
            case TrajectoryEntry():
                new = self._trajectory(space, entry)
            case RevisionEntry():
                new = self._revision(space, entry)
            case RecallEntry(recall=recall):
                new = self._recall(space, recall)
            case OutcomeEntry(outcome=outcome):
                new = self._outcome(space, outcome)
            case ReceiptEntry(receipt=receipt):
                new = self._receipt(space, receipt)
        if new:
            self._new[entry.kind] += 1
        else:
            self._skipped += 1

    def finish(self) -> Loaded:
        """What was taken.

        Raises:
            RecordError: the counters that came with a revision are not those of the outcomes that came with it.
        """
        for key, said in self._said.items():
            counted = (self._served[key], self._succeeded[key])
            if said != counted:
                raise RecordError(
                    f"procedure {key[1]} revision {key[2]} comes with counters {said[1]}/{said[0]}, "
                    f"but its outcomes say {counted[1]}/{counted[0]}; outcomes are missing or were changed"
                )
        for space in self._spaces.values():
            space.transaction.enter()
            space.transaction.send(sql.CHANGED, changed=space.number())
        return Loaded(
            trajectories=self._new["trajectory"],
            revisions=self._new["revision"],
            recalls=self._new["recall"],
            outcomes=self._new["outcome"],
            receipts=self._new["receipt"],
            skipped=self._skipped,
        )

    def _space(self, name: str) -> Namespace:
        if name not in self._spaces:
            transaction = self._transaction.inside(name)
            transaction.enter()
            self._spaces[name] = Namespace(transaction, name)
        elif name != self._current:
            self._spaces[name].transaction.enter()
        self._current = name
        return self._spaces[name]

    @staticmethod
    def _trajectory(space: Namespace, entry: TrajectoryEntry) -> bool:
        id, body = safe(entry.trajectory.id), packed_trajectory(entry.trajectory)
        by = None if entry.consumed_by is None else safe(entry.consumed_by)
        if id in space.trajectories:
            known = space.body(sql.TRAJECTORY, id=id)
            check_same((known[0], known[1]), entry.trajectory, body, entry.recall_id)
            if by is not None:  # what was taken anywhere must not be taken again
                space.transaction.send(sql.CONSUME, id=id, by=by)
            return False
        insert_trajectory(
            space.transaction, entry.trajectory, body, entry.recall_id, stamp(entry.recorded_at), space.number(), by
        )
        space.trajectories.add(id)
        return True

    def _revision(self, space: Namespace, entry: RevisionEntry) -> bool:
        revision = entry.revision
        id, number = revision.procedure_id, revision.number
        if (number == 1) != (entry.built_from_success is not None and entry.origin is not None):
            raise RecordError(
                f"revision {number} of procedure {id}: `built_from_success` and `origin` belong to revision 1"
            )
        if (space.name, id, number) in self._said:
            raise RecordError(f"revision {number} of procedure {id} comes twice")
        self._said[space.name, id, number] = (entry.served, entry.succeeded)
        success, origin = bool(entry.built_from_success), bytes.fromhex(entry.origin or "")
        if number > space.heads.get(safe(id), 0):
            check_parent(revision, space.heads)
            append(space.transaction, Write(revision=revision, success=success, origin=origin), space.number())
            space.heads[safe(id)] = number
            return True
        body, *built = space.body(sql.REVISION, id=safe(id), number=number)
        same = Revision.model_validate_json(body) == revision
        if not same or (number == 1 and built != [success, origin]):
            raise RecordError(f"revision {number} of procedure {id} is there with other content")
        return False

    @staticmethod
    def _recall(space: Namespace, recall: LoggedRecall) -> bool:
        id = safe(recall.id)
        if id not in space.recalls:
            insert_recall(space.transaction, recall)
            space.recalls.add(id)
            return True
        (known,) = space.body(sql.RECALL, id=id)
        if LoggedRecall.model_validate_json(known).model_dump_json() != recall.model_dump_json():  # scores may be NaN
            raise RecordError(f"recall {recall.id} is there with other content")
        return False

    def _outcome(self, space: Namespace, outcome: Outcome) -> bool:
        for id, number in outcome.credited:
            self._served[space.name, id, number] += 1
            self._succeeded[space.name, id, number] += outcome.success
        id = safe(outcome.trajectory_id)
        if id in space.outcomes:
            if Outcome.model_validate_json(space.body(sql.OUTCOME, id=id)[0]) != outcome:
                raise RecordError(f"trajectory {outcome.trajectory_id} is there with another outcome")
            return False
        if safe(outcome.recall_id) not in space.recalls:
            raise RecordError(f"an outcome is of recall {outcome.recall_id}, which is not there")
        if id not in space.trajectories:
            raise RecordError(f"an outcome is of trajectory {outcome.trajectory_id}, which is not there")
        there = [key for key in outcome.credited if 1 <= key[1] <= space.heads.get(safe(key[0]), 0)]
        check_credit(outcome, [(safe(id), number) for id, number in there], space.name)
        insert_outcome(space.transaction, outcome, space.number())
        space.outcomes.add(id)
        return True

    @staticmethod
    def _receipt(space: Namespace, receipt: Receipt) -> bool:
        id = safe(receipt.id)
        whole = id.rpartition("/")[0]
        if whole and whole in space.receipts:
            return False  # the receipt of the whole operation took the place of this part's
        if id not in space.receipts:
            insert_receipt(space.transaction, receipt, space.number())
            space.receipts.add(id)
            return True
        if Receipt.model_validate_json(space.body(sql.RECEIPT, id=id)[0]) != receipt:
            raise RecordError(f"receipt {receipt.id} is there with other content")
        return False
