"""Where games are played, whatever plays them: the protocol of pools, and a pool by name.

A benchmark asks a pool for a slot, keeps it for an episode and calls the player in it. `WorkerPool` has its slots in
processes of this machine, `RayPool` on the machines of a Ray cluster. Which of the two changes no result.
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, NamedTuple, Protocol

from memp.errors import EnvironmentFailed, MempError, UnknownName

POOLS: Final = ("processes", "ray", "ray://auto", "ray://HOST:PORT")
"""The names that `pool_maker` knows."""


class SlotLost(EnvironmentFailed):
    """The machine under a slot went away. It says nothing about the game, which is to be played elsewhere or later."""


class PoolUnfit(MempError):
    """Nothing can be played before something is mended: no cluster, or a node with other code or without games."""


class Slot(Protocol):
    """A place for one episode at a time, with a player of its own."""

    async def call(self, method: str, *arguments: Any) -> Any:
        """What `player.method(*arguments)` returns.

        Raises:
            SlotLost: the machine went away.
            EnvironmentFailed: the process crashed, stalled or the player failed.
            MempError: another error that the player raised on purpose.
        """


class Pool(Protocol):
    """So many slots. A pool belongs to the event loop that first uses it, until `close`."""

    size: int
    """How many episodes may run at once."""

    def lease(self) -> AbstractAsyncContextManager[Slot]:
        """A slot for one episode."""

    async def acquire(self) -> Slot:
        """A slot, as soon as one is free; give it back with `release`."""

    async def release(self, slot: Any, /) -> None:
        """Give a slot of this pool back."""

    async def close(self) -> None:
        """Stop everything. Episodes that still run fail. The pool may be used again."""


class Folders(NamedTuple):
    """What players need on the machine where they play, as absolute paths."""

    read: tuple[str, ...] = ()
    """Must be there."""
    write: tuple[str, ...] = ()
    """Made where they are missing."""


NO_FOLDERS: Final = Folders()


class PoolMaker(Protocol):
    """Makes a pool of players; see `WorkerPool` for the arguments."""

    def __call__(
        self,
        factory: str,
        options: Mapping[str, Any],
        *,
        size: int = 8,
        processes: int | None = None,
        folders: Folders = NO_FOLDERS,
    ) -> Pool:
        """A pool, with nothing started yet."""


def local_pool(
    factory: str,
    options: Mapping[str, Any],
    *,
    size: int = 8,
    processes: int | None = None,
    folders: Folders = NO_FOLDERS,
) -> Pool:
    """Slots in processes of this machine."""
    from memp_bench.envs.pool import WorkerPool

    return WorkerPool(factory, options, size=size, processes=processes)


def pool_maker(name: str) -> PoolMaker:
    """What makes pools of that name.

    `processes`: on this machine. `ray`: in a Ray cluster of this machine alone, which is started and ended with the
    pools. `ray://auto`, `ray://HOST:PORT`: in a cluster that runs, of which this machine is a node; with `?cpus=N`
    one Ray actor has N CPUs and as many processes.

    Raises:
        UnknownName: no such pool.
        MissingExtra: it needs Ray, which is not installed.
    """
    if name == "processes":
        return local_pool
    if name == "ray" or name.startswith("ray://"):
        from memp_bench.envs.ray_cluster import cluster_at

        return cluster_at(name).pool
    raise UnknownName("pool", name, POOLS)
