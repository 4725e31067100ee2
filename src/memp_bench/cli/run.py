"""`memp run`: an evaluation stream, with memory or without."""

import asyncio
import hashlib
import random
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from memp.cli.output import json_option, progress, reports_errors, table
from memp.errors import MempError
from memp.stores.connect import connect
from memp_bench.cli.options import (
    benchmark_argument,
    game_options,
    model_options,
    policy_options,
    pool_option,
    travel_options,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from memp.memory import AsyncProceduralMemory
    from memp.models.base import ChatModel
    from memp.models.metered import Meter
    from memp_bench.agents.episode import Episode
    from memp_bench.envs.base import Benchmark, Task
    from memp_bench.studies.config import RunConfig
    from memp_bench.studies.homes import Spot
    from memp_bench.studies.summary import Summary

_HOW: Final = (
    *("data", "engine", "workers", "pool", "cache", "out"),
    *("timeout", "concurrency", "price", "max_calls", "max_total_tokens", "max_cost"),
)
"""Options that are no part of what the run is."""


@click.command()
@benchmark_argument
@click.option(
    "--model", default="sim:novice", show_default=True, help="sim:novice, sim:able, openai:NAME, anthropic:NAME."
)
@click.option(
    "--memory",
    "memory_file",
    default="none",
    show_default=True,
    help="A memory to start from (a file, or postgresql://user@host/database), `new` for an empty one, or `none`. It "
    "is copied, never changed.",
)
@policy_options
@click.option("--every", type=click.IntRange(1), default=10, show_default=True, help="Update after so many tasks (t).")
@click.option("--freeze", is_flag=True, help="Retrieve, but never update.")
@click.option(
    "--discard", is_flag=True, help="After each update, retire what was served 3 times with under 50 % success."
)
@click.option(
    "--holdout",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    show_default=True,
    help="Share of recalls that are withheld, so that `memp evidence` can say what the memory is worth.",
)
@click.option(
    "--guard",
    is_flag=True,
    help="Corrections have a cause, and prove themselves on trial beside what stands.",
)
@click.option("--k", type=click.IntRange(1), default=10, show_default=True, help="Procedures to recall.")
@click.option("--floor", type=float, default=0.0, show_default=True, help="Least score to recall (the paper: 0.75).")
@click.option(
    "--recall-tokens",
    type=click.IntRange(1),
    help="Budget of the recall. Default: 12,000; for travelplanner's two-stage mode 3,000.",
)
@click.option("--max-steps", type=click.IntRange(1), default=30, show_default=True, help="Turns a game may take.")
@click.option("--temperature", type=float, default=1.0, show_default=True, help="Of the agent.")
@game_options
@pool_option
@travel_options
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the run; default: runs/<what it is>.")
@model_options
@click.option("--builder-base-url", help="Another server for --builder; `provider` is its provider's own.")
@json_option
@reports_errors
def run(benchmark: str, as_json: bool, **options: Any) -> None:
    """Play an evaluation stream, with memory or without.

    Tasks are played in groups of --every; the memory changes only between groups. Ctrl-C loses nothing: repeating
    the command goes on. Episodes, the run's own memory and the summary are in --out.
    """
    summary = asyncio.run(_run(benchmark, as_json=as_json, **options))
    if as_json:
        click.echo(summary.model_dump_json())
    else:
        show(summary)
    if not summary.games:
        raise MempError(f"none of the {len(summary.failed)} games could be played")


def show(summary: "Summary") -> None:
    """Print a summary for people."""
    label = " (simulated backbone: says nothing about any real model)" if summary.simulated else ""
    families = [
        (name, family.games, 100 * family.success_rate, family.mean_steps) for name, family in summary.by_family.items()
    ]
    overall = [("all", summary.games, 100 * (summary.success_rate or 0.0), summary.mean_steps or 0.0)]
    title = f"{summary.benchmark} {summary.split}, {summary.model}, memory {summary.memory}{label}"
    table(title, ["family", "games", "success %", "steps"], [*families, *overall] if summary.games else [])
    if summary.metrics:
        click.echo(", ".join(f"{label} {100 * value:.1f} %" for label, value in summary.metrics.items()))
    for what, count in summary.counts.items():
        click.echo(f"{what.replace('_', ' ')}: {count}")
    changes = summary.receipt
    if changes.updates:
        click.echo(
            f"memory: {changes.updates} updates, {changes.added} added, {changes.revised} revised, "
            f"{changes.retired} retired"
        )
        for reason, count in changes.skipped.items():
            click.echo(f"  skipped {count}: {reason}")
    for purpose, used in summary.usage.items():
        cost = "cost unknown" if used.cost is None else f"${used.cost:.4f}"
        cost = "simulated" if summary.simulated and not used.cost else cost
        click.echo(f"{purpose}: {used.calls:,} calls, {used.tokens:,} tokens, {cost}")
    for item in summary.failed:
        click.secho(f"not played: {item.subject}: {item.reason}", fg="yellow", err=True)
    click.echo(f"{summary.wall_s:.1f} s; episodes and memory are in {summary.out}")


async def _run(name: str, *, as_json: bool, memory_file: str, **options: Any) -> "Summary":
    from memp_bench.cli import parts

    how = {key: options.pop(key) for key in _HOW}
    source = _source(memory_file)
    config = _config(name, memory_file, source, **options)
    parts.check_names(config)
    async with parts.models_of(config, **parts.remote_of(how)) as models:
        house = _house(config, how)
        try:
            folder = how["out"] or Path("runs") / _slug(config)
            summary = await _play(config, house, models, source, folder, how, quiet=as_json)
        finally:
            await house.close()
    skipped = tuple(getattr(house, "skipped", ()))
    summary = summary.model_copy(update={"failed": (*skipped, *summary.failed)})
    (folder / "summary.json").write_text(summary.model_dump_json(indent=2) + "\n")
    return summary


def _house(config: "RunConfig", how: "Mapping[str, Any]") -> "Benchmark":
    from memp_bench.benchmarks import benchmark
    from memp_bench.envs.slots import pool_maker

    way = config.options or {"mode": "two-stage", "strategy": "direct"}
    return benchmark(
        config.benchmark,
        data=how["data"],
        engine=how["engine"],
        workers=how["workers"],
        cache=how["cache"],
        mode=way["mode"],
        strategy=way["strategy"],
        pools=pool_maker(how["pool"]),
    )


async def _play(
    config: "RunConfig",
    house: "Benchmark",
    models: "tuple[ChatModel, ChatModel | None]",
    source: "Spot | None",
    folder: Path,
    how: "Mapping[str, Any]",
    *,
    quiet: bool,
) -> "Summary":
    """Play the stream, or go on with it."""
    from memp.models.metered import Metered
    from memp_bench.cli import parts
    from memp_bench.envs.base import PlansWithModel
    from memp_bench.studies.ledger import Ledger
    from memp_bench.studies.stream import Stream

    agent, writer = models
    tasks = in_stream_order(house.tasks(config.split, games=config.games, seed=config.seed), config.seed)
    config.claim(folder)  # the first thing that is written: whatever was wrong with the command is known by now
    meter = Ledger(folder / "usage.jsonl", parts.budget_of(how))
    if isinstance(house, PlansWithModel):
        house.plan_with(Metered(agent, meter))
    with progress(f"{config.benchmark} {config.split}", len(tasks), quiet=quiet) as advance:
        async with _memory(config, source, folder, writer, meter) as memory:
            stream = Stream(
                config,
                house,
                agent,
                memory,
                folder,
                meter=meter,
                workers=how["workers"],
                on_episode=_Tally(advance).add,
                record=parts.may_learn(config.benchmark, config.split),
                longest=parts.LONGEST_SEEN.get(config.benchmark),
            )
            return await stream.run(tasks)


@asynccontextmanager
async def _memory(
    config: "RunConfig", source: "Spot | None", folder: Path, writer: "ChatModel | None", meter: "Meter"
) -> "AsyncIterator[AsyncProceduralMemory | None]":
    """The run's own memory, closed at the end; None for a run without."""
    from memp_bench.cli import parts
    from memp_bench.studies.homes import Spot, start_from

    if not config.memory:
        yield None
        return
    spot = Spot(folder / "memory.db")
    start_from(source, spot, config.embedder)
    async with parts.memory_of(config, spot, writer, meter) as memory:
        yield memory


def _config(
    name: str,
    memory_file: str,
    source: "Spot | None",
    *,
    model: str,
    split: str | None,
    builder: str | None,
    freeze: bool,
    every: int,
    recall_tokens: int | None,
    mode: str | None,
    strategy: str | None,
    **same: Any,
) -> "RunConfig":
    """What the options say, with the defaults that depend on each other; `same` are the config's own."""
    from memp_bench.cli import parts
    from memp_bench.studies.config import RunConfig

    split = parts.default_split(name, split, training=False)
    own = parts.benchmark_options(name, mode=mode, strategy=strategy)
    learns = memory_file != "none" and not freeze
    if learns and not parts.may_learn(name, split):
        learns = False
        click.secho(f"{name} {split} is for measuring only: the memory is read and does not change", err=True)
    return RunConfig.parse(
        {
            "benchmark": name,
            "split": split,
            "model": model,
            "builder": parts.default_builder(builder, model),
            "memory": memory_file != "none",
            "source": _digest(source) if source else None,
            "every": every if learns else None,
            "max_tokens": recall_tokens or parts.default_recall(own),
            "options": own,
            **same,
        }
    )


def in_stream_order(tasks: "Sequence[Task]", seed: int) -> "list[Task]":
    """Shuffled by the seed: files lie family by family, and a stream that learns must meet all of them throughout."""
    shuffled = list(tasks)
    random.Random(f"memp stream {seed}").shuffle(shuffled)
    return shuffled


class _Tally:
    """The note behind the progress bar: how many were won so far."""

    def __init__(self, advance: Any) -> None:
        self._advance = advance
        self._won = self._played = 0

    def add(self, episode: "Episode") -> None:
        self._played += episode.counted
        self._won += episode.success
        self._advance(f"{self._won}/{self._played} won")


def _source(memory: str) -> "Spot | None":
    """The memory to start from; None for an empty one, or none.

    Raises:
        MempError: it is not there.
    """
    from memp_bench.studies.homes import Spot, place_of

    if memory in ("none", "new"):
        return None
    spot = Spot(place_of(memory))
    if not spot.there():
        raise MempError(f"there is no memory at {spot.told}; make one with `memp learn`, or give --memory none")
    return spot


def _digest(source: "Spot") -> str:
    """Names the content of a memory."""
    with closing(connect(source.place, create=False)) as store:
        names = store.namespaces() if isinstance(source.place, Path) else [source.namespace]
        heads = [(h.id, h.changed) for name in names for h in store.heads(name, "")]
    return hashlib.sha256(repr(heads).encode()).hexdigest()[:16]


def _slug(config: "RunConfig") -> str:
    memory = f"{config.build}-{config.retrieve}-{config.update}" if config.memory else "none"
    model = config.model.replace(":", "-").replace("/", "-")
    return f"{config.benchmark}-{config.split}-{model}-{memory}-s{config.seed}-{config.digest[:6]}"
