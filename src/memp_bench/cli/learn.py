"""`memp learn`: offline memory from expert trajectories."""

import asyncio
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from memp.cli.held import Place
from memp.cli.output import json_option, progress, reports_errors
from memp.errors import MempError
from memp.stores.connect import without_password
from memp_bench.cli.options import PolicyOption, benchmark_argument, game_options, model_options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from memp.memory import AsyncProceduralMemory
    from memp.records import Receipt, Skipped, Trajectory
    from memp_bench.envs.base import Benchmark, Task
    from memp_bench.envs.expert import Expert
    from memp_bench.studies.config import RunConfig


@click.command()
@benchmark_argument
@click.option(
    "--memory",
    "place",
    type=Place(),
    default="memp.db",
    show_default=True,
    help="The memory: a file, or postgresql://user@host/database; made if missing, added to if not.",
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
def learn(benchmark: str, place: Path | str, as_json: bool, **options: Any) -> None:
    """Build a memory from expert trajectories of a train split.

    The expert is the game's planner, or ALFWorld's hand-coded one, which searches as a player would. For
    travelplanner it is the annotators, and --plans adds what others planned. Repeating the command after an
    interruption goes on where it stopped.
    """
    report = asyncio.run(_learn(benchmark, place, as_json=as_json, **options))
    if as_json:
        click.echo(json.dumps(report, ensure_ascii=False))
        return
    click.echo(
        f"{report['trajectories']} trajectories, {report['procedures']} procedures in {report['memory']} "
        f"(added {report['added']} now, {report['wall_s']:.1f} s)"
    )
    for item in report["skipped"]:
        click.echo(f"  skipped {item['subject']}: {item['reason']}", err=True)
    click.echo(f"Look at them with: memp memory ls --memory {report['memory']}")


async def _learn(name: str, place: Path | str, *, as_json: bool, **options: Any) -> dict[str, Any]:
    from memp.models.metered import Meter
    from memp_bench.benchmarks import benchmark
    from memp_bench.cli import parts
    from memp_bench.studies.homes import Spot

    started, config = time.monotonic(), _config(name, options)
    if options["plans"] and name != "travelplanner":
        raise MempError(f"--plans is for travelplanner; {name} is learned from its expert")
    parts.check_names(config)
    meter = Meter(parts.budget_of(options))
    writer = None if config.builder == "rules" else parts.agent_model(config, **parts.remote_of(options))
    house = benchmark(name, **{key: options[key] for key in ("data", "engine", "workers", "cache")})
    try:
        tasks = house.tasks(config.split, games=config.games, seed=config.seed)
        found = _written(config, house, tasks, options)  # before the memory is opened: a missing file makes none
        async with parts.memory_of(config, Spot(place), writer, meter) as memory:
            receipts, skipped = await _taught(config, memory, house, tasks, found, options["expert"], quiet=as_json)
            stats = memory.stats()
    finally:
        await house.close()
        if writer is not None:
            await writer.close()
    skipped = [*getattr(house, "skipped", ()), *skipped, *(item for r in receipts for item in r.skipped)]
    return {
        "benchmark": name,
        "split": config.split,
        "memory": without_password(str(place)),
        "trajectories": stats.trajectories,
        "procedures": sum(stats.procedures.values()),
        "added": sum(len(receipt.added) for receipt in receipts),
        "skipped": [item.model_dump() for item in skipped],
        "usage": {purpose: used.model_dump() for purpose, used in meter.usage.items()},
        "wall_s": round(time.monotonic() - started, 2),
    }


def _config(name: str, options: "Mapping[str, Any]") -> "RunConfig":
    from memp_bench.cli import parts
    from memp_bench.studies.config import RunConfig

    builder = options["builder"] or "rules"
    return RunConfig.parse(
        {
            "benchmark": name,
            "split": parts.default_split(name, options["split"], training=True),
            "model": builder,
            "builder": builder,
            "retrieve": "avefact" if options["facts"] else "query",
            **{key: options[key] for key in ("games", "seed", "base_url", "embedder", "build", "update")},
        }
    )


def _written(
    config: "RunConfig",
    house: "Benchmark",
    tasks: "Sequence[Task]",
    options: "Mapping[str, Any]",
) -> "tuple[list[Trajectory], list[Skipped]] | None":
    """What annotators and others planned, and what of it is left out; None for a benchmark whose expert plays."""
    from memp_bench.envs.travelplanner.benchmark import TravelPlanner
    from memp_bench.envs.travelplanner.memories import learnable

    if not isinstance(house, TravelPlanner):
        return None
    above = None if options["keep_all"] else options["keep_above"]
    own = config.builder == "rules"  # otherwise the model that reads the new tasks reads these too
    return learnable(house, tasks, options["plans"], gold=options["gold"], above=above, facts=own)


async def _taught(
    config: "RunConfig",
    memory: "AsyncProceduralMemory",
    house: "Benchmark",
    tasks: "Sequence[Task]",
    found: "tuple[list[Trajectory], list[Skipped]] | None",
    expert: "Expert",
    *,
    quiet: bool,
) -> "tuple[list[Receipt], list[Skipped]]":
    """Teach the memory what was found, or what the expert does in the tasks."""
    from memp_bench.studies.learn import learn, remember

    if found is not None:
        return await remember(memory, found[0]), found[1]
    with progress(f"learning {config.benchmark} {config.split}", len(tasks), quiet=quiet) as advance:
        return await learn(memory, house, tasks, expert=expert, on_task=advance)
