"""Malformed plans and files are verdicts and notes, never crashes."""

import gzip
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judgekit import judge, plan, task, world

from memp.errors import MempError
from memp_bench.envs.travelplanner.evaluator import Evaluator
from memp_bench.envs.travelplanner.judging import reward
from memp_bench.envs.travelplanner.metrics import by_constraint, summarise
from memp_bench.envs.travelplanner.plans import problems, read_line, read_plans
from memp_bench.envs.travelplanner.score import score

TABLES = world()
DICT = {"name": "Loft", "city": "Alba"}


@pytest.mark.parametrize("nothing", [None, [], {}, "", 0])
def test_an_empty_plan_was_not_delivered(nothing):
    verdict = judge(nothing)
    assert not verdict.delivered
    assert verdict.commonsense is None
    assert verdict.hard is None
    assert not verdict.final_pass
    assert reward(task(), verdict) == 0


@pytest.mark.parametrize(
    ("wrong", "error", "problem"),
    [
        ({"error": "no"}, "KeyError: 0", "the plan is a dict, not a list of days"),
        ("[{}]", "TypeError: ", "the plan is a str, not a list of days"),
        (3, "TypeError: ", "the plan is a int, not a list of days"),
        (["Day 1"], "TypeError: ", "day 1 is a str, not an object"),
        ([None, {}], "TypeError: ", "day 1 is a NoneType, not an object"),
        ([{}, {}, {}], "KeyError: 'current_city'", "day 1 is empty"),
        (plan(accommodation1=DICT), "TypeError: expected string or bytes-like", "day 1: 'accommodation' is a dict"),
        (plan(lunch2=["Uno"]), "TypeError: expected string or bytes-like", "day 2: 'lunch' is a list"),
        (plan(transportation1=DICT), "AttributeError: ", "'transportation' is a dict"),
        (plan(transportation2=...), "KeyError: 'transportation'", "day 2 has no 'transportation'"),
        (plan(attraction2=["A"]), "AttributeError: ", "'attraction' is a list"),
        (plan(current_city2=None), "TypeError: ", "'current_city' is null"),
        (
            plan(transportation1="flight number: F1, from Home to Alba"),
            "IndexError: list index out of range",
            "the flight is not written as 'Flight Number: ...'",
        ),
    ],
)  # fmt: skip
def test_a_malformed_plan_is_a_verdict(wrong, error, problem):
    for mode in ("official", "strict"):
        verdict = judge(wrong, mode=mode)
        assert verdict.delivered
        assert any(problem in said for said in verdict.problems)
        assert 0 <= reward(task(), verdict) <= 1
    official = judge(wrong)
    assert official.error.startswith(error)  # the words after it are those of the Python version
    assert not official.final_pass
    assert reward(task(), official) < 1
    broken = [
        check for check in official.commonsense.values() if (check.message or "").startswith("The plan is malformed")
    ]
    assert broken
    assert all(check.passed is False for check in broken)


def test_strictly_a_missing_key_is_missing_and_spelling_does_not_count():
    missing = judge(plan(transportation2=...), mode="strict").commonsense["is_not_absent"]
    assert missing.message == "No Transportation Info."
    assert judge(plan(transportation1="flight number: F1, from Home to Alba"), mode="strict").final_pass


def test_only_the_broken_checks_are_lost():
    verdict = judge(plan(accommodation2=DICT))
    assert verdict.commonsense["is_valid_restaurants"].passed
    assert verdict.commonsense["is_valid_transportation"].passed
    assert verdict.commonsense["is_valid_accommodation"].passed is False


def test_form_problems_of_long_plans():
    assert problems(task(), [*plan(), {}, {}]) == ()
    assert problems(task(), [*plan(), plan()[0]]) == ("1 day(s) beyond the 3 of the trip are not looked at",)
    assert judge([*plan(), plan()[0]]).final_pass


ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["from Home to Alba", "Uno, Alba"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(changes=st.dictionaries(st.tuples(st.integers(0, 2), st.sampled_from(list(plan()[0]))), ODD, max_size=5))
def test_whatever_stands_in_a_plan_there_is_a_verdict(changes):
    made = plan()
    for (day, field), value in changes.items():
        made[day][field] = value
    for mode in ("official", "strict"):
        verdict = Evaluator(TABLES, mode).judge(task(), made)
        assert len(verdict.commonsense) == 8
        assert verdict.model_validate_json(verdict.model_dump_json()) == verdict


def test_unicode_that_is_none_is_a_verdict():
    assert judge(plan(transportation1="Flight Number: \ud800, from Home to Alba")).commonsense is not None


def write(path, lines):
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return path


def tasks(count):
    return [task(idx=number) for number in range(1, count + 1)]


def test_files_in_the_official_format(tmp_path):
    line = {"idx": 1, "query": "q", "plan": plan()}
    item = read_plans(write(tmp_path / "p.jsonl", [line]))[0]
    assert (item.line, item.idx, item.query, item.plan, item.problem) == (1, 1, "q", plan(), "")
    packed = tmp_path / "p.jsonl.gz"
    packed.write_bytes(gzip.compress(json.dumps(line).encode()))
    assert read_plans(packed)[0] == item
    literal = json.dumps(repr(line))  # a Python literal in a string, which the official evaluator accepts
    assert read_line(1, literal) == item


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "line 1 is not JSON"),
        ("", "line 1 is not JSON"),
        ("[1]", "line 1 is a list, not an object"),
        ("\"__import__('os')\"", "line 1 is not JSON"),
        ('{"idx": 1}', "line 1 has no key 'plan'"),
    ],
)
def test_lines_that_cannot_be_read_are_named(line, problem):
    item = read_line(1, line)
    assert item.problem.startswith(problem)
    assert item.plan is None


