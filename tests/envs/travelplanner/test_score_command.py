"""`memp score travelplanner`."""

import json

import pytest
from click.testing import CliRunner
from travelkit import data_folder

from memp_bench.cli import main
from memp_bench.envs.travelplanner.generated_tasks import write_world
from memp_bench.envs.travelplanner.tasks import load_tasks


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return write_world(tmp_path_factory.mktemp("world"), 0, per_cell={"train": 1, "validation": 2})


@pytest.fixture
def gold(world, tmp_path):
    """The gold plans of the generated validation tasks, as a file; the third is spoilt."""
    lines = [
        {"idx": task.idx, "query": task.query, "plan": list(task.gold_plan)} for task in load_tasks(world, "validation")
    ]
    lines[2]["plan"][0]["accommodation"] = {"name": "no text"}
    lines[4]["plan"][0]["dinner"] = lines[4]["plan"][1]["dinner"]
    path = tmp_path / "plans.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines))
    return path


def score(*args):
    return CliRunner().invoke(main, ["score", "travelplanner", *map(str, args)])


def test_the_table_has_the_six_metrics_and_every_constraint(gold, world):
    result = score(gold, "--data", world)
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.output.splitlines()]
    assert ["Delivery", "Rate", "100.00", "18/18"] in lines
    assert ["Final", "Pass", "Rate", "88.89", "16/18"] in lines
    assert ["Diverse", "Restaurants", "94.44", "17/18"] in lines
    assert ["Budget", "94.44", "17/18"] in lines


def test_explain_names_each_failed_check(gold, world):
    result = score(gold, "--data", world, "--explain", "--mode", "strict")
    parts = result.output.split("\nplan ")
    assert parts[1].startswith("1: passes, $")
    assert "form: day 1: 'accommodation' is a dict, not a text" in parts[3]
    assert "Complete Information: No accommodation in day 1 is not allowed." in parts[3]
    assert "Diverse Restaurants: The restaurant in day 2 dinner is repeated." in parts[5]


def test_json_is_one_object_with_every_verdict(gold, world):
    made = json.loads(score(gold, "--data", world, "--json").stdout)
    assert made["scores"]["delivery"] == {"passed": 18, "total": 18, "rate": 1.0}
    assert [plan["idx"] for plan in made["verdicts"] if not plan["final_pass"]] == [3, 5]
    broken = made["verdicts"][4]["commonsense"]["is_valid_restaurants"]
    assert broken == {"passed": False, "message": "The restaurant in day 2 dinner is repeated."}
    assert made["verdicts"][2]["error"].startswith("TypeError")
    assert (made["mode"], made["split"], made["notes"]) == ("official", "validation", [])


def test_what_is_wrong_with_a_file_is_said_beside_the_scores(gold, world):
    lines = gold.read_text().splitlines()
    gold.write_text("\n".join([lines[1], "{", *lines[2:9]]))
    result = score(gold, "--data", world)
    assert result.exit_code == 0
    assert "line 2 is not JSON" in result.stderr
    assert "9 lines for 18 tasks: the other 9 count as not delivered" in result.stderr
    assert "line 1: its query is not that of task 1" in result.stderr
    assert "8/18" in result.stdout


def test_errors_are_one_line(gold, world, tmp_path):
    for args, said in [
        ((tmp_path / "none.jsonl", "--data", world), "cannot read the plans in"),
        ((gold, "--data", tmp_path / "nowhere"), "no TravelPlanner tables"),
        ((gold, "--data", world, "--split", "tain"), "unknown split 'tain'. Did you mean train"),
    ]:
        result = score(*args)
        assert result.exit_code == 1
        assert said in result.stderr
        assert "Traceback" not in result.output
    assert CliRunner().invoke(main, ["score", "alfworld", str(gold)]).exit_code == 2


def test_real_gold_plans_score_full_marks(tmp_path):
    path = tmp_path / "gold.jsonl"
    lines = [{"idx": task.idx, "plan": list(task.gold_plan)} for task in load_tasks(data_folder(), "train")]
    path.write_text("\n".join(json.dumps(line) for line in lines))
    made = json.loads(score(path, "--split", "train", "--data", data_folder(), "--json").stdout)
    assert {name: rate["rate"] for name, rate in made["scores"].items()} == dict.fromkeys(made["scores"], 1.0)
    assert made["notes"] == []
