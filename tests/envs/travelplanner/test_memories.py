"""Plans become trajectories and memories: what was wrong with them stays readable."""

import gzip
import json
from contextlib import closing

import pytest
from click.testing import CliRunner
from travelkit import data_folder

from memp.errors import MempError, RecordError
from memp.memory import AsyncProceduralMemory
from memp.models.metered import Meter
from memp.render import render_trajectory
from memp.stores.sqlite import SqliteStore
from memp_bench.cli import main, parts
from memp_bench.envs.travelplanner.benchmark import TravelPlanner
from memp_bench.envs.travelplanner.generated_tasks import write_world
from memp_bench.envs.travelplanner.memories import HAND_IN, gold_trajectories, learnable, plan_trajectories
from memp_bench.envs.travelplanner.memories import trajectory_of_plan as of_plan
from memp_bench.envs.travelplanner.plans import read_plans
from memp_bench.studies.config import RunConfig
from memp_bench.studies.homes import Spot
from memp_bench.studies.learn import remember


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return write_world(tmp_path_factory.mktemp("world"), per_cell={"train": 1, "validation": 1})


@pytest.fixture(scope="module")
def bench(world):
    return TravelPlanner(world, "sole-planning")


@pytest.fixture
def hard(bench):
    """The hardest task of 3 days."""
    return next(t for t in map(bench.travel_task, bench.tasks("train")) if (t.level, t.days) == ("hard", 3))


def repeated(travel):
    """The gold plan with the first meal eaten twice, on the second day."""
    days = [dict(day) for day in travel.gold_plan if day]
    meal = next(day[m] for day in days for m in ("breakfast", "lunch", "dinner") if day[m] != "-")
    days[1]["breakfast"], days[1]["lunch"] = meal, meal
    return days


def plans_file(path, lines):
    text = "\n".join(json.dumps(line) for line in lines)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def test_gold_plans_are_whole_and_without_objection(bench):
    tasks = bench.tasks("train")
    gold = list(gold_trajectories(bench, tasks))

    assert [t.source for t in gold] == [f"travelplanner:{task.id}" for task in tasks]
    for made, travel in zip(gold, map(bench.travel_task, tasks), strict=True):
        assert made.reward == 1.0
        assert made.task == travel.query
        assert len(made.steps) == travel.days + 1
        assert made.steps[-1].action == HAND_IN
        assert not any(step.feedback for step in made.steps)
        assert made.steps[0].action.startswith("Day 1:\nCurrent City: from ")
        assert made.tags == {"family": f"{travel.level}/{travel.days}"}


def test_a_broken_plan_says_on_the_day_and_on_the_whole_what_was_wrong(bench, hard):
    made = of_plan(bench, hard, repeated(hard), agent="somebody")

    said = made.steps[1].feedback
    assert said.startswith("Diverse Restaurants: The restaurant in day 2 ")
    assert said in made.feedback.splitlines()
    assert not made.steps[0].feedback
    checks = bench.evaluator.judge(hard, repeated(hard)).checks
    assert made.reward == pytest.approx(sum(c.passed is True for c in checks.values()) / 12)
    assert made.reward < 1


def test_facts_are_the_slots_of_the_task(bench, hard):
    made = of_plan(bench, hard, hard.gold_plan, agent="x")

    assert made.facts["from"] == hard.org.lower()
    assert made.facts["budget"] == str(hard.budget)
    assert made.facts["people"] == str(hard.people_number)
    wishes = {"house rule", "cuisine", "room type", "transportation"} & set(made.facts)
    assert len(wishes) == 3
    assert of_plan(bench, hard, hard.gold_plan, agent="x", facts=False).facts == {}


def test_facts_use_the_names_that_rules_read_from_a_query(bench, hard):
    from memp.build.facts import facts_by_rule

    read = facts_by_rule(hard.query)

    assert {"from", "budget", "people"} <= set(read) & set(of_plan(bench, hard, hard.gold_plan, agent="x").facts)


