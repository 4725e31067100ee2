"""Backbones by name: the simulated ones here, real models from the library."""

from collections.abc import Sequence
from typing import Any

from memp.models.base import ChatModel, Message, Reply
from memp_bench.agents.simulated import Builder, simulated
from memp_bench.agents.simulated.builder import build_reply

SIMULATED_PREFIX = "simulated-"
"""How the names of simulated backbones begin when they are served over the wire (`memp_bench.serve`)."""


def is_simulated(name: str) -> bool:
    """Whether a model of that name is an instrument: `sim:novice`, or one over the wire, `openai:simulated-x`."""
    provider, _, model = name.partition(":")
    return provider == "sim" or model.startswith(SIMULATED_PREFIX)


def backbone(
    name: str, *, base_url: str | None = None, seed: int = 0, builder: Builder | None = build_reply, **options: Any
) -> ChatModel:
    """The chat model of that name: `sim:novice`, `sim:able@3`, `openai:NAME`, `anthropic:NAME`.

    `base_url` and `options` go to the library's adapter; `seed` and `builder` (how it answers when it is asked to
    write memory) only to simulated backbones.

    Raises:
        UnknownName: no such backbone; names the nearest.
        MissingKey: a real model without its key.
    """
    if name.startswith("sim:"):
        return simulated(name, seed=seed, builder=builder)
    from memp.models.registry import chat_model

    model = chat_model(name, base_url=base_url, **options)
    return _Instrument(model) if is_simulated(name) else model


def check(model: object) -> None:
    """Whether a model or an embedder could be asked at all; sends nothing.

    Raises:
        MissingExtra: a package is not installed.
        MissingKey: there is no API key.
    """
    if callable(own := getattr(model, "check", None)):
        own()


class _Instrument:
    """A simulated backbone behind the wire: labelled as what it is."""

    simulated = True

    def __init__(self, model: ChatModel) -> None:
        self._model = model

    @property
    def name(self) -> str:
        """The model's name."""
        return self._model.name

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        purpose: str = "act",
        temperature: float | None = None,
        max_tokens: int | None = None,
        stop: Sequence[str] = (),
    ) -> Reply:
        """Answer the conversation."""
        return await self._model.complete(
            messages, purpose=purpose, temperature=temperature, max_tokens=max_tokens, stop=stop
        )

    def check(self) -> None:
        """Whether it could be asked at all."""
        check(self._model)

    async def close(self) -> None:
        """Let go of connections."""
        await self._model.close()
