from collections import Counter

import pytest
from travelkit import data_folder, plan_text

from memp.errors import EnvironmentFailed, UnknownName
from memp.testing.chat import ScriptedChat
from memp_bench.agents.react import play
from memp_bench.benchmarks import benchmark as benchmark_by_name
from memp_bench.envs.base import Benchmark
from memp_bench.envs.travelplanner import prompts
from memp_bench.envs.travelplanner.benchmark import TravelPlanner


@pytest.fixture(scope="module")
def benchmark():
    return TravelPlanner(data_folder(), planner=ScriptedChat([]))


def test_it_is_a_benchmark_of_225_tasks(benchmark):
    assert isinstance(benchmark, Benchmark)
    assert (benchmark.name, tuple(benchmark.splits), benchmark.example) == (
        "travelplanner",
        ("train", "validation"),
        "",
    )
    train, validation = benchmark.tasks("train"), benchmark.tasks("validation")
    assert (train[0].id, train[0].family, train[-1].id, train[-1].family) == ("train/1", "easy/3", "train/45", "hard/7")
    assert Counter(task.family for task in train) == dict.fromkeys(
        (f"{level}/{days}" for level in ("easy", "medium", "hard") for days in (3, 5, 7)), 5
    )
    assert len({task.id for task in validation}) == len(validation) == 180


def test_a_task_says_nothing_but_its_name_and_kind(benchmark):
    assert all(task.payload == {} for task in benchmark.tasks("validation"))


def test_samples_take_every_family_and_grow(benchmark):
    small, large = (benchmark.tasks("validation", games=games, seed=3) for games in (9, 40))
    assert len({task.family for task in small}) == 9
    assert large[:9] == small
    assert max(Counter(task.family for task in large).values()) == 5
    assert benchmark.tasks("validation", games=9, seed=4) != small
    assert len(benchmark.tasks("train", games=1000)) == 45
    with pytest.raises(ValueError, match="negative"):
        benchmark.tasks("train", games=-1)


def test_unknown_names_are_named():
    for options in ({"mode": "two_stage"}, {"strategy": "reflexion"}):
        with pytest.raises(UnknownName):
            TravelPlanner(**options)
    with pytest.raises(UnknownName):
        TravelPlanner(data_folder()).tasks("test")


def test_it_is_known_by_name():
    found = benchmark_by_name("travelplanner", data=data_folder(), mode="sole-planning", strategy="cot")
    assert (found.name, found.instructions) == ("travelplanner", prompts.PLANNER_COT)
    with pytest.raises(UnknownName, match="two-stage"):
        benchmark_by_name("travelplanner", mode="two-stages")


def test_a_folder_without_data_is_named(tmp_path):
    with pytest.raises(EnvironmentFailed, match="no TravelPlanner tables"):
        TravelPlanner(tmp_path).tasks("train")


async def test_a_task_that_is_not_there_is_named(benchmark):
    task = benchmark.tasks("train")[0].model_copy(update={"id": "train/46"})
    with pytest.raises(EnvironmentFailed, match="train/46"):
        await benchmark.environment().reset(task)


def test_two_stage_needs_a_planner_when_it_is_played():
    benchmark = TravelPlanner(data_folder())
    assert len(benchmark.tasks("train")) == 45
    with pytest.raises(EnvironmentFailed, match="planner"):
        benchmark.environment()
    benchmark.plan_with(ScriptedChat([]))
    assert benchmark.environment() is not benchmark.environment()


def test_the_data_is_found_by_the_environment_variable():
    environ = {"MEMP_DATA": str(data_folder().parent)}
    assert TravelPlanner(environ=environ).folder == data_folder()


def test_instructions_fit_the_mode_and_name_every_tool():
    told = {
        TravelPlanner(mode="sole-planning", strategy=strategy).instructions for strategy in ("direct", "cot", "react")
    }
    assert told == {prompts.PLANNER, prompts.PLANNER_COT, prompts.PLANNER_REACT}
    agent = TravelPlanner().instructions
    for tool in ("FlightSearch", "GoogleDistanceMatrix", "AccommodationSearch", "RestaurantSearch", "AttractionSearch"):
        assert f"{tool}[" in agent
    for tool in ("CitySearch", "NotebookWrite", "Planner"):
        assert f"{tool}[" in agent


def test_no_prompt_hints_at_what_the_evaluator_checks():
    """The authors forbid cues written by hand."""
    for text in (prompts.AGENT, prompts.PLANNER, prompts.PLANNER_COT, prompts.PLANNER_REACT):
        for cue in (
            "minimum night",
            "repeat a",
            "same restaurant",
            "closed circle",
            "must return",
            "stay within the budget",
        ):
            assert cue not in text.lower()


async def test_every_train_task_can_be_played_to_a_final_pass_in_sole_planning():
    benchmark = TravelPlanner(data_folder(), "sole-planning")
    for task in benchmark.tasks("train"):
        gold = plan_text(benchmark.travel_task(task).gold_plan)
        agent = ScriptedChat([gold])
        episode = await play(benchmark.environment(), task, agent, instructions=benchmark.instructions)
        assert (episode.reward, episode.success) == (1.0, True), (task.id, episode.verdict)
        assert benchmark.travel_task(task).query == episode.task
        assert "Description" in agent.calls[0].messages[1].content
    assert benchmark.unknown_legs == 0
    await benchmark.close()
