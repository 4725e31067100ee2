"""A pool whose processes are on the nodes of a Ray cluster (extra `ray`).

Each actor has its CPUs, lives on one node (Ray spreads them) and holds a `WorkerPool` (`ray_node`). An episode keeps
its slot, so it stays on its node. When the node goes, its episodes fail with `SlotLost`: Ray repeats no call, for a
game's step that was done twice would be another game; the episode is played again from its start, elsewhere.
"""

import asyncio
import itertools
import pickle
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from memp.errors import MempError
from memp_bench.envs.pool import error_of
from memp_bench.envs.ray_cluster import RayCluster
from memp_bench.envs.slots import NO_FOLDERS, Folders, PoolUnfit, SlotLost
from memp_bench.envs.worker import Reply

_PATIENCE_S = 60.0
"""After an actor was lost the others take its share so long before there is a new one: Ray needs some 30 s to see that
a node is dead, and until then would give new actors a place there."""

_CLOSING_S = 5.0
"""What an actor may take to stop its processes, before it is killed (they end with it)."""


class RayPool:
    """`size` slots in at most `processes` actors, started when needed, as many as the living nodes have CPUs for.

    Args:
        factory, options, size: as for `WorkerPool`.
        cluster: where; pools share one.
        processes: actors; None for one a slot. Never more than there is room for.
        folders: what players need on every node.
        recycle_after, timeout: as for `WorkerPool`.
        start_timeout: seconds until an actor has a place on a node, and until a process answers its first request.

    A pool belongs to the event loop that first uses it, until `close`.
    """

    def __init__(
        self,
        factory: str,
        options: Mapping[str, Any] | None = None,
        *,
        cluster: RayCluster,
        size: int = 8,
        processes: int | None = None,
        folders: Folders = NO_FOLDERS,
        recycle_after: int = 50,
        timeout: float = 120.0,
        start_timeout: float = 120.0,
    ) -> None:
        if size < 1:
            raise ValueError(f"a pool needs at least one slot, not {size}")
        self.size = size
        self.processes = max(1, min(size, processes or size))
        self._cluster = cluster
        inner = {
            "size": size,
            "processes": cluster.cpus,
            "recycle_after": recycle_after,
            "timeout": timeout,
            "start_timeout": start_timeout,
        }
        self._setup = ((factory, dict(options or {})), inner, folders)
        self._timeouts = (timeout, start_timeout)
        self._free = asyncio.Semaphore(size)
        self._actors: list[_Actor] = []
        self._numbers = itertools.count()
        self._patient_until = 0.0
        cluster.pools.append(self)

    @asynccontextmanager
    async def lease(self) -> AsyncIterator["RaySlot"]:
        """A slot for one episode."""
        slot = await self.acquire()
        try:
            yield slot
        finally:
            await self.release(slot)

    async def acquire(self) -> "RaySlot":
        """A slot, as soon as one is free; give it back with `release`.

        Raises:
            SlotLost: no living node has room for an actor.
            PoolUnfit: there is no cluster.
        """
        await self._free.acquire()
        try:
            actor = self._roomiest()
        except BaseException:
            self._free.release()
            raise
        slot = RaySlot(actor, next(self._numbers))
        actor.leased.add(slot.number)
        return slot

    def _roomiest(self) -> "_Actor":
        self._cluster.join(self)
        nodes = self._cluster.nodes()
        for actor in self._actors:
            if actor.node and actor.node not in nodes:
                actor.lose(f"node {actor.node[:8]} ({actor.host}) is gone")
        now, alive = asyncio.get_running_loop().time(), [actor for actor in self._actors if not actor.lost]
        if len(alive) < len(self._actors):
            self._patient_until = now + _PATIENCE_S
        self._actors = alive
        room = min(self.processes, sum(nodes.values()))
        if alive and now < self._patient_until:
            room = len(alive)
        if not room:
            raise SlotLost(f"none of the cluster's {len(nodes)} nodes has {self._cluster.cpus} CPUs for an actor")
        best = min(self._actors, key=lambda actor: len(actor.leased), default=None)
        if best is None or (best.leased and len(self._actors) < room):
            self._cluster.make_room(self, sum(nodes.values()))
            best = _Actor(self._setup, self._cluster.cpus, *self._timeouts)
            self._actors.append(best)
        return best

    async def release(self, slot: "RaySlot") -> None:
        """Give a slot back."""
        slot.actor.leased.discard(slot.number)
        self._free.release()
        await slot.actor.release(slot.number)

    @property
    def actors(self) -> int:
        """How many there are."""
        return len(self._actors)

    def drop_idle(self) -> None:
        """End the actors that no episode is on, to the benefit of another pool; they start again when needed."""
        for actor in [actor for actor in self._actors if not actor.leased]:
            self._actors.remove(actor)
            actor.lose("another pool needed its place")

    def places(self) -> dict[str, int]:
        """How many slots are leased on each node that has an actor."""
        counts: dict[str, int] = {}
        for actor in self._actors:
            if actor.node and not actor.lost:
                counts[actor.node] = counts.get(actor.node, 0) + len(actor.leased)
        return counts

    async def close(self) -> None:
        """Stop all actors, and the cluster if it was started here. Episodes that still run fail."""
        actors, self._actors = self._actors, []
        try:
            await asyncio.gather(*(actor.stop() for actor in actors))
        finally:
            self._cluster.leave(self)


