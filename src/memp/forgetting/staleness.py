"""Which procedures are from before a change of the world, and are not confirmed by what was won since."""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Sequence
from typing import Final

from memp.evidence import Change, Drift, OutcomeReader, Watches
from memp.records import Outcome, Procedure, Status
from memp.stores.base import Store

MAY_BE_STALE: Final[tuple[Status, ...]] = ("active", "probation")
"""What may retire as stale: what waits for a person is left to them."""

_STILL = 0.75
"""A family that does so well beside what it did before has not changed, although all together have."""

_RECENT = 2_000
"""Tasks with memory that are kept to see how things went since a change."""


class Staleness:
    """Watches the outcomes of a namespace, agent by agent, and finds what a change made stale."""

    def __init__(self, store: Store, namespace: str, drift: Drift) -> None:
        self._reader = OutcomeReader(store, namespace)
        self._drift = drift
        self._start()

    def _start(self) -> None:
        self._watches: dict[str, Watches] = defaultdict(lambda: Watches(self._drift))
        self._families: dict[str, Counter[str]] = defaultdict(Counter)
        self._recent: deque[Outcome] = deque(maxlen=_RECENT)

    def refresh(self) -> list[Change]:
        """Catch up with the outcomes; the changes that show in them."""
        afresh, outcomes = self._reader.read()
        if afresh:
            self._start()
        found: list[Change] = []
        for outcome in outcomes:
            if not outcome.credited:
                continue
            for id, _ in outcome.credited:
                self._families[id][outcome.family] += 1
            self._recent.append(outcome)
            found += self._watches[outcome.agent].add(outcome)
        return found

    def stale(self, change: Change, held: Iterable[Procedure]) -> list[Procedure]:
        """Those of the procedures that were written before the change, belong to what changed, and have not won more
        than they lost since. Pinned ones are never stale."""
        since = [outcome for outcome in self._recent if outcome.at >= change.at]
        changed = {change.family} if change.family is not None else self._changed(since)
        balance: Counter[str] = Counter()
        for outcome in since:
            balance.update({id: 1 if outcome.success else -1 for id, _ in outcome.credited})
        return [
            procedure
            for procedure in held
            if procedure.status in MAY_BE_STALE
            and not procedure.revision.pinned
            and procedure.revision.at < change.at
            and balance[procedure.id] <= 0
            and self._belongs(procedure, changed, change.family is None)
        ]

    def _belongs(self, procedure: Procedure, changed: set[str], everything: bool) -> bool:
        """By the family of most tasks that it was served for. One that never was belongs to everything."""
        families = self._families.get(procedure.id)
        return everything if families is None else families.most_common(1)[0][0] in changed

    def _changed(self, since: Sequence[Outcome]) -> set[str]:
        """Families that do worse since."""
        rates: dict[str, list[bool]] = defaultdict(list)
        for outcome in since:
            rates[outcome.family].append(outcome.success)
        changed = set()
        for watches in self._watches.values():
            for family, (count, won) in watches.counts.items():
                now = rates.get(family)
                if not now or sum(now) / len(now) < _STILL * won / count:
                    changed.add(family)
        return changed
