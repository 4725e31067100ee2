"""Blame: which of four things made a task fail; rules on fixed cases, a model whose quotes are checked."""

import json

import pytest

from memp.blame import ModelBlamer, RuleBlamer
from memp.blame.passing import fault_in, unrecovered
from memp.build.distil import ModelDistiller
from memp.records import Content, Script, Step, Trajectory
from memp.testing.chat import ScriptedChat
from memp_bench.studies.failures import CAUSES, FAULTS, OTHER_FAULTS, Failures

STEPS = ("go to rack", "take pan from rack", "go to stove", "heat pan with stove", "go to desk", "put pan on desk")
PAN = Content(task="put a hot pan on the desk", script=Script(goal="A hot pan on the desk.", steps=STEPS))
START = "You see a rack 1, a shelf 1, a stove 1, a kiln 1, and a desk 1."
GOOD = (
    ("go to rack 1", "On the rack 1, you see a pan 1."),
    ("take pan 1 from rack 1", "You take the pan 1."),
    ("go to stove 1", "You are at the stove 1."),
    ("heat pan 1 with stove 1", "You heat the pan 1."),
    ("go to desk 1", "You are at the desk 1."),
    ("put pan 1 on desk 1", "You put the pan 1 down."),
)


def failed(*rounds, task=PAN.task, **more):
    """A lost task; an observation that begins with ! is a refusal."""
    steps = tuple(
        Step(action=action, observation=seen.removeprefix("!"), error="agent" if seen.startswith("!") else None)
        for action, seen in rounds
    )
    return Trajectory(task=task, start=START, steps=steps, reward=0.0, **more)


async def verdict(trajectory, content=PAN):
    blame = await RuleBlamer().blame("p", 3, content, None, trajectory)
    text = f"{trajectory.task} {trajectory.feedback} " + " ".join(
        f"{s.action} {s.observation} {s.feedback}" for s in trajectory.steps
    )
    assert all(quote in text for quote in blame.evidence)
    assert blame.why
    assert (blame.procedure_id, blame.revision, blame.by) == ("p", 3, "rules")
    return blame.verdict, blame.step


# -- the procedure -----------------------------------------------------------------------------------


async def test_a_step_tried_as_written_and_refused():
    lost = failed(*GOOD[:3], ("heat pan 1 with stove 1", "!Nothing happens."), ("go to kiln 1", "You are there."))
    assert await verdict(lost) == ("procedure", 4)


async def test_the_same_when_refusals_are_not_marked():
    lost = failed(*GOOD[:3], ("heat pan 1 with stove 1", "Nothing happens."), ("go to kiln 1", "You are there."))
    assert await verdict(lost) == ("procedure", 4)


async def test_the_things_of_this_task_stand_for_those_of_that_one():
    rounds = [(a.replace("pan", "cup").replace("desk", "shelf"), s.replace("pan", "cup")) for a, s in GOOD[:3]]
    lost = failed(*rounds, ("heat cup 1 with stove 1", "!No."), task="put a hot cup on the shelf")
    assert await verdict(lost) == ("procedure", 4)


async def test_what_it_handles_was_not_there():
    lost = failed(("go to rack 1", "On the rack 1, you see nothing."), ("go to shelf 1", "You see a cup 1."))
    assert await verdict(lost) == ("procedure", 2)


async def test_everything_done_as_written_and_not_achieved():
    assert await verdict(failed(*GOOD)) == ("procedure", 6)


async def test_a_judge_objects_to_a_step_that_was_done():
    lost = failed(*GOOD)
    steps = list(lost.steps)
    steps[2] = steps[2].model_copy(update={"feedback": "That stove must not be used."})
    assert await verdict(lost.model_copy(update={"steps": tuple(steps)})) == ("procedure", 3)


async def test_a_verbatim_trajectory_is_read_as_its_effective_steps():
    shown = Trajectory(task=PAN.task, steps=tuple(Step(action=a, observation=s) for a, s in GOOD), reward=1.0)
    content = Content(task=PAN.task, trajectory_id=shown.id)
    lost = failed(*GOOD[:3], ("heat pan 1 with stove 1", "!Nothing happens."))
    blame = await RuleBlamer().blame("p", 1, content, shown, lost)
    assert (blame.verdict, blame.step) == ("procedure", 4)


# -- not followed, did not apply ---------------------------------------------------------------------


async def test_something_else_was_done():
    lost = failed(("go to shelf 1", "You see a cup 1."), ("go to kiln 1", "Nothing here."))
    assert await verdict(lost) == ("not-followed", 1)


async def test_a_slip_is_no_try():
    lost = failed(*GOOD[:3], ("heat pan with stove", "!Nothing happens."), ("please heat pan with stove", "!What?"))
    assert await verdict(lost) == ("not-followed", 4)


async def test_a_step_before_its_turn_is_no_try():
    lost = failed(("heat pan 1 with stove 1", "!You have no pan."), ("go to shelf 1", "You see a cup 1."))
    assert await verdict(lost) == ("not-followed", 1)


async def test_only_a_part_of_the_places_was_looked_at():
    lost = failed(("go to rack 1", "On the rack 1, you see nothing."), ("go to shelf 1", "Empty."))
    two = lost.model_copy(update={"start": START.replace("rack 1", "rack 1, a rack 2")})
    assert (await verdict(two))[0] == "not-followed"


@pytest.mark.parametrize(
    "task", ["put a cold pan on the desk", "put a pan on the desk", "sell the pan", "wash two cups"]
)
async def test_another_kind_of_task(task):
    assert await verdict(failed(*GOOD[:2], task=task)) == ("did-not-apply", None)


