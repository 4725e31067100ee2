"""How to break the in-memory store in one respect."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from memp.testing.store import MemoryStore
from memp.testing.store_conformance import Harness


@dataclass(frozen=True)
class Broken:
    """A store that breaks one rule, and which others cannot but break with it."""

    store: type[MemoryStore]
    also: frozenset[str] = frozenset()
    lacks: tuple[str, ...] = ("stemming",)

    @contextmanager
    def make(self) -> Iterator[Harness]:
        store = self.store()
        yield Harness(store, store.client, lacks=self.lacks)


def around(method: str, body: Callable[..., Any], *also: str) -> Broken:
    """`body(original, store, *arguments)` stands in for the method."""

    def replaced(self, *arguments, **named):
        original = getattr(super(type_, self), method)
        return body(original, self, *arguments, **named)

    type_ = type("BrokenStore", (MemoryStore,), {method: replaced})
    return Broken(type_, frozenset(also))


def after(method: str, change: Callable[..., Any], *also: str) -> Broken:
    """`change(answer, store, *arguments)` is answered in place of the answer."""

    def body(original, store, *arguments, **named):
        return change(original(*arguments, **named), store, *arguments, **named)

    return around(method, body, *also)


def quiet(method: str, said: str, answer: Any, *also: str) -> Broken:
    """An error whose text holds `said` is not raised; `answer` is given."""

    def body(original, store, *arguments, **named):
        try:
            return original(*arguments, **named)
        except Exception as error:
            if said in str(error):
                return answer
            raise

    return around(method, body, *also)


def racing(method: str, *also: str, per_client: bool = False) -> Broken:
    """Transactions of the method hold no lock (or only that of their client) between reading and committing."""

    class Racing(MemoryStore):
        def __init__(self, data=None):
            super().__init__(data)
            self._own = threading.RLock()
            self._now = threading.local()

        @contextmanager
        def _transaction(self, *namespaces):
            if getattr(self._now, "method", "") != method:
                with self._own, super()._transaction(*namespaces) as spaces:
                    yield spaces
                return
            with self._own if per_client else threading.RLock():
                spaces = {name: self._space(name).copy() for name in namespaces}
                yield spaces
                time.sleep(0.001)
                self._data.spaces.update(spaces)

    def replaced(self, *arguments, **named):
        self._now.method = method
        try:
            return getattr(super(Racing, self), method)(*arguments, **named)
        finally:
            self._now.method = ""

    setattr(Racing, method, replaced)
    return Broken(Racing, frozenset(also))


def changed(record: Any, **change: Any) -> Any:
    return record.model_copy(update=change)
