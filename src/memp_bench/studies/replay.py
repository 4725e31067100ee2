"""Tasks played again: what a guard with `validation="replay"` asks for before a correction is served."""

from collections.abc import Mapping, Sequence

from memp.models.base import ChatModel
from memp_bench.agents.react import play
from memp_bench.envs.base import Benchmark, Task


class TaskReplay:
    """Implements `memp.update.Replay`: plays the task that `Trajectory.source` names, with the same agent.

    A source is the id of a task, as `trajectory_of` writes it, or `benchmark:id`. It works with every benchmark whose
    tasks can be set up again: ALFWorld, household, TravelPlanner (which judges a plan with its own evaluator; where the
    rules of the benchmark forbid learning from a split, do not give its tasks) and plain houses.

    Args:
        benchmark: makes the environments.
        tasks: those that may be played again.
        model: the agent.
        max_steps, temperature: as in the stream.
        success_at: reward from which a task counts as won, as in the memory.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        tasks: Sequence[Task],
        model: ChatModel,
        *,
        max_steps: int = 30,
        temperature: float | None = 1.0,
        success_at: float = 1.0,
    ) -> None:
        self._benchmark = benchmark
        self._tasks: Mapping[str, Task] = {task.id: task for task in tasks}
        self._model = model
        self._max_steps, self._temperature, self._success_at = max_steps, temperature, success_at
        self.played = 0
        """How many tasks were played again: they cost what playing costs."""

    async def play(self, source: str, recalled: str) -> bool | None:
        """See `memp.update.Replay.play`."""
        task = self._tasks.get(source) or self._tasks.get(source.partition(":")[2])
        if task is None:
            return None
        environment = self._benchmark.environment()
        try:
            episode = await play(
                environment,
                task,
                self._model,
                instructions=self._benchmark.instructions,
                example=self._benchmark.example,
                recalled=recalled,
                max_steps=self._max_steps,
                temperature=self._temperature,
            )
        finally:
            await environment.close()
        self.played += 1
        return episode.reward >= self._success_at if episode.counted else None
