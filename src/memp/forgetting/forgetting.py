"""Forgetting on request and for room: what a memory that may forget can do beside being read and curated."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from memp.curation import KEPT, Curation
from memp.done import Done
from memp.errors import Conflict, RecordError
from memp.evidence import Worth
from memp.forgetting.capacity import Capacity, victims
from memp.forgetting.duplicates import ALIKE, groups
from memp.records import SERVABLE, Author, Name, Procedure, Receipt, Record, Skipped
from memp.stores.base import Compacted, Erased, Write


class Forgotten(Record):
    """What `forget` did."""

    retired: tuple[Name, ...] = ()
    """Procedures that are not served any more; they can be restored."""
    erased: Erased | None = None
    """With `hard`: what is gone for good, and what the search for it found."""


class Merged(Record):
    """What `merge` did."""

    into: Mapping[Name, tuple[Name, ...]] = {}
    """Procedure -> those that became one with it and retired."""
    skipped: tuple[Skipped, ...] = ()


class Room(Record):
    """What was done so that the memory fits its capacity."""

    merged: Merged = Merged()
    retired: tuple[Name, ...] = ()
    """For they were worth least."""
    skipped: tuple[Skipped, ...] = ()
    """Those that were to retire and did not."""


class Forgetting(Curation):
    """Retire or erase what a task left, make one of near-duplicates, and keep to a capacity."""

    def forget(self, trajectory_id: str | None = None, *, task: str | None = None, hard: bool = False) -> Forgotten:
        """Forget a trajectory, or every trajectory of a task (its exact words).

        Softly: procedures that were built from it are retired, and can be restored. `hard`: every trace is erased for
        good (`Store.forget` says which), and the raw bytes of the store are searched for it. Exports and copies of
        the file that were made before still hold it, and importing them brings it back.

        Raises:
            RecordError: neither or both were given, or there is nothing of that id or task.
            StoreBusy: it is erased, but another process reads the file; call again to overwrite freed pages.
        """
        if (trajectory_id is None) == (task is None):
            raise RecordError("give the id of a trajectory, or a task")
        if not hard:
            return self._forget_softly(trajectory_id, task)
        chosen = [] if trajectory_id is None else [trajectory_id]
        erased = self.store.forget(self.namespace, trajectories=chosen, task=task, at=self._clock())
        if not (erased.trajectories or erased.revisions or erased.recalls):
            return Forgotten(erased=erased)
        said = (
            f"erased for good on request: {erased.trajectories} trajectories, {erased.procedures} procedures, "
            f"{erased.recalls} recalls, {erased.outcomes} outcomes"
        )
        done = Done(revised=list(erased.returned))
        done.skip("erased", said)
        self._log("forget", "hard", done)
        return Forgotten(erased=erased)

    def finish_forgetting(self) -> Erased:
        """Overwrite what an interrupted erasure left in freed pages of the store. Nothing else is erased."""
        return self.store.forget(self.namespace, at=self._clock())

    def _forget_softly(self, trajectory_id: str | None, task: str | None) -> Forgotten:
        if trajectory_id is not None:
            self.trajectory(trajectory_id)  # there is one, or it says so
            ids = {trajectory_id}
        else:
            ids = {trajectory.id for trajectory in self.store.trajectories(self.namespace) if trajectory.task == task}
        what = f"task {task!r}" if task is not None else f"trajectory {trajectory_id}"
        retired = self._built_from(ids, task)
        for id in retired:
            self.retire(id, reason=f"forgotten on request: it was built from {what}")
        if not ids and not retired:
            raise RecordError(f"nothing of the task {task!r} in namespace {self.namespace!r}; give its exact words")
        self._log("forget", "soft", Done(retired=retired))
        return Forgotten(retired=tuple(retired))

    def _built_from(self, ids: set[str], task: str | None) -> list[str]:
        """The procedures that are not retired and were built from these trajectories, or are for this task."""
        held = list(self.procedures(status=KEPT))
        at_first = self.store.at(self.namespace, [(procedure.id, 1) for procedure in held])
        evidence = {first.id: first.revision.evidence for first in at_first}
        return [
            procedure.id
            for procedure in held
            if procedure.content.trajectory_id in ids
            or procedure.task == task
            or ids.intersection(evidence.get(procedure.id, ()))
        ]

    def compact(self, *, older_than: timedelta | datetime | None = None) -> Compacted:
        """Keep trajectories in fewer bytes: those recorded so long ago, or before then (None: all). They read the same.

        Reading a compacted one takes longer; writing the file anew takes the time of a copy.
        """
        now = self._clock()
        before = now + timedelta(days=1) if older_than is None else older_than
        return self.store.compact(self.namespace, before=now - before if isinstance(before, timedelta) else before)

    def merge(self, *, least: float = ALIKE) -> Merged:
        """Make one of procedures that say the same for almost the same task.

        The one that stays gets a revision with the evidence of all; the others retire. `least` is the similarity of
        tasks from which they are the same.
        """
        held = list(self.procedures(status="active"))
        merged = self._merge(held, least)
        if merged.into:
            self._log("merge", "merge", self._done(merged))
        return merged

    def _done(self, merged: Merged) -> Done:
        """A merge as a receipt tells it."""
        stay = self.store.find(self.namespace, list(merged.into))
        return Done(
            revised=[(procedure.id, procedure.revision.number) for procedure in stay],
            retired=[id for others in merged.into.values() for id in others],
            skipped=list(merged.skipped),
        )

    def _merge(self, held: Sequence[Procedure], least: float) -> Merged:
        into: dict[str, tuple[str, ...]] = {}
        skipped: list[Skipped] = []
        for stays, *others in groups(held, lambda id: self.store.trajectory(self.namespace, id), least=least):
            try:
                self._make_one(stays, others)
                into[stays.id] = tuple(other.id for other in others)
            except Conflict:
                skipped.append(Skipped(subject=stays.id, reason="revised meanwhile: not merged"))
        return Merged(into=into, skipped=tuple(skipped))

    def _make_one(self, stays: Procedure, others: Sequence[Procedure]) -> None:
        """In one transaction: either all of them or none."""
        group = [stays, *others]
        ids = ", ".join(other.id for other in others)
        evidence = tuple(dict.fromkeys(id for procedure in group for id in procedure.revision.evidence))
        writes = [
            self._next(
                stays,
                status=stays.status,
                reason=f"merged with {ids}: the same steps, for almost the same task",
                evidence=evidence,
                merged=tuple((other.id, other.revision.number) for other in others),
            )
        ]
        writes += [self._next(other, status="retired", reason=f"merged into {stays.id}") for other in others]
        self.store.write(self.namespace, writes, consume=None, receipt_id="")

    def _next(self, procedure: Procedure, **more: object) -> Write:
        current = procedure.revision
        same = {"number": current.number + 1, "parent": current.number, "at": self._clock(), "merged": ()}
        return Write(revision=current.model_copy(update={**same, "author": Author(policy="merge"), **more}))

    def make_room(self, capacity: Capacity, agent: str | None = None) -> Room:
        """Merge near-duplicates, then retire what is worth least, until the memory fits. Pinned procedures stay."""
        if not self._may_exceed(capacity):
            return Room()
        held = self._held()
        if not capacity.excess(held):
            return Room()
        merged = self._merge(held, ALIKE) if capacity.merge else Merged()
        if merged.into:
            held = self._held()
        with self._ledger.current() as ledger:
            worth = Worth(ledger, ledger.busiest() if agent is None else agent)
            going = victims(held, capacity, ledger, worth)
        done = Done()
        for procedure, reason in going:
            self._settle(procedure, "retired", reason, "capacity", done, otherwise="not evicted")
        return Room(merged=merged, retired=tuple(done.retired), skipped=tuple(done.skipped))

    def _may_exceed(self, capacity: Capacity) -> bool:
        """Without reading a procedure, where there is only a count to keep."""
        if capacity.bytes is not None or capacity.tokens is not None or capacity.count is None:
            return True
        held = self.store.stats(self.namespace).procedures
        return sum(held.get(status, 0) for status in SERVABLE) > capacity.count

    def _held(self) -> list[Procedure]:
        """What is served, in order of creation."""
        return list(self.procedures(status=SERVABLE))

    def _log(self, operation: str, policy: str, done: Done) -> Receipt:
        receipt = done.receipt(self._ids(), operation, policy, self._clock())
        self.store.log_receipt(self.namespace, receipt)
        return receipt
