"""Work of one event loop, done for another that runs in a thread of its own."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


class Stopped(Exception):
    """The home loop takes no more work: the caller was cancelled, or something broke for everyone."""


class Home:
    """The event loop that memory, environments and models belong to. Made in it; visited from other threads."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[object]] = set()
        self.stopped: BaseException | None = None
        """Why no more work is taken: the first thing `stop` was told."""

    def stop(self, why: BaseException) -> None:
        """Cancel all work and take no more. For the home loop."""
        if self.stopped is None:
            self.stopped = why
            for task in self._tasks:
                task.cancel()

    async def do(self, work: Callable[[], Awaitable[T]]) -> T:
        """What `work()` gives in the home loop. For other loops; if the caller is cancelled, the work is too.

        Raises:
            Stopped: it was not begun or not ended.
            Exception: whatever the work raises.
        """
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._do(work), self._loop))

    async def _do(self, work: Callable[[], Awaitable[T]]) -> T:
        if self.stopped is not None:
            raise Stopped("stopped before it began")
        task = asyncio.ensure_future(work())
        self._tasks.add(task)
        try:
            return await task
        except asyncio.CancelledError:
            if self.stopped is None:
                raise
            raise Stopped("stopped") from None
        finally:
            self._tasks.discard(task)

    async def beside(self, call: Callable[[], T]) -> T:
        """What the blocking `call()` gives in a thread of its own. When cancelled, stops all work and waits for it.

        The thread does not keep the process alive: a second Ctrl-C ends it.
        """
        done: asyncio.Future[T] = self._loop.create_future()

        def run() -> None:
            try:
                value = call()
            except BaseException as error:  # noqa: BLE001 - handed over to the waiting loop, whatever it is
                self.tell(_fail, done, error)
            else:
                self.tell(_give, done, value)

        threading.Thread(target=run, name="memp-beside", daemon=True).start()
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError as cancelled:
            self.stop(cancelled)
            with suppress(Exception):
                await asyncio.shield(done)
            raise

    def tell(self, how: Callable[..., None], *what: object) -> None:
        """Have `how(*what)` called in the home loop, some time soon. For other threads."""
        with suppress(RuntimeError):  # the loop is gone: nobody waits
            self._loop.call_soon_threadsafe(how, *what)


def _give(done: asyncio.Future[T], value: T) -> None:
    if not done.done():
        done.set_result(value)


def _fail(done: asyncio.Future[T], error: BaseException) -> None:
    if not done.done():
        done.set_exception(error if isinstance(error, Exception) else RuntimeError(repr(error)))
