"""TextWorld's PDDL games as an environment; the engine itself runs in the pool's processes."""

from collections.abc import Sequence

from memp.errors import EnvironmentFailed
from memp_bench.envs.base import Observation, Opening, Task
from memp_bench.envs.engine.player import Engine
from memp_bench.envs.slots import Folders, Pool, PoolMaker, Slot, local_pool

PLAYER = "memp_bench.envs.engine.player:GamePlayer"


def game_pool(
    *,
    engine: Engine = "fast",
    size: int = 8,
    cache: str | None = None,
    processes: int | None = None,
    pools: PoolMaker = local_pool,
    games: str | None = None,
) -> Pool:
    """A pool that plays PDDL games.

    Args:
        engine: `fast` or `stock` (see `memp_bench.envs.engine`).
        size: how many episodes may run at once.
        cache: folder for the fast engine's translations; None keeps none on disk.
        processes: None for one a core.
        pools: where games are played.
        games: the folder they are in, if there is one: other machines must have it too.
    """
    folders = Folders(read=(games,) if games else (), write=(cache,) if cache else ())
    return pools(PLAYER, {"engine": engine, "cache": cache}, size=size, processes=processes, folders=folders)


def game_of(task: Task) -> str:
    """The path of a task's game.

    Raises:
        EnvironmentFailed: the task names none.
    """
    game = task.payload.get("game")
    if not game:
        raise EnvironmentFailed(f"task {task.id} names no game file (payload 'game')")
    return game


class TextWorldEnvironment:
    """Plays tasks whose payload holds `game`, the path of a `.tw-pddl` file. One episode at a time."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._worker: Slot | None = None

    async def reset(self, task: Task) -> Opening:
        """Load the task's game; waits for a free slot.

        Raises:
            EnvironmentFailed: the game is missing or damaged, or its process failed.
        """
        game = game_of(task)
        await self.close()
        self._worker = await self._pool.acquire()
        try:
            words, observation = await self._worker.call("load", game)
        except BaseException:
            await self.close()
            raise
        return Opening(task=words, observation=observation)

    async def step(self, action: str) -> Observation:
        """Do `action`.

        Raises:
            EnvironmentFailed: the process failed, or nothing was reset.
        """
        if self._worker is None:
            raise EnvironmentFailed("step before reset: there is no game")
        observation: Observation = await self._worker.call("step", action)
        return observation

    async def handcoded(self, task: Task, max_steps: int) -> tuple[Opening, Sequence[tuple[str, Observation]]]:
        """The task as ALFWorld's hand-coded expert plays it, in an episode of its own: opening and rounds.

        Raises:
            EnvironmentFailed: the game cannot be played, or is not one of ALFWorld's.
        """
        async with self._pool.lease() as worker:
            words, first, rounds = await worker.call("handcoded", game_of(task), max_steps)
        return Opening(task=words, observation=first), rounds

    async def close(self) -> None:
        """Give the slot back."""
        worker, self._worker = self._worker, None
        if worker is not None:
            await self._pool.release(worker)