def test_the_same_plan_is_the_same_trajectory_and_another_agents_is_not(bench, hard):
    first, again = (of_plan(bench, hard, hard.gold_plan, agent="x") for _ in range(2))

    assert first == again
    assert of_plan(bench, hard, hard.gold_plan, agent="y").id != first.id


@pytest.mark.parametrize(
    ("plan", "why"),
    [
        (None, "nothing was delivered"),
        ([], "nothing was delivered"),
        ("no plan", "nothing was delivered"),
        ([{"dinner": {"name": "x"}}], "'dinner' must be a string, it is dict"),
        (["day one"], "day 1 must be an object"),
        ({"day": 1}, "a plan is a list"),
    ],
)
def test_what_is_no_plan_says_why(bench, hard, plan, why):
    with pytest.raises(RecordError, match=why):
        of_plan(bench, hard, plan, agent="x")


def test_files_of_plans_are_kept_above_a_reward_and_the_rest_is_named(bench, hard, tmp_path):
    file = plans_file(
        tmp_path / "others.jsonl.gz",
        [
            {"idx": hard.idx, "query": hard.query, "plan": hard.gold_plan},
            {"idx": 1, "query": hard.query, "plan": str(repeated(hard))},  # the query says which task it is
            {"idx": hard.idx, "plan": repeated(hard)[:1]},
            {"idx": hard.idx, "query": "", "plan": None},
            {"idx": 999, "query": "another", "plan": hard.gold_plan},
        ],
    )
    tasks = bench.tasks("train")

    kept, skipped = plan_trajectories(bench, tasks, read_plans(file), source="others")
    every, _ = plan_trajectories(bench, tasks, read_plans(file), source="others", above=None)

    assert kept[0].reward == 1.0
    assert 0.8 < kept[1].reward < 1
    assert len(kept) == 2
    assert {t.task for t in every} == {hard.query}
    assert len(every) == 3
    reasons = {item.subject: item.reason for item in skipped}
    assert "its reward is not above 0.8" in reasons["others, line 3"]
    assert "nothing was delivered" in reasons["others, line 4"]
    assert "of no train task" in reasons["others, line 5"]


def test_only_the_chosen_tasks_are_learned(bench, hard, tmp_path):
    file = plans_file(tmp_path / "p.jsonl", [{"idx": hard.idx, "query": hard.query, "plan": hard.gold_plan}])
    others = [task for task in bench.tasks("train") if bench.travel_task(task) != hard]

    kept, _ = learnable(bench, others, [file])

    assert len(kept) == len(others)
    assert hard.query not in {t.task for t in kept}


def test_nobody_learns_from_validation(bench, tmp_path):
    validation = bench.tasks("validation")
    with pytest.raises(MempError, match="allow it on train only"):
        learnable(bench, validation)
    travel = bench.travel_task(validation[0])
    file = plans_file(tmp_path / "v.jsonl", [{"idx": 900, "query": travel.query, "plan": travel.gold_plan}])
    with pytest.raises(MempError, match="has no plan for a task of train"):
        learnable(bench, bench.tasks("train"), [file], gold=False)
    with pytest.raises(MempError, match="nothing to learn from"):
        learnable(bench, bench.tasks("train"), gold=False)


@pytest.mark.parametrize("build", ["trajectory", "script", "proceduralization"])
async def test_every_build_of_a_failed_plan_tells_which_rule_it_broke(bench, hard, tmp_path, build):
    failed = of_plan(bench, hard, repeated(hard), agent="x")
    async with AsyncProceduralMemory(tmp_path / "m.db", build=build, update="vanilla", retrieve="query") as memory:
        await remember(memory, [failed])
        await remember(memory, [failed])  # known by now
        text = (await memory.retrieve(hard.query)).render()

    assert text.count("<procedure") == 1
    assert "Diverse Restaurants: The restaurant in day 2" in text


