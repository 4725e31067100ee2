"""A short run of benchmarks/drift.py: it plays, notices the change, and says how it went."""

import importlib.util
import json
from pathlib import Path

import pytest

PLACE = Path(__file__).parents[2] / "benchmarks" / "drift.py"


@pytest.fixture(scope="module")
def study():
    spec = importlib.util.spec_from_file_location("drift_study", PLACE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_a_short_stream_with_a_change(study, tmp_path, capsys):
    file = tmp_path / "run.json"
    run = await study.stream("capacity 200", seed=100, tasks=150, drift_at=100, capacity=30, save=file)
    assert len(run["won"]) == len(run["served"]) == 150
    assert run["held"][-1] <= 30
    assert run["doctor"] == []
    assert sum(run["won"][60:100]) > sum(run["won"][:40])  # it learns
    assert json.loads(file.read_text()) == run
    study.report(tmp_path, None)
    assert "run.json is left out: 150 tasks, too few after the change" in capsys.readouterr().out


def test_when_it_is_recovered(study):
    won = [1] * 600 + [0] * 100 + [1] * 400
    assert study.recovered_after(won, 600) == 290  # 190 of the last 200
    assert study.recovered_after([1] * 600 + [0] * 500, 600) is None


def test_the_stale_share(study):
    served = [[3, 3], [3, 0], [2, 1], [0, 0]]
    assert study.stale_share(served, 0, 4) == 0.5
    assert study.stale_share(served, 3, 4) == 0.0
