"""The shipped loopback server, spoken to without an SDK where its manners matter."""

import asyncio
import http.client
import json
import socket
import threading

import pytest
from pydantic import ValidationError

from memp.models.base import Message
from memp.models.openai import OpenAIChat
from memp.testing.chat import ScriptedChat
from memp.testing.faults import FaultPlan, Faults
from memp.testing.wire import WireServer

CHAT = {"model": "toy", "messages": [{"role": "user", "content": "hi"}]}


def post(server: WireServer, path: str, body: object, headers=None, method="POST"):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, data, headers or {})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read()), answer.headers
    finally:
        connection.close()


def test_the_two_formats():
    with WireServer(lambda messages: f"{messages[0].role}: {messages[-1].content}") as server:
        status, chat, _ = post(server, "/v1/chat/completions", CHAT)
        assert (status, chat["choices"][0]["message"]["content"]) == (200, "user: hi")
        assert chat["choices"][0]["finish_reason"] == "stop"
        assert chat["usage"]["total_tokens"] == chat["usage"]["prompt_tokens"] + chat["usage"]["completion_tokens"]
        parts = [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]
        status, message, _ = post(
            server, "/v1/messages", {"model": "toy", "max_tokens": 99, "system": "s", "messages": parts}
        )
        assert (status, message["content"]) == (200, [{"type": "text", "text": "system: ab"}])
        assert (message["type"], message["stop_reason"]) == ("message", "end_turn")
    assert server.served["toy"].calls == 2


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", b"{not json"),
        ("/v1/chat/completions", []),
        ("/v1/chat/completions", {"model": "toy"}),
        ("/v1/chat/completions", {"model": "toy", "messages": []}),
        ("/v1/chat/completions", {"model": "toy", "messages": ["hi"]}),
        ("/v1/chat/completions", {"model": "toy", "messages": [{"role": "wizard", "content": "x"}]}),
        ("/v1/chat/completions", {"messages": CHAT["messages"]}),
        ("/v1/embeddings", {"model": "toy", "input": []}),
        ("/v1/embeddings", {"model": "toy", "input": [""]}),
        ("/v1/embeddings", {"model": "toy", "input": 7}),
        ("/v1/messages", CHAT),  # no max_tokens
        ("/v1/messages", {**CHAT, "max_tokens": 9, "stop_sequences": ["\n"]}),
        ("/v1/messages", {**CHAT, "max_tokens": 9, "messages": [{"role": "user", "content": ""}]}),
        ("/v1/messages", {**CHAT, "max_tokens": 9, "messages": [{"role": "assistant", "content": "x"}]}),
    ],
)
def test_requests_that_do_not_hold_together(path, body):
    with WireServer(lambda _: "ok") as server:
        status, answer, _ = post(server, path, body)
    assert status == 400
    assert answer["error"]["message"]
    assert server.served == {}


def test_unknown_paths_models_and_keys():
    with WireServer({"toy": lambda _: "a", "other": lambda _: "b"}, keys=["k"]) as server:
        key = {"Authorization": "Bearer k"}
        assert post(server, "/v1/nothing", {}, key)[0] == 404
        assert post(server, "/v1/chat/completions", {**CHAT, "model": "third"}, key)[0] == 404
        assert post(server, "/v1/chat/completions", CHAT)[0] == 401
        assert post(server, "/v1/chat/completions", CHAT, {"Authorization": "Bearer x"})[0] == 401
        answers = [post(server, "/v1/chat/completions", {**CHAT, "model": m}, key)[1] for m in ("toy", "other")]
        listed = post(server, "/v1/models", b"", key, method="GET")[1]
    assert [a["choices"][0]["message"]["content"] for a in answers] == ["a", "b"]
    assert [entry["id"] for entry in listed["data"]] == ["toy", "other"]
    assert [e.status for e in server.exchanges] == [404, 404, 401, 401, 200, 200, 200]


def test_retry_after_is_said_in_both_ways():
    with WireServer(lambda _: "ok", faults=Faults(rate_429=1.0, retry_after=0.25)) as server:
        status, answer, headers = post(server, "/v1/chat/completions", CHAT)
    assert (status, headers["retry-after"], headers["retry-after-ms"]) == (429, "1", "250")
    assert answer["error"]["code"] == "rate_limit_exceeded"


