"""Grades come from the tasks' own parameters, and scores of an order are the textbook's."""

import math

import pytest

from memp.errors import EnvironmentFailed
from memp_bench.benchmarks import benchmark
from memp_bench.envs.base import Task
from memp_bench.envs.household import Household
from memp_bench.envs.travelplanner.benchmark import TravelPlanner
from memp_bench.studies.relevance import Chore, Journey, ndcg, precision, subject_of

MUG = Chore("heat", "mug", "shelf")


@pytest.mark.parametrize(
    ("other", "grade", "kind", "agrees"),
    [
        (MUG, 2.0, True, {"family", "object", "receptacle", "receptacle class", "appliance"}),
        (Chore("heat", "cup", "shelf"), 1.5, True, {"family", "receptacle", "receptacle class", "appliance"}),
        (Chore("heat", "cup", "desk"), 1.0, True, {"family", "receptacle class", "appliance"}),
        (Chore("cool", "mug", "shelf"), 1.0, False, {"object", "receptacle", "receptacle class"}),
        (Chore("put", "pen", "drawer"), 0.0, False, set()),
    ],
)
def test_chores(other, grade, kind, agrees):
    found = MUG.agreement(other)
    assert (found.grade, found.kind) == (grade, kind)
    assert {name for name, there in found.parts.items() if there} == agrees


def test_families_without_an_appliance_agree_in_needing_none():
    assert Chore("put", "mug", "shelf").agreement(Chore("put_two", "pen", "bed")).parts["appliance"]


def test_journeys():
    rooms = Journey(3, frozenset({"room_type"}), "medium", False)
    more = Journey(3, frozenset({"room_type", "cuisine"}), "hard", False)
    assert rooms.agreement(rooms).grade == 2
    assert rooms.agreement(more).grade == 1.5
    assert not rooms.agreement(more).kind
    easy = Journey(5, frozenset(), "easy", True)
    assert easy.agreement(easy._replace(days=7)).grade == 1
    assert easy.agreement(rooms).grade == 0


def test_ndcg_by_hand():
    # 2 + 0/log2(3) + 1/log2(4) = 2.5; the best order is 2, 1.5, 1: 2 + 1.5/log2(3) + 1/2
    assert ndcg([2, 0, 1], [0, 1, 1.5, 2], 3) == pytest.approx(2.5 / (2.5 + 1.5 / math.log2(3)))
    assert ndcg([2, 0, 1], [0, 1, 1.5, 2], 1) == 1
    assert ndcg([0, 0], [1, 0, 0], 2) == 0
    assert ndcg([], [1.0], 5) == 0
    assert ndcg([0.0], [0.0, 0.0], 5) == 1


def test_precision_counts_empty_places():
    assert precision([True, False, True], 1) == 1
    assert precision([True, False, True], 2) == 0.5
    assert precision([True], 5) == pytest.approx(0.2)
    assert precision([], 5) == 0


async def test_a_household_task_is_about_what_was_drawn(tmp_path):
    house = Household(workers=1, processes=1, cache=tmp_path)
    (task,) = house.tasks("seen", games=1)
    with pytest.raises(EnvironmentFailed, match="does not say"):
        subject_of(house, task)  # nobody has made the game yet
    try:
        environment = house.environment()
        opening = await environment.reset(task)
        await environment.close()
    finally:
        await house.close()
    subject = subject_of(house, task)
    assert isinstance(subject, Chore)
    assert subject.family == task.family
    assert subject.object in opening.task.split()
    assert opening.task.rstrip(".").endswith(subject.place)


def test_an_alfworld_task_is_about_what_its_folder_says():
    house = type("House", (), {"name": "alfworld"})()
    task = Task(id="valid_seen/pick_heat_then_place_in_recep-Mug-None-SideTable-21/trial_1", family="heat")
    assert subject_of(house, task) == Chore("heat", "mug", "sidetable")
    with pytest.raises(EnvironmentFailed, match="cannot be told"):
        subject_of(house, Task(id="valid_seen/other/trial_1", family="heat"))


def test_a_trip_is_about_its_days_and_constraints(tmp_path):
    bench = benchmark("travelplanner", cache=tmp_path, generated=True)
    assert isinstance(bench, TravelPlanner)
    for task in bench.tasks("train"):
        subject = subject_of(bench, task)
        assert isinstance(subject, Journey)
        assert f"{subject.level}/{subject.days}" == task.family
        assert len(subject.kinds) == bench.travel_task(task).local_constraint.count
