"""The whole of a namespace out of the embedded store and into it."""

import sqlite3
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from memp.records import Outcome, Receipt, Revision, Trajectory
from memp.stores.base import Write
from memp.stores.entries import (
    Entry,
    LoggedRecall,
    OutcomeEntry,
    RecallEntry,
    ReceiptEntry,
    RevisionEntry,
    TrajectoryEntry,
)
from memp.stores.loading import Kind, Known, Loading
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

_TABLES: Final[dict[Kind, tuple[str, str]]] = {
    "trajectory": ("trajectories", "id"),
    "recall": ("recalls", "id"),
    "outcome": ("outcomes", "trajectory_id"),
    "receipt": ("receipts", "id"),
}


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


class Loader(Loading):
    """Takes entries within one transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        super().__init__()
        self._db = db

    def has(self, namespace: str, kind: Kind, id: str) -> bool:
        """See `Loading.has`."""
        return self._column("1", namespace, kind, id) is not None

    def body(self, namespace: str, kind: Kind, id: str) -> str:
        """See `Loading.body`."""
        return str(self._column("body", namespace, kind, id))

    def revision(self, namespace: str, id: str, number: int) -> Known | None:
        """See `Loading.revision`."""
        row = self._db.execute(
            """SELECT r.body, p.success, p.origin FROM revisions r LEFT JOIN procedures p
               ON r.number = 1 AND p.namespace = r.namespace AND p.id = r.procedure_id
               WHERE r.namespace = ? AND r.procedure_id = ? AND r.number = ?""",
            (namespace, id, number),
        ).fetchone()
        return None if row is None else Known(Revision.model_validate_json(row[0]), bool(row[1]), row[2])

    def add_trajectory(self, namespace: str, trajectory: Trajectory, recall_id: str | None, at: datetime) -> bool:
        """See `Loading.add_trajectory`."""
        return insert_trajectory(self._db, namespace, trajectory, recall_id, stamp(at))

    def consume(self, namespace: str, trajectory_id: str, by: str) -> None:
        """See `Loading.consume`."""
        self._db.execute(
            "UPDATE trajectories SET consumed_by = ? WHERE namespace = ? AND id = ? AND consumed_by IS NULL",
            (by, namespace, trajectory_id),
        )

    def append(self, namespace: str, write: Write) -> None:
        """See `Loading.append`."""
        append(self._db, namespace, write)

    def add_recall(self, namespace: str, recall: LoggedRecall) -> None:
        """See `Loading.add_recall`."""
        insert_recall(self._db, namespace, recall)

    def add_outcome(self, namespace: str, outcome: Outcome) -> None:
        """See `Loading.add_outcome`."""
        credit(self._db, namespace, outcome)

    def add_receipt(self, namespace: str, receipt: Receipt) -> None:
        """See `Loading.add_receipt`."""
        insert_receipt(self._db, namespace, receipt)

    def _column(self, column: str, namespace: str, kind: Kind, id: str) -> Any:
        table, key = _TABLES[kind]
        found = self._db.execute(f"SELECT {column} FROM {table} WHERE namespace = ? AND {key} = ?", (namespace, id))
        row = found.fetchone()
        return None if row is None else row[0]
