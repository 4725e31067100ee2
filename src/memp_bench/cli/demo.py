"""`memp demo`: see it work, in two minutes, without a key and without data."""

import asyncio
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from memp.cli.output import json_option, progress, reports_errors, table
from memp.stores.connect import without_password
from memp_bench.cli.options import cache_option, memory_option, workers_option

if TYPE_CHECKING:
    from collections.abc import Mapping

    from memp.memory import AsyncProceduralMemory
    from memp.models.metered import Meter
    from memp_bench.envs.household import Household
    from memp_bench.studies.config import RunConfig
    from memp_bench.studies.demo import Demo
    from memp_bench.studies.homes import Home

_OWN: Final = "seed-0/own-memory"
"""The folder of the arm whose memory is shown."""


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
@workers_option
@cache_option
@memory_option
@json_option
@reports_errors
def demo(as_json: bool, **options: Any) -> None:
    """See an agent play, remember, correct itself and get better (under two minutes).

    A simulated agent plays generated household games on the real TextWorld engine: without memory, with a memory that
    starts empty, and with one that starts from an expert. Both memories are recalled, extended and corrected on the
    way. Repeating the command after an interruption goes on.
    """
    started = time.monotonic()
    shown = asyncio.run(_demo(quiet=as_json, **options))
    if as_json:
        click.echo(shown.result.model_dump_json())
        return
    _show(shown.result)
    where = shown.home.cell(_OWN)
    memory = f"--memory {shlex.quote(without_password(str(where.place)))}"
    if shown.home.address:
        memory += f" -n {where.namespace}"
    click.echo("")
    click.echo(f"learning curve   {shown.picture}")
    click.echo(f"one game, twice  {shown.page}")
    click.echo(f"the memory       memp memory ls {memory}")
    click.echo(f"does it help?    memp evidence {memory}")
    click.echo(f"why that recall? memp why last {memory}")
    click.echo(f"{time.monotonic() - started:.0f} s")


class _Shown(NamedTuple):
    """What the demo made."""

    result: "Demo"
    home: "Home"
    page: Path
    picture: Path


async def _demo(*, workers: int, cache: Path | None, quiet: bool, **options: Any) -> _Shown:
    from memp_bench.envs.household import Household
    from memp_bench.studies.homes import Home

    out, memory = options["out"], options.pop("memory")
    home = Home.settle(out, memory)
    out.mkdir(parents=True, exist_ok=True)
    house = Household(workers=workers, cache=cache)
    try:
        await _watch(house, home, options, quiet=quiet)
        result = await _play(house, home, options, workers=workers, quiet=quiet)
    finally:
        await house.close()
    return _Shown(result, home, *_draw(result, options))


async def _watch(house: "Household", home: "Home", options: "Mapping[str, Any]", *, quiet: bool) -> None:
    """Let the expert play, for the memory that one of the arms starts from."""
    from memp.models.metered import Meter
    from memp_bench.cli.parts import memory_of
    from memp_bench.studies.demo import EXPERT, demo_config
    from memp_bench.studies.learn import learn

    config = demo_config(options["model"], options["games"], options["every"], 0, EXPERT)
    config, spot = config.model_copy(update={"update": "vanilla"}), home.learned("expert")
    if isinstance(spot.place, Path):
        spot.place.parent.mkdir(exist_ok=True)
    with progress("watching the expert", options["expert_games"], quiet=quiet) as advance:
        async with memory_of(config, spot, None, Meter()) as memory:
            await learn(memory, house, house.tasks("train", games=options["expert_games"]), on_task=advance)


async def _play(house: "Household", home: "Home", options: "Mapping[str, Any]", *, workers: int, quiet: bool) -> "Demo":
    """Let the agent play every arm of every seed."""
    from memp_bench.cli.parts import memory_of
    from memp_bench.studies.demo import ARMS, run_demo
    from memp_bench.studies.homes import start_from

    out, seeds = options["out"], tuple(range(options["seeds"]))

    def make_memory(config: "RunConfig", folder: Path, meter: "Meter") -> "AsyncProceduralMemory":
        spot = home.cell(str(folder.relative_to(out / "runs")))
        start_from(home.learned("expert") if config.source else None, spot)
        return memory_of(config, spot, None, meter)

    with progress("playing (simulated agent)", len(ARMS) * len(seeds) * options["games"], quiet=quiet) as advance:
        return await run_demo(
            house,
            out,
            model=options["model"],
            games=options["games"],
            every=options["every"],
            seeds=seeds,
            workers=workers,
            make_memory=make_memory,
            on_episode=lambda episode: advance("won" if episode.success else "lost"),
        )


def _draw(result: "Demo", options: "Mapping[str, Any]") -> tuple[Path, Path]:
    """The page of one game played twice, and the learning curve."""
    from memp_bench.studies.demo import telling_pair
    from memp_bench.studies.figures import learning_curve
    from memp_bench.studies.pages import write_demo_page

    out = options["out"]
    picture, page = out / "learning-curve.png", out / "index.html"
    learning_curve(
        picture,
        {arm.name: arm.curves for arm in result.arms},
        games_per_group=options["every"],
        title=f"{result.model} (simulated) on household games, {len(result.seeds)} seeds",
    )
    write_demo_page(page, result, picture, telling_pair(out, result.seeds))
    return page, picture


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
