"""Backbones by name: the simulated ones here, real models from the library."""

from typing import Any

from memp.models.base import ChatModel
from memp.models.wrapped import Wrapped
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


class _Instrument(Wrapped):
    """A simulated backbone behind the wire: labelled as what it is."""

    simulated = True

    def check(self) -> None:
        """Whether it could be asked at all."""
        check(self.model)
