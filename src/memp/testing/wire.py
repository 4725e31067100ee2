"""A real HTTP server on the loopback interface that speaks OpenAI's and Anthropic's wire formats.

For tests and rehearsals: the real SDKs talk to it, any chat model or function answers, and faults come from
a seeded plan. Standard library only; no streaming.

    with WireServer(lambda messages: "hello", models=["toy"]) as server:
        model = chat_model("openai:toy", base_url=server.url)
"""

import asyncio
import json
import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from memp.errors import (
    AuthError,
    BadRequest,
    ModelError,
    ProviderDown,
    ProviderTimeout,
    RateLimited,
    UnknownModel,
)
from memp.models.base import ChatModel, Embedder, Message, Reply
from memp.records import Usage
from memp.testing import _formats as formats
from memp.testing._http import Cut, LoopbackServer, Request, response
from memp.testing.chat import CharEmbedder, count_tokens
from memp.testing.faults import Fault, FaultPlan, Faults

Answerer = ChatModel | Callable[[Sequence[Message]], str | Reply]
"""What answers: a chat model, or a function from the messages to a text."""

_STATUS: Final[tuple[tuple[type[ModelError], int], ...]] = (
    (AuthError, 401),
    (UnknownModel, 404),
    (RateLimited, 429),
    (ProviderDown, 503),
    (ProviderTimeout, 408),
    (BadRequest, 400),
)


class Exchange(NamedTuple):
    """One request the server saw; times are seconds on the monotonic clock."""

    path: str
    model: str
    status: int
    """0 when the connection was cut or the client had left."""
    fault: Fault | None
    started: float
    finished: float