class RaySlot:
    """A leased slot: calls the methods of a player that lives on a node of the cluster."""

    def __init__(self, actor: "_Actor", number: int) -> None:
        self.actor = actor
        self.number = number

    async def call(self, method: str, *arguments: Any) -> Any:
        """What `player.method(*arguments)` returns.

        Raises:
            SlotLost: the node went away.
            PoolUnfit: the node has other code, or lacks folders.
            EnvironmentFailed, MempError: as from `Worker.call`.
        """
        reply: Reply = pickle.loads(await self.actor.ask("call", self.number, method, arguments))
        if reply.error:
            raise error_of(reply)
        return reply.value


class _Actor:
    """One Ray actor, from its first call."""

    def __init__(self, setup: tuple[Any, ...], cpus: int, timeout: float, start_timeout: float) -> None:
        self.leased: set[int] = set()
        self.node = self.host = self.lost = ""
        self._setup = setup
        self._cpus = cpus
        self._limit = 2 * (timeout + start_timeout)  # its own processes have theirs; this is for a node that hangs
        self._start_timeout = start_timeout
        self._handle: Any = None
        self._started: asyncio.Task[None] | None = None

    async def ask(self, method: str, *arguments: Any) -> Any:
        """The answer of the actor's `method`."""
        if self.lost:
            raise SlotLost(self.lost)
        if self._started is None:
            self._started = asyncio.create_task(self._start())
        await asyncio.shield(self._started)
        return await self._answer(method, arguments, self._limit)

    async def _start(self) -> None:
        import ray

        actor: Any = ray.remote(actor_class()).options(
            num_cpus=self._cpus, scheduling_strategy="SPREAD", max_restarts=0, max_task_retries=0
        )
        try:
            self._handle = actor.remote()
        except Exception as error:  # the request boundary
            self.lose(f"Ray starts no actor: {_said(error)}")
            raise SlotLost(self.lost) from error
        self.node, problem, found = await self._answer("start", self._setup, self._start_timeout)
        self.host = found[0] if found else ""
        problem = problem or _unfit(found)
        if problem:
            self.lose(f"{self._where}: {problem}")
            raise PoolUnfit(self.lost)

    async def _answer(self, method: str, arguments: tuple[Any, ...], limit: float) -> Any:
        """Ask. Whatever goes wrong here is the machine's fault: players' errors come as answers."""
        try:
            async with asyncio.timeout(limit):
                return await getattr(self._handle, method).remote(*arguments)
        except TimeoutError:
            self.lose(f"nothing was heard of an actor on {self._where} for {limit:g} s")
            raise SlotLost(self.lost) from None
        except Exception as error:  # the request boundary
            self.lose(f"an actor on {self._where} was lost: {_said(error)}")
            raise SlotLost(self.lost) from error

    @property
    def _where(self) -> str:
        return f"node {self.node[:8]} ({self.host})" if self.node else "no node yet"

    def lose(self, why: str) -> None:
        """Give the actor up."""
        self.lost = self.lost or why
        self._kill()

    def _kill(self) -> None:
        import ray

        if self._handle is not None and ray.is_initialized():
            with suppress(Exception):  # it is gone already
                ray.kill(self._handle)

    async def release(self, number: int) -> None:
        """Have the actor free what the slot held."""
        if self._started is not None and self._started.done() and not self.lost:
            with suppress(MempError):  # a lost slot is released too
                await self._answer("release", (number,), self._limit)

    async def stop(self) -> None:
        """End the actor and its processes."""
        if self._started is not None:
            if not self._started.done():
                self._started.cancel()
            elif not self.lost:
                with suppress(MempError):
                    await self._answer("close", (), _CLOSING_S)
            await asyncio.gather(self._started, return_exceptions=True)
        self.lose("the pool was closed")


def actor_class() -> type:
    """The actor. Ray sends this class as it is written here, so that a node without memp can say so."""

    class MempPool:
        async def start(self, setup: Any, options: Any, folders: Any) -> tuple[str, str, Any]:
            import ray

            node = ray.get_runtime_context().get_node_id()
            try:
                from memp_bench.envs.ray_node import Relay
            except ImportError as error:
                return node, f"it cannot import memp ({error}); install the same memp on every node", None
            self.relay = Relay(setup, options, folders)
            return node, "", self.relay.found

        async def call(self, lease: int, method: str, arguments: Any) -> bytes:
            return await self.relay.call(lease, method, arguments)

        async def release(self, lease: int) -> None:
            await self.relay.release(lease)

        async def close(self) -> None:
            await self.relay.close()

    return MempPool


def _unfit(found: Any) -> str:
    """Why a node cannot play, or an empty string. `found` is its `ray_node.Found`."""
    from memp_bench.envs.ray_node import installed

    here, there = installed(), found[1]
    other = [
        f"{what} is {there.get(what, 'not there')}, here {here[what]}" for what in here if there.get(what) != here[what]
    ]
    if other:
        return f"{'; '.join(other)}. Install the same on every node, or results would differ"
    if found[2]:
        return f"{'; '.join(found[2])}. Give every node the same folders (--data, --cache)"
    return ""


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:400]
