"""The builder's side of simulated backbones: through the library's own prompts it must equal the rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memp.build.distil import ModelDistiller
from memp.build.rules import RuleDistiller
from memp.errors import UnusableReply
from memp.models.base import Message
from memp.records import Content, Script, Step, Trajectory
from memp.render import clean, render_content
from memp.testing.faults import Faults
from memp.testing.wire import WireServer
from memp_bench.agents.registry import backbone
from memp_bench.agents.simulated.builder import build_reply, read_procedure, read_record

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=30)
LINES = st.lists(WORDS.filter(lambda w: w.strip() == w and ":" not in w and clean(w) == w), max_size=3).map("\n".join)


class NoDrafts:
    def get(self, key):
        return None

    def put(self, key, text):
        pass


def step(action, observation, **more):
    refused = observation == "Nothing happens."
    return Step(action=action, observation=observation, error="agent" if refused else None, **more)


WON = Trajectory(
    task="put a clean apple in fridge.",
    start="You are in the middle of a room.\nLooking quickly around you, you see a countertop 1, and a fridge 1.",
    steps=(
        step("go to cabinet 1", "The cabinet 1 is closed.", thought="It may be there.\nOr not."),
        step("open cabinet 1", "You open the cabinet 1. In it, you see a cup 1."),
        step("go to countertop 1", "On the countertop 1, you see a apple 1."),
        step("take apple 1 from countertop 1", "You pick up the apple 1 from the countertop 1."),
        step("clean apple 1 with stoveburner 1", "Nothing happens."),
        step("clean apple 1 with sinkbasin 1", "You clean the apple 1 using the sinkbasin 1."),
        step("move apple 1 to fridge 1", "You move the apple 1 to the fridge 1."),
    ),
    reward=1.0,
)
LOST = WON.model_copy(
    update={
        "task": "put a clean mug in shelf.",
        "steps": (
            step("go to countertop 2", "On the countertop 2, you see a mug 1."),
            step("clean mug 1 with toaster 1", "Nothing happens."),
            step("", "Your reply had no line 'Action: ...'. Reply ... This used up a turn."),
        ),
        "reward": 0.0,
        "feedback": "the mug was never cleaned",
    }
)


@pytest.fixture
def simulated():
    return ModelDistiller(backbone("sim:novice"), NoDrafts())


@pytest.mark.parametrize("trajectory", [WON, LOST], ids=["won", "lost"])
async def test_a_script_is_the_one_of_the_rules(simulated, trajectory):
    script, author = await simulated.script(trajectory)
    assert script == (await RuleDistiller().script(trajectory))[0]
    assert (author.model, author.prompt) == ("sim:novice", "script/1")


@pytest.mark.parametrize("task", [WON.task, "look at the bowl under the desklamp", "Plan a 3-day trip to Rome, $900"])
async def test_facts_are_those_of_the_rules(simulated, task):
    assert await simulated.facts(task) == await RuleDistiller().facts(task)


async def test_a_correction_is_the_one_of_the_rules(simulated):
    rules = RuleDistiller()
    content = Content(task=WON.task, script=(await rules.script(WON))[0], trajectory_id="t1")
    once = (await simulated.adjust(content, WON, LOST))[0]
    assert once == (await rules.adjust(content, WON, LOST))[0]
    assert "the judge said: the mug was never cleaned" in once.pitfalls[-1]
    again = content.model_copy(update={"script": once})
    assert (await simulated.adjust(again, WON, LOST))[0] == once  # nothing more to learn from the same failure


async def test_a_correction_of_a_bare_trajectory_is_the_one_of_the_rules(simulated):
    content = Content(task=WON.task, trajectory_id="t1")
    assert (await simulated.adjust(content, WON, LOST))[0] == (await RuleDistiller().adjust(content, WON, LOST))[0]


async def test_every_part_of_a_procedure_is_read_back(simulated):
    script = Script(
        goal="A clean thing is in its place.",
        applies_when=("the task names a thing to clean",),
        does_not_apply_when=("nothing is to be cleaned", "it is clean already: look first"),
        steps=("Find it.", "2. is not the number of this step", "Steps: none"),
        pitfalls=("- the toaster cleans nothing",),
    )
    content = Content(task="put a clean\nmug in shelf", script=script, trajectory_id="shown")
    assert read_procedure(render_content(content, WON)) == content


@given(start=LINES, rounds=st.lists(st.tuples(LINES, LINES, LINES), min_size=1, max_size=4))
def test_every_record_is_read_back(start, rounds):
    from memp.build.distil import _material
    from memp.build.prompt import load_prompt

    steps = tuple(Step(action=a, observation=o, thought=t) for a, o, t in rounds)
    told = Trajectory(id="t", task="do it", start=start, steps=steps, reward=0.25)
    (_, asked) = load_prompt("memp.build", "script").messages(_material(told))
    read = read_record(asked.content)
    assert read is not None
    assert read.model_copy(update={"id": "t"}) == told


async def test_other_conversations_get_no_json():
    assert build_reply([Message(role="user", content="<task>\nput a mug\n</task>")]) is None
    system = Message(role="system", content="Reply with one JSON object and nothing else.")
    assert build_reply([system, Message(role="user", content="Who are you?")]) is None
    assert build_reply([system, Message(role="user", content='<record reward="x">\nTask: t\n</record>')]) is None


async def test_it_recovers_from_replies_that_are_damaged_on_the_wire():
    """The validation shows the model its damaged reply; it answers the request again."""
    from memp.models.registry import chat_model

    faults = Faults(rate_malformed_json=0.5, rate_empty=0.25, rate_truncated=0.25, in_a_row=2)
    with WireServer({"m": backbone("sim:novice")}, faults=faults) as server:
        model = chat_model("openai:m", base_url=server.url)
        script, _ = await ModelDistiller(model, NoDrafts()).script(WON)
        assert script == (await RuleDistiller().script(WON))[0]
        assert len(server.exchanges) == 3
        with pytest.raises(UnusableReply, match="no usable reply for 'facts' in 2 attempts"):
            await ModelDistiller(model, NoDrafts(), attempts=2).facts(WON.task)
        await model.close()
