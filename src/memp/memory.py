"""The paper's loop: retrieve -> act -> record -> update (Mem^p, section 2).

recall     = memory.retrieve(task)              # R
trajectory = agent.run(task, recall.render())   # pi_mp(a|s), yours
memory.record(trajectory, recall)               # durable before it returns
receipt    = memory.update()                    # B and U over what was recorded since
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import repeat
from pathlib import Path
from typing import Literal

from memp.build import BuildPolicy, build_policy
from memp.build.distil import Distiller, ModelDistiller
from memp.build.rules import RuleDistiller
from memp.curation import Curation
from memp.errors import BadRequest, BudgetExceeded, Conflict, ModelError, RecordError, UnknownName, UnusableReply
from memp.models.base import ChatModel, Embedder
from memp.models.metered import Meter, Metered
from memp.recall import LeftOut, Recall, Recalled
from memp.records import Outcome, Procedure, Receipt, Record, Revision, Skipped, Trajectory, Usage, new_id, now
from memp.render import HEADER, WRAPPING, approximate_tokens, render_content
from memp.retrieve import Hit, Index, Query, RetrievePolicy, retrieve_policy
from memp.stores.base import Store, Waiting, Write, origin_key
from memp.stores.sqlite import SqliteStore
from memp.update import Add, Change, Discard, Episode, Revise, Skip, UpdatePolicy, update_policy
from memp.workshop import StoredDrafts, Workshop

CONFLICTS_RETRIED = 5
SERVED = ("active", "retired", "any")


class Recorded(Record):
    """What `record` did."""

    trajectory_id: str
    outcome: Outcome | None
    """None without a recall."""
    receipt: Receipt | None = None
    """Of the update that was due (`every`), if one ran."""


class AsyncProceduralMemory(Curation):
    """Procedural memory for agents, for use in async code. `ProceduralMemory` is the same for sync code.

    Args:
        store: a path (one SQLite file, created if missing) or a `Store`.
        namespace: memories of different namespaces never meet.
        build: `trajectory`, `script`, `proceduralization`, or a `BuildPolicy`.
        retrieve: `random`, `query`, `avefact`, or a `RetrievePolicy`.
        update: `vanilla`, `validation`, `adjustment`, or an `UpdatePolicy`.
        model: writes scripts, facts and corrections; without one, deterministic rules do.
        embedder: the bundled static table when None.
        k: how many procedures to serve. floor: least score to serve.
        max_tokens: budget of a rendered recall; procedures are served whole or not at all.
        every: update by itself whenever so many trajectories wait; None leaves it to the caller.
        discard: after each update, retire those of the procedures served since that do not help; None never does.
        success_at: reward from which a trajectory counts as a success.
        meter: counts usage; give one with a `Budget` to cap it.
        clock, ids: for runs that repeat exactly.
    """

    def __init__(
        self,
        store: Store | str | Path = "memp.db",
        *,
        namespace: str = "default",
        build: str | BuildPolicy = "proceduralization",
        retrieve: str | RetrievePolicy = "query",
        update: str | UpdatePolicy = "adjustment",
        model: ChatModel | None = None,
        embedder: Embedder | None = None,
        k: int = 5,
        floor: float = 0.0,
        max_tokens: int | None = 8_000,
        every: int | None = None,
        discard: Discard | None = None,
        success_at: float = 0.5,
        seed: int = 0,
        meter: Meter | None = None,
        count_tokens: Callable[[str], int] = approximate_tokens,
        clock: Callable[[], datetime] = now,
        ids: Callable[[], str] = new_id,
    ) -> None:
        k = _at_least_one(k)
        if every is not None and every < 1:
            raise ValueError(f"every is {every}; give a number of tasks from 1, or None")
        builder = build_policy(build)
        self.retrieving = retrieve_policy(retrieve, seed=seed)
        self.updating = update_policy(update)
        super().__init__(store if not isinstance(store, str | Path) else SqliteStore(store), namespace, clock, ids)
        self.meter = meter if meter is not None else Meter()
        self.k, self.floor, self.max_tokens, self.every = k, floor, max_tokens, every
        self.discarding, self.success_at = discard, success_at
        self._count_tokens = count_tokens
        self._one_update = asyncio.Lock()
        self._left = 0
        self._embedder = embedder if embedder is not None else _bundled_embedder()
        self._index = Index(self.store, namespace, self._embedder)
        self._drafts = StoredDrafts(self.store, namespace)
        self._distiller: Distiller = (
            RuleDistiller() if model is None else ModelDistiller(Metered(model, self.meter), self._drafts)
        )
        self._workshop = Workshop(
            self.store,
            namespace,
            builder,
            self._distiller,
            with_facts=lambda: self.retrieving.uses_facts or model is None,
        )

    # -- R: retrieve -------------------------------------------------------------------------------

    async def retrieve(
        self,
        task: str,
        *,
        facts: Mapping[str, str] | None = None,
        k: int | None = None,
        floor: float | None = None,
        max_tokens: int | None = None,
        status: Literal["active", "retired", "any"] = "active",
        only_success: bool = False,
        log: bool = True,
    ) -> Recall:
        """The procedures for `task`, best first, with the reason for each. An empty memory gives an empty recall.

        Args:
            task: the new task in words.
            facts: its facts, if known; otherwise extracted when the policy uses them.
            k, floor, max_tokens: override the memory's own.
            status: `active`, `retired` or `any`. only_success: leave out what was built from failures.
            log: False leaves no trace (for previews); such a recall is logged when it is recorded.

        Raises:
            RecordError: the task is empty.
            UnknownName: there is no such status.
            ModelError: the facts or the embedding could not be had.
        """
        if not task.strip():
            raise RecordError("the task is empty; give the task in words")
        if status not in SERVED:
            raise UnknownName("status", status, SERVED)
        k = self.k if k is None else _at_least_one(k)
        await self._index.refresh()
        if self.retrieving.uses_facts and facts is None and len(self._index):
            facts = await self._distiller.facts(task)
        query = Query(task=task, facts=facts or {}, k=k)
        hits: Sequence[Hit] = []
        if len(self._index):
            hits = await self.retrieving.rank(
                query, self._index, self._index.hidden(status=status, only_success=only_success)
            )
        ranked, left_out = self._fit(
            hits, self.floor if floor is None else floor, self.max_tokens if max_tokens is None else max_tokens
        )
        recall = Recall(
            id=self._ids(),
            namespace=self.namespace,
            task=task,
            policy=self.retrieving.name,
            ranked=ranked,
            left_out=left_out,
            facts=query.facts,
            at=self._clock(),
        ).with_loader(self.trajectory)
        if log:
            self.store.log_recall(recall)
        return recall

    def _fit(
        self, hits: Sequence[Hit], floor: float, budget: int | None
    ) -> tuple[tuple[Recalled, ...], tuple[LeftOut, ...]]:
        """Whole procedures, best first, as long as they fit; the others with the reason."""
        found = {p.id: p for p in self.store.find(self.namespace, [hit.id for hit in hits])}
        ranked: list[Recalled] = []
        left_out: list[LeftOut] = []
        wrapping = self._count_tokens(WRAPPING)
        room = float("inf") if budget is None else max(0, budget - self._count_tokens(HEADER))
        for hit in hits:
            procedure, why = found.get(hit.id), ""
            if procedure is None:
                continue
            size = procedure.revision.tokens + wrapping
            if hit.score < floor and self.retrieving.name != "random":
                why = f"score {hit.score:.3f} is below the floor {floor:g}"
            elif size > room:
                why = f"needs about {size} tokens, {room:g} of {budget} were left"
            if why:
                left_out.append(LeftOut(procedure_id=hit.id, score=hit.score, why=why))
            else:
                ranked.append(Recalled(procedure=procedure, score=hit.score, why=hit.why))
                room -= size
        return tuple(ranked), tuple(left_out)

    # -- record ------------------------------------------------------------------------------------

    async def record(self, trajectory: Trajectory, recall: Recall | None = None) -> Recorded:
        """Keep what the agent did, and credit every procedure that was served. Durable before it returns.

        Recording the same trajectory again does nothing, so a caller may repeat after a crash.

        Raises:
            RecordError: the id belongs to another trajectory, or the recall to another namespace.
            StoreError: it could not be written; then nothing was.
        """
        if recall is not None and recall.namespace != self.namespace:
            raise RecordError(f"the recall is of namespace {recall.namespace!r}, this memory is {self.namespace!r}")
        outcome = None if recall is None else self._outcome(trajectory, recall)
        self.store.record(self.namespace, trajectory, recall, outcome, self._clock())
        receipt = None
        if self.every is not None and len(self.store.waiting(self.namespace)) - self._left >= self.every:
            receipt = await self.update()
        return Recorded(trajectory_id=trajectory.id, outcome=outcome, receipt=receipt)

    def _outcome(self, trajectory: Trajectory, recall: Recall) -> Outcome:
        return Outcome(
            recall_id=recall.id,
            trajectory_id=trajectory.id,
            reward=trajectory.reward,
            success=self.succeeded(trajectory),
            credited=tuple((r.procedure.id, r.procedure.revision.number) for r in recall.ranked),
            at=self._clock(),
        )

    def succeeded(self, trajectory: Trajectory) -> bool:
        """Whether it counts as a success."""
        return trajectory.reward >= self.success_at

    # -- B and U: build and update -----------------------------------------------------------------

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
        if self.discarding is not None:
            served = dict.fromkeys(id for item in waiting if item.outcome for id, _ in item.outcome.credited)
            self._discard(self.discarding, self.store.find(self.namespace, list(served)), done)
        self._left = done.left
        if not done.left:  # otherwise the next update finds the replies that were paid for
            self._drafts.clear()

    def _start_ahead(self, waiting: Sequence[Waiting]) -> "dict[str, asyncio.Task[list[Change]]]":
        """Ask for what does not depend on the order concurrently.

        Corrections build on each other and wait; so do repetitions, which may turn out to be known by then.
        """
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
                self._apply(item.trajectory, changes, receipt_id, done)
                return ""
            except UnusableReply as error:
                self._apply(item.trajectory, [Skip(subject=id, reason=f"given up: {error}")], receipt_id, done)
                return ""
            except (ModelError, BudgetExceeded) as error:
                done.leave(id, str(error))
                return "" if isinstance(error, BadRequest) else str(error)  # a request of its own may be at fault
            except Conflict:
                continue  # somebody revised one of the procedures meanwhile: correct what stands there now
        done.leave(id, "its procedures keep changing")
        return ""

    def _apply(self, trajectory: Trajectory, changes: Sequence[Change], receipt_id: str, done: "_Done") -> None:
        """All changes of one trajectory and the mark that it was taken, in one transaction."""
        writes: list[Write] = []
        new = _Done()
        for change in map(self._unless_known, changes, repeat(trajectory)):
            if isinstance(change, Skip):
                new.skipped.append(Skipped(subject=change.subject, reason=change.reason))
                continue
            write = self._write(change, trajectory)
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

    def _write(self, change: Add | Revise, trajectory: Trajectory) -> Write:
        parent = change.procedure.revision if isinstance(change, Revise) else None
        content = change.built.content
        shown = None if content.trajectory_id is None else self._shown(content.trajectory_id, trajectory)
        revision = Revision(
            procedure_id=parent.procedure_id if parent else self._ids(),
            number=parent.number + 1 if parent else 1,
            parent=parent.number if parent else None,
            content=content,
            reason=change.reason,
            evidence=(trajectory.id,),
            author=change.built.author,
            at=self._clock(),
            tokens=self._count_tokens(render_content(content, shown)),
        )
        return Write(revision=revision, success=self.succeeded(trajectory), origin=origin_key(trajectory))

    def _shown(self, id: str, trajectory: Trajectory) -> Trajectory:
        return trajectory if id == trajectory.id else self.trajectory(id)

    def _discard(self, bound: Discard, procedures: Iterable[Procedure], done: "_Done") -> None:
        for procedure in procedures:
            if not (reason := bound.reason(procedure)):
                continue
            try:
                self._append(procedure, procedure.revision, "retired", reason, "discard")
                done.retired.append(procedure.id)
            except Conflict:  # its counters are history now
                done.skipped.append(Skipped(subject=procedure.id, reason="revised meanwhile: not discarded"))

    async def close(self) -> None:
        """Let go of the store and the embedder's connections. The chat model stays with its owner."""
        await self._embedder.close()
        self.store.close()

    async def __aenter__(self) -> "AsyncProceduralMemory":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class _Done:
    """What an operation has done so far."""

    def __init__(self) -> None:
        self.added: list[str] = []
        self.revised: list[tuple[str, int]] = []
        self.retired: list[str] = []
        self.skipped: list[Skipped] = []
        self.left = 0
        self.parts = 0

    def leave(self, trajectory_id: str, why: str) -> None:
        """The trajectory stays waiting."""
        self.left += 1
        self.skipped.append(Skipped(subject=trajectory_id, reason=f"left for the next update: {why}"))

    def merge(self, other: "_Done") -> None:
        self.added += other.added
        self.revised += other.revised
        self.retired += other.retired
        self.skipped += other.skipped

    def receipt(self, id: str, operation: str, policy: str, usage: Mapping[str, Usage], at: datetime) -> Receipt:
        return Receipt(
            id=id,
            operation=operation,
            policy=policy,
            added=tuple(self.added),
            revised=tuple(self.revised),
            retired=tuple(self.retired),
            skipped=tuple(self.skipped),
            usage=usage,
            at=at,
        )


def _at_least_one(k: int) -> int:
    if k < 1:
        raise ValueError(f"k is {k}; at least one procedure must be asked for")
    return k


def _bundled_embedder() -> Embedder:
    from memp.models.static import StaticEmbedder

    return StaticEmbedder()
