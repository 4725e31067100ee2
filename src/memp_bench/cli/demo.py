"""`memp demo`: see it work, in two minutes, without a key and without data."""

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from memp.cli.output import json_option, progress, reports_errors, table

if TYPE_CHECKING:
    from memp.memory import AsyncProceduralMemory
    from memp.models.metered import Meter
    from memp_bench.studies.config import RunConfig
    from memp_bench.studies.demo import Demo


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("demo-out"),
    show_default=True,
    help="Folder of what it makes.",
)
@click.option("--games", type=click.IntRange(2), default=42, show_default=True, help="Games a seed.")
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="How many seeds.")
@click.option(
    "--expert-games", type=click.IntRange(1), default=24, show_default=True, help="Train games of the expert."
)
@click.option("--every", type=click.IntRange(1), default=6, show_default=True, help="Update after so many games.")
@click.option("--model", default="sim:novice", show_default=True, help="sim:novice or sim:able.")
@click.option("--workers", type=click.IntRange(1), default=8, show_default=True, help="Games played at once.")
@click.option("--cache", type=click.Path(path_type=Path), help="Folder for generated games.")
@click.option("--memory", help="Where memories are: postgresql://user@host/database. Default: files in --out.")
@json_option
@reports_errors
def demo(as_json: bool, **options: Any) -> None:
    """See an agent play, remember, correct itself and get better (under two minutes).

    A simulated agent plays generated household games on the real TextWorld engine: without memory, with a memory that
    starts empty, and with one that starts from an expert. Both memories are recalled, extended and corrected on the
    way. Repeating the command after an interruption goes on.
    """
    started = time.monotonic()
    result, page, picture = asyncio.run(_demo(quiet=as_json, **options))
    if as_json:
        click.echo(result.model_dump_json())
        return
    _show(result)
    memory = f"--memory {options['out'] / 'runs' / 'seed-0' / 'own-memory' / 'memory.db'}"
    if options["memory"]:
        memory = f"--memory {options['memory']} -n {options['out'].name}/seed-0/own-memory"
    click.echo("")
    click.echo(f"learning curve   {picture}")
    click.echo(f"one game, twice  {page}")
    click.echo(f"the memory       memp memory ls {memory}")
    click.echo(f"does it help?    memp evidence {memory}")
    click.echo(f"why that recall? memp why last {memory}")
    click.echo(f"{time.monotonic() - started:.0f} s")


async def _demo(
    *,
    out: Path,
    games: int,
    seeds: int,
    expert_games: int,
    every: int,
    model: str,
    workers: int,
    cache: Path | None,
    memory: str | None,
    quiet: bool,
) -> "tuple[Demo, Path, Path]":
    from memp.models.metered import Meter
    from memp_bench.cli.parts import memory_of, start_from, start_from_namespace
    from memp_bench.envs.household import Household
    from memp_bench.studies.demo import ARMS, EXPERT, demo_config, run_demo, telling_pair
    from memp_bench.studies.figures import learning_curve
    from memp_bench.studies.learn import learn
    from memp_bench.studies.pages import write_demo_page

    house = Household(workers=workers, cache=cache)
    chosen = tuple(range(seeds))
    expert = out / "expert.db"

    def make_memory(config: "RunConfig", file: Path, meter: "Meter") -> "AsyncProceduralMemory":
        if memory:
            run = f"{out.name}/{file.parent.relative_to(out / 'runs')}"
            if config.source:
                start_from_namespace(memory, f"{out.name}/expert", run)
            return memory_of(config, memory, None, meter, namespace=run)
        start_from(expert if config.source else None, file)
        return memory_of(config, file, None, meter)

    out.mkdir(parents=True, exist_ok=True)
    try:
        with progress("watching the expert", expert_games, quiet=quiet) as advance:
            config = demo_config(model, games, every, 0, EXPERT).model_copy(update={"update": "vanilla"})
            first = (
                memory_of(config, memory, None, Meter(), namespace=f"{out.name}/expert")
                if memory
                else memory_of(config, expert, None, Meter())
            )
            async with first as watching:
                train = house.tasks("train", games=expert_games)
                await learn(watching, house, train, on_task=advance)
        with progress("playing (simulated agent)", len(ARMS) * seeds * games, quiet=quiet) as advance:
            result = await run_demo(
                house,
                out,
                model=model,
                games=games,
                every=every,
                seeds=chosen,
                workers=workers,
                make_memory=make_memory,
                on_episode=lambda episode: advance("won" if episode.success else "lost"),
            )
    finally:
        await house.close()
    picture, page = out / "learning-curve.png", out / "index.html"
    learning_curve(
        picture,
        {arm.name: arm.curves for arm in result.arms},
        games_per_group=every,
        title=f"{model} (simulated) on household games, {seeds} seeds",
    )
    write_demo_page(page, result, picture, telling_pair(out, chosen))
    return result, page, picture


def _show(result: "Demo") -> None:
    rows = [
        (
            arm.name,
            f"{100 * arm.success.mean:.1f} ± {100 * arm.success.sd:.1f}",
            f"{100 * arm.late_success.mean:.1f} ± {100 * arm.late_success.sd:.1f}",
            f"{arm.steps.mean:.1f} ± {arm.steps.sd:.1f}",
            f"{arm.tokens.mean:,.0f} ± {arm.tokens.sd:,.0f}",
            arm.repairs,
            arm.regressions,
        )
        for arm in result.arms
    ]
    title = f"{result.model}, {result.games} household games, {len(result.seeds)} seeds (simulated: an instrument)"
    columns = ["", "won %", "won % in 2nd half", "steps", "tokens", "repairs", "regressions"]
    table(title, columns, rows)
    click.echo("repairs: lost without memory, won with it; regressions: the other way round")
