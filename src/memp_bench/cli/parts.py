"""Models and memories as the commands' options describe them."""

import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from memp.errors import MempError
from memp.memory import AsyncProceduralMemory
from memp.models.base import ChatModel
from memp.models.metered import Budget, Meter
from memp.models.registry import embedder as named_embedder
from memp.records import now
from memp.update.discard import Discard
from memp_bench.agents.registry import backbone
from memp_bench.studies.config import RunConfig


def agent_model(config: RunConfig, concurrency: int, price: tuple[float, float] | None) -> ChatModel:
    """The backbone that acts."""
    return backbone(
        config.model, base_url=config.base_url, seed=config.seed, **_remote(config.model, concurrency, price)
    )


def builder_model(
    config: RunConfig, agent: ChatModel, concurrency: int, price: tuple[float, float] | None
) -> ChatModel | None:
    """The model that writes procedures; None for rules."""
    if config.builder == "rules":
        return None
    if config.builder == config.model:
        return agent
    options = _remote(config.builder, concurrency, price)
    return backbone(config.builder, base_url=config.base_url, seed=config.seed, **options)


def _remote(name: str, concurrency: int, price: tuple[float, float] | None) -> dict[str, Any]:
    if name.startswith("sim:"):
        return {}
    return {"max_concurrency": concurrency, "price": price}


def budget_meter(calls: int | None, tokens: int | None, cost: float | None) -> Meter:
    """A meter with the caps that were given."""
    return Meter(Budget(calls=calls, tokens=tokens, cost=cost))


def memory_of(
    config: RunConfig,
    file: Path,
    builder: ChatModel | None,
    meter: Meter,
    *,
    clock: Callable[[], datetime] = now,
) -> AsyncProceduralMemory:
    """The run's memory in `file`."""
    return AsyncProceduralMemory(
        file,
        build=config.build,
        retrieve=config.retrieve,
        update=config.update,
        model=builder,
        embedder=named_embedder(config.embedder, meter=meter),
        k=config.k,
        floor=config.floor,
        max_tokens=config.max_tokens,
        discard=Discard() if config.discard else None,
        seed=config.seed,
        success_at=1.0,
        meter=meter,
        clock=clock,
    )


def default_builder(builder: str | None, model: str) -> str:
    """The agent's own model writes procedures, unless it is simulated."""
    return builder or ("rules" if model.startswith("sim:") else model)


def default_split(benchmark: str, split: str | None, *, training: bool) -> str:
    """The split to learn from or to be measured on."""
    if split is not None:
        return split
    if training:
        return "train"
    return {"alfworld": "valid_seen", "household": "seen"}.get(benchmark, "validation")


def existing(file: Path) -> Path:
    """`file`, which must be there.

    Raises:
        MempError: it is not.
    """
    if not file.exists():
        raise MempError(f"there is no memory at {file}; make one with `memp learn`, or give --memory none")
    return file


def start_from(source: Path | None, file: Path) -> None:
    """Give the run its own copy of the memory, once and whole."""
    if source is None or file.exists():
        return
    from memp.stores.sqlite import SqliteStore

    SqliteStore(source, create=False).close()  # a clear error if it is no memory
    part = file.with_suffix(".part")
    part.unlink(missing_ok=True)
    with sqlite3.connect(source) as db:
        db.execute("VACUUM INTO ?", (str(part),))
    db.close()
    part.replace(file)
