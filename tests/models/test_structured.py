import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memp.errors import BudgetExceeded, ProviderDown, UnusableReply
from memp.models.base import Message, Reply
from memp.models.metered import Budget, Meter, Metered
from memp.models.openai import OpenAIChat
from memp.models.structured import MAX_DEPTH, ask, into, json_object
from memp.records import Script, Usage
from memp.testing.chat import ScriptedChat
from memp.testing.faults import Faults
from memp.testing.wire import WireServer

ASK = [Message(role="user", content="Write the script as JSON.")]
GOOD = '{"goal": "cool an object", "steps": ["take it", "open the fridge"]}'


def said(text: str, stop="stop") -> Reply:
    return Reply(text=text, usage=Usage(calls=1, input_tokens=3, output_tokens=2, cost=0.0), model="m", stop=stop)


async def test_a_good_reply_needs_one_call():
    model = ScriptedChat([GOOD])
    script = await ask(model, ASK, into(Script), purpose="script", temperature=0.0, max_tokens=99)
    assert script == Script(goal="cool an object", steps=("take it", "open the fridge"))
    (call,) = model.calls
    assert (call.purpose, call.temperature, call.max_tokens, list(call.messages)) == ("script", 0.0, 99, ASK)


@pytest.mark.parametrize(
    ("bad", "shown", "problem"),
    [
        ("I would rather not say.", "I would rather not say.", "there is no JSON object"),
        ('{"goal": "x", "steps": [}', '{"goal": "x", "steps": [}', "not complete"),
        ('{"goal": "x" "steps": []}', '{"goal": "x" "steps": []}', "malformed"),
        ('{"goal": "x", "steps": []}', '{"goal": "x", "steps": []}', "steps: Tuple should have at least 1 item"),
        ('{"goal": "x", "steps": ["a"], "why": 1}', '{"goal": "x", "steps": ["a"], "why": 1}', "why: Extra inputs"),
        (said(""), "(no text)", "the reply was empty"),
        (said("  \n "), "(no text)", "the reply was empty"),
        (said(GOOD, "length"), GOOD, "cut off at the token limit"),
        (said("", "refusal"), "(no text)", "the model refused"),
        (said("I must not.", "refusal"), "I must not.", "the model refused: I must not."),
    ],
)
async def test_a_bad_reply_is_shown_with_what_is_wrong(bad, shown, problem):
    model = ScriptedChat([bad, GOOD])
    assert (await ask(model, ASK, into(Script), purpose="script")).goal == "cool an object"
    first, reply, complaint = model.calls[1].messages
    assert first == ASK[0]
    assert (reply.role, reply.content) == ("assistant", shown)
    assert complaint.role == "user"
    assert problem in complaint.content


async def test_attempts_are_bounded_and_the_last_problem_is_reported():
    model = Metered(ScriptedChat(["no", "{}", said("", "length"), GOOD], name="toy:1"), Meter())
    with pytest.raises(
        UnusableReply, match=r"toy:1 gave no usable reply for 'adjust' in 3 attempts.*cut off"
    ) as caught:
        await ask(model, ASK, into(Script), purpose="adjust")
    assert caught.value.provider == "toy"
    assert model.meter.usage["adjust"].calls == 3  # the unusable ones are counted
    with pytest.raises(ValueError, match="attempts"):
        await ask(model, ASK, into(Script), purpose="adjust", attempts=0)


async def test_a_runaway_reply_does_not_fill_the_next_prompt():
    model = ScriptedChat(["x" * 1_000_000, GOOD])
    await ask(model, ASK, into(Script), purpose="script")
    assert sum(len(message.content) for message in model.calls[1].messages) < 10_000


