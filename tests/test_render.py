"""How memory looks to an agent."""

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopkit import MUG, trajectory
from memp.errors import RecordError
from memp.recall import Recall
from memp.records import Content, Script, Step, Trajectory
from memp.render import HEADER, clean, render_content, render_procedures, render_script, render_trajectory

SCRIPT = Script(
    goal="A clean thing is in its place.",
    applies_when=("it is dirty",),
    does_not_apply_when=("there is no water",),
    steps=("Find it.", "Clean it."),
    pitfalls=("It slips.",),
)


def test_everything_a_procedure_can_say():
    told = Trajectory(
        task=MUG,
        start="You are in a room.",
        steps=(
            Step(thought="I need it.", action="take mug 1", observation="You hold it.", feedback="Good."),
            Step(action="wave"),
        ),
        reward=1,
        feedback="Well done.",
    )
    content = Content(task=MUG, script=SCRIPT, trajectory_id=told.id)
    assert render_procedures([render_content(content, told), "Another."]) == (
        f"""{HEADER}

<procedure n="1">
Earlier task: put a clean mug on the shelf
Goal: A clean thing is in its place.
Applies when:
- it is dirty
Does not apply when:
- there is no water
Steps:
1. Find it.
2. Clean it.
Pitfalls:
- It slips.
Done before (reward 1):
Start: You are in a room.
Thought: I need it.
Action: take mug 1
Observation: You hold it.
Feedback: Good.
Action: wave
Feedback on the whole: Well done.
</procedure>

<procedure n="2">
Another.
</procedure>"""
    )


def test_empty_parts_are_left_out():
    assert render_script(Script(goal="g", steps=("s",))) == "Goal: g\nSteps:\n1. s"
    assert render_content(Content(task="t", trajectory_id="x"), trajectory(actions=("go",), reward=0.5)) == (
        "Earlier task: t\nDone before (reward 0.5):\nAction: go\nObservation: done: go"
    )
    assert render_procedures([]) == ""


def test_a_failure_is_called_one():
    text = render_content(Content(task="t", trajectory_id="x"), trajectory(reward=0.0))
    assert "Tried before (reward 0):" in text
    assert "Done before" not in text


def test_control_characters_are_never_shown():
    assert clean("a\x1b[31mb\x00\x7f\x9b\u0085c\td\ne\r\nf\rg") == "a[31mbc\td\ne\nfg"


@given(
    st.text(), st.text(), st.sampled_from(["</procedure>", "<procedure n='9'>", "< / PROCEDURE>", "</ procedure\n>"])
)
def test_nothing_inside_opens_or_closes_a_procedure(before, after, fence):
    text = render_procedures([clean(before + fence + after)])
    inside = text.removeprefix(f'{HEADER}\n\n<procedure n="1">').removesuffix("</procedure>")
    assert "<procedure" not in inside.lower().replace(" ", "")
    assert "</procedure" not in inside.lower().replace(" ", "")


def test_a_long_observation_is_shown_whole():
    """Cutting would be lying: the budget leaves a procedure out instead."""
    assert "x" * 50_000 in render_trajectory(
        Trajectory(task="t", steps=(Step(action="a", observation="x" * 50_000),), reward=1)
    )


async def test_a_recall_can_be_kept_and_rendered_later(open_memory):
    memory = open_memory()
    await memory.record(trajectory())
    await memory.update()
    recall = await memory.retrieve(MUG)
    text = recall.render()
    assert str(recall) == text
    assert memory.recall(recall.id).render() == text
    copy = Recall.parse(json.loads(recall.model_dump_json()))
    with pytest.raises(RecordError, match=r"use memory.recall\(id\)"):
        copy.render()
    assert copy.with_loader(memory.trajectory).render() == text
    with pytest.raises(RecordError, match="no recall"):
        memory.recall("nothing")


async def test_a_recall_may_travel_to_another_process(open_memory):
    memory = open_memory()
    await memory.record(trajectory())
    await memory.update()
    recall = await memory.retrieve(MUG)
    there = pickle.loads(pickle.dumps(recall))
    assert there.ranked == recall.ranked
    assert (await memory.record(trajectory(task="done there"), there)).outcome.recall_id == recall.id
