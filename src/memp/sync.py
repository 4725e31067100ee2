"""The sync face: the same memory for code without an event loop."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from memp.errors import StoreError
from memp.forgetting import Forgetting
from memp.memory import AsyncProceduralMemory
from memp.models.metered import Meter
from memp.records import Receipt, Trajectory
from memp.update import Discard

P = ParamSpec("P")
T = TypeVar("T")


def _blocking(
    method: Callable[Concatenate[AsyncProceduralMemory, P], Coroutine[Any, Any, T]],
) -> "Callable[Concatenate[ProceduralMemory, P], T]":
    """The method of the async face, run to its end; same arguments, same documentation."""

    @wraps(method)
    def call(self: "ProceduralMemory", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._loop.run(method(self._memory, *args, **kwargs))

    return call


def _same_arguments(
    init: Callable[Concatenate[AsyncProceduralMemory, P], None],
) -> "Callable[[Callable[..., None]], Callable[Concatenate[ProceduralMemory, P], None]]":
    """Gives an `__init__` the arguments of the async face."""
    return wraps(init)


class ProceduralMemory(Forgetting):
    """Procedural memory for agents. Takes the arguments of `AsyncProceduralMemory`.

    It may be shared by threads, and used inside a running event loop (a notebook), where it blocks.
    """

    @_same_arguments(AsyncProceduralMemory.__init__)
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._memory = AsyncProceduralMemory(*args, **kwargs)
        self._loop = _Loop()
        memory = self._memory
        super().__init__(memory.store, memory.namespace, memory._clock, memory._ids)
        self.quarantining = memory.quarantining

    retrieve = _blocking(AsyncProceduralMemory.retrieve)
    record = _blocking(AsyncProceduralMemory.record)
    update = _blocking(AsyncProceduralMemory.update)

    def discard(self, bound: Discard | None = None) -> Receipt:
        """See `AsyncProceduralMemory.discard`."""
        return self._memory.discard(bound)

    def succeeded(self, trajectory: Trajectory) -> bool:
        """See `AsyncProceduralMemory.succeeded`."""
        return self._memory.succeeded(trajectory)

    @property
    def meter(self) -> Meter:
        """What the model consumed so far."""
        return self._memory.meter

    def close(self) -> None:
        """Let go of the store, and of the connections of embedder and chat model: they belong to this memory's loop."""
        if not self._loop.closed:
            self._loop.run(self._memory.close())
            if self._memory.model is not None:
                self._loop.run(self._memory.model.close())
            self._loop.close()

    def __enter__(self) -> "ProceduralMemory":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Loop:
    """One private event loop, so that a provider's connections always meet the loop they were made in.

    Not `asyncio.Runner`: its SIGINT handling formats the finished task, results and all, at every call.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self.closed = False
        self._lock = threading.Lock()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        with self._lock:
            if self.closed:
                work.close()
                raise StoreError("this memory was closed; open it again")
            if not _in_event_loop():
                return self._complete(work)
            result: list[T] = []
            failure: list[BaseException] = []

            def elsewhere() -> None:
                try:
                    result.append(self._complete(work))
                except BaseException as error:  # noqa: BLE001 - carried over to the calling thread
                    failure.append(error)

            thread = threading.Thread(target=elsewhere)
            thread.start()
            thread.join()
            if failure:
                raise failure[0]
            return result[0]

    def _complete(self, work: Coroutine[Any, Any, T]) -> T:
        loop = self._loop = self._loop or asyncio.new_event_loop()
        task = loop.create_task(work)
        try:
            return loop.run_until_complete(task)
        finally:
            if not task.done():  # Ctrl-C: let the work clean up behind itself
                task.cancel()
                loop.run_until_complete(asyncio.gather(task, return_exceptions=True))

    def close(self) -> None:
        with self._lock:
            self.closed = True
            if self._loop is not None:
                self._loop.run_until_complete(self._loop.shutdown_asyncgens())
                self._loop.close()
                self._loop = None


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
