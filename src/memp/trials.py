"""Trials: whether a correction on probation takes the place of the revision that stands, by their outcomes."""

from collections import defaultdict
from datetime import datetime
from typing import NamedTuple

from memp.evidence import Ledger, OutcomeReader
from memp.evidence.lift import below
from memp.records import Outcome, Procedure
from memp.stores.base import Store
from memp.update.guard import Guard, on_trial

_PRIOR = 2.0
"""Weight, in tasks, of how the standing revision did before the trial, for both: it says how hard the tasks are."""


class Side(NamedTuple):
    """Tasks during a trial for which one of the two revisions was served."""

    served: int
    won: int
    ids: tuple[str, ...]
    """Of their trajectories."""


class Decision(NamedTuple):
    """What becomes of a candidate."""

    promoted: bool
    reason: str
    evidence: tuple[str, ...]


class Trials:
    """Compares a candidate with the revision that stands over the tasks since the trial began.

    The two are served at random, so the tasks of both are alike. Each rate has a Beta posterior whose prior is the rate
    of the standing revision before the trial, at the weight of two tasks.
    """

    def __init__(self, store: Store, namespace: str, ledger: Ledger) -> None:
        self._store, self._namespace, self._ledger = store, namespace, ledger
        self._reader = OutcomeReader(store, namespace)
        self._served: dict[str, list[tuple[int, Outcome]]] = defaultdict(list)
        """By procedure: the revision that was served, and how it went."""

    def decide(self, procedure: Procedure, guard: Guard) -> Decision | None:
        """What becomes of the candidate of `procedure`; None while that is open, or when there is none."""
        standing = procedure.revision.stands
        if not on_trial(procedure) or standing is None:
            return None
        self._refresh()
        begun = self._begun(procedure.id, standing)
        new = self._side(procedure.id, procedure.revision.number, begun)
        old = self._side(procedure.id, standing, begun)
        before = self._before(procedure.id, standing, begun)
        return decision(new, old, before, guard, standing)

    def _refresh(self) -> None:
        self._ledger.refresh()  # it knows which revisions say the same
        afresh, outcomes = self._reader.read()
        if afresh:
            self._served.clear()
        for outcome in outcomes:
            for id, number in outcome.credited:
                self._served[id].append((number, outcome))

    def _begun(self, id: str, standing: int) -> datetime:
        """When the revision that stands got its first rival; another may have taken the rival's place since."""
        history = self._store.history(self._namespace, id)
        return min(revision.at for revision, _, _ in history if revision.stands == standing)

    def _side(self, id: str, number: int, begun: datetime) -> Side:
        chosen = [o for o in self._of(id, number) if o.at >= begun]
        return Side(len(chosen), sum(o.success for o in chosen), tuple(o.trajectory_id for o in chosen))

    def _before(self, id: str, number: int, begun: datetime) -> float:
        """The rate of the standing revision before the trial; the failure that led to it counts, as does one win."""
        chosen = [o for o in self._of(id, number) if o.at < begun]
        return (1 + sum(o.success for o in chosen)) / (2 + len(chosen))

    def _of(self, id: str, number: int) -> list[Outcome]:
        """Of tasks for which a revision was served that says what revision `number` says."""
        said = self._ledger.saying(id, number)
        return [outcome for served, outcome in self._served[id] if self._ledger.saying(id, served) == said]


def decision(new: Side, old: Side, before: float, guard: Guard, standing: int) -> Decision | None:
    """What follows from a trial so far; None when it goes on.

    After `guard.least` servings of the candidate: promoted when it is probably as good (within the margin) or better,
    with at least one task won; withdrawn when it is probably worse. After `guard.most` servings of both the posterior
    means decide, so that nothing stays on trial for ever; what is equal is promoted, since it had a cause.
    """
    prior = _PRIOR * before, _PRIOR * (1 - before)
    a = prior[0] + new.won, prior[1] + new.served - new.won
    b = prior[0] + old.won, prior[1] + old.served - old.won
    worse = below(a, b)
    as_good = 1 - below(_shifted(a, guard.margin), b)
    figures = (
        f"{new.won} of {new.served} tasks won with it, {old.won} of {old.served} with revision {standing}; "
        f"as good or better with probability {as_good:.2f}, worse with {worse:.2f}"
    )
    evidence = new.ids + old.ids
    if new.served >= guard.least and new.won and as_good >= guard.promote:
        return Decision(True, f"promoted: {figures}", evidence)
    if new.served >= guard.least and worse >= guard.withdraw:
        return Decision(False, f"withdrawn: {figures}", evidence)
    if new.served + old.served < guard.most:
        return None
    promoted = new.served > 0 and a[0] / sum(a) >= b[0] / sum(b)
    ended = f"after {new.served + old.served} tasks the trial ends"
    return Decision(promoted, f"{'promoted' if promoted else 'withdrawn'}: {figures}; {ended}", evidence)


def _shifted(beta: tuple[float, float], margin: float) -> tuple[float, float]:
    """The posterior moved up by the margin: its mean changes, its weight stays."""
    weight = sum(beta)
    mean = min(1 - 1e-3, beta[0] / weight + margin)
    return mean * weight, (1 - mean) * weight
