"""Tasks, reference information and the generated country."""

import ast
import csv
import gzip

import pytest
from travelkit import data_folder, real_tables

from memp.errors import EnvironmentFailed, UnknownName
from memp_bench.envs.travelplanner.evaluator import Evaluator
from memp_bench.envs.travelplanner.generated import country
from memp_bench.envs.travelplanner.generated_tasks import generate_tasks, write_world
from memp_bench.envs.travelplanner.loading import find_data, load_tables
from memp_bench.envs.travelplanner.metrics import summarise
from memp_bench.envs.travelplanner.reference import content, reference_information
from memp_bench.envs.travelplanner.tasks import load_tasks


@pytest.mark.parametrize(("split", "count", "asked"), [("train", 45, 105), ("validation", 180, 420)])
def test_real_splits_have_the_benchmark_sizes(split, count, asked):
    tasks = load_tasks(data_folder(), split)
    assert [task.idx for task in tasks] == list(range(1, count + 1))
    assert sum(1 + task.local_constraint.count for task in tasks) == asked
    cell = count // 9
    cells = [(task.level, task.days) for task in tasks]
    assert cells == [(level, days) for level in ("easy", "medium", "hard") for days in (3, 5, 7) for _ in range(cell)]
    assert all(task.local_constraint.count == {"easy": 0, "medium": 1, "hard": 3}[task.level] for task in tasks)
    assert all(len(task.date) == task.days for task in tasks)
    assert all(bool(task.gold_plan) is (split == "train") for task in tasks)


def test_unknown_splits_and_damaged_files_are_named(tmp_path):
    with pytest.raises(UnknownName, match=r"unknown split 'validaton'. Did you mean validation"):
        load_tasks(tmp_path, "validaton")
    with pytest.raises(EnvironmentFailed, match="test split cannot be scored here"):
        load_tasks(tmp_path, "test")
    with pytest.raises(EnvironmentFailed, match=r"neither train.jsonl.gz nor train.csv"):
        load_tasks(tmp_path, "train")
    for wrong in (b"no gzip", gzip.compress(b"{"), gzip.compress(b'{"org": "A"}'), gzip.compress(b"[1]")):
        (tmp_path / "train.jsonl.gz").write_bytes(wrong)
        with pytest.raises(EnvironmentFailed, match=r"train.jsonl.gz is damaged"):
            load_tasks(tmp_path, "train")


@pytest.mark.parametrize("folder", ["", "dataset", "data"])
def test_the_original_data_set_is_read_too(tmp_path, folder):
    world = country(0)
    tasks = generate_tasks(world, "train", per_cell=1)
    path = tmp_path / folder / "train.csv"
    path.parent.mkdir(exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        names = ["org", "dest", "days", "visiting_city_number", "date", "people_number", "local_constraint", "budget"]
        names += ["query", "level", "reference_information", "annotated_plan"]
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        for task in tasks:
            row = {name: getattr(task, name) for name in names[:-2]}
            row["date"] = str(list(task.date))
            wishes = task.local_constraint.model_dump(by_alias=True)
            row["local_constraint"] = str({name: list(v) if isinstance(v, tuple) else v for name, v in wishes.items()})
            row["reference_information"] = reference_information(task.reference_descriptions, world.tables)
            row["annotated_plan"] = str([{"org": task.org}, list(task.gold_plan)])
            writer.writerow(row)
    assert load_tasks(tmp_path, "train") == tasks


def test_reference_information_has_every_table_in_order():
    tables = real_tables()
    task = load_tasks(data_folder(), "validation")[0]
    parts = ast.literal_eval(reference_information(task.reference_descriptions, tables))
    assert [part["Description"] for part in parts] == list(task.reference_descriptions)
    assert parts[1]["Content"] == tables.restaurants.in_city("Myrtle Beach").to_string()
    labelled = ast.literal_eval(reference_information(task.reference_descriptions, tables, labels=True))
    assert labelled[1]["Content"] == tables.restaurants.in_city("Myrtle Beach").to_string(labels=True)
    assert labelled[0] == parts[0]
    assert parts[3]["Content"].startswith("Flight Number  Price DepTime")
    assert parts[4]["Content"].startswith("self-driving, from Washington to Myrtle Beach, duration: ")
    nothing = "There is no flight from Abilene to Amarillo on 2022-03-03."
    assert content("Flight from Abilene to Amarillo on 2022-03-03", tables) == nothing
    with pytest.raises(ValueError, match="not a description"):
        content("Hotels in Dallas", tables)


def test_no_reference_information_asks_for_an_unknown_leg():
    tables = load_tables(data_folder())
    for split in ("train", "validation"):
        for task in load_tasks(data_folder(), split):
            reference_information(task.reference_descriptions, tables)
    assert not tables.flights.asked_unknown


@pytest.mark.parametrize("seed", [0, 1, 7])
@pytest.mark.parametrize("mode", ["official", "strict"])
def test_in_a_generated_country_every_task_can_be_solved_within_its_budget(seed, mode):
    world = country(seed)
    tasks = generate_tasks(world, "train")
    evaluator = Evaluator(world.tables, mode)
    scores = summarise(tasks, [evaluator.judge(task, list(task.gold_plan)) for task in tasks])
    assert {rate.value for _, rate in scores} == {1.0}
    assert (scores.commonsense_micro.total, scores.hard_micro.total) == (360, 105)
    assert all(evaluator.judge(task, list(task.gold_plan)).cost > task.budget / 2 for task in tasks)


def test_a_generated_country_is_the_same_for_a_seed_and_another_for_another():
    assert country(3).rows == country(3).rows
    assert country(3).rows != country(4).rows
    tasks = generate_tasks(country(3), "validation", per_cell=2)
    assert tasks == generate_tasks(country(3), "validation", per_cell=2)
    assert len({task.query for task in tasks}) == len(tasks) == 18
    assert {task.query for task in tasks}.isdisjoint(task.query for task in generate_tasks(country(3), "train"))
    assert {task.gold_plan[0]["transportation"].partition(",")[0].partition(":")[0] for task in tasks} >= {
        "Flight Number",
        "Self-driving",
    }


def test_a_generated_world_can_be_written_and_read(tmp_path):
    folder = find_data(write_world(tmp_path, 2, per_cell={"train": 1, "validation": 2}), environ={})
    assert load_tasks(folder, "train") == generate_tasks(country(2), "train", per_cell=1)
    assert len(load_tasks(folder, "validation")) == 18
    tables = load_tables(folder)
    assert tables.restaurants.table.columns == country(2).tables.restaurants.table.columns
    assert len(tables.flights) == len(country(2).rows["flights"])
