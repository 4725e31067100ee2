"""TravelPlanner in a generated country: a benchmark that needs no data."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from memp.errors import EnvironmentFailed, MempError
from memp_bench.benchmarks import benchmark
from memp_bench.envs.travelplanner.benchmark import TravelPlanner
from memp_bench.envs.travelplanner.generated_tasks import kept_world


def made(cache: Path, **options: int) -> TravelPlanner:
    house = benchmark("travelplanner", generated=True, cache=cache, **options)  # type: ignore[arg-type]
    assert isinstance(house, TravelPlanner)
    return house


def test_it_has_the_tasks_of_the_benchmark_with_gold_plans_that_pass(tmp_path, monkeypatch):
    monkeypatch.delenv("MEMP_DATA", raising=False)
    house = made(tmp_path)
    assert {split: len(house.tasks(split)) for split in house.splits} == {"train": 45, "validation": 180}
    for task in house.tasks("train", games=9):
        travel = house.travel_task(task)
        assert house.evaluator.judge(travel, list(travel.gold_plan or ())).final_pass


def test_it_is_kept_and_of_its_seed(tmp_path):
    first = made(tmp_path).folder
    before = {file.name: file.stat().st_mtime_ns for file in first.iterdir()}
    assert made(tmp_path).folder == first
    assert {file.name: file.stat().st_mtime_ns for file in first.iterdir()} == before
    assert made(tmp_path, seed=1).folder != first
    assert sorted(p.name for p in first.parent.iterdir()) == ["v1-0", "v1-1"]  # nothing half-made is left


def test_several_may_make_it_at_once(tmp_path):
    with ThreadPoolExecutor(3) as pool:
        folders = list(pool.map(lambda _: kept_world(tmp_path), range(3)))
    assert len(set(folders)) == 1
    assert len(list(folders[0].parent.iterdir())) == 1


def test_a_cache_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFailed, match="file"):
        kept_world(tmp_path / "file")


def test_generated_and_data_contradict_each_other(tmp_path):
    with pytest.raises(MempError, match="no data"):
        benchmark("travelplanner", generated=True, data=tmp_path)
    with pytest.raises(MempError, match="household"):
        benchmark("alfworld", generated=True)
