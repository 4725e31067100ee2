"""Expert trajectories: the offline memory of the paper's setting (Mem^p, section 3)."""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Literal, get_args

from memp.errors import EnvironmentFailed, UnknownName
from memp.records import Skipped, Step, Trajectory
from memp_bench.envs.base import Benchmark, Observation, Opening, Task
from memp_bench.envs.engine.player import read_game
from memp_bench.envs.textworld import TextWorldEnvironment, game_of

Expert = Literal["planner", "handcoded"]
"""`planner` plays the game's own walkthrough, found by a planner that sees everything; `handcoded` is ALFWorld's
expert, which searches and sometimes fails."""

Rounds = Sequence[tuple[str, Observation]]


def expert_id(benchmark: Benchmark, task: Task, expert: Expert) -> str:
    """Id of the trajectory that the expert makes of `task`."""
    return hashlib.sha256(f"expert:{expert} {benchmark.name}:{task.id}".encode()).hexdigest()[:32]


async def expert_trajectory(
    benchmark: Benchmark,
    task: Task,
    *,
    expert: Expert = "planner",
    clock: Callable[[], datetime],
    max_steps: int = 50,
) -> Trajectory:
    """What the expert does in `task`, with the reward that the environment gave (0 when the expert failed).

    The id follows from task and expert, so the same expert's play is the same record.

    Raises:
        UnknownName: no such expert.
        EnvironmentFailed: the game cannot be played, or has no walkthrough.
    """
    if expert not in get_args(Expert):
        raise UnknownName("expert", expert, get_args(Expert))
    started = clock()
    play = _planner if expert == "planner" else _handcoded
    opening, rounds = await play(benchmark, task, max_steps)
    if not rounds:
        raise EnvironmentFailed(f"the expert did nothing in {task.id}")
    source = f"{benchmark.name}:{task.id}"
    return Trajectory(
        id=expert_id(benchmark, task, expert),
        task=opening.task,
        start=opening.observation.text,
        steps=tuple(
            Step(action=action, observation=seen.text, error="agent" if seen.invalid else None)
            for action, seen in rounds
        ),
        reward=rounds[-1][1].reward,
        agent=f"expert:{expert}",
        source=source,
        tags={"family": task.family},
        started_at=started,
        finished_at=clock(),
    )


async def expert_trajectories(
    benchmark: Benchmark,
    tasks: Sequence[Task],
    *,
    expert: Expert = "planner",
    clock: Callable[[], datetime],
    max_steps: int = 50,
    done: Callable[[], object] = lambda: None,
) -> tuple[list[Trajectory], list[Skipped]]:
    """The successful trajectories of the expert, in the order of `tasks`, and what was left out and why.

    As many run at once as the benchmark has slots. `done` is called after each task.
    """

    async def one(task: Task) -> Trajectory | Skipped:
        try:
            played = await expert_trajectory(benchmark, task, expert=expert, clock=clock, max_steps=max_steps)
        except EnvironmentFailed as error:
            return Skipped(subject=task.id, reason=str(error))
        finally:
            done()
        if played.reward < 1.0:
            return Skipped(subject=task.id, reason=f"the expert failed after {len(played.steps)} steps")
        return played

    results = await asyncio.gather(*(one(task) for task in tasks))
    return (
        [result for result in results if isinstance(result, Trajectory)],
        [result for result in results if isinstance(result, Skipped)],
    )


async def _planner(benchmark: Benchmark, task: Task, max_steps: int) -> tuple[Opening, Rounds]:
    environment = benchmark.environment()
    rounds: list[tuple[str, Observation]] = []
    try:
        opening = await environment.reset(task)
        game = game_of(task)
        plan = read_game(game).get("walkthrough")  # after the reset: generated games are made by it
        if not isinstance(plan, list) or not plan:
            raise EnvironmentFailed(f"game {game} has no walkthrough")
        for action in plan[:max_steps]:
            rounds.append((str(action), await environment.step(str(action))))
            if rounds[-1][1].done:
                break
    finally:
        await environment.close()
    return opening, rounds


async def _handcoded(benchmark: Benchmark, task: Task, max_steps: int) -> tuple[Opening, Rounds]:
    environment = benchmark.environment()
    if not isinstance(environment, TextWorldEnvironment):
        raise EnvironmentFailed(f"the hand-coded expert plays ALFWorld's games, not those of {benchmark.name}")
    return await environment.handcoded(task, max_steps)
