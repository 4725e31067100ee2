"""The real OpenAI SDK against a real server on the loopback interface."""

import asyncio
import gc
import json

import pytest

from memp.errors import (
    AuthError,
    BadRequest,
    MissingExtra,
    MissingKey,
    ModelError,
    ProviderDown,
    ProviderTimeout,
    RateLimited,
    UnknownModel,
)
from memp.models.base import ChatModel, Message, Reply
from memp.models.openai import OpenAIChat
from memp.records import Usage
from memp.testing.faults import Faults
from memp.testing.wire import WireServer

ASK = [Message(role="system", content="You act."), Message(role="user", content="look around")]


def chat(server: WireServer, model: str = "toy", **options) -> OpenAIChat:
    return OpenAIChat(model, **{"base_url": server.url, "max_retries": 0, "timeout": 5.0, **options})


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


async def test_a_reply_with_everything():
    with WireServer(lambda messages: f"I heard: {messages[-1].content}") as server:
        model = chat(server, price=(2.0, 8.0))
        assert isinstance(model, ChatModel)
        reply = await model.complete(ASK)
        await model.close()
    assert (model.name, model.simulated) == ("openai:toy", False)
    assert reply.text == "I heard: look around"
    assert (reply.stop, reply.model) == ("stop", "toy")
    assert reply.usage.calls == 1
    served = server.served["toy"]
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (served.input_tokens, served.output_tokens)
    assert reply.usage.cost == pytest.approx((served.input_tokens * 2 + served.output_tokens * 8) / 1e6)
    assert reply.raw["choices"][0]["message"]["content"] == reply.text
    assert json.loads(reply.model_dump_json())["raw"] == reply.raw


async def test_the_options_arrive():
    seen = []

    class Spy:
        name, simulated = "spy:1", True

        async def complete(self, messages, *, purpose="act", temperature=None, max_tokens=None, stop=()):
            seen.append((temperature, max_tokens, tuple(stop), [m.role for m in messages]))
            return Reply(text="ok", usage=Usage(calls=1), model="spy")

        async def close(self):
            pass

    with WireServer(Spy()) as server:
        model = chat(server)
        await model.complete(ASK, temperature=0.0, max_tokens=7, stop=["\n", "END"])
        await model.complete(ASK)
        await model.close()
    assert seen == [(0.0, 7, ("\n", "END"), ["system", "user"]), (None, None, (), ["system", "user"])]


async def test_the_request_as_it_is_sent():
    sent = []

    class Listening(WireServer):
        async def exchange(self, request, reader, writer):
            sent.append((json.loads(request.body), request.headers["authorization"]))
            await super().exchange(request, reader, writer)

    with Listening(lambda _: "ok") as server:
        model = chat(server, extra={"chat_template_kwargs": {"enable_thinking": False}, "temperature": 1.0})
        await model.complete(ASK)
        await model.complete(ASK, temperature=0.0, max_tokens=5, stop=["x"])
        await model.close()
    messages = [{"role": "system", "content": "You act."}, {"role": "user", "content": "look around"}]
    extra = {"chat_template_kwargs": {"enable_thinking": False}}
    assert sent == [
        ({"model": "toy", "messages": messages, **extra, "temperature": 1.0}, "Bearer no-key"),
        (
            {"model": "toy", "messages": messages, **extra, "temperature": 0.0, "max_tokens": 5, "stop": ["x"]},
            "Bearer no-key",
        ),
    ]


@pytest.mark.parametrize(
    ("text", "options", "expected", "stop"),
    [
        ("one\ntwo", {"stop": ["\n"]}, "one", "stop"),
        ("word " * 100, {"max_tokens": 5}, ("word " * 100)[:20], "length"),
        ("", {}, "", "stop"),
        ("héllo 世界 🎉\x00\x1f", {}, "héllo 世界 🎉\x00\x1f", "stop"),
    ],
)
async def test_texts_and_stop_reasons(text, options, expected, stop):
    with WireServer(lambda _: text) as server:
        model = chat(server)
        reply = await model.complete(ASK, **options)
        await model.close()
    assert (reply.text, reply.stop) == (expected, stop)


async def test_a_very_long_conversation_and_reply():
    with WireServer(lambda messages: messages[-1].content * 2) as server:
        model = chat(server, timeout=30.0)
        reply = await model.complete([Message(role="user", content="ä" * 1_000_000)])
        await model.close()
    assert reply.text == "ä" * 2_000_000
    assert reply.usage.input_tokens == 500_000


