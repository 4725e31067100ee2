"""Models by name: `openai:gpt-4o`, `anthropic:claude-...`, `static`. Nothing is imported before it is asked for."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from memp.errors import UnknownName
from memp.models.base import ChatModel, Embedder
from memp.models.metered import Meter
from memp.models.prices import Price

CHAT_PROVIDERS: Final = ("anthropic", "openai")
"""Providers of chat models that `chat_model` knows by itself."""


def chat_model(
    name: str,
    *,
    base_url: str | None = None,
    api_key: str | None = None,
    timeout: float = 60.0,
    max_retries: int = 6,
    max_concurrency: int = 8,
    price: Price | None = None,
    extra: Mapping[str, Any] | None = None,
    others: Mapping[str, Callable[[str], ChatModel]] | None = None,
) -> ChatModel:
    """The chat model called `PROVIDER:MODEL`; the model's name may hold colons (`openai:qwen2.5:72b`).

    Args:
        name: for example `openai:gpt-4o`.
        base_url, api_key, timeout, max_retries, max_concurrency, price, extra: as for `OpenAIChat`.
        others: further providers, by name: a function from the model's name to the model.

    Raises:
        UnknownName: no such provider, or no provider at all.
        BadRequest: `base_url` is not an address.
    """
    makers = dict(others or {})
    known = [*CHAT_PROVIDERS, *makers]
    provider, colon, model = name.partition(":")
    if not colon or not model:
        written = [f"{name.strip(':') or 'MODEL'}"] if name.strip(":") not in known else ["MODEL"]
        raise UnknownName("chat model (it is written PROVIDER:MODEL)", name, [f"{each}:{written[0]}" for each in known])
    if provider in makers:
        return makers[provider](model)
    options: dict[str, Any] = {
        "base_url": base_url,
        "api_key": api_key,
        "timeout": timeout,
        "max_retries": max_retries,
        "max_concurrency": max_concurrency,
        "price": price,
        "extra": extra,
    }
    if provider == "openai":
        from memp.models.openai import OpenAIChat

        return OpenAIChat(model, **options)
    if provider == "anthropic":
        from memp.models.anthropic import AnthropicChat

        return AnthropicChat(model, **options)
    raise UnknownName("provider of chat models", provider, known)


def embedder(
    name: str = "static",
    *,
    base_url: str | None = None,
    api_key: str | None = None,
    dimensions: int | None = None,
    meter: Meter | None = None,
    timeout: float = 60.0,
    max_retries: int = 6,
    max_concurrency: int = 8,
    price: Price | None = None,
) -> Embedder:
    """The embedder called `static` (bundled, the default) or `openai:MODEL`.

    Args:
        name: which.
        base_url, api_key, dimensions, meter, timeout, max_retries, max_concurrency, price: as for
            `OpenAIEmbedder`; `static` needs none of them.

    Raises:
        UnknownName: no such embedder.
        BadRequest: `base_url` is not an address.
    """
    provider, _, model = name.partition(":")
    if name == "static":
        from memp.models.static import StaticEmbedder

        return StaticEmbedder()
    if provider == "openai" and model:
        from memp.models.openai import OpenAIEmbedder

        return OpenAIEmbedder(
            model,
            base_url=base_url,
            api_key=api_key,
            dimensions=dimensions,
            meter=meter,
            timeout=timeout,
            max_retries=max_retries,
            max_concurrency=max_concurrency,
            price=price,
        )
    raise UnknownName("embedder", name, ["static", "openai:MODEL"])
