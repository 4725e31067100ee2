"""The real ALFWorld games on the real engine: splits, experts, episodes."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio

from memp.errors import EnvironmentFailed, UnknownName
from memp.records import Trajectory
from memp_bench.envs.alfworld import AlfWorld
from memp_bench.envs.base import Benchmark, Environment, Task
from memp_bench.envs.expert import expert_trajectories, expert_trajectory

pytest.importorskip("alfworld")
pytestmark = [pytest.mark.engine, pytest.mark.asyncio(loop_scope="module")]


def clock() -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(games_data: Path, games_cache: Path) -> AsyncIterator[AlfWorld]:
    bench = AlfWorld(games_data, cache=games_cache, workers=4)
    yield bench
    await bench.close()


async def test_the_splits_are_complete(games_data: Path, games_cache: Path) -> None:
    bench: Benchmark = AlfWorld(games_data, cache=games_cache)
    tasks = bench.tasks("valid_seen")
    assert len({task.id for task in tasks}) == 140
    families = Counter(task.family for task in tasks)
    assert families == {"put": 35, "clean": 27, "cool": 25, "put_two": 24, "heat": 16, "examine": 13}


async def test_experts(bench: AlfWorld) -> None:
    tasks = bench.tasks("valid_seen", games=3, seed=2)
    good, skipped = await expert_trajectories(bench, tasks, clock=clock)
    assert [trajectory.source for trajectory in good] == [f"alfworld:{task.id}" for task in tasks]
    assert not skipped
    for trajectory, task in zip(good, tasks, strict=True):
        assert trajectory.reward == 1.0
        assert trajectory.agent == "expert:planner"
        assert trajectory.tags == {"family": task.family}
        assert trajectory.start.startswith("You are in the middle of a room.")
        assert "Your task is to" not in trajectory.task + trajectory.start
        assert not any(step.error for step in trajectory.steps)
    again = await expert_trajectory(bench, tasks[0], clock=clock)
    assert again == good[0]


async def test_the_handcoded_expert_searches_and_may_fail(bench: AlfWorld) -> None:
    tasks = bench.tasks("valid_seen", games=6, seed=2)
    good, skipped = await expert_trajectories(bench, tasks, expert="handcoded", clock=clock)
    assert len(good) + len(skipped) == 6
    assert good
    assert all(trajectory.steps[0].action == "look" for trajectory in good)
    assert all("the expert failed after" in one.reason for one in skipped)
    assert isinstance(good[0], Trajectory)
    same = next(task for task in tasks if good[0].source.endswith(task.id))
    assert await expert_trajectory(bench, same, expert="handcoded", clock=clock) == good[0]


async def test_an_episode(bench: AlfWorld) -> None:
    environment: Environment = bench.environment()
    with pytest.raises(EnvironmentFailed, match="step before reset"):
        await environment.step("look")
    task = bench.tasks("valid_seen", games=1)[0]
    opening = await environment.reset(task)
    assert opening.task.endswith(".")
    assert opening.observation.admissible
    assert (await environment.step("dance")).invalid
    place = next(command for command in opening.observation.admissible if command.startswith("go to "))
    arrived = await environment.step(place)
    assert arrived.text.startswith(("On the ", "The "))
    assert not arrived.invalid
    assert (arrived.reward, arrived.done) == (0.0, False)
    assert (await environment.reset(task)) == opening
    await environment.close()
    await environment.close()


async def test_a_game_lost_meanwhile_is_named_and_others_go_on(bench: AlfWorld, tmp_path: Path) -> None:
    environment = bench.environment()
    gone = Task(id="gone", family="put", payload={"game": str(tmp_path / "gone.tw-pddl")})
    with pytest.raises(EnvironmentFailed, match=r"gone\.tw-pddl"):
        await environment.reset(gone)
    with pytest.raises(EnvironmentFailed, match="task empty names no game"):
        await environment.reset(Task(id="empty", family="put"))
    assert (await environment.reset(bench.tasks("dev", games=1)[0])).task
    await environment.close()


async def test_unknown_expert(bench: AlfWorld) -> None:
    with pytest.raises(UnknownName, match="Did you mean planner"):
        await expert_trajectory(bench, Task(id="x", family="put"), expert="planer", clock=clock)  # type: ignore[arg-type]
