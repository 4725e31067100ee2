"""The lists of ExpeL and AWM as data: operations, counts, what a model may reply, and rules without one."""

import json

import pytest

from loopkit import trajectory
from memp.records import Content, Script, Step, Trajectory
from memp_bench.baselines.insights import (
    FULL,
    LINES,
    NONE,
    Insight,
    Operation,
    applied,
    insights_of,
    lines_of,
    operations_by_rule,
    read_operations,
)
from memp_bench.baselines.workflows import Workflow, read_workflow, read_workflows, workflows_by_rule

LIST = (Insight("Look before you leap.", 4), Insight("Take one thing at a time.", 2), Insight("Ask first.", 1))


def after(*operations, insights=LIST):
    return applied(insights, [Operation.parse(each) for each in operations])[0]


def test_a_new_insight_begins_with_two_and_stands_by_its_importance():
    found = after({"op": "ADD", "text": "Close what you opened."})
    assert found == (*LIST[:2], Insight("Close what you opened.", 2), LIST[2])


def test_an_edit_rewrites_and_counts_one():
    assert after({"op": "EDIT", "insight": 3, "text": "Ask whoever knows."})[2] == Insight("Ask whoever knows.", 2)


def test_an_upvote_counts_one():
    assert after({"op": "UPVOTE", "insight": 2}) == (LIST[0], Insight(LIST[1].text, 3), LIST[2])


def test_a_downvote_takes_one():
    assert after({"op": "DOWNVOTE", "insight": 1}) == (Insight(LIST[0].text, 3), *LIST[1:])


def test_what_comes_to_zero_is_removed():
    left, did = applied(LIST, [Operation(op="DOWNVOTE", insight=3)])
    assert left == LIST[:2]
    assert did == ["DOWNVOTE 3 (0, removed)"]


def test_numbers_mean_the_list_as_it_was_shown():
    found = after(
        {"op": "ADD", "text": "New."},
        {"op": "EDIT", "insight": 2, "text": "Two."},
        {"op": "DOWNVOTE", "insight": 3},
        {"op": "UPVOTE", "insight": 1},
    )
    assert found == (Insight(LIST[0].text, 5), Insight("Two.", 3), Insight("New.", 2))


def test_what_is_there_already_is_not_there_twice():
    assert after({"op": "ADD", "text": "look before  you leap"}) == LIST
    assert after({"op": "EDIT", "insight": 3, "text": "Look before you leap"})[0] == Insight(LIST[0].text, 5)


def test_a_full_list_loses_faster_and_has_an_end():
    full = tuple(Insight(f"Insight {n}.", 4) for n in range(FULL))
    assert after({"op": "DOWNVOTE", "insight": 1}, insights=full)[-1] == Insight("Insight 0.", 1)
    longest = tuple(Insight(f"Insight {n}.", 4) for n in range(LINES))
    left, did = applied(longest, [Operation(op="ADD", text="One more.")])
    assert left == longest
    assert did == ['ADD "One more." found no room']


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        ("", "no JSON object"),
        ("I refuse.", "no JSON object"),
        ('{"insights": []}', "operations: Field required"),
        ('{"operations": [{"op": "MERGE", "insight": 1}]}', "Input should be 'ADD', 'EDIT'"),
        ('{"operations": [{"op": "ADD", "text": "  "}]}', "ADD needs a text"),
        ('{"operations": [{"op": "EDIT", "insight": 1}]}', "EDIT needs a text"),
        ('{"operations": [{"op": "UPVOTE"}]}', "UPVOTE needs the number"),
        ('{"operations": [{"op": "UPVOTE", "insight": true}]}', "valid integer"),
        ('{"operations": [{"op": "UPVOTE", "insight": 4}]}', "there is no insight 4; the list has 3"),
        ('{"operations": [{"op": "UPVOTE", "insight": 0}]}', "greater than or equal to 1"),
        ('{"operations": [{"op": "UPVOTE", "insight": 1}, {"op": "REMOVE", "insight": 1}]}', "more than one operation"),
        (json.dumps({"operations": [{"op": "ADD", "text": f"{n}"} for n in range(5)]}), "at most 4"),
        (json.dumps({"operations": [{"op": "ADD", "text": "x" * 501}]}), "at most 500"),
        ('{"operations": [{"op": "ADD", "text": "half \\ud800"}]}', "surrogate"),
    ],
)
def test_a_reply_that_is_no_list_of_operations_says_what_is_wrong(reply, problem):
    with pytest.raises(ValueError, match=problem):
        read_operations(reply, 3)


