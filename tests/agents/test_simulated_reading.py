"""How the simulated backbones read: the grammar, task sentences, observations and recalled procedures."""

import pytest

from memp.models.base import Message
from memp_bench.agents.simulated.advice import read_advice
from memp_bench.agents.simulated.belief import names_in, read_history, seen_in
from memp_bench.agents.simulated.goal import Goal, read_goal
from memp_bench.agents.simulated.grammar import Command, Grammar
from memp_bench.envs.alfred_rules import INSTRUCTIONS

GRAMMAR = Grammar.parse(INSTRUCTIONS)
GOAL = Goal("mug", works=("clean",), place="shelf")
NOUNS = frozenset({"mug", "shelf", "sinkbasin", "diningtable", "cabinet", "fridge"})


def advice(body, goal=GOAL):
    return read_advice(f'<procedure n="1">\n{body}\n</procedure>', GRAMMAR, goal, NOUNS)


def best(weights):
    return max(weights, key=weights.get) if weights else None


def test_the_grammar_is_read_from_the_rules():
    assert GRAMMAR.works == ("heat", "cool", "clean")
    assert (GRAMMAR.go, GRAMMAR.take, GRAMMAR.put, GRAMMAR.use) == ("go to", "take", "move", "use")
    assert GRAMMAR.match("take mug 1 from shelf 2.") == Command("take", ("mug 1", "shelf 2"))
    assert GRAMMAR.match("look") == Command("look")
    assert GRAMMAR.match("dance") is None
    assert GRAMMAR.say("clean", "mug 1", "tub 1") == "clean mug 1 with tub 1"
    assert not Grammar.parse("Write JSON.\n- be brief\n- be right")


@pytest.mark.parametrize(
    ("task", "goal"),
    [
        ("put a mug in shelf.", Goal("mug", place="shelf")),
        ("put some mug on shelf.", Goal("mug", place="shelf")),
        ("Put a clean mug in the shelf", Goal("mug", works=("clean",), place="shelf")),
        ("clean some mug and put it in shelf.", Goal("mug", works=("clean",), place="shelf")),
        ("heat some egg and put it in bin.", Goal("egg", works=("heat",), place="bin")),
        ("put a hot egg in bin.", Goal("egg", works=("heat",), place="bin")),
        ("put a cool egg in bin.", Goal("egg", works=("cool",), place="bin")),
        ("put two mug in shelf.", Goal("mug", 2, place="shelf")),
        ("find two mug and put them in shelf.", Goal("mug", 2, place="shelf")),
        ("examine the mug with the lamp.", Goal("mug", tool="lamp")),
        ("look at mug under the lamp.", Goal("mug", tool="lamp")),
        ("sing", Goal("sing")),
        ("", Goal()),
    ],
)
def test_task_sentences(task, goal):
    assert read_goal(task, GRAMMAR.works) == goal


def test_observations():
    assert names_in("a mug 1, a cup 12, and an egg 3") == ["mug 1", "cup 12", "egg 3"]
    assert seen_in("On the shelf 1, you see nothing.") == []
    assert seen_in("The shelf 1 is closed.") is None
    turns = [
        ("go to shelf 1", "The shelf 1 is closed."),
        ("open shelf 1", "You open the shelf 1. The shelf 1 is open. In it, you see a mug 1, and a cup 1."),
        ("take mug 1 from shelf 1", "You pick up the mug 1 from the shelf 1."),
        ("clean mug 1 with shelf 1", "Nothing happens."),
    ]
    messages = [Message(role="user", content="Task: t\n\nObservation: You see a shelf 1, and a tub 1.")]
    for action, seen in turns:
        messages.append(Message(role="assistant", content=f"Action: {action}"))
        messages.append(Message(role="user", content=f"Observation: {seen}"))
    belief = read_history(messages, GRAMMAR)
    assert (belief.places, belief.here, belief.holding) == (["shelf 1", "tub 1"], "shelf 1", "mug 1")
    assert (belief.contents, belief.closed) == ({"shelf 1": ["cup 1"]}, set())
    assert belief.failed[Command("clean", ("mug 1", "shelf 1"))] == 1


def test_script_steps_in_the_grammar():
    read = advice(
        "Earlier task: put a clean mug in shelf.\nSteps:\n1. go to cabinet\n2. take mug from cabinet\n"
        "3. go to sinkbasin\n4. clean mug with sinkbasin\n5. move mug to shelf"
    )
    assert best(read.where("mug")) == best(read.found_like) == "cabinet"
    assert best(read.appliance("clean", "mug")) == "sinkbasin"
    assert (read.deliver_first, read.same_kind) == ({"clean": False}, True)


def test_script_steps_in_free_english():
    read = advice(
        "Earlier task: put a clean mug in shelf.\nSteps:\n1. Look for the mug in cabinets or on the dining table.\n"
        "2. Go to the sinkbasin and clean it, then put it on the shelf."
    )
    assert {"cabinet", "diningtable"} <= {place for place, weight in read.where("mug").items() if weight > 0}
    assert best(read.appliance("clean", "mug")) == "sinkbasin"
    assert read.deliver_first == {"clean": False}


def test_verbatim_turns_tell_what_worked_what_not_and_what_was_seen():
    read = advice(
        "Earlier task: put a clean mug in shelf.\nDone before (reward 1):\nStart: You see ...\n"
        "Thought: hm\nAction: go to cabinet 3\nObservation: On the cabinet 3, you see a mug 2, and a cup 1.\n"
        "Action: take mug 2 from cabinet 3\nObservation: You pick up the mug 2 from the cabinet 3.\n"
        "Thought: a\nAction: clean mug 2 with fridge 1\nObservation: Nothing happens.\n"
        "Action: clean mug 2 with sinkbasin 1\nObservation: You clean the mug 2 using the sinkbasin 1.\n"
    )
    assert read.where("cup") == {"cabinet": 0.3}
    assert read.where("mug") == {"cabinet": pytest.approx(1.3)}
    assert read.appliance("clean", "mug")["fridge"] < 0 < read.appliance("clean", "mug")["sinkbasin"]


def test_pitfalls_are_avoided():
    read = advice(
        'Earlier task: x\nPitfalls:\n- In "put", these had no effect: clean mug with fridge; take mug from shelf'
    )
    assert read.appliance("clean", "mug")["fridge"] < 0
    assert read.where("mug")["shelf"] < 0


def test_the_first_procedure_wins_a_conflict():
    text = "\n".join(
        f'<procedure n="{n}">\nEarlier task: a\nSteps:\n1. clean mug with {place}\n2. move mug to shelf\n</procedure>'
        for n, place in enumerate(["sinkbasin", "fridge", "fridge", "fridge", "fridge"], 1)
    )
    read = read_advice(text, GRAMMAR, GOAL, NOUNS)
    assert best(read.appliance("clean", "mug")) == "sinkbasin"


def test_an_order_that_delivers_first_is_learnt_too():
    read = advice("Earlier task: a\nSteps:\n1. move mug to shelf\n2. clean mug with sinkbasin")
    assert read.deliver_first == {"clean": True}


def test_a_place_that_one_cannot_go_to_is_within_reach():
    messages = [Message(role="user", content="Task: t\n\nObservation: You see a shelf 1, and a tub 1.")]
    for action in ("go to tub 1", "go to shelf"):
        messages.append(Message(role="assistant", content=f"Action: {action}"))
        messages.append(Message(role="user", content="Observation: Nothing happens."))
    assert read_history(messages, GRAMMAR).here == "tub 1"