async def test_a_failure_on_train_corrects_the_procedures_that_took_part(bench, hard, tmp_path):
    gold = of_plan(bench, hard, hard.gold_plan, agent="x")
    async with AsyncProceduralMemory(tmp_path / "m.db", update="adjustment", success_at=0.95) as memory:
        await remember(memory, [gold])
        recall = await memory.retrieve(hard.query)
        await memory.record(of_plan(bench, hard, repeated(hard), agent="x"), recall)
        receipt = await memory.update()
        text = (await memory.retrieve(hard.query)).render()

    assert [number for _, number in receipt.revised] == [2]
    assert "the judge said: Diverse Restaurants: The restaurant in day 2" in text


# -- the commands --------------------------------------------------------------------------------------


def memp(*words):
    return CliRunner().invoke(main, [*map(str, words)])


def test_learn_show_and_run(world, bench, hard, tmp_path):
    plans = plans_file(tmp_path / "bad.jsonl", [{"idx": hard.idx, "query": hard.query, "plan": repeated(hard)}])
    file = tmp_path / "m.db"
    data = ("--data", world)

    done = memp("learn", "travelplanner", *data, "--memory", file, "--plans", plans, "--all", "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert (report["procedures"], report["skipped"]) == (10, [])
    again = memp("learn", "travelplanner", *data, "--memory", file, "--plans", plans, "--all", "--json")
    assert json.loads(again.stdout)["added"] == 0

    listed = json.loads(memp("memory", "ls", "--memory", file, "--json").stdout)
    broken = next(item for item in listed if item["revision"]["content"]["script"]["pitfalls"])
    shown = memp("memory", "show", broken["id"], "--memory", file).stdout
    assert "Pitfalls:\n- Done so, the judge said: Diverse Restaurants: The restaurant in day 2" in shown
    assert "Feedback: Diverse Restaurants" in shown

    before = file.read_bytes()
    for mode in ("two-stage", "sole-planning"):
        out = tmp_path / mode
        done = memp("run", "travelplanner", *data, "--memory", file, "--mode", mode, "--out", out, "--json")
        assert done.exit_code == 0, done.output
        assert "is for measuring only" in done.stderr
        summary = json.loads(done.stdout)
        assert summary["simulated"]
        assert (summary["games"], summary["receipt"]["updates"]) == (9, 0)
        assert list(summary["metrics"]) == [
            *("delivery", "commonsense_micro", "commonsense_macro", "hard_micro", "hard_macro", "final")
        ]
        assert summary["metrics"]["final"] == pytest.approx(summary["success_rate"])
        budget = json.loads((out / "run.json").read_text())["max_tokens"]
        assert budget == (3_000 if mode == "two-stage" else 12_000)  # the planner's limit leaves no room for more
        assert summary["counts"] == {}  # all legs of a generated country are known
        assert ("plan" in summary["usage"]) == (mode == "two-stage")
        with closing(SqliteStore(out / "memory.db")) as store:
            assert len(list(store.trajectories("default"))) == 10  # nothing of validation, for a later run either
        left = json.loads(memp("memory", "ls", "--memory", out / "memory.db", "--json").stdout)
        assert [item["revision"]["number"] for item in left] == [1] * 10
    assert file.read_bytes() == before


def test_a_reward_above_08_is_a_success_as_in_the_paper(bench, hard, tmp_path):
    config = RunConfig(benchmark="travelplanner", split="train")
    gold = of_plan(bench, hard, hard.gold_plan, agent="x")
    memory = parts.memory_of(config, Spot(tmp_path / "m.db"), None, Meter())
    with closing(memory.store):
        for reward, success in ((0.8, False), (0.81, True), (1.0, True)):
            assert memory.succeeded(gold.model_copy(update={"reward": reward})) is success


def test_on_train_the_memory_may_learn_while_it_is_used(world, tmp_path):
    words = ("--split", "train", "--memory", "new", "--every", 3, "--mode", "sole-planning", "--update", "vanilla")
    done = memp("run", "travelplanner", "--data", world, *words, "--out", tmp_path / "o", "--json")

    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["receipt"]["added"] == 9


def test_what_the_tools_showed_enters_the_memory_cut(world, tmp_path):
    words = ("--split", "train", "--memory", "new", "--mode", "two-stage", "--update", "vanilla")
    done = memp("run", "travelplanner", "--data", world, *words, "--out", tmp_path / "o", "--json")
    assert done.exit_code == 0, done.output

    with closing(SqliteStore(tmp_path / "o" / "memory.db")) as store:
        made = list(store.trajectories("default"))
    seen = [step.observation for trajectory in made for step in trajectory.steps[:-1]]
    assert max(map(len, seen)) < 300
    cut = [text for text in seen if "characters in all]" in text]
    assert cut
    assert any("Average Cost" in text for text in cut)
    assert all("Day 3:\nCurrent City:" in trajectory.steps[-1].observation for trajectory in made)
    files = "".join(path.read_text() for path in (tmp_path / "o" / "episodes").iterdir())
    assert "characters in all]" not in files  # the episodes keep everything


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "travelplanner", "--mode", "two-stages"), "unknown mode 'two-stages'. Did you mean two-stage"),
        (("run", "travelplanner", "--strategy", "cots"), "unknown strategy 'cots'"),
        (("run", "household", "--mode", "two-stage"), "--mode is for travelplanner, not for household"),
        (("learn", "household", "--plans", "x.jsonl"), "--plans is for travelplanner"),
        (("learn", "travelplanner", "--split", "validation"), "allow it on train only"),
        (("learn", "travelplanner", "--plans", "nowhere.jsonl"), "cannot read the plans in nowhere.jsonl"),
        (("learn", "travelplanner", "--no-gold"), "nothing to learn from"),
    ],
)
def test_bad_commands_say_what_to_do(world, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    data = ("--data", world) if words[1] == "travelplanner" else ()
    done = memp(*words, *data)

    assert done.exit_code == 1
    assert said in done.stderr
    assert not (tmp_path / "memp.db").exists()


# -- the real plans -------------------------------------------------------------------------------------


def test_gpt4s_plans_are_worth_what_the_official_evaluator_said():
    folder = data_folder()
    bench = TravelPlanner(folder, "sole-planning")
    file = folder / "plans" / "train_gpt4_sole_planning_scored.jsonl.gz"
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        passed = sum(bool((json.loads(line)["eval"] or {}).get("final_pass")) for line in lines)

    tasks = bench.tasks("train")
    made, skipped = plan_trajectories(bench, tasks, read_plans(file), source="gpt4", above=None)
    kept, _ = plan_trajectories(bench, tasks, read_plans(file), source="gpt4")

    assert (len(made), len(skipped)) == (178, 2)
    assert sum(t.reward == 1.0 for t in made) == passed
    assert all(t.reward > 0.8 for t in kept)
    assert any("Minimum Nights Stay:" in render_trajectory(t) for t in made)
    assert {t.reward for t in gold_trajectories(bench, tasks)} == {1.0}


def test_a_run_says_how_often_a_leg_was_asked_that_the_tables_do_not_know(tmp_path):
    words = ("--data", data_folder(), "--games", 9, "--mode", "two-stage", "--out", tmp_path / "o")
    done = memp("run", "travelplanner", *words)
    summary = json.loads((tmp_path / "o" / "summary.json").read_text())

    assert done.exit_code == 0, done.output
    assert summary["counts"]["unknown_legs"] > 0
    assert f"unknown legs: {summary['counts']['unknown_legs']}" in done.stdout
    assert "final " in done.stdout
    assert "simulated backbone" in " ".join(done.stdout.split())
