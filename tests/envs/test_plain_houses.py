"""Plain houses: the expert wins, the wrong ways lose, a drift changes the ways, streams repeat."""

import pytest

from memp.errors import EnvironmentFailed, UnknownName
from memp_bench.envs.base import Benchmark, Environment, Task
from memp_bench.envs.plain import PlainHouses
from memp_bench.envs.plain.benchmark import FAMILIES, VERBS


def test_it_is_a_benchmark():
    assert isinstance(PlainHouses(), Benchmark)
    assert isinstance(PlainHouses().environment(), Environment)


async def test_who_knows_the_world_wins():
    houses = PlainHouses(3, drift_at=30)
    for number, task in enumerate(houses.tasks("stream", games=60)):
        done = await houses.record(task, houses.actions(task), f"t{number}")
        assert done.reward == 1.0
        assert task.family == FAMILIES[number % 6]
        assert not any(step.error for step in done.steps)


async def test_the_old_ways_lose_after_the_drift():
    houses = PlainHouses(3, drift_at=30)
    old = houses.ways(0)
    for task in houses.tasks("stream", games=60)[30:]:
        done = await houses.record(task, houses.actions(task, old), task.id)
        if task.family in VERBS:
            assert done.reward == 0.0
            assert any(step.error for step in done.steps)


def test_a_drift_moves_everything():
    houses = PlainHouses(5, drift_at=10)
    before, after = houses.ways(9), houses.ways(10)
    assert all(before.homes[thing] != after.homes[thing] for thing in before.homes)
    assert all(before.works[verb] != after.works[verb] for verb in VERBS)


def test_streams_repeat_and_seeds_differ():
    def seen(seed):
        houses = PlainHouses(1)
        return [houses.house(task).contents_at_first for task in houses.tasks("stream", games=12, seed=seed)]

    assert seen(0) == seen(0)
    assert seen(0) != seen(1)


async def test_what_is_no_task_is_refused():
    with pytest.raises(UnknownName):
        PlainHouses().tasks("streem")
    with pytest.raises(EnvironmentFailed, match="no task of plain houses"):
        await PlainHouses().environment().reset(Task(id="x", family="put"))
