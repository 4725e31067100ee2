"""Offline memory: expert trajectories of a train split, recorded and built into procedures."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime

from memp.errors import EnvironmentFailed
from memp.memory import AsyncProceduralMemory
from memp.records import Receipt, Skipped, Trajectory, now
from memp_bench.envs.base import Benchmark, Task
from memp_bench.envs.expert import Expert, expert_id, expert_trajectory
from memp_bench.envs.slots import PoolUnfit, SlotLost
from memp_bench.studies.journal import left
from memp_bench.studies.players import ATTEMPTS, Interrupted

CHUNK = 50
"""Trajectories between two updates."""


async def learn(
    memory: AsyncProceduralMemory,
    benchmark: Benchmark,
    tasks: Sequence[Task],
    *,
    expert: Expert = "planner",
    only_success: bool = True,
    clock: Callable[[], datetime] = now,
    on_task: Callable[[str], None] = lambda note: None,
) -> tuple[list[Receipt], list[Skipped]]:
    """Let the expert play `tasks`, record what it did, and build procedures from it.

    What was recorded before is not played again, so an interrupted call is repeated. Memory is the same whatever
    the order in which games finish.

    Raises:
        Interrupted: the model that writes procedures could not be asked, or the machines that games are played on
            went away; what was recorded waits in the memory.

    Returns:
        The receipts of the updates, and the tasks that gave nothing, with the reason.
    """
    receipts: list[Receipt] = []
    skipped: list[Skipped] = []

    async def one(task: Task) -> Trajectory | Skipped | None:
        try:
            if memory.store.trajectory(memory.namespace, expert_id(benchmark, task, expert)) is not None:
                return None
            played = await _played(benchmark, task, expert, clock)
        except SlotLost as error:
            raise Interrupted(f"{error}. Nothing is lost; repeat the command to go on") from None
        except PoolUnfit as error:
            raise Interrupted(f"{error}. Repeat the command when this is mended", hopeless=True) from None
        except EnvironmentFailed as error:
            return Skipped(subject=task.id, reason=str(error))
        if only_success and not memory.succeeded(played):
            return Skipped(subject=task.id, reason=f"the expert failed in {len(played.steps)} steps")
        return played

    async def noted(task: Task) -> Trajectory | Skipped | None:
        played = await one(task)
        on_task(task.family)
        return played

    for start in range(0, len(tasks), CHUNK):
        async with asyncio.TaskGroup() as group:
            for done in [group.create_task(noted(task)) for task in tasks[start : start + CHUNK]]:
                played = await done
                if isinstance(played, Skipped):
                    skipped.append(played)
                elif played is not None:
                    await memory.record(played)
        receipts.append(await _update(memory))
    return receipts, skipped


async def _played(benchmark: Benchmark, task: Task, expert: Expert, clock: Callable[[], datetime]) -> Trajectory:
    """What the expert does; played again where the machine under it goes away."""
    for _ in range(ATTEMPTS - 1):
        with suppress(SlotLost):
            return await expert_trajectory(benchmark, task, expert=expert, clock=clock)
    return await expert_trajectory(benchmark, task, expert=expert, clock=clock)


async def remember(memory: AsyncProceduralMemory, trajectories: Sequence[Trajectory]) -> list[Receipt]:
    """Record trajectories that are there already, and build procedures from them; what is known is left alone.

    Raises:
        Interrupted: as `learn`.
    """
    receipts = []
    for start in range(0, len(trajectories), CHUNK):
        for trajectory in trajectories[start : start + CHUNK]:
            if memory.store.trajectory(memory.namespace, trajectory.id) is None:
                await memory.record(trajectory)
        receipts.append(await _update(memory))
    return receipts


async def _update(memory: AsyncProceduralMemory) -> Receipt:
    receipt = await memory.update()
    if waiting := [item for item in receipt.skipped if left(item.reason)]:
        raise Interrupted(
            f"{len(waiting)} trajectories could not be learned from: {waiting[0].reason}. Nothing is lost; repeat "
            "the command to go on"
        )
    return receipt
