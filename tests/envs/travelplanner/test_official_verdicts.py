"""The real test: every recorded verdict of the official evaluator, check by check and word by word."""

import time
from collections import Counter

import pytest
from travelkit import data_folder, real_tables, recorded

from memp_bench.envs.travelplanner.evaluator import Evaluator
from memp_bench.envs.travelplanner.metrics import summarise
from memp_bench.envs.travelplanner.tasks import load_tasks

FILES = {
    "train_gpt4_sole_planning_scored": (180, 1),
    "validation_gpt35_mistral7b_scored": (1980, 20),
    "validation_gemini_two_stage_trajectories": (180, 1),
}
"""Number of plans, and every how many of them the quick test takes."""


@pytest.fixture(scope="module")
def evaluator():
    return Evaluator(real_tables())


@pytest.fixture(scope="module")
def tasks():
    return {split: load_tasks(data_folder(), split) for split in ("train", "validation")}


def compare(rows, tasks, evaluator):
    """Count plans by what was recorded; every difference is an assertion."""
    kinds = Counter()
    for row in rows:
        verdict = evaluator.judge(tasks[row["set"]][row["idx"] - 1], row["plan"])
        official = row["eval"]
        where = (row["set"], row["idx"], row.get("model"), row.get("strategy"), row.get("run"))
        if official is None:
            kinds["not delivered"] += 1
            assert not verdict.delivered, where
            continue
        if "error" in official:
            kinds["malformed"] += 1
            assert verdict.error == official["error"], where
            continue
        kinds["judged"] += 1
        assert verdict.error is None, where
        assert as_recorded(verdict.commonsense) == official["commonsense"], where
        assert as_recorded(verdict.hard) == official["hard"], where
        for name in ("commonsense_pass", "hard_pass", "final_pass"):
            assert getattr(verdict, name) == official[name], where
    return kinds


def as_recorded(checks):
    return checks and {name: [check.passed, check.message] for name, check in checks.items()}


@pytest.mark.parametrize("name", FILES)
def test_a_sample_of_recorded_verdicts_is_reproduced(name, tasks, evaluator):
    count, every = FILES[name]
    kinds = compare(recorded(name)[::every], tasks, evaluator)
    assert kinds["judged"] > 50
    assert sum(kinds.values()) == count // every


@pytest.mark.slow
def test_all_1980_validation_plans_get_the_official_verdict(tasks, evaluator):
    kinds = compare(recorded("validation_gpt35_mistral7b_scored"), tasks, evaluator)
    assert kinds == {"judged": 1945, "malformed": 2, "not delivered": 33}


def test_gold_train_plans_pass_everything(tasks, evaluator):
    verdicts = [evaluator.judge(task, list(task.gold_plan)) for task in tasks["train"]]
    scores = summarise(tasks["train"], verdicts)
    assert [(rate.passed, rate.total) for _, rate in scores] == [
        (45, 45),
        (360, 360),
        (45, 45),
        (105, 105),
        (45, 45),
        (45, 45),
    ]


def test_strictly_one_gold_plan_visits_attractions_in_other_cities(tasks):
    strict = Evaluator(real_tables(), "strict")
    verdicts = [strict.judge(task, list(task.gold_plan)) for task in tasks["train"]]
    broken = {verdict.idx: verdict.failures for verdict in verdicts if not verdict.final_pass}
    where = "The attraction in day 4 is invalid city choice."  # in San Angelo, while the day is in San Antonio
    assert broken == {42: {"is_valid_information_in_current_city": where}}


def test_a_split_is_scored_quickly(tasks, evaluator):
    plans = [row["plan"] for row in recorded("validation_gpt35_mistral7b_scored")[:180]]
    times = []
    for _ in range(3):
        start = time.process_time()
        for task, plan in zip(tasks["validation"], plans, strict=True):
            evaluator.judge(task, plan)
        times.append(time.process_time() - start)
    assert min(times) < 0.3
