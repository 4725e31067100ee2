"""What each task adds to the six metrics, on a generated country."""

import json

import pytest

from memp_bench.envs.base import Measures, MeasuresTasks
from memp_bench.envs.travelplanner.benchmark import TravelPlanner
from memp_bench.envs.travelplanner.generated_tasks import write_world
from memp_bench.envs.travelplanner.metrics import METRICS


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory):
    return TravelPlanner(write_world(tmp_path_factory.mktemp("world"), per_cell={"train": 1, "validation": 1}))


@pytest.fixture(scope="module")
def products(benchmark):
    """Perfect plans, one without its accommodations, one not delivered."""
    made = {t.id: [*(benchmark.travel_task(t).gold_plan or ())] for t in benchmark.tasks("train")}
    ids = list(made)
    made[ids[1]] = [{**day, "accommodation": "-"} for day in made[ids[1]]]
    return {id: "" if id == ids[0] else json.dumps(plan) for id, plan in made.items()}


def test_summed_up_they_are_the_metrics(benchmark, products):
    assert isinstance(benchmark, Measures)
    assert isinstance(benchmark, MeasuresTasks)
    rates = benchmark.rates(products)
    summed = {
        name: sum(each[name].passed for each in rates.values()) / sum(each[name].total for each in rates.values())
        for name in METRICS
    }
    assert summed == pytest.approx(benchmark.measure(products))
    assert all(0 < value < 1 for value in summed.values())


def test_each_task_speaks_for_itself(benchmark, products):
    rates = benchmark.rates(products)
    lost, damaged, good = list(rates.values())[:3]
    assert list(lost) == list(METRICS)
    assert all(rate.passed == 0 and rate.total >= 1 for rate in lost.values())
    assert (damaged["delivery"].value, damaged["final"].value) == (1, 0)
    assert 0 < damaged["commonsense_micro"].passed < damaged["commonsense_micro"].total == 8
    assert all(rate.value == 1 for rate in good.values())
    only = list(products)[2]
    assert benchmark.rates({only: products[only]}) == {only: good}
    assert benchmark.rates({}) == {}