async def test_other_words_for_the_same_kind():
    rounds = [*GOOD[:3], ("heat pan 1 with stove 1", "!Nothing happens.")]
    assert (await verdict(failed(*rounds, task="heat the pan and put it on the desk")))[0] == "procedure"


async def test_the_procedure_says_itself_that_it_does_not_apply():
    script = PAN.script.model_copy(update={"does_not_apply_when": ('the task says "desk"',)})
    assert (await verdict(failed(*GOOD), PAN.model_copy(update={"script": script})))[0] == "did-not-apply"


# -- the environment ---------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [*FAULTS, *OTHER_FAULTS])
async def test_a_passing_fault_is_nobodys(text):
    assert (await verdict(failed(*GOOD[:2], ("go to stove 1", text))))[0] == "environment"
    assert (await verdict(failed(*GOOD[:2], ("go to stove 1", f"!{text}"))))[0] == "environment"


async def test_a_step_that_is_marked_as_broken():
    lost = failed(*GOOD[:3])
    for kind in ("environment", "provider"):
        broken = lost.steps[2].model_copy(update={"error": kind, "observation": ""})
        assert (await verdict(lost.model_copy(update={"steps": (*lost.steps[:2], broken)})))[0] == "environment"


async def test_a_fault_that_was_got_over_explains_nothing():
    lost = failed(*GOOD[:2], ("go to stove 1", "HTTP 503"), GOOD[2], ("heat pan 1 with stove 1", "!Nothing happens."))
    assert unrecovered(lost) == []
    assert await verdict(lost) == ("procedure", 4)


async def test_so_many_faults_that_the_turns_were_lost():
    rounds = [("go to stove 1", "request timed out")] * 4
    assert (await verdict(failed(*GOOD[:2], *rounds, GOOD[2])))[0] == "environment"


@pytest.mark.parametrize(
    "text",
    [
        "On the desk 1, you see a book 429.",
        "The train leaves at 5:03 from platform 500.",
        "You take the watch. Its time is out of tune.",
        "Invalid argument: the budget must be at most 500 dollars.",
        "You are connected to the library's catalogue.",
        "Nothing happens.",
        "The hotel has a minimum stay of 3 nights.",
        "The door is locked.",
        "That colour is unavailable. Please try another one.",
        "There is no connection between the two stations.",
        "Wrong password. Check it and try again.",
        "Shut down the engine and disconnect the cable.",
        "The drawer 1 is closed.",
        "FAILED tests/test_api.py::test_total - assert 4 == 5",
    ],
)
def test_ordinary_text_is_no_fault(text):
    assert fault_in(text) == ""


# -- planted failures --------------------------------------------------------------------------------


async def test_planted_failures_are_told_apart():
    right = dict.fromkeys(CAUSES, 0)
    lessons = 0
    async for failure in Failures(40).made(3):
        blame = await RuleBlamer().blame("p", 1, failure.content, None, failure.failed)
        right[failure.cause] += blame.verdict == failure.verdict
        lessons += failure.cause == "fault" and blame.verdict != "environment"
    assert sum(right.values()) >= 16, right
    assert lessons == 0


# -- by a model --------------------------------------------------------------------------------------


class NoDrafts:
    """Keeps no replies."""

    def get(self, key):
        return None

    def put(self, key, text):
        pass


REFUSED = failed(*GOOD[:3], ("heat pan 1 with stove 1", "!Nothing happens."))


def said(**more):
    reply = {"verdict": "not-followed", "step": 2, "quotes": ["heat pan 1 with stove 1"], "why": "It did not look."}
    return json.dumps(reply | more)


async def by_model(*replies, trajectory=REFUSED):
    chat = ScriptedChat(list(replies))
    blame = await ModelBlamer(ModelDistiller(chat, NoDrafts())).blame("p", 1, PAN, None, trajectory)
    return blame, chat.calls


async def test_a_model_decides():
    blame, calls = await by_model(said())
    assert (blame.verdict, blame.step, blame.by, blame.note) == ("not-followed", 2, "model", "")
    assert blame.evidence == ("heat pan 1 with stove 1",)
    asked = calls[0].messages[-1].content
    assert "4. heat pan with stove" in asked
    assert "Nothing happens." in asked
    assert calls[0].purpose == "blame"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"quotes": ["heat pan 1 with kiln 1"]}, "the record does not hold this quote"),
        ({"quotes": []}, '"quotes" must be'),
        ({"verdict": "bad luck"}, '"verdict" must be one of'),
        ({"step": 7}, "from 1 to 6"),
        ({"why": " "}, '"why" must be'),
    ],
)
async def test_an_answer_that_does_not_hold_is_asked_for_again(wrong, told):
    blame, calls = await by_model(said(**wrong), said())
    assert (blame.verdict, blame.by) == ("not-followed", "model")
    assert told in calls[1].messages[-1].content


async def test_when_no_quote_holds_the_rules_decide_and_it_says_so():
    invented = said(quotes=["never said"])
    blame, calls = await by_model(invented, invented, invented)
    assert (blame.verdict, blame.step, blame.by) == ("procedure", 4, "rules")
    assert "the model gave no usable blame" in blame.note
    assert len(calls) == 3


async def test_a_passing_fault_is_not_asked_about():
    blame, calls = await by_model(trajectory=failed(*GOOD[:2], ("go to stove 1", "429 Too Many Requests")))
    assert (blame.verdict, calls) == ("environment", [])
