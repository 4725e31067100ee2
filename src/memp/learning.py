"""The second half of the paper's loop: B and U over what was recorded, and what `update` and `discard` do with it."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

from memp.curation import WAITING
from memp.done import Done
from memp.errors import BadRequest, BudgetExceeded, Conflict, ModelError, StoreError, UnusableReply
from memp.models.metered import Meter
from memp.records import Receipt, Trajectory
from memp.stores.base import Store, Waiting, Write, origin_key
from memp.trust.judge import Judge
from memp.update import Add, Change, Discard, Episode, Revise, Skip, UpdatePolicy
from memp.upkeep import Bounds, Upkeep
from memp.workshop import StoredDrafts, Workshop
from memp.writing import Writer

CONFLICTS_RETRIED = 5


class Learning(Upkeep):
    """Takes what was recorded, one transaction a trajectory, and says what it did in receipts."""

    def __init__(
        self,
        store: Store,
        namespace: str,
        clock: Callable[[], datetime],
        ids: Callable[[], str],
        bounds: Bounds,
        judge: Judge,
        *,
        updating: UpdatePolicy,
        workshop: Workshop,
        drafts: StoredDrafts,
        meter: Meter,
        success_at: float,
        agent: str,
        approve: bool,
        count_tokens: Callable[[str], int],
    ) -> None:
        super().__init__(store, namespace, clock, ids, bounds, judge)
        self.updating, self.success_at = updating, success_at
        self.meter = meter
        self.approving = approve
        self.agent = agent
        self._workshop, self._drafts, self._count_tokens = workshop, drafts, count_tokens
        self._writer = Writer(
            store,
            namespace,
            clock,
            ids,
            judge=judge,
            approve=approve,
            guard=bounds.guard,
            succeeded=self.succeeded,
            load=self.trajectory,
            count_tokens=count_tokens,
        )
        self._queued = 1  # not known yet: the first update looks
        self._one_update = asyncio.Lock()
        self._left = 0

    def succeeded(self, trajectory: Trajectory) -> bool:
        """Whether it counts as a success."""
        return trajectory.reward >= self.success_at

    async def update(self) -> Receipt:
        """Let the update policy take every trajectory recorded since, in order; then look after the procedures.

        Each trajectory is one transaction, so a crash leaves none half applied and none without a receipt, and
        replies that were paid for before it are not asked for again. A trajectory whose model call failed for a
        passing reason (provider, budget) stays waiting with those after it; one whose replies were unusable is given
        up. The receipt says so for each.
        """
        async with self._one_update:
            receipt_id, before, done = self._ids(), self.meter.snapshot(), Done()
            try:
                await self._learn(self.store.waiting(self.namespace), receipt_id, done)
            finally:  # what an interrupted update did stays on record
                usage = self.meter.since(before)
                if done.in_doubt:  # the receipts of the parts stay: they came with what was written, this one did not
                    receipt_id, done = f"{receipt_id}/{done.parts + 1}", Done()
                receipt = done.receipt(receipt_id, "update", self.updating.name, self._clock(), usage)
                receipt = receipt.model_copy(update={"queue": self._waiting_for_a_person(done.held)})
                self.store.log_receipt(self.namespace, receipt)
            return receipt

    def discard(self, bound: Discard | None = None) -> Receipt:
        """Retire, visibly and reversibly, every procedure that the bound (default: the paper's) rejects."""
        done = Done()
        self._discard(bound or Discard(), self.procedures(status="active"), done)
        return self._log("discard", "discard", done)

    async def _learn(self, waiting: Sequence[Waiting], receipt_id: str, done: Done) -> None:
        """M' = U(M, E, tau) for each trajectory; then what their outcomes mean for what was served (see `Upkeep`)."""
        await self._take_all(waiting, receipt_id, done)
        self._keep_up([item.outcome for item in waiting if item.outcome], done)
        self._left = done.left
        if not done.left:  # otherwise the next update finds the replies that were paid for
            self._drafts.clear()

    async def _take_all(self, waiting: Sequence[Waiting], receipt_id: str, done: Done) -> None:
        """One after the other: corrections build on each other. What does not depend on the order is asked ahead."""
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
        """U(M, E, tau): what the policy asks for. It has the workshop build what is new: B(tau, r)."""
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
        self, item: Waiting, ahead: "asyncio.Task[list[Change]] | None", receipt_id: str, done: Done
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

    def _apply(self, item: Waiting, changes: Sequence[Change], receipt_id: str, done: Done) -> None:
        """All changes of one trajectory and the mark that it was taken, in one transaction."""
        writes: list[Write] = []
        new = Done()
        for change in changes:
            if isinstance(change, Skip):
                new.skip(change.subject, change.reason)
            elif (write := self._written(change, item, new)) is not None:
                writes.append(write)
        done.parts += 1
        part = new.receipt(f"{receipt_id}/{done.parts}", "update", self.updating.name, self._clock())
        id = item.trajectory.id
        try:
            taken = self.store.write(self.namespace, writes, consume=id, receipt_id=receipt_id, receipt=part)
        except StoreError as error:
            done.in_doubt = not isinstance(error, Conflict)
            raise
        if taken:
            done.merge(new)
        else:
            done.skip(id, "another update took it first")

    def _written(self, change: Add | Revise, item: Waiting, done: Done) -> Write | None:
        """What to write for a change; nothing for an addition that is known by now, if the policy says so."""
        unless_known = isinstance(change, Add) and change.unless_known
        if unless_known and (same := self._workshop.known(item.trajectory)):
            done.skip(item.trajectory.id, f"redundant: procedure {same} has the same task and actions")
            return None
        write, held = self._writer.write(change, item)
        if unless_known and (same := self._writer.no_more_trusted(write)):
            done.skip(item.trajectory.id, f"redundant: {same} is the same, as little trusted")
            return None
        if held:
            done.hold(write.revision, held.why)
        if isinstance(change, Add):
            done.added.append(write.revision.procedure_id)
        else:
            done.revised.append((write.revision.procedure_id, write.revision.number))
        return write

    def _waiting_for_a_person(self, kept_back: bool) -> int:
        """How many changes wait. Counted only where there may be any: it looks at every procedure."""
        if not (self.approving or kept_back or self._queued):
            return 0
        held = self.store.stats(self.namespace).procedures
        self._queued = sum(held.get(status, 0) for status in WAITING)
        return self._queued
