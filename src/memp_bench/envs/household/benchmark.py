"""The household benchmark: generated games for the real engine, for machines that have no data."""

import asyncio
import random
from collections.abc import Callable, Sequence
from pathlib import Path

from memp_bench.envs.alfred_rules import INSTRUCTIONS
from memp_bench.envs.base import Task
from memp_bench.envs.engine.player import Engine
from memp_bench.envs.household.draft import family_of
from memp_bench.envs.household.files import game_folder, game_path, is_intact, split_and_index
from memp_bench.envs.household.goals import FAMILIES, SPLITS, check_split
from memp_bench.envs.slots import Folders, PoolMaker, local_pool
from memp_bench.envs.textworld import TextWorldEnvironment

_PLAYER = "memp_bench.envs.household.player:HouseholdPlayer"

Progress = Callable[[int, int], None]
"""Called with (games that are ready, games asked for)."""


class Household:
    """Generated houses in ALFWorld's domain: six families, 600 train, 120 seen and 120 unseen games a seed.

    `seen` draws new houses from the layouts and the (object, target) pairs of `train`. `unseen` shares neither: its
    rooms are furnished otherwise, and no train goal asks for its pairs. Where things are usually kept holds
    everywhere (`tables`).

    Tasks name a file that need not exist yet: it is made in the worker that first plays it (~0.5 s), or ahead by
    `prepare`. Files are kept and reused; a damaged one is made again, byte for byte.

    Args:
        seed: which houses; layouts and held-out pairs depend on it too.
        engine: `fast` or `stock`.
        workers: how many episodes may run at once.
        processes: processes they share; None for one a core.
        cache: folder for games and translations; None for `~/.cache/memp`.
        pools: where games are played.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        engine: Engine = "fast",
        workers: int = 8,
        processes: int | None = None,
        cache: Path | str | None = None,
        pools: PoolMaker = local_pool,
    ) -> None:
        root = Path(cache) if cache is not None else Path.home() / ".cache" / "memp"
        self._folder = game_folder(root.absolute(), seed)
        options = {
            "folder": str(self._folder),
            "seed": seed,
            "engine": engine,
            "cache": str(root.absolute() / "sas"),
        }
        folders = Folders(write=(str(self._folder), str(options["cache"])))
        self._pool = pools(_PLAYER, options, size=workers, processes=processes, folders=folders)

    @property
    def name(self) -> str:
        """`household`."""
        return "household"

    @property
    def instructions(self) -> str:
        """ALFWorld's rules: the same agent plays both."""
        return INSTRUCTIONS

    @property
    def example(self) -> str:
        """None."""
        return ""

    @property
    def splits(self) -> Sequence[str]:
        """`train`, `seen`, `unseen`."""
        return tuple(SPLITS)

    def tasks(self, split: str, *, games: int | None = None, seed: int = 0) -> Sequence[Task]:
        """The tasks of a split, the families taking turns; nothing is generated yet.

        `games` takes as many of each family (give or take one), chosen by `seed`; a larger sample with the same
        seed begins with the smaller one.

        Raises:
            UnknownName: no such split.
        """
        check_split(split)
        indices = range(SPLITS[split]) if games is None else _sample(split, games, seed)
        return tuple(self._task(split, index) for index in indices)

    def _task(self, split: str, index: int) -> Task:
        family = family_of(index)
        path = game_path(self._folder, split, index)
        return Task(id=f"{split}/{index:04d}-{family}", family=family, payload={"game": str(path)})

    async def prepare(
        self, split: str, games: int | None = None, *, seed: int = 0, progress: Progress | None = None
    ) -> int:
        """Make the games of `tasks(split, games=games, seed=seed)` that are missing, on all processes at once.

        Returns:
            How many had to be made.

        Raises:
            UnknownName: no such split.
            EnvironmentFailed: a game could not be made; those made so far are kept.
        """
        paths = [Path(task.payload["game"]) for task in self.tasks(split, games=games, seed=seed)]
        missing = [path for path in paths if not is_intact(path)]
        ready = len(paths) - len(missing)
        if progress:
            progress(ready, len(paths))

        async def make(path: Path) -> None:
            nonlocal ready
            async with self._pool.lease() as worker:
                await worker.call("ensure", *split_and_index(path))
            ready += 1
            if progress:
                progress(ready, len(paths))

        try:
            async with asyncio.TaskGroup() as group:
                for path in missing:
                    group.create_task(make(path))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return len(missing)

    def environment(self) -> TextWorldEnvironment:
        """A new environment; it waits for a free worker when a game is reset."""
        return TextWorldEnvironment(self._pool)

    async def close(self) -> None:
        """Stop the workers."""
        await self._pool.close()


def _sample(split: str, games: int, seed: int) -> list[int]:
    """Indices of a seeded sample: family by family, each family's games in an order of the seed's own."""
    if games < 0:
        raise ValueError(f"games must not be negative, it is {games}")
    orders = []
    for number in range(len(FAMILIES)):
        order = list(range(number, SPLITS[split], len(FAMILIES)))
        random.Random(f"memp household sample {split} {seed} {number}").shuffle(order)
        orders.append(order)
    turns = [index for turn in zip(*orders, strict=True) for index in turn]
    return turns[:games]
