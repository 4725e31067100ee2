"""OpenAI, and every server that speaks its API: vLLM, Ollama, OpenRouter, Qwen, LM Studio ..."""

import asyncio
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, Final

import numpy as np

from memp.errors import MissingExtra, ModelError, UnusableReply
from memp.models._access import Provider
from memp.models._sdk import Client, count, first, part, plain, readable
from memp.models.base import Message, Reply, Stop, Vectors
from memp.models.metered import Meter
from memp.models.prices import Cached, Price
from memp.records import Usage

OPENAI: Final = Provider("openai", "OPENAI_API_KEY", "OPENAI_BASE_URL", "it usually ends in /v1")
_STOPS: Final[dict[str, Stop]] = {"stop": "stop", "length": "length", "content_filter": "refusal"}
_DIMENSIONS: Final = {
    "text-embedding-3-small": 1536,
    "text-embedding-3-large": 3072,
    "text-embedding-ada-002": 1536,
}


class _OpenAI(Client):
    provider = OPENAI

    @staticmethod
    def _sdk() -> ModuleType:
        try:
            import openai
        except ImportError:
            raise MissingExtra("openai", "a model named openai:...") from None
        return openai

    def _connect(self) -> Any:
        sdk, (key, url) = self._sdk(), self._access()
        return sdk.AsyncOpenAI(api_key=key, base_url=url, timeout=self._timeout, max_retries=self._max_retries)


class OpenAIChat(_OpenAI):
    """A chat model behind the chat-completions API.

    One object serves one event loop at a time; `close()` sets it free for another. Requests beyond
    `max_concurrency` wait. The SDK retries 408, 409, 429, 5xx, lost connections and time-outs with
    exponential back-off (0.5 s to 8 s) and waits as long as Retry-After says, up to two minutes.

    Args:
        model: as the provider calls it.
        base_url: an OpenAI-compatible server, for example `http://127.0.0.1:8000/v1`; then no key is
            needed. Default: `OPENAI_BASE_URL`, else OpenAI.
        api_key: default `OPENAI_API_KEY`, which then also goes to `base_url`; pass any other text to keep it
            at home.
        timeout: seconds without a byte from the server before an attempt is given up.
        max_retries: further attempts after the first.
        max_concurrency: requests under way at once.
        price: US dollars per million input and output tokens; default the list price, where known.
        extra: more fields for the request body, for example vLLM's `chat_template_kwargs`.

    Raises:
        BadRequest: `base_url` is not an address.
    """

    simulated = False

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
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
        self._extra = dict(extra or {})

    @property
    def name(self) -> str:
        """`openai:MODEL`."""
        return f"openai:{self.model}"

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        purpose: str = "act",
        temperature: float | None = None,
        max_tokens: int | None = None,
        stop: Sequence[str] = (),
    ) -> Reply:
        """Answer the conversation.

        Raises:
            MissingExtra: the package `openai` is not installed.
            ModelError: the provider failed after its retries; the subclass says how.
        """
        body: dict[str, Any] = {
            "messages": [{"role": message.role, "content": message.content} for message in messages],
            **self._extra,
        }
        if temperature is not None:
            body["temperature"] = temperature
        if max_tokens is not None:
            # OpenAI's own reasoning models know only the new name, many other servers only the old.
            own = self._access().base_url is None
            body["max_completion_tokens" if own else "max_tokens"] = max_tokens
        if stop:
            body["stop"] = list(stop)
        # As extra_body the SDK sends it as it is; as arguments it spends 3 ms a call walking the messages.
        answer = await self._connection.send(
            lambda client: readable(client.chat.completions.create(model=self.model, messages=[], extra_body=body))
        )
        return self._reply(plain(answer))

    def _reply(self, raw: dict[str, Any]) -> Reply:
        choice = first(raw.get("choices"))
        if not choice and isinstance(raw.get("error"), dict):
            raise self._failures().reported(raw["error"])
        message = part(choice, "message")
        text = message.get("content")
        return Reply(
            text=text if isinstance(text, str) else "",
            usage=self._usage(part(raw, "usage")),
            model=str(raw.get("model") or self.model),
            stop="refusal" if message.get("refusal") else _STOPS.get(str(choice.get("finish_reason")), "other"),
            raw=raw,
        )

    def _usage(self, counts: Mapping[str, Any]) -> Usage:
        usage = Usage(
            calls=1,
            input_tokens=count(counts, "prompt_tokens"),
            output_tokens=count(counts, "completion_tokens"),
        )
        cached = count(part(counts, "prompt_tokens_details"), "cached_tokens")
        return self._priced(usage, Cached(read=min(cached, usage.input_tokens)))


