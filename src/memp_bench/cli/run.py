"""`memp run`: an evaluation stream, with memory or without."""

import asyncio
import hashlib
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from memp.cli.output import json_option, progress, reports_errors, table
from memp_bench.cli.options import (
    benchmark_argument,
    game_options,
    model_options,
    policy_options,
    pool_option,
    travel_options,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from memp_bench.agents.episode import Episode
    from memp_bench.envs.base import Task
    from memp_bench.studies.config import RunConfig
    from memp_bench.studies.summary import Summary


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
    help="A memory to start from, `new` for an empty one, or `none`. The file is copied, never changed.",
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
    from memp.errors import MempError

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


async def _run(
    name: str,
    *,
    as_json: bool,
    memory_file: str,
    games: int | None,
    seed: int,
    data: Path | None,
    engine: Literal["fast", "stock"],
    workers: int,
    pool: str,
    cache: Path | None,
    out: Path | None,
    timeout: float,
    concurrency: int,
    price: tuple[float, float] | None,
    max_calls: int | None,
    max_total_tokens: int | None,
    max_cost: float | None,
    **config_options: Any,
) -> "Summary":
    from memp.models.metered import Budget, Metered
    from memp_bench.benchmarks import benchmark
    from memp_bench.cli import parts
    from memp_bench.envs.base import PlansWithModel
    from memp_bench.envs.slots import pool_maker
    from memp_bench.studies.ledger import Ledger
    from memp_bench.studies.stream import Stream

    source = None if memory_file in ("none", "new") else parts.existing(Path(memory_file))
    config = _config(name, memory_file, source, games=games, seed=seed, **config_options)
    parts.check_names(config)
    remote = {"max_concurrency": concurrency, "price": price, "timeout": timeout}
    agent = parts.agent_model(config, **remote)
    writer = parts.builder_model(config, agent, **remote) if config.memory else None
    way = config.options or {"mode": "two-stage", "strategy": "direct"}
    house = benchmark(
        name,
        data=data,
        engine=engine,
        workers=workers,
        cache=cache,
        mode=way["mode"],
        strategy=way["strategy"],
        pools=pool_maker(pool),
    )
    memory = None
    try:
        tasks = in_stream_order(house.tasks(config.split, games=games, seed=seed), seed)
        folder = out or Path("runs") / _slug(config)
        config.claim(folder)  # the first thing that is written: whatever was wrong with the command is known by now
        meter = Ledger(folder / "usage.jsonl", Budget(calls=max_calls, tokens=max_total_tokens, cost=max_cost))
        if isinstance(house, PlansWithModel):
            house.plan_with(Metered(agent, meter))
        if config.memory:
            parts.start_from(source, folder / "memory.db")
            memory = parts.memory_of(config, folder / "memory.db", writer, meter)
        with progress(f"{name} {config.split}", len(tasks), quiet=as_json) as advance:
            tally = _Tally(advance)
            stream = Stream(
                config,
                house,
                agent,
                memory,
                folder,
                meter=meter,
                workers=workers,
                on_episode=tally.add,
                record=parts.may_learn(name, config.split),
                longest=parts.LONGEST_SEEN.get(name),
            )
            summary = await stream.run(tasks)
    finally:
        await house.close()
        for model in {id(m): m for m in (agent, writer) if m is not None}.values():
            await model.close()
        if memory is not None:
            await memory.close()
    skipped = tuple(getattr(house, "skipped", ()))
    summary = summary.model_copy(update={"failed": (*skipped, *summary.failed)})
    (folder / "summary.json").write_text(summary.model_dump_json(indent=2) + "\n")
    return summary


def _config(
    name: str,
    memory_file: str,
    source: Path | None,
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


def _digest(source: Path) -> str:
    """Names the content of a memory file."""
    from memp.stores.sqlite import SqliteStore

    store = SqliteStore(source, create=False)
    try:
        heads = [(h.id, h.changed) for name in store.namespaces() for h in store.heads(name, "")]
    finally:
        store.close()
    return hashlib.sha256(repr(heads).encode()).hexdigest()[:16]


def _slug(config: "RunConfig") -> str:
    memory = f"{config.build}-{config.retrieve}-{config.update}" if config.memory else "none"
    model = config.model.replace(":", "-").replace("/", "-")
    return f"{config.benchmark}-{config.split}-{model}-{memory}-s{config.seed}-{config.digest[:6]}"
