"""The part of `memp_bench.envs.ray_pool` that lives on the nodes of a cluster: an actor with a worker pool inside.

The actor only passes calls on. Players live in the pool's processes as they do without Ray: without secrets, with
fixed hashes, replaced after so many games, stopped when they stall, blamed when they crash. So what ends an actor is
never a game.
"""

import asyncio
import hashlib
import os
import pickle
import socket
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, NamedTuple

from memp.errors import MempError
from memp_bench.envs.pool import Worker, WorkerPool, without_secrets
from memp_bench.envs.slots import Folders
from memp_bench.envs.worker import Reply

_PACKAGES: Final = ("memp", "textworld", "fast-downward-textworld", "alfworld")


class Found(NamedTuple):
    """What a node says about itself."""

    host: str
    installed: dict[str, str]
    """Versions of what has a part in games, and a digest of the environments' code."""
    missing: tuple[str, ...]
    """Folders that cannot be read or written, each with what is wrong."""


def installed() -> dict[str, str]:
    """What plays games here. Equal mappings play equally."""
    found = {"code of memp_bench.envs": _code()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _code() -> str:
    here, digest = Path(__file__).parent, hashlib.sha256()
    for file in sorted(here.rglob("*.py")):
        digest.update(f"{file.relative_to(here).as_posix()}\n".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _problems(folders: Folders) -> tuple[str, ...]:
    found = [f"{folder} is not there" for folder in folders.read if not Path(folder).exists()]
    for folder in folders.write:
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            found.append(f"{folder} cannot be made ({error.strerror})")
        else:
            if not os.access(folder, os.W_OK):
                found.append(f"{folder} cannot be written")
    return tuple(found)


class Relay:
    """Passes calls on to the players of this node."""

    def __init__(self, setup: tuple[Any, ...], options: dict[str, Any], folders: Folders) -> None:
        kept = without_secrets(os.environ)
        for name in os.environ.keys() - kept.keys():
            del os.environ[name]
        self._pool = WorkerPool(*setup, **options)
        self._leases: dict[int, asyncio.Task[Worker]] = {}
        self.found = Found(socket.gethostname(), installed(), _problems(folders))

    async def call(self, lease: int, method: str, arguments: tuple[Any, ...]) -> bytes:
        """What the lease's player answers, as a pickled `Reply`: Ray would wrap the errors."""
        if lease not in self._leases:
            self._leases[lease] = asyncio.create_task(self._pool.acquire())
        try:
            worker = await self._leases[lease]
            return pickle.dumps(Reply(0, await worker.call(method, *arguments)))
        except MempError as error:
            return pickle.dumps(Reply(0, error=type(error).__name__, message=str(error)))

    async def release(self, lease: int) -> None:
        """Give the lease's slot back, if it ever had one."""
        if there := self._leases.pop(lease, None):
            await self._pool.release(await there)

    async def close(self) -> None:
        """Stop the processes."""
        await self._pool.close()
