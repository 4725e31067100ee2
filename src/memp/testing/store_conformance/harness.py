"""What the suite is given to test: an empty store, and how to reach it a second time."""

import pickle
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from memp.stores.base import Store

CAPABILITIES: Final = {
    "clients": "several clients of one memory at once (`Harness.connect`)",
    "processes": "clients in other processes (`Harness.connect` that can be pickled)",
    "stemming": "search finds other forms of a word: mugs, mug",
    "similarity": "the store finds the nearest procedures itself (`SearchesVectors`)",
    "accents": "search does not mind accents: naive, naïve",
}
"""What a store may lack, and what it is. Where a store has it, its rules hold."""


class Unsupported(Exception):
    """The store says that it lacks what a rule is about: the rule is skipped."""


@dataclass
class Harness:
    """A store under test.

    Args:
        store: an empty store. The suite writes to it; the maker takes it away.
        connect: opens one more client of the same memory: what one client wrote, the others see, and when every client
            was closed the next one finds everything. A function that can be pickled (a `functools.partial` of the
            store's class, say) is called in other processes too. None: there is only ever one client.
        lacks: which of `CAPABILITIES` the store does not have. What is not named here is tested.
    """

    store: Store
    connect: Callable[[], Store] | None = None
    lacks: Collection[str] = ()
    _clients: list[Store] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        if unknown := set(self.lacks) - set(CAPABILITIES):
            raise ValueError(f"no such capability: {', '.join(sorted(unknown))}; known: {', '.join(CAPABILITIES)}")

    def need(self, capability: str) -> None:
        """Go on only where the store has it.

        Raises:
            Unsupported: it has not.
        """
        if capability in self.lacks:
            raise Unsupported(f"the store lacks {capability}")
        if capability == "similarity" and not hasattr(self.store, "nearest"):
            raise Unsupported(
                "similarity is not of this store: whoever retrieves reads all vectors and searches exactly"
            )
        if capability in ("clients", "processes") and self.connect is None:
            raise Unsupported("one client only: the harness has no `connect`")
        if capability == "processes":
            try:
                pickle.dumps(self.connect)
            except (pickle.PicklingError, AttributeError, TypeError) as error:
                raise Unsupported(f"one process only: `connect` cannot be pickled ({error})") from error

    def client(self) -> Store:
        """One more client of the same memory; closed when the rule has been checked.

        Raises:
            Unsupported: there is only one.
        """
        self.need("clients")
        assert self.connect is not None
        self._clients.append(self.connect())
        return self._clients[-1]

    @contextmanager
    def clients_closed(self) -> Iterator[None]:
        """Afterwards the clients that a rule opened are closed."""
        try:
            yield
        finally:
            for client in self._clients:
                client.close()
            self._clients.clear()
