"""The real Anthropic SDK against a real server on the loopback interface."""

import asyncio

import pytest

from memp.errors import (
    AuthError,
    BadRequest,
    MissingExtra,
    MissingKey,
    ProviderDown,
    ProviderTimeout,
    RateLimited,
    UnknownModel,
)
from memp.models.anthropic import AnthropicChat
from memp.models.base import ChatModel, Message
from memp.testing.chat import ScriptedChat
from memp.testing.faults import Faults
from memp.testing.wire import WireServer

ASK = [Message(role="system", content="You act."), Message(role="user", content="look around")]


def chat(server: WireServer, model: str = "toy", **options) -> AnthropicChat:
    return AnthropicChat(model, **{"base_url": server.root, "max_retries": 0, "timeout": 5.0, **options})


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)


async def test_a_reply_with_everything():
    with WireServer(lambda messages: f"I heard: {messages[-1].content}") as server:
        model = chat(server, price=(3.0, 15.0))
        assert isinstance(model, ChatModel)
        reply = await model.complete(ASK)
        await model.close()
    served = server.served["toy"]
    assert (model.name, reply.text, reply.stop) == ("anthropic:toy", "I heard: look around", "stop")
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (served.input_tokens, served.output_tokens)
    assert reply.usage.cost == pytest.approx((served.input_tokens * 3 + served.output_tokens * 15) / 1e6)
    assert reply.raw["content"] == [{"type": "text", "text": reply.text}]
    reply.model_dump_json()


async def test_what_is_sent():
    """A temperature of 0 is a request; system texts are joined, neighbours merged, empty messages left out."""
    double = ScriptedChat(lambda _: "ok")
    conversation = [
        Message(role="system", content="One."),
        Message(role="user", content="a"),
        Message(role="user", content="b"),
        Message(role="assistant", content=""),
        Message(role="user", content="c"),
        Message(role="assistant", content="d"),
        Message(role="system", content="Two."),
        Message(role="user", content="e"),
    ]
    with WireServer(double) as server:
        model = chat(server, base_url=server.url)  # with or without /v1
        await model.complete(conversation, temperature=0.0, stop=["END", "\n"])
        await model.complete(conversation, temperature=0.7, max_tokens=9)
        await model.complete(conversation)
        await model.close()
    assert [(m.role, m.content) for m in double.calls[0].messages] == [
        ("system", "One.\n\nTwo."),
        ("user", "a\n\nb\n\nc"),
        ("assistant", "d"),
        ("user", "e"),
    ]
    assert [(c.temperature, c.max_tokens) for c in double.calls] == [(0.0, 1024), (0.7, 9), (None, 1024)]
    assert double.calls[0].stop == ("END",)  # the API refuses white space, so that is done here


async def test_a_line_break_as_stop_sequence():
    with WireServer(lambda _: "go to shelf 1\nThen take it") as server:
        model = chat(server)
        reply = await model.complete(ASK, stop=["\n"])
        await model.close()
    assert (reply.text, reply.stop) == ("go to shelf 1", "stop")


@pytest.mark.parametrize(
    ("faults", "text", "stop"),
    [
        (Faults(rate_truncated=1.0), "half ", "length"),
        (Faults(rate_refusal=1.0), "", "refusal"),
        (Faults(rate_empty=1.0), "", "stop"),
    ],
)
async def test_stop_reasons(faults, text, stop):
    with WireServer(lambda _: "half half ", faults=faults) as server:
        model = chat(server)
        reply = await model.complete(ASK)
        await model.close()
    assert (reply.text, reply.stop) == (text, stop)
    assert reply.usage.input_tokens > 0


@pytest.mark.parametrize(
    ("raised", "error"),
    [(BadRequest("no"), BadRequest), (RateLimited("no"), RateLimited), (ProviderDown("no", status=529), ProviderDown)],
)
async def test_each_status_has_its_error(raised, error):
    def fail(_):
        raise raised

    with WireServer(fail) as server:
        model = chat(server)
        with pytest.raises(error, match=r"^anthropic: ") as caught:
            await model.complete(ASK)
        await model.close()
    assert type(caught.value) is error


async def test_keys():
    with pytest.raises(MissingKey, match="ANTHROPIC_API_KEY"):
        await AnthropicChat("claude").complete(ASK)
    secret = "sk-ant-very-secret"
    with WireServer(lambda _: "ok", keys=["good"]) as server:
        model = chat(server, api_key=secret)
        with pytest.raises(AuthError, match="ANTHROPIC_API_KEY") as caught:
            await model.complete(ASK)
        await model.close()
        assert secret not in str(caught.value)
        assert caught.value.__cause__ is None
        model = chat(server, api_key="good")
        assert (await model.complete(ASK)).text == "ok"
        await model.close()


async def test_an_unknown_model_names_the_nearest():
    with WireServer(lambda _: "", models=["claude-toy-4"]) as server:
        model = chat(server, "claude-toy-5")
        with pytest.raises(UnknownModel, match=r"Did you mean claude-toy-4\?"):
            await model.complete(ASK)
        await model.close()


async def test_nothing_to_answer():
    with pytest.raises(BadRequest, match="no user message"):
        await AnthropicChat("claude", api_key="k").complete([Message(role="system", content="x")])


async def test_without_the_package(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "anthropic", None)
    with pytest.raises(MissingExtra, match=r"memp\[anthropic\]"):
        await AnthropicChat("claude", api_key="k").complete(ASK)


async def test_time_out_and_unreadable_body():
    with WireServer(lambda _: "late", faults=Faults(rate_stall=1.0, stall_s=0.6)) as server:
        model = chat(server, timeout=0.1)
        with pytest.raises(ProviderTimeout):
            await model.complete(ASK)
        await model.close()
    with WireServer(lambda _: "ok", faults=Faults(rate_bad_body=1.0, in_a_row=2)) as server:
        model = chat(server)
        assert (await model.complete(ASK)).text == "ok"
        await model.close()


async def test_retry_after_is_honoured_within_reason():
    with WireServer(lambda _: "ok", faults=Faults(rate_429=1.0, in_a_row=1, retry_after=0.8)) as server:
        model = chat(server, max_retries=2)
        assert (await model.complete(ASK)).text == "ok"
        await model.close()
    first, second = server.exchanges
    assert 0.8 <= second.started - first.finished < 2.0
    with WireServer(lambda _: "ok", faults=Faults(rate_429=1.0, retry_after=3600)) as server:
        model = chat(server, max_retries=2)
        with pytest.raises(RateLimited):
            await asyncio.wait_for(model.complete(ASK), 5)
        await model.close()
    assert len(server.exchanges) == 1


async def test_concurrency_is_bounded():
    with WireServer(lambda _: "ok", delay=0.08) as server:
        model = chat(server, max_concurrency=2)
        await asyncio.gather(*(model.complete([Message(role="user", content=str(i))]) for i in range(6)))
        await model.close()
    assert (server.peak, server.served["toy"].calls) == (2, 6)
