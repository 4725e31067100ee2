"""The outcomes of a namespace, read once and then caught up with."""

from collections import Counter

from memp.records import Outcome
from memp.stores.base import Store


class Ledger:
    """What is known of how tasks went, with what was served or withheld for them. A view of the store."""

    def __init__(self, store: Store, namespace: str) -> None:
        self._store = store
        self._namespace = namespace
        self._seen = 0
        self._first: Counter[tuple[str, bool]] = Counter()
        self.outcomes: list[Outcome] = []

    def refresh(self) -> bool:
        """Catch up with what this and other processes recorded. True when there was anything new."""
        new = self._store.outcomes_since(self._namespace, self._seen)
        for seq, outcome in new:
            self._seen = seq
            self.outcomes.append(outcome)
            if named := outcome.withheld or outcome.credited:
                self._first[named[0][0], bool(outcome.withheld)] += 1
        return bool(new)

    def under(self, procedure_id: str) -> tuple[int, int]:
        """How many tasks had, or would have had, this procedure first: (served, withheld)."""
        return self._first[procedure_id, False], self._first[procedure_id, True]
