"""A pool of worker processes that play games for async callers (the protocol is `memp_bench.envs.slots.Pool`).

Each episode leases a slot and keeps it (its game lives there). A process holds several slots, serves one request
at a time, is replaced after a number of games (engines leak), and ends with its parent, even after kill -9. A
process that crashes or stalls is replaced; its episodes fail with `EnvironmentFailed`, which is never a result.
"""

import asyncio
import os
import pickle
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import IO, Any

import memp.errors
from memp.errors import EnvironmentFailed, MempError
from memp_bench.envs.worker import LENGTH, Reply, Request, pack

_SECRET = ("KEY", "TOKEN", "SECRET", "PASSWORD", "CREDENTIAL")
_STDERR_TAIL = 600
_MAIN = "from memp_bench.envs.worker import main; main()"  # not -m: the classes must not belong to __main__


class Worker:
    """A leased slot: calls the methods of a player that lives in another process."""

    def __init__(self, process: "_Process", slot: int) -> None:
        self.process = process
        self.slot = slot

    async def call(self, method: str, *arguments: Any) -> Any:
        """What `player.method(*arguments)` returns.

        Raises:
            EnvironmentFailed: the process crashed, stalled or the player failed.
            MempError: another error that the player raised on purpose.
        """
        return await self.process.call(self.slot, method, arguments)


class WorkerPool:
    """`size` slots in at most `processes` processes, started when needed.

    Args:
        factory: `module:callable` that makes a player, called with `options` in the worker.
        options: keyword arguments for it; must pickle.
        size: how many episodes may run at once.
        processes: None for one a core, at most `size`.
        recycle_after: leases after which a process is replaced.
        timeout: seconds one request may take.
        start_timeout: seconds a process may take to import and answer its first request.

    A pool belongs to the event loop that first uses it, until `close`.
    """

    def __init__(
        self,
        factory: str,
        options: Mapping[str, Any] | None = None,
        *,
        size: int = 8,
        processes: int | None = None,
        recycle_after: int = 50,
        timeout: float = 120.0,
        start_timeout: float = 120.0,
    ) -> None:
        if size < 1:
            raise ValueError(f"a pool needs at least one slot, not {size}")
        self.size = size
        self.processes = max(1, min(size, processes or os.cpu_count() or 1))
        self._setup = (factory, dict(options or {}))
        self._recycle_after = recycle_after
        self._timeouts = (timeout, start_timeout)
        self._free = asyncio.Semaphore(size)
        self._running: list[_Process] = []
        self._retiring: set[_Process] = set()

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[Worker]:
        """A slot for one episode."""
        worker = await self.acquire()
        try:
            yield worker
        finally:
            await self.release(worker)

    async def acquire(self) -> Worker:
        """A slot, as soon as one is free; give it back with `release`."""
        await self._free.acquire()
        for process in [process for process in self._running if process.failed]:
            self._retire(process)
        best = min(self._running, key=lambda process: len(process.leased), default=None)
        if best is None or (best.leased and len(self._running) < self.processes):
            best = _Process(self._setup, *self._timeouts)
            self._running.append(best)
        slot = next(number for number in range(self.size) if number not in best.leased)
        best.leased.add(slot)
        best.games += 1
        if best.games >= self._recycle_after:
            self._retire(best)
        return Worker(best, slot)

    async def release(self, worker: Worker) -> None:
        """Give a slot back. Stops the process if it is due for replacement."""
        process = worker.process
        process.leased.discard(worker.slot)
        self._free.release()
        if process.failed:
            self._retire(process)
        if process not in self._running and not process.leased:
            self._retiring.discard(process)
            await process.stop()

    def _retire(self, process: "_Process") -> None:
        if process in self._running:
            self._running.remove(process)
            if process.leased or not process.failed:
                self._retiring.add(process)

    async def close(self) -> None:
        """Stop all processes. Episodes that still run fail. The pool may be used again."""
        everything = [*self._running, *self._retiring]
        self._running.clear()
        self._retiring.clear()
        await asyncio.gather(*(process.stop() for process in everything))