async def test_a_refusal_is_a_reply_and_is_counted():
    with WireServer(lambda _: "never said", faults=Faults(rate_refusal=1.0, in_a_row=9)) as server:
        model = chat(server)
        reply = await model.complete(ASK)
        await model.close()
    assert (reply.text, reply.stop) == ("", "refusal")
    assert reply.usage.output_tokens > 0


@pytest.mark.parametrize(
    ("raised", "error", "words"),
    [
        (BadRequest("context too long"), BadRequest, "context too long"),
        (ModelError("only for members", status=403), AuthError, "may not use 'toy'"),
        (ModelError("pay first", status=402), BadRequest, "no credit left"),
        (ModelError("too big", status=413), BadRequest, "too long for 'toy'"),
        (RateLimited("slow down"), RateLimited, "lower max_concurrency"),
        (ProviderDown("overloaded", status=529), ProviderDown, "try again later"),
        (KeyError("a bug in the server"), ProviderDown, "a bug in the server"),
    ],
)
async def test_each_status_has_its_error(raised, error, words):
    def fail(_):
        raise raised

    with WireServer(fail) as server:
        model = chat(server)
        with pytest.raises(error, match=words) as caught:
            await model.complete(ASK)
        await model.close()
    assert type(caught.value) is error
    assert caught.value.provider == "openai"
    assert str(caught.value.status) in str(caught.value)
    assert caught.value.retryable == (error in (RateLimited, ProviderDown))


async def test_a_wrong_key_is_refused_and_never_shown():
    secret = "sk-very-secret-0123456789"
    with WireServer(lambda _: "", keys=["another"]) as server:
        model = chat(server, api_key=secret)
        with pytest.raises(AuthError, match="OPENAI_API_KEY") as caught:
            await model.complete(ASK)
        await model.close()
    assert caught.value.status == 401
    assert caught.value.__cause__ is None  # the server quotes the key
    assert secret not in str(caught.value)


async def test_a_key_that_a_server_quotes_elsewhere_is_cut_out():
    def fail(messages):
        raise BadRequest("cannot serve sk-very-secret")

    with WireServer(fail) as server:
        model = chat(server, api_key="sk-very-secret")
        with pytest.raises(BadRequest, match=r"cannot serve \[key\]") as caught:
            await model.complete(ASK)
        await model.close()
    assert caught.value.__cause__ is None


async def test_an_unknown_model_names_the_nearest():
    with WireServer(lambda _: "", models=["qwen2.5-72b-instruct", "gpt-oss"]) as server:
        model = chat(server, "qwen2.5-72b")
        with pytest.raises(UnknownModel, match=r"no model 'qwen2.5-72b'. Did you mean qwen2.5-72b-instruct\?"):
            await model.complete(ASK)
        await model.close()


async def test_a_wrong_path_is_no_unknown_model():
    with WireServer(lambda _: "") as server:
        model = chat(server, base_url=f"{server.root}/api/v7")
        with pytest.raises(BadRequest, match=r"nothing answers at http://127.0.0.1:\d+/api/v7; check the base URL"):
            await model.complete(ASK)
        await model.close()


@pytest.mark.parametrize("url", ["localhost:8000/v1", "ftp://x/v1", "http://", "http://host:99999/v1", "http://[::"])
def test_an_address_that_cannot_work_is_refused_at_once(url):
    with pytest.raises(BadRequest, match=r"http://127\.0\.0\.1:8000/v1"):
        OpenAIChat("toy", base_url=url)


async def test_no_key():
    with pytest.raises(MissingKey, match="set OPENAI_API_KEY or pass api_key="):
        await OpenAIChat("gpt-4o").complete(ASK)


async def test_a_key_with_a_line_break_inside():
    with pytest.raises(AuthError, match="no key has") as caught:
        await OpenAIChat("gpt-4o", api_key="sk-a\nb").complete(ASK)
    assert "sk-a" not in str(caught.value)


async def test_key_and_address_from_the_environment(monkeypatch):
    with WireServer(lambda _: "yes", keys=["from-env"]) as server:
        monkeypatch.setenv("OPENAI_API_KEY", " from-env\n")
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        model = OpenAIChat("toy")
        assert (await model.complete(ASK)).text == "yes"
        await model.close()


async def test_without_the_package(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "openai", None)
    with pytest.raises(MissingExtra, match=r"memp\[openai\]"):
        await OpenAIChat("gpt-4o", api_key="k").complete(ASK)