class OpenAIEmbedder(_OpenAI):
    """Embeddings from OpenAI or any compatible server; rows come back with length 1.

    Blank texts are not sent; their row is 0. Batches run concurrently within `max_concurrency`.

    Args:
        model: as the provider calls it.
        dimensions: asked of the provider; None takes the model's own.
        batch: texts in one request (OpenAI takes at most 2048).
        meter: counts what was used under the purpose `embed`, and stops at its budget.
        base_url, api_key, timeout, max_retries, max_concurrency, price: as for `OpenAIChat`; the price's
            second number is not used.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        dimensions: int | None = None,
        batch: int = 256,
        meter: Meter | None = None,
        timeout: float = 60.0,
        max_retries: int = 6,
        max_concurrency: int = 8,
        price: Price | None = None,
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
        if batch < 1 or (dimensions is not None and dimensions < 1):
            raise ValueError(f"batch and dimensions must be at least 1, not {batch} and {dimensions}")
        self._asked, self._batch = dimensions, batch
        self._dimensions = dimensions or _DIMENSIONS.get(model)
        self._meter = meter or Meter()

    @property
    def fingerprint(self) -> str:
        """Model and dimensions; `native` stands for a size only the server knows, so it never changes."""
        return f"openai:{self.model}:{self._asked or _DIMENSIONS.get(self.model) or 'native'}"

    @property
    def dimensions(self) -> int:
        """Length of a vector.

        Raises:
            ModelError: not known before the first reply.
        """
        if self._dimensions is None:
            raise ModelError(
                f"the dimensions of {self.model!r} are known after the first embed(); or pass dimensions=",
                provider="openai",
            )
        return self._dimensions

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed `texts`; shape (len(texts), dimensions), float32, rows of length 1 (or 0 for blank texts).

        Raises:
            ModelError: the provider failed after its retries, or its vectors do not fit the texts.
            BudgetExceeded: the meter's cap was reached; the request was not sent.
        """
        worded = [index for index, text in enumerate(texts) if text.strip()]
        if self._dimensions is None and not worded:
            await self._request(["size"])  # nothing to embed, but the shape must be right
        batches = [worded[at : at + self._batch] for at in range(0, len(worded), self._batch)]
        tasks = [asyncio.ensure_future(self._request([texts[i] for i in batch])) for batch in batches]
        try:
            rows = await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        if worded:
            vectors[worded] = np.concatenate(rows)
        return vectors

    async def _request(self, texts: list[str]) -> Vectors:
        body: dict[str, Any] = {"model": self.model, "input": texts}
        if self._asked is not None:
            body["dimensions"] = self._asked

        async def call(client: Any) -> Any:
            with self._meter.call("embed") as done:
                answer = await readable(client.embeddings.create(**body))
                counts = part(plain(answer), "usage")
                done(self._priced(Usage(calls=1, input_tokens=count(counts, "prompt_tokens"))))
            return answer

        answer = await self._connection.send(call)
        return self._unit_rows(answer.data, len(texts))

    def _unit_rows(self, data: Any, count: int) -> Vectors:
        """Check and normalise one reply's vectors, in the order of the texts."""
        if sorted(item.index for item in data) != list(range(count)):
            raise self._unusable(f"{len(data)} vectors for {count} texts, or with wrong numbers")
        lists = [item.embedding for item in sorted(data, key=lambda item: item.index)]
        sizes = {len(row) for row in lists}
        expected = self._dimensions or next(iter(sizes))
        if sizes != {expected} or not expected:
            raise self._unusable(f"vectors of {sorted(sizes)} numbers instead of {expected}")
        try:
            rows = np.asarray(lists, dtype=np.float64)
        except (TypeError, ValueError):
            raise self._unusable("a vector with something that is not a number") from None
        if not np.isfinite(rows).all():
            raise self._unusable("a vector with a number that is not finite")
        self._dimensions = expected
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return (rows / np.where(lengths > 0, lengths, 1.0)).astype(np.float32)

    def _unusable(self, what: str) -> UnusableReply:
        return UnusableReply(f"{self.model!r} answered {what}; is it an embedding model?", provider="openai")