async def test_other_errors_pass_through():
    with pytest.raises(ProviderDown):
        await ask(ScriptedChat([ProviderDown("gone")]), ASK, into(Script), purpose="script")
    capped = Metered(ScriptedChat(["bad", GOOD]), Meter(Budget(calls=1)))
    with pytest.raises(BudgetExceeded):
        await ask(capped, ASK, into(Script), purpose="script")

    def broken(text: str) -> str:
        raise KeyError("a bug in the parser is no bad reply")

    with pytest.raises(KeyError):
        await ask(ScriptedChat(["x"]), ASK, broken, purpose="script")


async def test_over_the_wire_with_every_fault_of_a_reply():
    faults = Faults(
        rate_empty=0.25, rate_truncated=0.25, rate_malformed_json=0.25, rate_refusal=0.25, in_a_row=2, seed=1
    )
    with WireServer(lambda _: f"Sure!\n```json\n{GOOD}\n```", faults=faults) as server:
        model = OpenAIChat("toy", base_url=server.url)
        for number in range(12):
            question = [Message(role="user", content=f"question {number}")]
            assert (await ask(model, question, into(Script), purpose="script")).steps[0] == "take it"
        await model.close()
    assert {e.fault for e in server.exchanges} == {None, "empty", "truncated", "malformed_json", "refusal"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"a": 1}', {"a": 1}),
        ('Here it is:\n```json\n{"a": {"b": [1, {"c": "}"}]}}\n```\nGood luck {you}!', {"a": {"b": [1, {"c": "}"}]}}),
        ('{"first": 1} {"second": 2}', {"first": 1}),
        ('as {in braces} said: {"a": "\\"{"}', {"a": '"{'}),
        ('<think>maybe {"a": 1}?</think>{"a": 2}', {"a": 2}),
        ('maybe {"a": 1}?</think>\n{"a": 2}', {"a": 2}),
        ("{}", {}),
        ('[{"a": 1}, {"a": 2}]', {"a": 1}),
        ('{"é": "世界 🎉 \\u00e9"}', {"é": "世界 🎉 é"}),
    ],
)
def test_an_object_is_found(text, found):
    assert json_object(text) == found


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no JSON object"),
        ("[1, 2]", "no JSON object"),
        ('"{"', "not complete"),
        ('{"a": {"b": 1}, "c": }', "malformed"),  # never the inner object
        ('{"a": {"b": 1}', "not complete"),
        ('{"a": "never closed}', "not complete"),
        ('{"a": "ends in a backslash\\', "not complete"),
        ('{"a": NaN}', "NaN is not a JSON number"),
        ('{"a": -Infinity}', "-Infinity is not"),
        ('{"a": 1e999}', "too large"),
        ('{"a": ' + "9" * 5000 + "}", "malformed"),
        ('{"a": 1, "a": 2}', "'a' appears twice"),
        ("{'a': 1}", "malformed"),
        ('{"a": 1,}', "malformed"),
        ('{"a": "line\nbreak"}', "malformed"),
        ('{"a":' * 100_000, f"deeper than {MAX_DEPTH}"),
        ('{"a":' + "[" * 100_000 + "]" * 100_000 + "}", f"deeper than {MAX_DEPTH}"),
        ("{" + '"\\"' * 200_000, "not complete"),
    ],
)
def test_what_is_not_one_is_refused(text, problem):
    with pytest.raises(ValueError, match=problem):
        json_object(text)


def test_half_a_surrogate_pair_is_named():
    with pytest.raises(ValueError, match="goal"):
        into(Script)('{"goal": "\\ud800", "steps": ["a"]}')


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), json_values, max_size=4), st.text().filter(lambda t: "{" not in t))
def test_every_object_survives_prose_around_it(data, prose):
    assert json_object(
        f"{prose.replace('</think>', '')}{json.dumps(data)} {prose}".replace("</think>", "")
    ) == json.loads(json.dumps(data).replace("</think>", ""))


@given(st.text(alphabet='{}[]":,\\ a1nul', max_size=60))
def test_any_text_gives_an_object_or_a_value_error(text):
    with contextlib.suppress(ValueError):
        assert isinstance(json_object(text), dict)
