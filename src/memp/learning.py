"""B and U: what `update` and `discard` do with the trajectories recorded since."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import repeat

from memp.curation import WAITING
from memp.errors import BadRequest, BudgetExceeded, Conflict, ModelError, UnusableReply
from memp.evidence import Drift, Quarantine, Worth
from memp.forgetting import Capacity, Forgetting, Staleness
from memp.models.metered import Meter
from memp.records import Procedure, Receipt, Revision, Skipped, Status, Trajectory, Usage
from memp.render import render_content, render_reference
from memp.stores.base import Store, Waiting, Write, origin_key
from memp.trials import Trials
from memp.trust.judge import Held, Judge, doubted
from memp.update import Add, Change, Discard, Episode, Guard, Revise, Skip, UpdatePolicy
from memp.update.guard import on_trial
from memp.workshop import StoredDrafts, Workshop

CONFLICTS_RETRIED = 5


class Learning(Forgetting):
    """Takes what was recorded, one transaction a trajectory, and says what it did in receipts."""

    def __init__(
        self,
        store: Store,
        namespace: str,
        clock: Callable[[], datetime],
        ids: Callable[[], str],
        *,
        updating: UpdatePolicy,
        workshop: Workshop,
        drafts: StoredDrafts,
        meter: Meter,
        discarding: Discard | None,
        success_at: float,
        quarantine: Quarantine | None,
        capacity: Capacity | None,
        drift: Drift | None,
        guard: Guard | None,
        agent: str,
        approve: bool,
        judge: Judge,
        count_tokens: Callable[[str], int],
    ) -> None:
        super().__init__(store, namespace, clock, ids)
        self.updating, self.discarding, self.success_at = updating, discarding, success_at
        self.meter = meter
        self.approving = approve
        self.quarantining = quarantine
        self.capacity = capacity
        self._staleness = None if drift is None else Staleness(store, namespace, drift)
        self.guarding = guard
        self._trials = Trials(store, namespace, self._ledger)
        self.agent = agent
        self._workshop, self._drafts, self._count_tokens = workshop, drafts, count_tokens
        self._judge = judge
        self._queued = 1  # not known yet: the first update looks
        self._one_update = asyncio.Lock()
        self._left = 0

    def succeeded(self, trajectory: Trajectory) -> bool:
        """Whether it counts as a success."""
        return trajectory.reward >= self.success_at

    async def update(self) -> Receipt:
        """Let the update policy take every trajectory recorded since, in order; then discard, if asked to.

        Each trajectory is one transaction, so a crash leaves none half applied and none without a receipt, and
        replies that were paid for before it are not asked for again. A trajectory whose model call failed for a
        passing reason (provider, budget) stays waiting with those after it; one whose replies were unusable is given
        up. The receipt says so for each.
        """
        async with self._one_update:
            receipt_id, before, done = self._ids(), self.meter.snapshot(), _Done()
            try:
                await self._take_all(receipt_id, done)
            finally:  # what an interrupted update did stays on record
                usage = self.meter.since(before)
                receipt = done.receipt(receipt_id, "update", self.updating.name, usage, self._clock())
                receipt = receipt.model_copy(update={"queue": self._waiting_for_a_person(done.held)})
                self.store.log_receipt(self.namespace, receipt)
            return receipt

    def discard(self, bound: Discard | None = None) -> Receipt:
        """Retire, visibly and reversibly, every procedure that the bound (default: the paper's) rejects."""
        done = _Done()
        self._discard(bound or Discard(), self.procedures(status="active"), done)
        receipt = done.receipt(self._ids(), "discard", "discard", {}, self._clock())
        self.store.log_receipt(self.namespace, receipt)
        return receipt

    async def _take_all(self, receipt_id: str, done: "_Done") -> None:
        waiting = self.store.waiting(self.namespace)
        ahead = self._start_ahead(waiting)
        try:
            for number, item in enumerate(waiting):
                why = await self._take(item, ahead.get(item.trajectory.id), receipt_id, done)
                if why:  # the rest waits too, so that the memory grows in the order in which things happened
                    for later in waiting[number + 1 :]:
                        done.leave(later.trajectory.id, why)
                    await asyncio.gather(*ahead.values(), return_exceptions=True)  # replies under way are kept
                    break
        finally:
            for task in ahead.values():
                task.cancel()
            await asyncio.gather(*ahead.values(), return_exceptions=True)
        if self.guarding is not None:
            self._decide(self.guarding, waiting, done)
        if self.discarding is not None:
            served = dict.fromkeys(id for item in waiting if item.outcome for id, _ in item.outcome.credited)
            self._discard(self.discarding, self.store.find(self.namespace, list(served)), done)
        if self.quarantining is not None:
            self._quarantine(self.quarantining, waiting, done)
            self._vouch(waiting, done)
        if self._staleness is not None:
            self._retire_stale(self._staleness, done)
        if self.capacity is not None:
            self._keep_to(self.capacity, done)
        self._left = done.left
        if not done.left:  # otherwise the next update finds the replies that were paid for
            self._drafts.clear()

    def _start_ahead(self, waiting: Sequence[Waiting]) -> "dict[str, asyncio.Task[list[Change]]]":
        """Ask for what does not depend on the order concurrently.

        Corrections build on each other and wait; so do repetitions, which may turn out to be known by then. With a
        policy whose changes all build on each other (`in_order`), everything waits.
        """
        if getattr(self.updating, "in_order", False):
            return {}
        ahead: dict[str, asyncio.Task[list[Change]]] = {}
        origins: set[bytes] = set()
        for item in waiting if len(waiting) > 1 else ():
            origin = origin_key(item.trajectory)
            independent = self.succeeded(item.trajectory) or not (item.outcome and item.outcome.credited)
            if independent and origin not in origins:
                origins.add(origin)
                ahead[item.trajectory.id] = asyncio.create_task(self._changes(item))
        return ahead

    async def _changes(self, item: Waiting) -> list[Change]:
        credited = [id for id, _ in item.outcome.credited] if item.outcome else []
        episode = Episode(
            trajectory=item.trajectory,
            success=self.succeeded(item.trajectory),
            had_recall=item.outcome is not None,
            served=tuple(self.store.find(self.namespace, credited)),
            credited=item.outcome.credited if item.outcome else (),
        )
        return await self.updating.changes(episode, self._workshop)

    async def _take(
        self, item: Waiting, ahead: "asyncio.Task[list[Change]] | None", receipt_id: str, done: "_Done"
    ) -> str:
        """Take one trajectory; returns why no other can be taken now, or an empty string."""
        id = item.trajectory.id
        for attempt in range(CONFLICTS_RETRIED):
            try:
                changes = await ahead if ahead is not None and attempt == 0 else await self._changes(item)
                self._apply(item, changes, receipt_id, done)
                return ""
            except UnusableReply as error:
                self._apply(item, [Skip(subject=id, reason=f"given up: {error}")], receipt_id, done)
                return ""
            except (ModelError, BudgetExceeded) as error:
                done.leave(id, str(error))
                return "" if isinstance(error, BadRequest) else str(error)  # a request of its own may be at fault
            except Conflict:
                continue  # somebody revised one of the procedures meanwhile: correct what stands there now
        done.leave(id, "its procedures keep changing")
        return ""

    def _apply(self, item: Waiting, changes: Sequence[Change], receipt_id: str, done: "_Done") -> None:
        """All changes of one trajectory and the mark that it was taken, in one transaction."""
        trajectory = item.trajectory
        writes: list[Write] = []
        new = _Done()
        for change in map(self._unless_known, changes, repeat(trajectory)):
            if isinstance(change, Skip):
                new.skipped.append(Skipped(subject=change.subject, reason=change.reason))
                continue
            write, held = self._write(change, item)
            if isinstance(change, Add) and change.unless_known and (same := self._doubted(write)):
                new.skipped.append(
                    Skipped(subject=trajectory.id, reason=f"redundant: {same} is the same, as little trusted")
                )
                continue
            if held:
                new.hold(write.revision, held.why)
            writes.append(write)
            if isinstance(change, Add):
                new.added.append(write.revision.procedure_id)
            else:
                new.revised.append((write.revision.procedure_id, write.revision.number))
        done.parts += 1
        part = new.receipt(f"{receipt_id}/{done.parts}", "update", self.updating.name, {}, self._clock())
        if self.store.write(self.namespace, writes, consume=trajectory.id, receipt_id=receipt_id, receipt=part):
            done.merge(new)
        else:
            done.skipped.append(Skipped(subject=trajectory.id, reason="another update took it first"))

    def _unless_known(self, change: Change, trajectory: Trajectory) -> Change:
        if isinstance(change, Add) and change.unless_known and (same := self._workshop.known(trajectory)):
            return Skip(subject=trajectory.id, reason=f"redundant: procedure {same} has the same task and actions")
        return change

    def _write(self, change: Add | Revise, item: Waiting) -> tuple[Write, Held | None]:
        trajectory = item.trajectory
        parent = change.procedure.revision if isinstance(change, Revise) else None
        content = change.built.content
        tainted = self._judge.taint(trajectory, item.outcome, parent, change.evidence)
        shown = None if content.trajectory_id is None else self._shown(content.trajectory_id, trajectory)
        text = render_content(content, shown)
        revision = Revision(
            procedure_id=parent.procedure_id if parent else self._ids(),
            number=parent.number + 1 if parent else 1,
            parent=parent.number if parent else None,
            content=content,
            status=self._status(parent),
            stands=self._stands(parent) if self.approving or self._on_trial(parent) else None,
            reason=change.reason,
            evidence=(trajectory.id, *change.evidence),
            author=change.built.author,
            at=self._clock(),
            tokens=self._count_tokens(render_reference(text, tainted) if tainted else text),
            tainted=tainted,
        )
        if held := self._judge.held(content, trajectory, parent):
            more = {"status": held.status, "stands": held.stands, "reason": f"{change.reason}; held: {held.why}"}
            revision = revision.model_copy(update=more)
        origin = doubted(trajectory) if tainted or revision.status == "quarantined" else origin_key(trajectory)
        return Write(revision=revision, success=self.succeeded(trajectory), origin=origin), held

    def _doubted(self, write: Write) -> str | None:
        """A procedure of the same task and actions that is no more trusted than what is about to be written."""
        revision = write.revision
        doubtful = revision.tainted or revision.status == "quarantined"
        return self.store.built_from(self.namespace, write.origin) if doubtful else None

    def _status(self, parent: Revision | None) -> Status:
        """Of a revision that a policy writes: where a person approves, it waits."""
        if not self.approving:
            return "probation" if self._on_trial(parent) else "active"
        return "proposed" if self._stands(parent) is None else "pending"

    def _on_trial(self, parent: Revision | None) -> bool:
        """Whether what a policy writes has to prove itself beside `parent`."""
        return self.guarding is not None and self.guarding.validation != "none" and parent is not None

    @staticmethod
    def _stands(parent: Revision | None) -> int | None:
        """What is served while a correction of `parent` waits."""
        if parent is None or parent.status == "proposed":
            return None
        return parent.number if parent.stands is None else parent.stands

    def _waiting_for_a_person(self, kept_back: bool) -> int:
        """How many changes wait. Counted only where there may be any: it looks at every procedure."""
        if not (self.approving or kept_back or self._queued):
            return 0
        held = self.store.stats(self.namespace).procedures
        self._queued = sum(held.get(status, 0) for status in WAITING)
        return self._queued

    def _shown(self, id: str, trajectory: Trajectory) -> Trajectory:
        return trajectory if id == trajectory.id else self.trajectory(id)

    def _decide(self, guard: Guard, waiting: Sequence[Waiting], done: "_Done") -> None:
        """End the trials of which the tasks since the last update show enough."""
        self._ledger.refresh()
        served = dict.fromkeys(id for item in waiting if item.outcome for id, _ in item.outcome.credited)
        for procedure in self.store.find(self.namespace, list(served)):
            decision = self._trials.decide(procedure, guard)
            if decision is None or procedure.revision.stands is None:
                continue
            like = procedure.revision
            if not decision.promoted:
                like = self.store.at(self.namespace, [(procedure.id, procedure.revision.stands)])[0].revision
            try:
                revision = self._append(procedure, like, "active", decision.reason, "trial", evidence=decision.evidence)
                done.revised.append((procedure.id, revision.number))
            except Conflict:  # decided with the next update
                done.skipped.append(Skipped(subject=procedure.id, reason="revised meanwhile: its trial goes on"))

    def _discard(self, bound: Discard, procedures: Iterable[Procedure], done: "_Done") -> None:
        for procedure in procedures:
            if not (reason := bound.reason(procedure)):
                continue
            try:
                self._append(procedure, procedure.revision, "retired", reason, "discard")
                done.retired.append(procedure.id)
            except Conflict:  # its counters are history now
                done.skipped.append(Skipped(subject=procedure.id, reason="revised meanwhile: not discarded"))

    def _retire_stale(self, staleness: Staleness, done: "_Done") -> None:
        """After a change of the world, retire what was learned before it and does not work any more."""
        for change in staleness.refresh():
            for procedure in staleness.stale(change, self.procedures()):
                try:
                    self._append(procedure, procedure.revision, "retired", str(change), "drift")
                    done.retired.append(procedure.id)
                except Conflict:
                    done.skipped.append(Skipped(subject=procedure.id, reason="revised meanwhile: not retired"))

    def _keep_to(self, capacity: Capacity, done: "_Done") -> None:
        """Make room: what went, and what became one with something else."""
        room = self.make_room(capacity)
        merged = self.store.find(self.namespace, list(room.merged.into))
        done.revised += [(procedure.id, procedure.revision.number) for procedure in merged]
        done.retired += [id for others in room.merged.into.values() for id in others]
        done.retired += room.retired
        done.skipped += room.skipped

    def _quarantine(self, bounds: Quarantine, waiting: Sequence[Waiting], done: "_Done") -> None:
        """Take out of service what the tasks since the last update show to do harm."""
        self._ledger.refresh()
        served: dict[str, dict[str, None]] = {}
        for outcome in (item.outcome for item in waiting if item.outcome):
            served.setdefault(outcome.agent, {}).update(dict.fromkeys(id for id, _ in outcome.credited))
        for agent, ids in served.items():
            worth = Worth(self._ledger, agent)
            overall = worth.overall()
            for procedure in self.store.find(self.namespace, list(ids)):
                if self.guarding is not None and on_trial(procedure):
                    continue  # its trial decides, and may return to what stands
                lift = worth.procedure(procedure.id, procedure.revision.number)
                if (reason := bounds.reason(procedure, lift, overall)) is None:
                    continue
                if agent:
                    reason += f", for {agent}"
                try:
                    self._append(procedure, procedure.revision, "quarantined", reason, "quarantine")
                    done.quarantined.append(procedure.id)
                except Conflict:
                    done.skipped.append(Skipped(subject=procedure.id, reason="revised meanwhile: not quarantined"))

    def _vouch(self, waiting: Sequence[Waiting], done: "_Done") -> None:
        """Trust those tainted procedures served since the last update that evidence speaks for."""
        served: dict[str, dict[str, None]] = {}
        for outcome in (item.outcome for item in waiting if item.outcome):
            served.setdefault(outcome.agent, {}).update(dict.fromkeys(id for id, _ in outcome.credited))
        for agent, ids in served.items():
            tainted = [p for p in self.store.find(self.namespace, list(ids)) if p.revision.tainted]
            worth = Worth(self._ledger, agent)
            for procedure in tainted:
                lift = worth.procedure(procedure.id, procedure.revision.number)
                if not (reason := self._judge.vouched(procedure, lift, worth.overall())):
                    continue
                try:
                    revision = self._append(procedure, procedure.revision, "active", reason, "trust", tainted=())
                    done.revised.append((revision.procedure_id, revision.number))
                except Conflict:
                    done.skipped.append(Skipped(subject=procedure.id, reason="revised meanwhile: not trusted yet"))


class _Done:
    """What an operation has done so far."""

    def __init__(self) -> None:
        self.added: list[str] = []
        self.revised: list[tuple[str, int]] = []
        self.retired: list[str] = []
        self.quarantined: list[str] = []
        self.skipped: list[Skipped] = []
        self.held = False
        self.left = 0
        self.parts = 0

    def hold(self, revision: Revision, why: str) -> None:
        """The revision looks like an attack and is not served."""
        self.held = True
        if revision.status == "quarantined":
            self.quarantined.append(revision.procedure_id)
        said = "quarantined" if revision.status == "quarantined" else "its correction waits for a person"
        self.skipped.append(Skipped(subject=revision.procedure_id, reason=f"{said}: {why}"))

    def leave(self, trajectory_id: str, why: str) -> None:
        """The trajectory stays waiting."""
        self.left += 1
        self.skipped.append(Skipped(subject=trajectory_id, reason=f"left for the next update: {why}"))

    def merge(self, other: "_Done") -> None:
        self.added += other.added
        self.revised += other.revised
        self.retired += other.retired
        self.quarantined += other.quarantined
        self.skipped += other.skipped
        self.held = self.held or other.held

    def receipt(self, id: str, operation: str, policy: str, usage: Mapping[str, Usage], at: datetime) -> Receipt:
        return Receipt(
            id=id,
            operation=operation,
            policy=policy,
            added=tuple(self.added),
            revised=tuple(self.revised),
            retired=tuple(self.retired),
            quarantined=tuple(self.quarantined),
            skipped=tuple(self.skipped),
            usage=usage,
            at=at,
        )
