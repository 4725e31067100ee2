"""Anthropic's Messages API."""

import time
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from types import ModuleType
from typing import Any, Final

from memp.errors import BadRequest, MissingExtra
from memp.models._access import Provider
from memp.models._sdk import MAX_RETRY_AFTER, Client, count, part, plain, readable
from memp.models.base import Message, Reply, Stop
from memp.models.prices import Cached, Price
from memp.records import Usage

ANTHROPIC: Final = Provider(
    "anthropic", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "it is what comes before /v1/messages"
)
DEFAULT_MAX_TOKENS: Final = 1024
_STOPS: Final[dict[str, Stop]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refusal",
}


async def _no_endless_wait(response: Any) -> None:
    """This SDK waits out any Retry-After, even a day: report a long one instead, as OpenAI's does."""
    asked = response.headers.get("retry-after", "0")
    try:
        wait = float(asked)
    except ValueError:
        try:
            wait = parsedate_to_datetime(asked).timestamp() - time.time()
        except ValueError:
            return
    if wait > MAX_RETRY_AFTER:
        response.headers["x-should-retry"] = "false"


class AnthropicChat(Client):
    """A Claude model behind the Messages API.

    System messages are joined into `system`, wherever they stand; neighbours of one role are merged; empty
    messages are left out, since the API refuses them. Concurrency, retries and event loops: as for
    `OpenAIChat`.

    Args:
        model: as Anthropic calls it.
        base_url: another address of the same API; then no key is needed. Default: `ANTHROPIC_BASE_URL`.
        api_key: default `ANTHROPIC_API_KEY`.
        max_tokens: the cap on output when a call gives none; the API demands one. Default 1024.
        timeout, max_retries, max_concurrency, price: as for `OpenAIChat`.
        extra: more fields for the request body.

    Raises:
        BadRequest: `base_url` is not an address.
    """

    simulated = False
    provider = ANTHROPIC

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        max_tokens: int = DEFAULT_MAX_TOKENS,
        timeout: float = 60.0,
        max_retries: int = 6,
        max_concurrency: int = 8,
        price: Price | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            model,
            base_url=base_url,
            api_key=api_key,
            timeout=timeout,
            max_retries=max_retries,
            max_concurrency=max_concurrency,
            price=price,
        )
        self._max_tokens, self._extra = max_tokens, dict(extra or {})

    @property
    def name(self) -> str:
        """`anthropic:MODEL`."""
        return f"anthropic:{self.model}"

    @staticmethod
    def _sdk() -> ModuleType:
        try:
            import anthropic
        except ImportError:
            raise MissingExtra("anthropic", "a model named anthropic:...") from None
        return anthropic

    def _connect(self) -> Any:
        sdk, (key, url) = self._sdk(), self._access()
        hooks = {"response": [_no_endless_wait]}
        return sdk.AsyncAnthropic(
            api_key=key,
            base_url=url and url.rstrip("/").removesuffix("/v1"),  # the SDK adds /v1 itself
            timeout=self._timeout,
            max_retries=self._max_retries,
            http_client=sdk.DefaultAsyncHttpxClient(timeout=self._timeout, event_hooks=hooks),
        )

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        purpose: str = "act",
        temperature: float | None = None,
        max_tokens: int | None = None,
        stop: Sequence[str] = (),
    ) -> Reply:
        """Answer the conversation; at most `max_tokens` (1024 unless set) of output.

        The API refuses stop sequences of white space only; those are applied here, to the finished text.

        Raises:
            MissingExtra: the package `anthropic` is not installed.
            ModelError: the provider failed after its retries; the subclass says how.
        """
        system, turns = _turns(messages)
        limit = self._max_tokens if max_tokens is None else max_tokens
        body: dict[str, Any] = {"messages": turns, **self._extra}
        if system:
            body["system"] = system
        spoken = [mark for mark in stop if mark.strip()]
        if spoken:
            body["stop_sequences"] = spoken
        if temperature is not None:
            body["temperature"] = temperature  # not an argument of the SDK since 1.0; 0.0 is a request
        answer = await self._connection.send(
            lambda client: readable(
                client.messages.create(model=self.model, max_tokens=limit, messages=[], extra_body=body)
            )
        )
        return self._reply(plain(answer), [mark for mark in stop if mark and not mark.strip()])

    def _reply(self, raw: dict[str, Any], blank_stops: Sequence[str]) -> Reply:
        content = raw.get("content")
        blocks = [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
        text = "".join(str(block.get("text") or "") for block in blocks if block.get("type") == "text")
        stop = _STOPS.get(str(raw.get("stop_reason")), "other")
        cuts = [text.index(mark) for mark in blank_stops if mark in text]
        if cuts:
            text, stop = text[: min(cuts)], "stop"
        return Reply(
            text=text,
            usage=self._usage(part(raw, "usage")),
            model=str(raw.get("model") or self.model),
            stop=stop,
            raw=raw,
        )

    def _usage(self, counts: Mapping[str, Any]) -> Usage:
        cached = Cached(count(counts, "cache_read_input_tokens"), count(counts, "cache_creation_input_tokens"))
        usage = Usage(
            calls=1,
            input_tokens=count(counts, "input_tokens") + cached.read + cached.written,
            output_tokens=count(counts, "output_tokens"),
        )
        return self._priced(usage, cached)


def _turns(messages: Sequence[Message]) -> tuple[str, list[dict[str, str]]]:
    """The system prompt, and the rest as alternating turns."""
    system = "\n\n".join(m.content for m in messages if m.role == "system" and m.content.strip())
    turns: list[dict[str, str]] = []
    for message in messages:
        if message.role == "system" or not message.content.strip():
            continue
        if turns and turns[-1]["role"] == message.role:
            turns[-1]["content"] += "\n\n" + message.content
        else:
            turns.append({"role": message.role, "content": message.content})
    if not turns:
        raise BadRequest("the conversation has no user message with text; add one", provider="anthropic")
    return system, turns