async def test_nobody_listens():
    with WireServer(lambda _: "") as server:
        url = server.url
    model = OpenAIChat("toy", base_url=url.replace("//", "//user:password@"), max_retries=0)
    with pytest.raises(
        ProviderDown, match=r"no connection to http://127.0.0.1:\d+/v1 .*is the server running"
    ) as caught:
        await model.complete(ASK)
    assert caught.value.status is None
    assert "password" not in str(caught.value)
    await model.close()


async def test_a_dropped_connection_is_tried_again():
    with WireServer(lambda _: "at last", faults=Faults(rate_drop=1.0, in_a_row=1)) as server:
        model = chat(server, max_retries=1)
        assert (await model.complete(ASK)).text == "at last"
        await model.close()
    assert [(e.status, e.fault) for e in server.exchanges] == [(0, "drop"), (200, None)]


async def test_no_answer_in_time():
    with WireServer(lambda _: "late", faults=Faults(rate_stall=1.0, stall_s=0.6)) as server:
        model = chat(server, timeout=0.1)
        with pytest.raises(ProviderTimeout, match="raise timeout=") as caught:
            await model.complete(ASK)
        await model.close()
    assert caught.value.status is None
    assert server.served == {}  # what nobody received is not counted


async def test_retry_after_is_honoured():
    """The SDK's own first pause is at most 0.5 s; the server asks for more, and for less."""
    for asked, least, most in ((0.8, 0.8, 2.0), (0.02, 0.02, 0.37)):
        with WireServer(lambda _: "ok", faults=Faults(rate_429=1.0, in_a_row=1, retry_after=asked)) as server:
            model = chat(server, max_retries=2)
            assert (await model.complete(ASK)).text == "ok"
            await model.close()
        first, second = server.exchanges
        assert (first.status, second.status) == (429, 200)
        assert least <= second.started - first.finished < most


async def test_retries_are_bounded():
    with WireServer(lambda _: "ok", faults=Faults(rate_429=1.0, in_a_row=99)) as server:
        model = chat(server, max_retries=3)
        with pytest.raises(RateLimited, match="lower max_concurrency"):
            await model.complete(ASK)
        await model.close()
    assert [e.status for e in server.exchanges] == [429] * 4


async def test_a_retry_after_of_an_hour_is_reported_at_once():
    with WireServer(lambda _: "ok", faults=Faults(rate_429=1.0, retry_after=3600)) as server:
        model = chat(server, max_retries=6)
        with pytest.raises(RateLimited):
            await asyncio.wait_for(model.complete(ASK), 5)
        await model.close()
    assert len(server.exchanges) == 1


async def test_a_body_that_is_no_json_is_tried_again_and_then_reported():
    with WireServer(lambda _: "ok", faults=Faults(rate_bad_body=1.0, in_a_row=2)) as server:
        model = chat(server)
        assert (await model.complete(ASK)).text == "ok"
        await model.close()
    with WireServer(lambda _: "ok", faults=Faults(rate_bad_body=1.0, in_a_row=9)) as server:
        model = chat(server)
        with pytest.raises(ProviderDown, match="could not be read") as caught:
            await model.complete(ASK)
        await model.close()
    assert caught.value.retryable
    assert len(server.exchanges) == 3


async def test_concurrency_is_bounded():
    with WireServer(lambda _: "ok", delay=0.08) as server:
        model = chat(server, max_concurrency=3)
        await asyncio.gather(*(model.complete([Message(role="user", content=str(i))]) for i in range(12)))
        await model.close()
    assert server.peak == 3
    assert server.served["toy"].calls == 12


async def test_one_event_loop_at_a_time():
    with WireServer(lambda _: "ok") as server:
        model = chat(server)
        await model.complete(ASK)
        with pytest.raises(ModelError, match="another event loop"):
            await asyncio.to_thread(lambda: asyncio.run(model.complete(ASK)))
        await model.close()

        async def elsewhere() -> str:
            reply = await model.complete(ASK)
            await model.close()
            return reply.text

        assert await asyncio.to_thread(lambda: asyncio.run(elsewhere())) == "ok"
        await model.close()
        gc.collect()  # a connection left open would be a ResourceWarning, which is an error here


@pytest.mark.parametrize(("limit", "model"), [(0, "toy"), (-1, "toy")])
def test_no_room_for_any_request(limit, model):
    with pytest.raises(ValueError, match="max_concurrency"):
        OpenAIChat(model, api_key="k", max_concurrency=limit)


@pytest.mark.parametrize("price", [(1.0,), (-1.0, 2.0), (float("nan"), 1.0), (float("inf"), 1.0)])
def test_a_price_that_is_none(price):
    with pytest.raises(ValueError, match="per million"):
        OpenAIChat("toy", price=price)
