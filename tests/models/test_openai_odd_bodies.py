"""What servers that only nearly speak OpenAI's format send with HTTP 200."""

import json

import pytest

from memp.errors import ModelError, ProviderDown, RateLimited
from memp.models.base import Message
from memp.models.openai import OpenAIChat
from memp.testing._http import LoopbackServer, response

ASK = [Message(role="user", content="hello")]
FINE = {"role": "assistant", "content": "fine"}


class Saying(LoopbackServer):
    """Answers every request with one body."""

    def __init__(self, body: object, kind: str = "application/json") -> None:
        super().__init__()
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.kind = kind

    async def exchange(self, request, reader, writer) -> None:
        writer.write(response(200, self.body, kind=self.kind))
        await writer.drain()


async def answer(body: object, kind: str = "application/json"):
    with Saying(body, kind) as server:
        model = OpenAIChat("toy", base_url=f"http://127.0.0.1:{server.port}/v1", max_retries=0, price=(1, 1))
        try:
            return await model.complete(ASK)
        finally:
            await model.close()


@pytest.mark.parametrize(
    ("body", "text", "stop"),
    [
        ({"choices": []}, "", "other"),
        ({"choices": None}, "", "other"),
        ({}, "", "other"),
        ({"choices": [{"finish_reason": "stop", "message": {"content": None}}]}, "", "stop"),
        ({"choices": [{"finish_reason": "stop", "message": None}]}, "", "stop"),
        ({"choices": [{"finish_reason": "stop", "message": {"content": 7}}]}, "", "stop"),
        ({"choices": ["what"]}, "", "other"),
        ({"choices": [{"finish_reason": None, "message": FINE}]}, "fine", "other"),
        ({"choices": [{"finish_reason": "content_filter", "message": FINE}]}, "fine", "refusal"),
        ({"choices": [{"finish_reason": "tool_calls", "message": FINE}]}, "fine", "other"),
    ],
)
async def test_gaps_become_an_empty_reply(body, text, stop):
    reply = await answer(body)
    assert (reply.text, reply.stop) == (text, stop)
    assert reply.usage.calls == 1
    assert reply.usage.cost is None  # tokens unknown, so the cost is unknown, never 0


@pytest.mark.parametrize(
    "usage", [None, {}, {"prompt_tokens": None}, {"prompt_tokens": -3, "completion_tokens": "x"}, 5]
)
async def test_odd_usage_is_no_usage(usage):
    reply = await answer({"choices": [{"finish_reason": "stop", "message": FINE}], "usage": usage})
    assert (reply.text, reply.usage.tokens, reply.usage.cost) == ("fine", 0, None)


async def test_half_a_surrogate_pair_does_not_reach_a_record():
    body = b'{"choices": [{"finish_reason": "stop", "message": {"content": "a\\ud83d b"}}]}'
    reply = await answer(body)
    assert reply.text == "a? b"
    reply.model_dump_json()


async def test_an_error_that_comes_with_200():
    with pytest.raises(RateLimited, match="slow"):
        await answer({"error": {"code": 429, "message": "slow"}})
    with pytest.raises(ProviderDown, match="upstream"):
        await answer({"error": {"code": "odd", "message": "upstream"}})


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<html>login please</html>", "text/html"),
        (b"<html>login please</html>", "application/json"),
        (b"", "application/json"),
        (b"[1, 2]", "application/json"),
        (b"null", "application/json"),
        (b'"text"', "application/json"),
        (b"\xff\xfe\x00", "application/json"),
        (b"[" * 100_000, "application/json"),
    ],
)
async def test_bodies_that_are_no_answer(body, kind):
    with pytest.raises(ModelError, match="could not be read"):
        await answer(body, kind)
