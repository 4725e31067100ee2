import asyncio
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from memp.errors import AuthError, BudgetExceeded, MissingKey, ProviderTimeout
from memp.models.base import ChatModel, Message, Reply
from memp.models.metered import Budget, Meter, Metered
from memp.models.openai import OpenAIChat
from memp.records import Usage
from memp.testing.chat import ScriptedChat
from memp.testing.faults import Faults
from memp.testing.wire import WireServer

ASK = [Message(role="user", content="look")]


def reply(text="ok", tokens=(10, 5), cost: float | None = 0.25, stop="stop") -> Reply:
    usage = Usage(calls=1, input_tokens=tokens[0], output_tokens=tokens[1], cost=cost)
    return Reply(text=text, usage=usage, model="m", stop=stop)


async def test_usage_is_counted_by_purpose_even_when_the_reply_is_of_no_use():
    inner = ScriptedChat([reply(), reply(text="", stop="refusal"), reply(tokens=(1, 1))], name="toy:1")
    model = Metered(inner, Meter())
    assert isinstance(model, ChatModel)
    assert (model.name, model.simulated) == ("toy:1", True)
    await model.complete(ASK, purpose="act", temperature=0.5, max_tokens=3, stop=["x"])
    await model.complete(ASK, purpose="act")
    await model.complete(ASK, purpose="script")
    assert dict(model.meter.usage) == {
        "act": Usage(calls=2, input_tokens=20, output_tokens=10, cost=0.5),
        "script": Usage(calls=1, input_tokens=1, output_tokens=1, cost=0.25),
    }
    assert model.meter.total == Usage(calls=3, input_tokens=21, output_tokens=11, cost=0.75)
    first = inner.calls[0]
    assert (first.purpose, first.temperature, first.max_tokens, first.stop) == ("act", 0.5, 3, ("x",))
    await model.close()
    assert inner.closed


@pytest.mark.parametrize(
    ("budget", "served", "words"),
    [
        (Budget(calls=2), 2, "cap of 2 calls"),
        (Budget(calls=0), 0, "cap of 0 calls"),
        (Budget(tokens=16), 2, "cap of 16 tokens"),
        (Budget(tokens=15), 1, "cap of 15 tokens"),
        (Budget(cost=0.5), 2, r"cap of \$0.5"),
        (Budget(cost=0.51), 3, r"cap of \$0.51"),
    ],
)
async def test_each_cap_stops_before_the_next_call(budget, served, words):
    inner = ScriptedChat([reply()] * 10)
    model = Metered(inner, Meter(budget))
    for _ in range(served):
        await model.complete(ASK)
    before = model.meter.total
    for _ in range(2):
        with pytest.raises(BudgetExceeded, match=words):
            await model.complete(ASK)
    with pytest.raises(BudgetExceeded, match="everything so far is kept"):
        model.meter.check()
    assert len(inner.calls) == served
    assert model.meter.total == before


async def test_calls_under_way_count_so_that_concurrency_cannot_overshoot():
    with WireServer(lambda _: "ok", delay=0.05) as server:
        chat = OpenAIChat("toy", base_url=server.url, max_concurrency=50)
        model = Metered(chat, Meter(Budget(calls=5)))
        jobs = [model.complete([Message(role="user", content=str(i))]) for i in range(30)]
        answers = await asyncio.gather(*jobs, return_exceptions=True)
        await model.close()
    assert sum(isinstance(answer, Reply) for answer in answers) == 5
    assert sum(isinstance(answer, BudgetExceeded) for answer in answers) == 25
    assert len(server.exchanges) == 5


async def test_the_same_across_threads():
    meter = Meter(Budget(calls=100))
    refused = []

    def work() -> None:
        for _ in range(50):
            try:
                with meter.call("act") as done:
                    done(Usage(calls=1, input_tokens=1, cost=0.0))
            except BudgetExceeded:
                refused.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert meter.total == Usage(calls=100, input_tokens=100, cost=0.0)
    assert len(refused) == 100


async def test_failed_requests_count_as_calls():
    answers = [AuthError("no", status=401), ProviderTimeout("late"), RuntimeError("a bug"), reply()]
    model = Metered(ScriptedChat(answers), Meter(Budget(calls=3)))
    with pytest.raises(AuthError):
        await model.complete(ASK)
    assert model.meter.total == Usage(calls=1, cost=0.0)  # answered with an error: not billed
    with pytest.raises(ProviderTimeout):
        await model.complete(ASK)
    assert model.meter.total == Usage(calls=2, cost=None)  # nobody knows
    with pytest.raises(RuntimeError):
        await model.complete(ASK)
    with pytest.raises(BudgetExceeded):
        await model.complete(ASK)


