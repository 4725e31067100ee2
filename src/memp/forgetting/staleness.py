"""Which procedures are from before a change of the world, and are not confirmed by what was won since."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from memp.evidence import Change, Drift, Watches
from memp.records import Outcome, Procedure
from memp.stores.base import Store

_STILL = 0.75
"""A family that does so well beside what it did before has not changed, although all together have."""


class Staleness:
    """Watches the outcomes of a namespace, agent by agent, and finds what a change made stale."""

    def __init__(self, store: Store, namespace: str, drift: Drift) -> None:
        self._store = store
        self._namespace = namespace
        self._drift = drift
        self._erasures = store.erasures()
        self._start()

    def _start(self) -> None:
        self._seen = 0
        self._watches: dict[str, Watches] = defaultdict(lambda: Watches(self._drift))
        self._families: dict[str, Counter[str]] = defaultdict(Counter)
        self._recent: list[Outcome] = []

    def refresh(self) -> list[Change]:
        """Catch up with the outcomes; the changes that show in them."""
        if (erasures := self._store.erasures()) != self._erasures:
            self._erasures = erasures
            self._start()
        found: list[Change] = []
        for seq, outcome in self._store.outcomes_since(self._namespace, self._seen):
            self._seen = seq
            if not outcome.credited:
                continue
            for id, _ in outcome.credited:
                self._families[id][outcome.family] += 1
            self._recent = [*self._recent[-2_000:], outcome]
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
            if procedure.status in ("active", "probation")
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