class _Process:
    """One worker process: started by its first call, one request at a time."""

    def __init__(self, setup: tuple[str, dict[str, Any]], timeout: float, start_timeout: float) -> None:
        self.leased: set[int] = set()
        self.games = 0
        self.failed = ""
        self._setup = setup
        self._timeout = timeout
        self._start_timeout = start_timeout
        self._turn = asyncio.Lock()
        self._number = 0
        self._waiting: dict[int, asyncio.Future[Reply]] = {}
        self._child: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._stderr: IO[bytes] | None = None

    async def call(self, slot: int, method: str, arguments: tuple[Any, ...]) -> Any:
        async with self._turn:
            limit = self._timeout
            if self._child is None:
                await self._start()
                limit = self._start_timeout
            if self.failed:
                self._fail(self.failed)  # stopped while it started: it must not live on
                raise EnvironmentFailed(self.failed)
            self._number += 1
            number = self._number
            answer = self._waiting[number] = asyncio.get_running_loop().create_future()
            try:
                await self._send(Request(number, slot, method, arguments))
                async with asyncio.timeout(limit):
                    reply = await answer
            except TimeoutError:
                self._fail(f"the environment did not answer {method} within {limit:g} s and was stopped")
                raise EnvironmentFailed(self.failed) from None
            finally:
                self._waiting.pop(number, None)
        if reply.error:
            raise error_of(reply)
        return reply.value

    async def _start(self) -> None:
        if self.failed:
            raise EnvironmentFailed(self.failed)
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process
        self._child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-c", _MAIN),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=self._stderr,
            env=_environment(),
            start_new_session=True,
        )
        self._reader = asyncio.create_task(self._read(self._child))
        await self._send(Request(0, 0, "", self._setup))

    async def _send(self, request: Request) -> None:
        assert self._child is not None
        assert self._child.stdin is not None
        with suppress(BrokenPipeError, ConnectionResetError):  # the reader says why
            self._child.stdin.write(pack(request))
            await self._child.stdin.drain()

    async def _read(self, child: asyncio.subprocess.Process) -> None:
        assert child.stdout is not None
        try:
            while True:
                (length,) = LENGTH.unpack(await child.stdout.readexactly(LENGTH.size))
                reply: Reply = pickle.loads(await child.stdout.readexactly(length))
                answer = self._waiting.get(reply.number)  # gone if its caller was cancelled
                if answer is not None and not answer.done():
                    answer.set_result(reply)
        except (asyncio.IncompleteReadError, ConnectionResetError):
            pass
        except Exception as error:  # noqa: BLE001 - a reply that cannot be read must not leave callers waiting
            self._fail(f"the environment's process sent an unreadable reply: {error!r}")
        code = await child.wait()
        self._fail(f"the environment's process ended with code {code}{self._last_words()}")
        if self._stderr is not None:
            self._stderr.close()

    def _fail(self, why: str) -> None:
        self.failed = self.failed or why
        if self._child is not None and self._child.returncode is None:
            with suppress(ProcessLookupError):
                self._child.kill()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(EnvironmentFailed(self.failed))

    def _last_words(self) -> str:
        if self._stderr is None or self._stderr.closed:
            return ""
        size = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, size - _STDERR_TAIL))
        text = self._stderr.read().decode(errors="replace").strip()
        return f": {text}" if text else ""

    async def stop(self) -> None:
        self.failed = self.failed or "the pool was closed"
        if self._child is not None:
            self._fail(self.failed)
            await self._child.wait()
        if self._reader is not None:
            await self._reader


def error_of(reply: Reply) -> MempError:
    """The error that the player raised; what it did not raise on purpose is a failed environment."""
    kind = getattr(memp.errors, reply.error, None)
    if not (isinstance(kind, type) and issubclass(kind, MempError)):
        kind = EnvironmentFailed
    error = kind.__new__(kind, reply.message)
    error.args = (reply.message,)
    return error


def without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that players may see."""
    return {name: value for name, value in environ.items() if not any(s in name.upper() for s in _SECRET)}


def _environment() -> dict[str, str]:
    """This process's import path and variables, without secrets; hashes are fixed so that sets iterate alike."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return {**without_secrets(os.environ), "PYTHONPATH": path, "PYTHONHASHSEED": "0"}
