"""The sync face: the same memory for code without an event loop."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from memp.curation import Curation
from memp.memory import AsyncProceduralMemory, Recorded
from memp.recall import Recall
from memp.records import Receipt, Trajectory
from memp.update import Discard

T = TypeVar("T")


class ProceduralMemory(Curation):
    """Procedural memory for agents. Takes the arguments of `AsyncProceduralMemory`.

    It may be shared by threads, and used inside a running event loop (a notebook), where it blocks.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._memory = AsyncProceduralMemory(*args, **kwargs)
        self._loop = _Loop()
        memory = self._memory
        super().__init__(memory.store, memory.namespace, memory._clock, memory._ids)

    def retrieve(self, task: str, **options: Any) -> Recall:
        """See `AsyncProceduralMemory.retrieve`."""
        return self._loop.run(self._memory.retrieve(task, **options))

    def record(self, trajectory: Trajectory, recall: Recall | None = None) -> Recorded:
        """See `AsyncProceduralMemory.record`."""
        return self._loop.run(self._memory.record(trajectory, recall))

    def update(self) -> Receipt:
        """See `AsyncProceduralMemory.update`."""
        return self._loop.run(self._memory.update())

    def discard(self, bound: Discard | None = None) -> Receipt:
        """See `AsyncProceduralMemory.discard`."""
        return self._memory.discard(bound)

    def close(self) -> None:
        """Let go of the store and the embedder's connections."""
        self._loop.run(self._memory.close())
        self._loop.close()

    def __enter__(self) -> "ProceduralMemory":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Loop:
    """One private event loop, so that a provider's connections always meet the loop they were made in."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._lock = threading.Lock()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        with self._lock:
            if not _in_event_loop():
                return self._runner.run(work)
            result: list[T] = []
            failure: list[BaseException] = []

            def elsewhere() -> None:
                try:
                    result.append(self._runner.run(work))
                except BaseException as error:  # noqa: BLE001 - carried over to the calling thread
                    failure.append(error)

            thread = threading.Thread(target=elsewhere)
            thread.start()
            thread.join()
            if failure:
                raise failure[0]
            return result[0]

    def close(self) -> None:
        with self._lock:
            self._runner.close()


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