@pytest.mark.parametrize(
    "sent",
    [
        b"what?\r\n\r\n",
        b"POST /v1/models HTTP/1.1\r\ncontent-length: minus\r\n\r\n",
        b"POST /v1/models HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n",
        b"POST /v1/models HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nx: " + b"y" * 100_000 + b"\r\n\r\n",
    ],
)
def test_what_is_no_http_gets_a_400_and_the_server_lives_on(sent):
    with WireServer(lambda _: "ok") as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as raw:
            raw.sendall(sent)
            assert raw.recv(100).startswith(b"HTTP/1.1 400")
        assert post(server, "/v1/chat/completions", CHAT)[0] == 200


def test_a_client_that_hangs_up_disturbs_nobody():
    with WireServer(lambda _: "ok") as server:
        for sent in (b"", b"POST /v1/", b"POST / HTTP/1.1\r\ncontent-length: 10\r\n\r\nhalf"):
            with socket.create_connection(("127.0.0.1", server.port), timeout=5) as raw:
                raw.sendall(sent)
        assert post(server, "/v1/chat/completions", CHAT)[0] == 200


def test_a_taken_port_is_reported():
    with WireServer(lambda _: "ok") as server, pytest.raises(OSError, match="address already in use"):
        WireServer(lambda _: "ok", port=server.port).start()


async def test_start_and_stop_leave_nothing_behind():
    before = set(threading.enumerate())
    server = WireServer(lambda _: "ok", delay=30)
    server.stop()
    async with server:
        model = OpenAIChat("toy", base_url=server.url, max_retries=0)
        waiting = asyncio.ensure_future(model.complete([Message(role="user", content="x")]))
        while not server.peak:
            await asyncio.sleep(0.01)
    with pytest.raises(Exception, match="no connection"):
        await waiting  # stopping cuts what is under way
    server.stop()
    await model.close()
    left = set(threading.enumerate()) - before
    assert [thread for thread in left if not thread.name.startswith("asyncio_")] == []  # its helpers look up names


async def test_a_chat_model_answers_over_the_wire():
    """What a simulated backbone does behind the server is what it does in the process."""
    inner = ScriptedChat(["first", "second"])
    with WireServer({"novice": inner}) as server:
        model = OpenAIChat("novice", base_url=server.url)
        messages = [Message(role="user", content="x")]
        texts = [(await model.complete(messages, temperature=0.0)).text for _ in range(2)]
        await model.close()
    assert texts == ["first", "second"]
    assert [call.temperature for call in inner.calls] == [0.0, 0.0]


def draws(faults: Faults, bodies: list[bytes]) -> dict[bytes, list[str | None]]:
    plan = FaultPlan(faults)
    out: dict[bytes, list[str | None]] = {}
    for body in bodies:
        out.setdefault(body, []).append(plan.transport(body))
    return out


def test_faults_do_not_depend_on_the_order_of_arrival():
    faults = Faults(rate_429=0.3, rate_500=0.3, rate_drop=0.1, seed=7)
    bodies = [str(i % 20).encode() for i in range(200)]
    one = draws(faults, bodies)
    assert one == draws(faults, sorted(bodies))
    assert one != draws(faults.model_copy(update={"seed": 8}), bodies)


def test_faults_come_at_their_rate_and_never_too_often_in_a_row():
    faults = Faults(rate_429=0.2, rate_500=0.1, in_a_row=2)
    plan = FaultPlan(faults)
    drawn = [plan.transport(str(i).encode()) for i in range(4000)]
    assert 0.17 < drawn.count("429") / 4000 < 0.23
    assert 0.08 < drawn.count("500") / 4000 < 0.12
    always = FaultPlan(Faults(rate_drop=1.0, in_a_row=2))
    assert [always.transport(b"x") for _ in range(6)] == ["drop", "drop", None, "drop", "drop", None]


def test_a_longer_conversation_is_still_the_same_request():
    plan = FaultPlan(Faults(rate_empty=1.0, in_a_row=2))
    opening = [Message(role="system", content="s"), Message(role="user", content="u")]
    shown = [Message(role="assistant", content="(no text)"), Message(role="user", content="again")]
    assert [plan.reply("m", opening + shown * n) for n in range(3)] == ["empty", "empty", None]


@pytest.mark.parametrize(
    "wrong", [{"rate_429": 1.1}, {"rate_429": -0.1}, {"rate_429": 0.6, "rate_500": 0.6}, {"in_a_row": 0}, {"rate": 1}]
)
def test_rates_that_make_no_sense(wrong):
    with pytest.raises(ValidationError):
        Faults(**wrong)
