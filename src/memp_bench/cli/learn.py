"""`memp learn`: offline memory from expert trajectories."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any, Literal

import click

from memp.cli.output import json_option, progress, reports_errors
from memp.errors import MempError
from memp_bench.cli.options import PolicyOption, benchmark_argument, game_options, model_options


@click.command()
@benchmark_argument
@click.option(
    "--memory",
    "file",
    type=click.Path(path_type=Path),
    default=Path("memp.db"),
    show_default=True,
    help="The memory file; made if missing, added to if not.",
)
@click.option(
    "--expert",
    type=click.Choice(["planner", "handcoded"]),
    default="planner",
    show_default=True,
    help="Whom to learn from.",
)
@click.option(
    "--plans",
    type=click.Path(path_type=Path),
    multiple=True,
    help="travelplanner: also learn from the plans of this file (as for `memp score`); may be repeated.",
)
@click.option(
    "--gold/--no-gold", default=True, show_default=True, help="travelplanner: learn from the annotators' plans."
)
@click.option(
    "--keep-above",
    type=click.FloatRange(0, 1),
    default=0.8,
    show_default=True,
    help="travelplanner: of --plans, keep those with a larger reward (share of passed checks).",
)
@click.option(
    "--all", "keep_all", is_flag=True, help="travelplanner: keep failed plans too, with what was wrong with them."
)
@game_options
@click.option("--build", cls=PolicyOption, default="proceduralization", show_default=True)
@click.option("--update", cls=PolicyOption, default="vanilla", show_default=True)
@click.option(
    "--facts/--no-facts", default=True, show_default=True, help="Also extract facts, which --retrieve avefact needs."
)
@model_options
@json_option
@reports_errors
def learn(benchmark: str, file: Path, as_json: bool, **options: Any) -> None:
    """Build a memory from expert trajectories of a train split.

    The expert is the game's planner, or ALFWorld's hand-coded one, which searches as a player would. For
    travelplanner it is the annotators, and --plans adds what others planned. Repeating the command after an
    interruption goes on where it stopped.
    """
    report = asyncio.run(_learn(benchmark, file, as_json=as_json, **options))
    if as_json:
        click.echo(json.dumps(report, ensure_ascii=False))
        return
    click.echo(
        f"{report['trajectories']} trajectories, {report['procedures']} procedures in {file} "
        f"(added {report['added']} now, {report['wall_s']:.1f} s)"
    )
    for item in report["skipped"]:
        click.echo(f"  skipped {item['subject']}: {item['reason']}", err=True)
    click.echo(f"Look at them with: memp memory ls --memory {file}")


async def _learn(
    name: str,
    file: Path,
    *,
    as_json: bool,
    expert: Literal["planner", "handcoded"],
    split: str | None,
    games: int | None,
    seed: int,
    data: Path | None,
    engine: Literal["fast", "stock"],
    workers: int,
    cache: Path | None,
    plans: tuple[Path, ...],
    gold: bool,
    keep_above: float,
    keep_all: bool,
    build: str,
    update: str,
    facts: bool,
    base_url: str | None,
    builder: str | None,
    embedder: str,
    timeout: float,
    concurrency: int,
    price: tuple[float, float] | None,
    max_calls: int | None,
    max_total_tokens: int | None,
    max_cost: float | None,
) -> dict[str, Any]:
    from memp.models.metered import Budget, Meter
    from memp_bench.benchmarks import benchmark
    from memp_bench.cli import parts
    from memp_bench.envs.travelplanner.benchmark import TravelPlanner
    from memp_bench.envs.travelplanner.memories import learnable
    from memp_bench.studies.config import RunConfig
    from memp_bench.studies.learn import learn as learn_from
    from memp_bench.studies.learn import remember

    config = RunConfig.parse(
        {
            "benchmark": name,
            "split": parts.default_split(name, split, training=True),
            "games": games,
            "seed": seed,
            "model": builder or "rules",
            "builder": builder or "rules",
            "base_url": base_url,
            "embedder": embedder,
            "build": build,
            "update": update,
            "retrieve": "avefact" if facts else "query",
        }
    )
    started = time.monotonic()
    if plans and name != "travelplanner":
        raise MempError(f"--plans is for travelplanner; {name} is learned from its expert")
    parts.check_names(config)
    meter = Meter(Budget(calls=max_calls, tokens=max_total_tokens, cost=max_cost))
    remote = {"max_concurrency": concurrency, "price": price, "timeout": timeout}
    writer = None if config.builder == "rules" else parts.agent_model(config, **remote)
    house = benchmark(name, data=data, engine=engine, workers=workers, cache=cache)
    try:
        tasks = house.tasks(config.split, games=games, seed=seed)
        found = None
        if isinstance(house, TravelPlanner):  # read before the memory is opened: a missing file makes no memory
            above = None if keep_all else keep_above
            own = config.builder == "rules"  # otherwise the model that reads the new tasks reads these too
            found, skipped = learnable(house, tasks, plans, gold=gold, above=above, facts=own)
        async with parts.memory_of(config, file, writer, meter) as memory:
            if found is not None:
                receipts = await remember(memory, found)
            else:
                with progress(f"learning {name} {config.split}", len(tasks), quiet=as_json) as advance:
                    receipts, skipped = await learn_from(memory, house, tasks, expert=expert, on_task=advance)
            stats = memory.stats()
    finally:
        await house.close()
        if writer is not None:
            await writer.close()
    skipped = [*getattr(house, "skipped", ()), *skipped, *(item for r in receipts for item in r.skipped)]
    return {
        "benchmark": name,
        "split": config.split,
        "memory": str(file),
        "trajectories": stats.trajectories,
        "procedures": sum(stats.procedures.values()),
        "added": sum(len(receipt.added) for receipt in receipts),
        "skipped": [item.model_dump() for item in skipped],
        "usage": {purpose: used.model_dump() for purpose, used in meter.usage.items()},
        "wall_s": round(time.monotonic() - started, 2),
    }
