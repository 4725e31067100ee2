"""The whole of a namespace out of the embedded store and into it."""

import sqlite3
from collections import Counter
from collections.abc import Iterator

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
from memp.stores.statements import (
    append,
    credit,
    insert_recall,
    insert_receipt,
    insert_trajectory,
    read_trajectory,
    stamp,
    words_of,
)


def entries(db: sqlite3.Connection, namespace: str) -> Iterator[Entry]:
    """Everything but caches, each kind in the order it was written."""
    for body, recall_id, consumed_by, at in db.execute(
        "SELECT body, recall_id, consumed_by, recorded_at FROM trajectories WHERE namespace = ? ORDER BY seq",
        (namespace,),
    ):
        trajectory = read_trajectory(body, words_of(db))
        yield TrajectoryEntry(trajectory=trajectory, recall_id=recall_id, consumed_by=consumed_by, recorded_at=at)
    for body, served, succeeded, success, origin in db.execute(
        """SELECT r.body, r.served, r.succeeded, p.success, p.origin FROM revisions r LEFT JOIN procedures p
           ON r.number = 1 AND p.namespace = r.namespace AND p.id = r.procedure_id
           WHERE r.namespace = ? ORDER BY r.seq""",
        (namespace,),
    ):
        yield RevisionEntry(
            revision=Revision.model_validate_json(body),
            served=served,
            succeeded=succeeded,
            built_from_success=success,
            origin=None if origin is None else origin.hex(),
        )
    for body in _bodies(db, "recalls", namespace):
        yield RecallEntry(recall=LoggedRecall.model_validate_json(body))
    for body in _bodies(db, "outcomes", namespace):
        yield OutcomeEntry(outcome=Outcome.model_validate_json(body))
    for body in _bodies(db, "receipts", namespace):
        yield ReceiptEntry(receipt=Receipt.model_validate_json(body))


def _bodies(db: sqlite3.Connection, table: str, namespace: str) -> Iterator[str]:
    for (body,) in db.execute(f"SELECT body FROM {table} WHERE namespace = ? ORDER BY seq", (namespace,)):
        yield body


class Loader:
    """Takes entries within one transaction. Counters are those of the outcomes, whatever was there before."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
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
        match entry:
            case TrajectoryEntry():
                new = self._trajectory(namespace, entry)
            case RevisionEntry():
                new = self._revision(namespace, entry)
            case RecallEntry(recall=recall):
                new = self._recall(namespace, recall)
            case OutcomeEntry(outcome=outcome):
                new = self._outcome(namespace, outcome)
            case ReceiptEntry(receipt=receipt):
                new = self._receipt(namespace, receipt)
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
        return Loaded(
            trajectories=self._new["trajectory"],
            revisions=self._new["revision"],
            recalls=self._new["recall"],
            outcomes=self._new["outcome"],
            receipts=self._new["receipt"],
            skipped=self._skipped,
        )

    def _trajectory(self, namespace: str, entry: TrajectoryEntry) -> bool:
        id = entry.trajectory.id
        new = insert_trajectory(self._db, namespace, entry.trajectory, entry.recall_id, stamp(entry.recorded_at))
        if entry.consumed_by is not None:  # what was taken anywhere must not be taken again
            self._db.execute(
                "UPDATE trajectories SET consumed_by = ? WHERE namespace = ? AND id = ? AND consumed_by IS NULL",
                (entry.consumed_by, namespace, id),
            )
        return new

    def _revision(self, namespace: str, entry: RevisionEntry) -> bool:
        revision = entry.revision
        id, number = revision.procedure_id, revision.number
        if (number == 1) != (entry.built_from_success is not None and entry.origin is not None):
            raise RecordError(
                f"revision {number} of procedure {id}: `built_from_success` and `origin` belong to revision 1"
            )
        if (namespace, id, number) in self._said:
            raise RecordError(f"revision {number} of procedure {id} comes twice")
        self._said[namespace, id, number] = (entry.served, entry.succeeded)
        success, origin = bool(entry.built_from_success), bytes.fromhex(entry.origin or "")
        known = self._db.execute(
            """SELECT r.body, p.success, p.origin FROM revisions r LEFT JOIN procedures p
               ON r.number = 1 AND p.namespace = r.namespace AND p.id = r.procedure_id
               WHERE r.namespace = ? AND r.procedure_id = ? AND r.number = ?""",
            (namespace, id, number),
        ).fetchone()
        if known is None:
            append(self._db, namespace, Write(revision=revision, success=success, origin=origin))
            return True
        same = Revision.model_validate_json(known[0]) == revision
        if not same or (number == 1 and (bool(known[1]), known[2]) != (success, origin)):
            raise RecordError(f"revision {number} of procedure {id} is there with other content")
        return False

    def _recall(self, namespace: str, recall: LoggedRecall) -> bool:
        known = self._known("recalls", namespace, "id", recall.id)
        if known is None:
            insert_recall(self._db, namespace, recall)
        elif LoggedRecall.model_validate_json(known).model_dump_json() != recall.model_dump_json():
            raise RecordError(f"recall {recall.id} is there with other content")
        return known is None

    def _outcome(self, namespace: str, outcome: Outcome) -> bool:
        for id, number in outcome.credited:
            self._served[namespace, id, number] += 1
            self._succeeded[namespace, id, number] += outcome.success
        known = self._known("outcomes", namespace, "trajectory_id", outcome.trajectory_id)
        if known is not None:
            if Outcome.model_validate_json(known) != outcome:
                raise RecordError(f"trajectory {outcome.trajectory_id} is there with another outcome")
            return False
        if self._known("recalls", namespace, "id", outcome.recall_id) is None:
            raise RecordError(f"an outcome is of recall {outcome.recall_id}, which is not there")
        if self._known("trajectories", namespace, "id", outcome.trajectory_id) is None:
            raise RecordError(f"an outcome is of trajectory {outcome.trajectory_id}, which is not there")
        credit(self._db, namespace, outcome)
        return True

    def _receipt(self, namespace: str, receipt: Receipt) -> bool:
        whole = receipt.id.rpartition("/")[0]
        if whole and self._known("receipts", namespace, "id", whole) is not None:
            return False  # the receipt of the whole operation took the place of this part's
        known = self._known("receipts", namespace, "id", receipt.id)
        if known is None:
            insert_receipt(self._db, namespace, receipt)
        elif Receipt.model_validate_json(known) != receipt:
            raise RecordError(f"receipt {receipt.id} is there with other content")
        return known is None

    def _known(self, table: str, namespace: str, column: str, id: str) -> str | None:
        row = self._db.execute(
            f"SELECT body FROM {table} WHERE namespace = ? AND {column} = ?", (namespace, id)
        ).fetchone()
        return None if row is None else row[0]
