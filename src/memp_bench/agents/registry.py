"""Backbones by name: the simulated ones here, real models from the library."""

from typing import Any

from memp.models.base import ChatModel
from memp_bench.agents.simulated import Builder, simulated
from memp_bench.agents.simulated.builder import build_reply


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

    return chat_model(name, base_url=base_url, **options)
