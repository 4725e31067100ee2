"""Models and memories as the commands' options describe them."""

import math
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from memp.build import build_policy
from memp.errors import MempError
from memp.memory import AsyncProceduralMemory
from memp.models.base import ChatModel
from memp.models.metered import Budget, Meter, Metered
from memp.models.registry import embedder as named_embedder
from memp.records import now
from memp.stores.connect import connect
from memp.update.discard import Discard
from memp.update.guard import Guard
from memp_bench import baselines
from memp_bench.agents.registry import backbone, check
from memp_bench.studies.config import RunConfig
from memp_bench.studies.homes import Spot

SUCCESS_AT = {"travelplanner": math.nextafter(0.8, 1.0)}
"""Reward from which a memory takes a trajectory for a success, where that is not 1. The paper: above 0.8."""


LONGEST_SEEN = {"travelplanner": 200}
"""Characters of an observation that a memory keeps, where they are tables. The benchmark can make them again."""


def may_learn(benchmark: str, split: str) -> bool:
    """Whether a memory may change while it is measured on that split.

    TravelPlanner's authors forbid it on validation: verdicts may be learned from on train alone.
    """
    return benchmark != "travelplanner" or split == "train"


def benchmark_options(benchmark: str, **options: str | None) -> dict[str, str] | None:
    """The benchmark's own settings with their defaults; None where it has none.

    Raises:
        MempError: it has none, but one was given.
        UnknownName: there is no such mode or strategy.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if benchmark == "travelplanner":
        from memp_bench.envs.travelplanner.benchmark import check_mode, check_strategy

        made = {"mode": "two-stage", "strategy": "direct"} | given
        check_mode(made["mode"])
        check_strategy(made["strategy"])
        return made
    if given:
        raise MempError(f"--{next(iter(given))} is for travelplanner, not for {benchmark}")
    return None


def default_recall(options: Mapping[str, str] | None) -> int:
    """Budget of a recall, in tokens.

    TravelPlanner's planner takes 12,000 tokens, tables and memory together, and gives no plan beyond: a recall as long
    as elsewhere leaves no room for the tables.
    """
    return 3_000 if options and options.get("mode") == "two-stage" else 12_000


def agent_model(config: RunConfig, **remote: Any) -> ChatModel:
    """The backbone that acts. `remote` are options of models behind a wire.

    Raises:
        UnknownName, MissingKey, MissingExtra: it could not be asked.
    """
    return _named(config.model, config, remote)


def builder_model(config: RunConfig, agent: ChatModel, **remote: Any) -> ChatModel | None:
    """The model that writes procedures; None for rules.

    Raises:
        UnknownName, MissingKey, MissingExtra: it could not be asked.
    """
    if config.builder == "rules":
        return None
    if config.builder == config.model:
        return agent
    return _named(config.builder, config.model_copy(update={"base_url": config.builder_address}), remote)


@asynccontextmanager
async def models_of(config: RunConfig, **remote: Any) -> AsyncIterator[tuple[ChatModel, ChatModel | None]]:
    """The models of a run, the one that acts and the one that writes procedures; closed at the end.

    Raises:
        UnknownName, MissingKey, MissingExtra: one of them could not be asked.
    """
    agent = agent_model(config, **remote)
    writer = builder_model(config, agent, **remote) if config.memory else None
    try:
        yield agent, writer
    finally:
        for model in {id(model): model for model in (agent, writer) if model is not None}.values():
            await model.close()


def _named(name: str, config: RunConfig, remote: dict[str, Any]) -> ChatModel:
    made = backbone(name, base_url=config.base_url, seed=config.seed, **({} if name.startswith("sim:") else remote))
    check(made)
    return made


def check_names(config: RunConfig) -> None:
    """Whether the policies and the embedder exist, before anything is written.

    Raises:
        UnknownName, MissingKey, MissingExtra: one of them does not, or could not be asked.
    """
    build_policy(config.build)
    baselines.check(config.retrieve, config.update)
    check(named_embedder(config.embedder))


def memory_of(
    config: RunConfig,
    spot: Spot,
    builder: ChatModel | None,
    meter: Meter,
    *,
    clock: Callable[[], datetime] = now,
) -> AsyncProceduralMemory:
    """The run's memory at its spot."""
    store, namespace = connect(spot.place), spot.namespace
    success_at = SUCCESS_AT.get(config.benchmark, 1.0)
    chosen = baselines.policies(
        config.retrieve,
        config.update,
        store=store,
        namespace=namespace,
        model=None if builder is None else Metered(builder, meter),
        success_at=success_at,
        max_tokens=config.max_tokens,
    )
    return AsyncProceduralMemory(
        store,
        namespace=namespace,
        build=config.build,
        retrieve=chosen.retrieve,
        update=chosen.update,
        model=builder,
        embedder=named_embedder(config.embedder, meter=meter),
        k=config.k,
        floor=config.floor,
        max_tokens=config.max_tokens,
        discard=Discard() if config.discard else None,
        holdout=config.holdout,
        guard=Guard() if config.guard else None,
        seed=config.seed,
        success_at=success_at,
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


def remote_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """The command's options of models behind a wire."""
    return {"timeout": options["timeout"], "max_concurrency": options["concurrency"], "price": options["price"]}


def budget_of(options: Mapping[str, Any]) -> Budget:
    """The command's caps."""
    return Budget(calls=options["max_calls"], tokens=options["max_total_tokens"], cost=options["max_cost"])