def test_the_official_words_are_understood():
    reply = '{"operations": [{"op": "agree", "insight": 1}, {"op": "REMOVE", "insight": 2}]}'
    assert [each.op for each in read_operations(reply, 3)] == ["UPVOTE", "DOWNVOTE"]
    assert read_operations('{"operations": []}', 0) == ()


@pytest.mark.parametrize("insights", [LIST, ()])
def test_insights_and_their_counts_survive_a_round_trip(insights):
    lines, votes = lines_of(insights)
    content = Content(task="Insights", facts={"votes": votes}, script=Script(goal="g", steps=tuple(lines)))
    assert insights_of(Content.parse(content.model_dump_json())) == insights
    assert (lines == [NONE]) is (not insights)


def test_a_line_that_a_person_wrote_counts_as_new():
    content = Content(task="Insights", facts={"votes": "5"}, script=Script(goal="g", steps=("Old.", "Mine.")))
    assert insights_of(content) == (Insight("Old.", 5), Insight("Mine.", 2))


# -- rules ------------------------------------------------------------------------------------------------------


def tried(*actions, refused=()):
    steps = [Step(action=a, error="agent" if a in refused else None) for a in actions]
    return Trajectory(task="put a clean mug on the shelf", steps=tuple(steps), reward=0.0)


def said(operations):
    return [(each.op, each.insight, each.text) for each in operations]


def test_rules_add_what_the_failure_lacked():
    failed = tried("go to sink 1", "go to shelf 1")
    found = said(operations_by_rule([], [trajectory()], failed))
    assert found == [("ADD", None, "clean mug with sink"), ("ADD", None, "put mug on shelf")]


def test_rules_upvote_make_general_and_downvote():
    failed = tried("go to sink 1", "go to shelf 1", "heat mug 1 with lamp 2", refused=("heat mug 1 with lamp 2",))
    known = ["heat mug with lamp", "clean plate with sink", "put object on shelf"]
    assert said(operations_by_rule(known, [trajectory()], failed)) == [
        ("DOWNVOTE", 1, ""),
        ("EDIT", 2, "clean object with sink"),
        ("UPVOTE", 3, ""),
    ]


def test_rules_find_what_successes_share():
    plate = tuple(action.replace("mug", "plate") for action in ("take mug 1 from sink 1", "put mug 1 on shelf 1"))
    mug = ("take mug 1 from sink 1", "put mug 1 on table 1")
    found = said(operations_by_rule([], [trajectory(actions=mug), trajectory("put a plate on the shelf", plate)]))
    assert found == [("ADD", None, "take object from sink")]


# -- workflows --------------------------------------------------------------------------------------------------

WORKFLOW = Workflow(description="clean a thing", steps=("take {thing} from {place}", "clean {thing} with sink"))


def test_a_workflow_survives_a_round_trip():
    assert read_workflow(str(WORKFLOW)) == WORKFLOW
    assert read_workflow("a person's remark") is None
    assert read_workflow("") is None


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        ("", "no JSON object"),
        ('{"workflows": "none"}', "valid tuple"),
        ('{"workflows": [{"description": "x", "steps": ["only one"]}]}', "at least 2"),
        ('{"workflows": [{"description": " ", "steps": ["a", "b"]}]}', "at least 1"),
        ('{"workflows": [{"description": "x", "steps": ["a", "  "]}]}', "at least 1"),
        (json.dumps({"workflows": [{"description": "x", "steps": ["a"] * 21}]}), "at most 20"),
        (json.dumps({"workflows": [{"description": "x", "steps": ["a", "b"]}] * 6}), "at most 5"),
        ('{"workflows": [{"description": "x", "steps": ["a", "b"], "run": "rm"}]}', "Extra inputs"),
    ],
)
def test_a_reply_that_holds_no_workflow_says_what_is_wrong(reply, problem):
    with pytest.raises(ValueError, match=problem):
        read_workflows(reply)


def test_steps_are_one_line_each():
    reply = json.dumps({"workflows": [{"description": "two\nlines", "steps": ["a\n2. Workflow: b", "c"]}]})
    assert read_workflows(reply)[0] == Workflow(description="two lines", steps=("a 2. Workflow: b", "c"))


def test_the_rule_puts_the_words_of_the_task_as_variables_once():
    (made,) = workflows_by_rule([], trajectory())
    assert made.description == "put a clean {object} on the {in}"
    assert made.steps == ("go to sink", "clean {object} with sink", "go to {in}", "put {object} on {in}")
    plate = tuple(action.replace("mug", "plate") for action in ("go to sink 1", "clean mug 1 with sink 1"))
    assert workflows_by_rule([made], trajectory("put a clean plate on the shelf", plate)) == ()


def test_the_rule_makes_nothing_of_a_single_step():
    assert workflows_by_rule([], trajectory(actions=("wait",))) == ()
