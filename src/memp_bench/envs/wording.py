"""A benchmark whose tasks are put in other words: to see what retrieval loses when people talk otherwise.

    bench = Reworded(benchmark("alfworld"), "judge")

The engine's own words (observations, commands) stay as they are. Which words a task gets depends on the wording and the
task's id only.
"""

from collections.abc import Sequence
from typing import Any

from memp.errors import UnknownName
from memp_bench.envs.base import Benchmark, Environment, Observation, Opening, Task
from memp_bench.envs.travelplanner.benchmark import TravelPlanner
from memp_bench.envs.wordings import WORDINGS, household, load, travel

__all__ = ["WORDINGS", "Reworded", "RewordedGames", "reworded"]


def reworded(benchmark: Benchmark, wording: str) -> Benchmark:
    """`benchmark` with its tasks in the words of `wording`; all else of it (metrics, planner, judge) is as it was.

    Raises:
        UnknownName: there is no such wording.
    """
    load(wording)
    if isinstance(benchmark, TravelPlanner):
        return benchmark.reworded(lambda id, task: travel.reword(wording, task, id))
    return RewordedGames(benchmark, wording)


Reworded = reworded


class RewordedGames:
    """Household games in other words. What a benchmark has beside the protocol is passed through.

    Args:
        benchmark: `AlfWorld`, `Household`, or any with ALFWorld's sentences. Closing this closes it.
        wording: one of `WORDINGS`.
    """

    def __init__(self, benchmark: Benchmark, wording: str) -> None:
        if wording not in WORDINGS:
            raise UnknownName("wording", wording, WORDINGS)
        self.plain, self.wording = benchmark, wording

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "plain":  # while it is being copied or unpickled
            raise AttributeError(name)
        return getattr(self.plain, name)

    @property
    def name(self) -> str:
        """The benchmark's own."""
        return self.plain.name

    @property
    def instructions(self) -> str:
        """The benchmark's own."""
        return self.plain.instructions

    @property
    def example(self) -> str:
        """The benchmark's own."""
        return self.plain.example

    @property
    def splits(self) -> Sequence[str]:
        """The benchmark's own."""
        return self.plain.splits

    def tasks(self, split: str, *, games: int | None = None, seed: int = 0) -> Sequence[Task]:
        """The benchmark's own: a task keeps its id.

        Raises:
            UnknownName: no such split.
        """
        return self.plain.tasks(split, games=games, seed=seed)

    def environment(self) -> "RewordedEnvironment":
        """A new environment."""
        return RewordedEnvironment(self.plain.environment(), self.wording)

    async def close(self) -> None:
        """Close the benchmark."""
        await self.plain.close()


class RewordedEnvironment:
    """A text game that says its task in other words."""

    def __init__(self, environment: Environment, wording: str) -> None:
        self._environment, self._wording = environment, wording

    async def reset(self, task: Task) -> Opening:
        """Set the task up and say it in other words.

        Raises:
            EnvironmentFailed: it could not be set up, or its sentence is none of ALFWorld's.
        """
        opening = await self._environment.reset(task)
        return opening.model_copy(update={"task": household.reword(self._wording, opening.task, task.id)})

    async def step(self, action: str) -> Observation:
        """Do `action`.

        Raises:
            EnvironmentFailed: the environment failed.
        """
        return await self._environment.step(action)

    async def close(self) -> None:
        """End the episode."""
        await self._environment.close()