async def test_what_was_never_sent_does_not_count(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    model = Metered(OpenAIChat("gpt-4o"), Meter())
    with pytest.raises(MissingKey):
        await model.complete(ASK)
    assert dict(model.meter.usage) == {}


async def test_a_cancelled_call_counts_and_frees_its_place():
    class Slow(ScriptedChat):
        async def complete(self, messages, **options):
            await asyncio.sleep(10)

    model = Metered(Slow([]), Meter(Budget(calls=2)))
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(model.complete(ASK), 0.01)
    assert model.meter.total.calls == 1
    model.meter.check()


async def test_money_capped_but_price_unknown():
    inner = ScriptedChat([reply(cost=None), reply(cost=None)])
    model = Metered(inner, Meter(Budget(cost=1.0)))
    for _ in range(2):
        with pytest.raises(BudgetExceeded, match=r"cost of a reply is unknown; give the model's price"):
            await model.complete(ASK)
    assert len(inner.calls) == 1  # the first reply showed it; nothing further was sent
    assert model.meter.total == Usage(calls=1, input_tokens=10, output_tokens=5, cost=None)


async def test_a_time_out_under_a_money_cap_does_not_stop_the_run():
    model = Metered(ScriptedChat([ProviderTimeout("late"), reply()]), Meter(Budget(cost=1.0)))
    with pytest.raises(ProviderTimeout):
        await model.complete(ASK)
    assert (await model.complete(ASK)).text == "ok"
    assert model.meter.total.cost is None


async def test_differences_for_receipts():
    meter = Meter()
    meter.add("act", Usage(calls=1, input_tokens=5, cost=None))
    before, seen = meter.snapshot(), meter.usage
    assert dict(meter.since(before)) == {}
    meter.add("act", Usage(calls=2, input_tokens=7, cost=0.5))
    meter.add("script", Usage(calls=1, output_tokens=3, cost=None))
    assert dict(meter.since(before)) == {
        "act": Usage(calls=2, input_tokens=7, cost=0.5),  # known, though the total is not
        "script": Usage(calls=1, output_tokens=3, cost=None),
    }
    assert dict(seen) == {"act": Usage(calls=1, input_tokens=5, cost=None)}
    with pytest.raises(TypeError):
        seen["act"] = Usage()  # type: ignore[index]


async def test_meters_nest():
    run, episode = Meter(Budget(calls=1)), Meter()
    model = Metered(Metered(ScriptedChat([reply()] * 3), run), episode)
    await model.complete(ASK)
    with pytest.raises(BudgetExceeded):
        await model.complete(ASK)
    assert run.total.calls == episode.total.calls == 1  # what the inner meter stopped is not the outer's call


@pytest.mark.parametrize("caps", [{"calls": -1}, {"tokens": -1}, {"cost": -0.1}, {"cost": float("nan")}, {"money": 1}])
def test_caps_that_are_none(caps):
    with pytest.raises(ValidationError):
        Budget(**caps)


async def test_the_server_and_the_meter_agree_under_faults():
    """What the client counts is what the server served, with retries in between."""
    faults = Faults(rate_429=0.2, rate_500=0.2, rate_empty=0.1, rate_truncated=0.1, seed=3, retry_after=0.005)
    with WireServer(lambda messages: messages[-1].content * 3, faults=faults) as server:
        model = Metered(OpenAIChat("toy", base_url=server.url, price=(1.0, 2.0)), Meter())
        await asyncio.gather(*(model.complete([Message(role="user", content=f"task {i}")]) for i in range(40)))
        await model.close()
    served = server.served["toy"]
    total = model.meter.total
    assert (total.calls, total.input_tokens, total.output_tokens) == (
        served.calls,
        served.input_tokens,
        served.output_tokens,
    )
    assert total.cost == pytest.approx((served.input_tokens + 2 * served.output_tokens) / 1e6)
    assert len(server.exchanges) > 40


usages = st.builds(
    Usage,
    calls=st.just(1),
    input_tokens=st.integers(0, 10**9),
    output_tokens=st.integers(0, 10**9),
    cost=st.none() | st.floats(0, 1e6),
)


@given(st.lists(st.tuples(st.sampled_from(["act", "script"]), usages)), st.integers(0, 10))
def test_parts_add_up(events, cut):
    meter = Meter()
    for purpose, usage in events[:cut]:
        meter.add(purpose, usage)
    middle, early = meter.snapshot(), meter.usage
    for purpose, usage in events[cut:]:
        meter.add(purpose, usage)
    late = meter.since(middle)
    for purpose, usage in meter.usage.items():
        parts = early.get(purpose, Usage()) + late.get(purpose, Usage())
        assert parts.model_copy(update={"cost": None}) == usage.model_copy(update={"cost": None})
        assert (parts.cost is None) == (usage.cost is None)
        if usage.cost is not None:
            assert parts.cost == pytest.approx(usage.cost)