class _Refused(Exception):
    """Answer with an HTTP error."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


class _Answer(NamedTuple):
    status: int
    body: bytes
    headers: Mapping[str, str]
    served: Usage | None = None


class WireServer(LoopbackServer):
    """Serves `/v1/chat/completions`, `/v1/embeddings`, `/v1/models` and `/v1/messages`.

    A context manager, `with` or `async with`; it runs in a thread of its own.

    Args:
        reply: answers every model; or a mapping from model name to what answers it. Functions run on the
            server's thread one at a time and should be quick; what they raise becomes an HTTP error (a
            `ModelError` its own status, anything else a 500).
        models: the names it knows, 404 for others; None takes any (a mapping brings its own names).
        keys: the API keys it accepts, 401 for others; None takes any.
        faults: what goes wrong, and how often.
        embedder: answers `/v1/embeddings`.
        delay: seconds before every answer.
        port: 0 finds a free one.
    """

    def __init__(
        self,
        reply: Answerer | Mapping[str, Answerer],
        *,
        models: Collection[str] | None = None,
        keys: Collection[str] | None = None,
        faults: Faults | None = None,
        embedder: Embedder | None = None,
        delay: float = 0.0,
        port: int = 0,
    ) -> None:
        super().__init__(port)
        self._reply = reply
        self._models = tuple(reply) if isinstance(reply, Mapping) else None if models is None else tuple(models)
        self._keys = None if keys is None else frozenset(keys)
        self._plan = FaultPlan(faults or Faults())
        self._embedder = embedder or CharEmbedder()
        self._delay = delay
        self._served: dict[str, Usage] = {}
        self._busy = 0
        self.peak = 0
        """Most requests under way at one moment."""
        self.exchanges: list[Exchange] = []
        """Every request, in the order they finished."""

    @property
    def root(self) -> str:
        """The base URL for Anthropic's SDK, which adds `/v1` itself."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The base URL for everything that speaks OpenAI's format."""
        return f"{self.root}/v1"

    @property
    def served(self) -> Mapping[str, Usage]:
        """Replies and tokens that reached a client, by model; costs are not the server's business (None)."""
        return MappingProxyType(dict(self._served))

    async def exchange(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and note how it went."""
        started, body, fault = time.monotonic(), _json(request.body), None
        model = body["model"] if isinstance(body.get("model"), str) else ""
        answer: _Answer | None = None
        with self._under_way():
            try:
                fault = self._plan.transport(request.body) if request.method == "POST" else None
                answer, reply_fault = await self._answer(request, body, fault)
                fault = fault or reply_fault
                if reader.at_eof():  # the client lost patience
                    answer = None
            except Cut:
                pass
            finally:  # noted before it is sent: who has the answer finds it counted
                status = 0 if answer is None else answer.status
                self.exchanges.append(Exchange(request.path, model, status, fault, started, time.monotonic()))
        if answer is None:
            raise Cut
        if answer.served is not None:
            self._served[model] = self._served.get(model, Usage()) + answer.served
        writer.write(response(answer.status, answer.body, headers=answer.headers))
        await writer.drain()

    @contextmanager
    def _under_way(self) -> Iterator[None]:
        self._busy += 1
        self.peak = max(self.peak, self._busy)
        try:
            yield
        finally:
            self._busy -= 1

    async def _answer(
        self, request: Request, body: Mapping[str, Any], fault: Fault | None
    ) -> tuple[_Answer, Fault | None]:
        anthropic = request.path.endswith("/messages") or "anthropic-version" in request.headers
        try:
            self._check_key(request)
            await self._delayed(fault)
            answer, reply_fault = await self._route(request, body, anthropic)
        except _Refused as error:
            return self._failed(error.status, str(error), anthropic), None
        except ModelError as error:
            return self._failed(_status(error), str(error), anthropic), None
        except Cut:
            raise
        except Exception as error:  # noqa: BLE001  (the request boundary)
            return self._failed(500, f"{type(error).__name__}: {error}", anthropic), None
        if fault == "bad_body":
            answer = answer._replace(body=answer.body[: len(answer.body) // 2], served=None)
        return answer, reply_fault

    async def _delayed(self, fault: Fault | None) -> None:
        await asyncio.sleep(self._delay + (self._plan.faults.stall_s if fault == "stall" else 0.0))
        if fault == "drop":
            raise Cut
        if fault == "429":
            raise _Refused(429, "Rate limit reached for requests")
        if fault == "500":
            raise _Refused(500, "The server had an error while processing your request")

    def _check_key(self, request: Request) -> None:
        given = request.headers.get("x-api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")
        if self._keys is not None and given not in self._keys:
            raise _Refused(401, f"Incorrect API key provided: {given}")

    def _failed(self, status: int, message: str, anthropic: bool) -> _Answer:
        headers = {}
        if status in (429, 500, 503):
            wait = self._plan.faults.retry_after
            headers["retry-after"] = str(math.ceil(wait))
            if wait != int(wait):
                headers["retry-after-ms"] = f"{wait * 1000:.0f}"  # what the SDKs read for parts of a second
        return _Answer(status, json.dumps(formats.error_body(status, message, anthropic=anthropic)).encode(), headers)

    async def _route(self, request: Request, body: Mapping[str, Any], anthropic: bool) -> tuple[_Answer, Fault | None]:
        known = self._models or ()
        match request.method, request.path.removeprefix("/v1"):
            case "GET", "/models":
                return _ok(formats.models_list(known, anthropic=anthropic)), None
            case "POST", "/chat/completions":
                return await self._chat(formats.asked_openai(body), formats.openai_reply)
            case "POST", "/messages":
                return await self._chat(formats.asked_anthropic(body), formats.anthropic_reply)
            case "POST", "/embeddings":
                return await self._embed(body), None
        return _ok({"detail": "Not Found"})._replace(status=404), None

    async def _chat(
        self, asked: formats.Asked, form: Callable[[int, str, Reply], dict[str, Any]]
    ) -> tuple[_Answer, Fault | None]:
        self._check_model(asked.model)
        reply = _limited(await self._replied(asked), asked)
        fault = self._plan.reply(asked.model, asked.messages)
        if fault == "malformed_json" and "{" not in reply.text:
            fault = None
        if fault is not None:
            reply = _spoilt(reply, fault)
        usage = reply.usage.model_copy(update={"cost": None})
        return _ok(form(len(self.exchanges), asked.model, reply), usage), fault

    async def _replied(self, asked: formats.Asked) -> Reply:
        answerer = self._reply[asked.model] if isinstance(self._reply, Mapping) else self._reply
        if isinstance(answerer, ChatModel):
            return await answerer.complete(
                asked.messages, temperature=asked.temperature, max_tokens=asked.max_tokens, stop=asked.stop
            )
        reply = answerer(asked.messages)
        if isinstance(reply, Reply):
            return reply
        sent = sum(count_tokens(message.content) for message in asked.messages)
        usage = Usage(calls=1, input_tokens=sent, output_tokens=count_tokens(reply))
        return Reply(text=reply, usage=usage, model=asked.model)

    async def _embed(self, body: Mapping[str, Any]) -> _Answer:
        model, texts = formats.embedding_inputs(body)
        self._check_model(model)
        size = body.get("dimensions")
        vectors = await (CharEmbedder(size) if isinstance(size, int) else self._embedder).embed(texts)
        tokens = sum(count_tokens(text) for text in texts)
        packed = body.get("encoding_format") == "base64"
        usage = Usage(calls=1, input_tokens=tokens)
        return _ok(formats.openai_embeddings(model, vectors, tokens, packed=packed), usage)

    def _check_model(self, model: str) -> None:
        if self._models is not None and model not in self._models:
            raise _Refused(404, f"The model `{model}` does not exist.")


def _json(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _ok(data: Mapping[str, Any], served: Usage | None = None) -> _Answer:
    return _Answer(200, json.dumps(data).encode(), {}, served)


def _status(error: ModelError) -> int:
    return error.status or next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def _limited(reply: Reply, asked: formats.Asked) -> Reply:
    """Apply stop sequences and the token limit, as a provider does."""
    text, stop = reply.text, reply.stop
    cuts = [text.index(mark) for mark in asked.stop if mark and mark in text]
    if cuts:
        text = text[: min(cuts)]
    if asked.max_tokens is not None and count_tokens(text) > asked.max_tokens:
        text, stop = text.encode()[: asked.max_tokens * 4].decode(errors="ignore"), "length"
    return reply if text == reply.text else _with_text(reply, text, stop)


def _spoilt(reply: Reply, fault: Fault) -> Reply:
    """The reply with one thing wrong with it."""
    if fault == "empty":
        return _with_text(reply, "", "stop")
    if fault == "truncated":
        return _with_text(reply, reply.text[: len(reply.text) // 2], "length")
    if fault == "refusal":
        return _with_text(reply, formats.REFUSAL, "refusal")
    return _with_text(reply, reply.text.replace("{", "{,", 1), reply.stop)


def _with_text(reply: Reply, text: str, stop: Any) -> Reply:
    usage = reply.usage.model_copy(update={"output_tokens": count_tokens(text)})
    return reply.model_copy(update={"text": text, "stop": stop, "usage": usage})
