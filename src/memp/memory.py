"""The paper's loop: retrieve -> act -> record -> update (Mem^p, section 2).

recall     = memory.retrieve(task)              # R
trajectory = agent.run(task, recall.render())   # pi_mp(a|s), yours
memory.record(trajectory, recall)               # durable before it returns
receipt    = memory.update()                    # B and U over what was recorded since
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal, get_args

from memp.build import BuildPolicy, build_policy
from memp.build.distil import Distiller, ModelDistiller
from memp.build.rules import RuleDistiller
from memp.errors import RecordError, UnknownName
from memp.evidence import Drift, Holdout, Quarantine, Worth
from memp.forgetting import Capacity
from memp.learning import Learning
from memp.models.base import ChatModel, Embedder
from memp.models.metered import Meter, Metered
from memp.recall import Recall, Recalled
from memp.recording import Recorded, outcome_of, redaction
from memp.records import Outcome, Trajectory, new_id, now
from memp.render import approximate_tokens
from memp.retrieve import ByQuery, Query, RetrievePolicy, UsesEvidence, retrieve_policy
from memp.retrieve.far import index_of
from memp.retrieve.index import Index
from memp.serving import Limits, Served, Serving
from memp.standing import Standing
from memp.stores.base import Store
from memp.stores.connect import connect
from memp.trust import Redactor, Trusted
from memp.trust.judge import Judge
from memp.update import Discard, Guard, Guarded, Replay, UpdatePolicy, update_policy
from memp.update.guarded import broke
from memp.upkeep import Bounds
from memp.workshop import StoredDrafts, Workshop

Which = Literal["active", "retired", "any"]
"""Which procedures to search: those that may be served, those that may not, or all."""


class AsyncProceduralMemory(Learning):
    """Procedural memory for agents, for use in async code. `ProceduralMemory` is the same for sync code.

    Args:
        store: a path (one SQLite file, created if missing), `postgresql://user@host/database`, or a `Store`.
        namespace: memories of different namespaces never meet.
        build: `trajectory`, `script`, `proceduralization`, or a `BuildPolicy`.
        retrieve: `random`, `query`, `avefact`, or a `RetrievePolicy`.
        update: `vanilla`, `validation`, `adjustment`, or an `UpdatePolicy`.
        model: writes scripts, facts and corrections; without one, deterministic rules do.
        embedder: the bundled static table when None.
        k: how many procedures to serve. floor: least score to serve.
        max_tokens: budget of a rendered recall; procedures are served whole or not at all.
        every: update by itself whenever so many trajectories wait; None leaves it to the caller.
        approve: what policies change waits for a person (`queue`, `approve`, `reject`) before it is served.
        quarantine: when a procedure, or the whole memory for an agent, does harm and is not served; on with a holdout.
        agent: the model that acts, where trajectories and calls do not say: evidence is per model.
        holdout: share of recalls that are withheld and logged, to measure what the memory is worth; 0 withholds none.
        trusted: origins of steps (`Step.origin`) whose text may be shown as instructions; see `memp.trust.Trusted`.
        references: how many procedures that may come from other origins a recall serves at most, as data.
        redact: take secrets and personal data out of what is stored; a `Redactor` says how, False keeps them.
        discard: after each update, retire those of the procedures served since that do not help; None never does.
        guard: corrections have a cause, lose nothing without need and prove themselves on trial; None: as in the paper.
        replay: plays tasks again, for a guard that asks for it (`validation="replay"`).
        capacity: the most that may be served in all; what is worth least retires after an update. None: no bound.
        drift: retire what was learned before the world changed, when success with memory falls; None does not watch.
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
        approve: bool = False,
        quarantine: Quarantine | None = None,
        agent: str = "",
        holdout: float = 0.0,
        trusted: Collection[str] = (),
        references: int = 2,
        redact: bool | Redactor = True,
        discard: Discard | None = None,
        guard: Guard | None = None,
        replay: Replay | None = None,
        capacity: Capacity | None = None,
        drift: Drift | None = None,
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
        self._holdout = Holdout(holdout, seed)
        builder, updating = build_policy(build), update_policy(update)
        if guard is not None:
            updating = Guarded(updating, guard, replay)
        self.retrieving = retrieve_policy(retrieve, seed=seed)
        meter = meter if meter is not None else Meter()
        store = store if not isinstance(store, str | Path) else connect(store)
        drafts = StoredDrafts(store, namespace)
        self.model = model
        self._distiller: Distiller = RuleDistiller() if model is None else ModelDistiller(Metered(model, meter), drafts)
        super().__init__(
            store,
            namespace,
            clock,
            ids,
            Bounds(
                discard=discard,
                guard=guard,
                quarantine=quarantine or (Quarantine() if holdout else None),
                drift=drift,
                capacity=capacity,
            ),
            Judge(store, namespace, Trusted(trusted)),
            updating=updating,
            workshop=Workshop(
                store,
                namespace,
                builder,
                self._distiller,
                with_facts=lambda: model is None or self.retrieving.uses_facts,
            ),
            drafts=drafts,
            meter=meter,
            success_at=success_at,
            agent=agent,
            approve=approve,
            count_tokens=count_tokens,
        )
        self.k, self.floor, self.max_tokens, self.every = k, floor, max_tokens, every
        self.references = references
        self._redactor = (Redactor() if redact else Redactor(())) if isinstance(redact, bool) else redact
        standing = Standing(store, namespace, share=guard.trial if guard else 0.5, seed=seed)
        self._serving = Serving(standing, count_tokens)
        self._embedder = embedder if embedder is not None else _bundled_embedder()
        self._index = index_of(store, namespace, self._embedder, far=isinstance(self.retrieving, ByQuery))
        if isinstance(self.retrieving, UsesEvidence):
            self.retrieving.use_evidence(self._worth)

    # -- R: retrieve -------------------------------------------------------------------------------

    async def retrieve(
        self,
        task: str,
        *,
        facts: Mapping[str, str] | None = None,
        k: int | None = None,
        floor: float | None = None,
        max_tokens: int | None = None,
        status: Which = "active",
        only_success: bool = False,
        agent: str | None = None,
        log: bool = True,
    ) -> Recall:
        """R(task): the procedures for it, best first, with the reason for each (paper, section 2.2.2).

        An empty memory gives an empty recall.

        Args:
            task: the new task in words.
            facts: its facts, if known; otherwise extracted when the policy uses them.
            k, floor, max_tokens: override the memory's own.
            status: `active`, `retired` or `any`. only_success: leave out what was built from failures.
            agent: the model that will act, if not the memory's own.
            log: False leaves no trace (for previews); such a recall is logged when it is recorded.

        Raises:
            RecordError: the task is empty.
            UnknownName: there is no such status.
            ModelError: the facts or the embedding could not be had.
        """
        if not task.strip():
            raise RecordError("the task is empty; give the task in words")
        if status not in get_args(Which):
            raise UnknownName("status", status, get_args(Which))
        limits = self._limits(k, floor, max_tokens)
        index = await self._current_index()
        query = await self._query(task, facts, limits.k, self.agent if agent is None else agent, index)
        served = await self._best(query, index, limits, status=status, only_success=only_success)
        note = self._kept_back(query, served.ranked) if log else ""
        recall = Recall(
            id=self._ids(),
            namespace=self.namespace,
            task=query.task,
            policy=self.retrieving.name,
            ranked=() if note else served.ranked,
            left_out=served.left_out,
            withheld=served.ranked if note else (),
            note=note,
            agent=query.agent,
            facts=query.facts,
            at=self._clock(),
        ).with_loader(self.trajectory)
        if log:
            self.store.log_recall(recall)
        return recall

    def _limits(self, k: int | None, floor: float | None, max_tokens: int | None) -> Limits:
        """The memory's own, where nothing else is asked for. Scores of the policy `random` say nothing."""
        floor = self.floor if floor is None else floor
        return Limits(
            k=self.k if k is None else _at_least_one(k),
            floor=None if self.retrieving.name == "random" else floor,
            max_tokens=self.max_tokens if max_tokens is None else max_tokens,
            references=self.references,
        )

    async def _current_index(self) -> Index:
        """The index with what this and other processes wrote."""
        index = self._index = self._index.renewed()
        await index.refresh()
        return index

    async def _query(self, task: str, facts: Mapping[str, str] | None, k: int, agent: str, index: Index) -> Query:
        """What the policy is asked: the task without secrets, and its facts where the policy uses them."""
        task, facts = self._redactor.request(task, facts)
        if self.retrieving.uses_facts and facts is None and len(index):
            facts = await self._distiller.facts(task)
        return Query(task=task, facts=facts or {}, k=k, agent=agent)

    async def _best(self, query: Query, index: Index, limits: Limits, *, status: Which, only_success: bool) -> Served:
        """R(task): the procedures that the policy ranks highest, as many as fit.

        Only a few of untrusted origin are served; where they crowd the ranking, it looks further for others.
        """
        if not len(index):
            return Served()
        asked = query
        while True:
            hits = await self.retrieving.rank(asked, index, index.hidden(status=status, only_success=only_success))
            more = max(0, len(hits) - asked.k)  # a policy may add to what it is asked for: a document of its own
            served = self._serving.serve(query.task, hits, limits._replace(k=limits.k + more))
            if not served.crowded or len(served.ranked) >= limits.k or len(hits) != asked.k:
                return served
            asked = asked.model_copy(update={"k": asked.k * 8})

    def _worth(self, agent: str) -> Worth:
        self._ledger.refresh()
        return Worth(self._ledger, agent)

    def _kept_back(self, query: Query, ranked: Sequence[Recalled]) -> str:
        """Why a recall is not served: to measure, or because the memory does this agent harm; empty: it is served."""
        if not ranked or (not self._holdout.share and self.quarantining is None):
            return ""
        worth, task = self._worth(query.agent), query.task
        first = ranked[0].procedure
        margins = self._ledger.all, self._ledger.under(first.id)
        harm = self.quarantining.abstains(worth.overall()) if self.quarantining else None
        if harm is not None:
            return "" if self._holdout.probes(task, first.task, sum(margins[1])) else harm
        draws = self._holdout.withholds(task, first.task, *margins)
        return f"withheld: one of the {self._holdout.share:.0%} that measure" if draws else ""

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
        trajectory, redacted = self._redactor.trajectory(trajectory)
        outcome = None if recall is None else self._outcome(trajectory, recall)
        new = self.store.record(self.namespace, trajectory, recall, outcome, self._clock())
        if redacted and new:
            left_out = redaction(trajectory.id, redacted, id=self._ids(), at=self._clock())
            self.store.log_receipt(self.namespace, left_out)
        receipt = None
        if self.every is not None and len(self.store.waiting(self.namespace)) - self._left >= self.every:
            receipt = await self.update()
        return Recorded(trajectory_id=trajectory.id, outcome=outcome, receipt=receipt, redacted=redacted)

    def _outcome(self, trajectory: Trajectory, recall: Recall) -> Outcome:
        success = self.succeeded(trajectory)
        counts = self.guarding is None or success or not broke(trajectory)  # under a guard, what broke is no lesson
        return outcome_of(trajectory, recall, success=success, counts=counts, at=self._clock())

    async def close(self) -> None:
        """Let go of the store and the embedder's connections. The chat model stays with its owner."""
        await self._embedder.close()
        self.store.close()

    async def __aenter__(self) -> "AsyncProceduralMemory":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _at_least_one(k: int) -> int:
    if k < 1:
        raise ValueError(f"k is {k}; at least one procedure must be asked for")
    return k


def _bundled_embedder() -> Embedder:
    from memp.models.static import StaticEmbedder

    return StaticEmbedder()