def test_files_that_cannot_be_read_are_errors(tmp_path):
    with pytest.raises(MempError, match="cannot read the plans"):
        read_plans(tmp_path / "none.jsonl")
    with pytest.raises(MempError, match="has no plans"):
        read_plans(write(tmp_path / "empty.jsonl", ["", ""]))
    (tmp_path / "bad.jsonl.gz").write_bytes(b"no gzip")
    with pytest.raises(MempError, match="cannot read the plans"):
        read_plans(tmp_path / "bad.jsonl.gz")


def test_a_bad_line_costs_its_own_plan_only(tmp_path):
    file = write(tmp_path / "p.jsonl", [{"idx": 1, "plan": plan()}, "{", {"idx": 3, "plan": plan()}])
    report = score(tasks(4), read_plans(file), Evaluator(world()))
    assert [verdict.final_pass for verdict in report.verdicts] == [True, False, True, False]
    assert report.scores.delivery.passed == 2
    assert report.verdicts[1].problems[0].startswith("line 2 is not JSON")
    assert [note.partition(":")[0] for note in report.notes] == [
        report.verdicts[1].problems[0].partition(":")[0],
        "3 lines for 4 tasks",
    ]


def test_lines_in_another_order_are_named_and_strictly_put_right(tmp_path):
    lines = [{"idx": idx, "plan": plan() if idx != 2 else None} for idx in (2, 1, 3)]
    submissions = read_plans(write(tmp_path / "p.jsonl", lines))
    official = score(tasks(3), submissions, Evaluator(world()))
    assert [verdict.delivered for verdict in official.verdicts] == [False, True, True]  # by line
    assert [note.partition(";")[0] for note in official.notes] == ["line 1: its idx is 2", "line 2: its idx is 1"]
    strict = score(tasks(3), submissions, Evaluator(world(), "strict"))
    assert [verdict.delivered for verdict in strict.verdicts] == [True, False, True]
    assert strict.notes == ()


def test_other_queries_and_longer_files_are_named(tmp_path):
    lines = [{"idx": number, "query": "From Home to Borea.", "plan": []} for number in range(2)]
    report = score(tasks(1), read_plans(write(tmp_path / "p.jsonl", lines)), Evaluator(world()))
    assert report.notes == (
        "2 lines for 1 tasks: the rest is not looked at",
        "line 1: its query is not that of task 1; plans are matched by line",
    )
    zero = [{"idx": number, "plan": plan()} for number in range(2)]
    assert score(tasks(2), read_plans(write(tmp_path / "z.jsonl", zero)), Evaluator(world())).notes == ()


def test_metrics_add_up():
    wishes = {"local_constraint": {"house rule": "pets", "cuisine": ["Italian"], "room type": None}}
    made = [task(idx=1), task(idx=2), task(idx=3, **wishes), task(idx=4)]
    plans = [plan(), None, plan(), plan(lunch2="Nowhere, Alba")]
    verdicts = [Evaluator(world()).judge(one, of) for one, of in zip(made, plans, strict=True)]
    scores = summarise(made, verdicts)
    told = {name: (rate.passed, rate.total) for name, rate in dict(scores).items()}
    assert told == {
        "delivery": (3, 4),
        "commonsense_micro": (8 + 8 + 7, 32),
        "commonsense_macro": (2, 4),
        "hard_micro": (1 + 2, 4 + 2),
        "hard_macro": (1, 4),
        "final": (1, 4),
    }
    rates = by_constraint(made, verdicts)
    assert (rates["valid_room_rule"].passed, rates["valid_room_rule"].total) == (0, 1)
    assert (rates["valid_cost"].passed, rates["valid_cost"].total) == (2, 4)
    assert (rates["valid_transportation"].total, rates["valid_transportation"].value) == (0, 0.0)
    assert reward(made[2], verdicts[2]) == 10 / 11


def test_flights_of_which_nothing_is_known_are_named():
    known = {("Home", "Alba", "2022-03-01"), ("Alba", "Home", "2022-03-02")}
    partial = world(known)
    missing = plan(
        transportation1="Flight Number: F7, from Home to Alba", transportation3="Flight Number: F8, from Alba to Home"
    )
    assert judge(missing, tables=partial).unknown_flights == ()  # March 3rd has a flight, so it is known
    later = {"date": ["2022-03-01", "2022-03-02", "2022-03-04"]}
    verdict = judge(missing, tables=partial, **later)
    assert verdict.unknown_flights == ("day 3: Alba to Home on 2022-03-04",)
    assert judge(missing, **later).unknown_flights == ()  # a complete table knows


def test_judging_is_the_same_in_any_order():
    made = [plan(), plan(lunch2="Uno, Alba"), plan(accommodation1=DICT), None]
    first = [judge(one) for one in made]
    order = list(range(len(made)))
    random.Random(1).shuffle(order)
    assert [first[n] for n in order] == [judge(made[n]) for n in order]
