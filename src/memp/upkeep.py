"""Upkeep after an update: what follows for the procedures from how the tasks since the last one went."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from memp.done import Done
from memp.evidence import Drift, Lift, Quarantine, Worth
from memp.forgetting import Capacity, Forgetting, Staleness
from memp.forgetting.staleness import MAY_BE_STALE
from memp.records import Outcome, Procedure
from memp.stores.base import Store
from memp.trials import Trials
from memp.trust.judge import Judge
from memp.update import Discard, Guard
from memp.update.guard import on_trial


class Bounds(NamedTuple):
    """What is looked after; None: that is not."""

    discard: Discard | None
    guard: Guard | None
    quarantine: Quarantine | None
    drift: Drift | None
    capacity: Capacity | None


class _Served(NamedTuple):
    """A procedure that was served, and what is known of the agent that it was served to."""

    procedure: Procedure
    agent: str
    worth: Worth
    overall: Lift

    def lift(self) -> Lift:
        return self.worth.procedure(self.procedure.id, self.procedure.revision.number)


class Upkeep(Forgetting):
    """Ends trials, discards, quarantines, trusts, retires what is stale and keeps to a capacity: what was asked for.

    Each changes procedures by new revisions, and tells in `Done` what it did and what it could not do.
    """

    def __init__(
        self,
        store: Store,
        namespace: str,
        clock: Callable[[], datetime],
        ids: Callable[[], str],
        bounds: Bounds,
        judge: Judge,
    ) -> None:
        super().__init__(store, namespace, clock, ids)
        self.discarding = bounds.discard
        self.guarding = bounds.guard
        self.quarantining = bounds.quarantine
        self.capacity = bounds.capacity
        self._judge = judge
        self._staleness = None if bounds.drift is None else Staleness(store, namespace, bounds.drift)
        self._trials = Trials(store, namespace, self._ledger)

    def _keep_up(self, outcomes: Sequence[Outcome], done: Done) -> None:
        """All of it, after the tasks that had these outcomes."""
        served = _served(outcomes)
        if self.guarding is not None:
            self._end_trials(self.guarding, served, done)
        if self.discarding is not None:
            self._discard(self.discarding, self.store.find(self.namespace, served), done)
        if self.quarantining is not None:
            self._ledger.refresh()
            self._quarantine(self.quarantining, outcomes, done)
            self._vouch(outcomes, done)
        if self._staleness is not None:
            self._retire_stale(self._staleness, done)
        if self.capacity is not None:
            self._keep_to(self.capacity, done)

    def _end_trials(self, guard: Guard, served: Sequence[str], done: Done) -> None:
        """Of which the outcomes show enough: the candidate takes its place, or what stands returns."""
        for procedure in self.store.find(self.namespace, served):
            decision = self._trials.decide(procedure, guard)
            if decision is None or procedure.revision.stands is None:
                continue
            like = procedure.revision
            if not decision.promoted:
                like = self.store.at(self.namespace, [(procedure.id, procedure.revision.stands)])[0].revision
            self._settle(
                procedure,
                "active",
                decision.reason,
                "trial",
                done,
                otherwise="its trial goes on",
                like=like,
                evidence=decision.evidence,
            )

    def _discard(self, bound: Discard, procedures: Iterable[Procedure], done: Done) -> None:
        """Retire what the bound rejects."""
        for procedure in procedures:
            if reason := bound.reason(procedure):  # of somebody's new revision the counters say nothing
                self._settle(procedure, "retired", reason, "discard", done, otherwise="not discarded")

    def _quarantine(self, bounds: Quarantine, outcomes: Sequence[Outcome], done: Done) -> None:
        """Take out of service what does harm."""
        for item in self._served_to(outcomes):
            if self.guarding is not None and on_trial(item.procedure):
                continue  # its trial decides, and may return to what stands
            if reason := bounds.reason(item.procedure, item.lift(), item.overall):
                reason += f", for {item.agent}" if item.agent else ""
                self._settle(item.procedure, "quarantined", reason, "quarantine", done, otherwise="not quarantined")

    def _vouch(self, outcomes: Sequence[Outcome], done: Done) -> None:
        """Trust those tainted procedures that evidence speaks for."""
        for item in self._served_to(outcomes):
            if not item.procedure.revision.tainted:
                continue
            if reason := self._judge.vouched(item.procedure, item.lift(), item.overall):
                self._settle(item.procedure, "active", reason, "trust", done, otherwise="not trusted yet", tainted=())

    def _retire_stale(self, staleness: Staleness, done: Done) -> None:
        """After a change of the world, retire what was learned before it and does not work any more.

        A process that has just started sees all changes of the past again. Those that an update acted on are over: what
        failed by chance long after does not go for them.
        """
        changes = staleness.refresh()
        acted = self._acted_on_drift() if changes else None
        for change in changes:
            if acted is not None and change.noticed <= acted:
                continue
            for procedure in staleness.stale(change, self.procedures(status=MAY_BE_STALE)):
                self._settle(procedure, "retired", str(change), "drift", done, otherwise="not retired")

    def _acted_on_drift(self) -> datetime | None:
        """When an update last retired something for a change; None: none did, or all of it was restored."""
        retired = (procedure.revision for procedure in self.procedures(status="retired"))
        return max((revision.at for revision in retired if revision.author.policy == "drift"), default=None)

    def _keep_to(self, capacity: Capacity, done: Done) -> None:
        """Make room: what became one with something else, and what went."""
        room = self.make_room(capacity)
        done.merge(self._done(room.merged))
        done.retired += room.retired
        done.skipped += room.skipped

    def _served_to(self, outcomes: Sequence[Outcome]) -> Iterator[_Served]:
        """The procedures that were served, agent by agent, with what the ledger knows by now."""
        for agent in dict.fromkeys(outcome.agent for outcome in outcomes):
            worth = Worth(self._ledger, agent)
            overall = worth.overall()
            ids = _served(outcome for outcome in outcomes if outcome.agent == agent)
            yield from (_Served(found, agent, worth, overall) for found in self.store.find(self.namespace, ids))


def _served(outcomes: Iterable[Outcome]) -> list[str]:
    """The procedures that were served for these tasks, each once."""
    return list(dict.fromkeys(id for outcome in outcomes for id, _ in outcome.credited))
