"""Trajectories and the credit for them."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from memp.recall import Recall
from memp.records import Outcome, Trajectory
from memp.stores.base import Waiting
from memp.stores.entries import LoggedRecall
from memp.stores.postgres import statements as sql
from memp.stores.postgres.errors import translated
from memp.stores.postgres.forgetting import still_there
from memp.stores.postgres.part import Part
from memp.stores.postgres.pool import Pool
from memp.stores.postgres.texts import safe
from memp.stores.postgres.transaction import Transaction
from memp.stores.postgres.writing import (
    check_credit,
    check_same,
    creditable,
    insert_recall,
    packed_trajectory,
    record_outcome,
    record_trajectory,
)
from memp.stores.statements import check_namespace, read_trajectory, stamp

_OVERTAKEN: Final = ("23502", "23505")
"""A trajectory is there already, or something was erased, or is not there, that its outcome credits."""


class Trajectories(Part):
    """Records them, reads them, and says which wait."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool)
        self._erasures_seen: dict[str, tuple[int, str | None]] = {}
        """How often something was erased from a namespace, and when last, as far as is known."""

    def record(
        self, namespace: str, trajectory: Trajectory, recall: Recall | None, outcome: Outcome | None, at: datetime
    ) -> bool:
        """See `Store.record`."""
        check_namespace(namespace)
        body = packed_trajectory(trajectory)
        recall_id = None if recall is None else recall.id
        logged = None if recall is None or outcome is None else LoggedRecall.of(recall)
        unsure: list[bool] = []
        erased, erased_at = self._erasures_seen.get(namespace, (0, None))
        looks = logged is not None and erased_at is not None and erased_at >= stamp(logged.at)

        def insert(transaction: Transaction, logged: LoggedRecall | None, outcome: Outcome | None, erased: int) -> bool:
            # Nothing is waited for between taking the number and the commit, so that others wait as little as can be.
            transaction.send(sql.TICK, n=2)
            record_trajectory(transaction, trajectory, body, recall_id, stamp(at), erased)
            if logged is not None and outcome is not None:
                insert_recall(transaction, logged)
                record_outcome(transaction, outcome)
            return True

        def write(transaction: Transaction) -> bool:
            nonlocal looks
            if not looks:
                looks = True  # should it be there already, or something be gone: what is refused is then looked at
                return insert(transaction, logged, outcome, erased)
            before = transaction.send(sql.TRAJECTORY, id=safe(trajectory.id))
            there = None if outcome is None else creditable(transaction, outcome)
            state = transaction.send(sql.LAST_ERASURE)
            if (known := before.row()) is not None:
                transaction.undo = True
                check_same((known[0], known[1]), trajectory, body, recall_id)
                return bool(unsure)  # it was we who recorded it
            now, now_at = self._erasures_seen[namespace] = state.row() or (0, None)
            kept, credited = logged, outcome
            if kept is not None and credited is not None and there is not None:
                if now_at is not None and now_at >= stamp(kept.at):
                    kept, credited = still_there(transaction, kept, credited)
                check_credit(credited, there.rows(), namespace)
            return insert(transaction, kept, credited, now)

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
