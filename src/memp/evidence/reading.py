"""Reading the outcomes of a namespace as they are logged, and noticing when what was read must not count any more."""

from typing import NamedTuple

from memp.records import Outcome
from memp.stores.base import Store


class News(NamedTuple):
    """What a reader had not given out yet."""

    afresh: bool
    """Something was erased for good: forget what was read before, `outcomes` are all that are left."""
    outcomes: tuple[Outcome, ...]
    """Oldest first."""


class OutcomeReader:
    """A place in the outcomes of a namespace, for whoever keeps a view of them: each reads through one of its own.

    An erasure takes outcomes and revisions away, and a later revision may get the number of one that went. So after
    one everything is read again.
    """

    def __init__(self, store: Store, namespace: str) -> None:
        self._store = store
        self._namespace = namespace
        self._erasures = store.erasures(namespace)
        self._seen = 0

    def read(self) -> News:
        """The outcomes that this and other processes logged since the last call."""
        erasures = self._store.erasures(self._namespace)  # before the outcomes: a later one shows at the next call
        if afresh := erasures != self._erasures:
            self._erasures, self._seen = erasures, 0
        numbered = self._store.outcomes_since(self._namespace, self._seen)
        if numbered:
            self._seen = numbered[-1][0]
        return News(afresh, tuple(outcome for _, outcome in numbered))
