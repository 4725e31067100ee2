"""`memp study`: the paper's experiments by name, and one's own."""

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from memp.cli.output import json_option, progress, reports_errors, table
from memp_bench.cli.study_order import (
    Order,
    begun_in,
    identity_options,
    limits_of,
    order_of,
    out_option,
    price_of,
    run_options,
    there_in,
)

if TYPE_CHECKING:
    from memp_bench.studies.laboratory import Laboratory
    from memp_bench.studies.manifest import Manifest
    from memp_bench.studies.results import RecallResults, Results


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def study() -> None:
    """The paper's experiments by name: list, show, run, resume and report them.

    A study is a TOML file: tasks, backbones, policies, seeds and budgets. Copy a shipped one (`memp study show
    NAME`), change it, and give its path instead of a name.
    """


@study.command("list")
@json_option
@reports_errors
def list_(as_json: bool) -> None:
    """List the shipped studies."""
    from memp_bench.studies import catalog

    found = [catalog.load(name) for name in catalog.names()]
    if as_json:
        told = [{"name": s.name, "title": s.title, "question": s.question, "paper": s.paper} for s in found]
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    rows = [(s.name, re.split(r"[.,:;]", s.paper)[0] or "ours", s.question) for s in found]
    table("", ["name", "paper", "what it answers"], rows)
    click.echo("See one: memp study show NAME. Try one: memp study run NAME --smoke")


@study.command()
@click.argument("name")
@json_option
@reports_errors
def show(name: str, as_json: bool) -> None:
    """Show the file of the study NAME (a shipped one, or a path), ready to be copied and changed."""
    from memp_bench.studies import catalog

    file, loaded = catalog.file_of(name), catalog.load(name)
    if as_json:
        click.echo(json.dumps({"file": str(file), "study": loaded.model_dump(mode="json")}, ensure_ascii=False))
        return
    click.echo(file.read_text(encoding="utf-8").rstrip("\n"))
    click.secho(f"\n# {file}; copy it, change it, and run it: memp study run COPY.toml", fg="cyan", err=True)


@study.command()
@click.argument("name")
@identity_options
@run_options
@out_option
@click.option("--dry-run", is_flag=True, help="Say what it would take (calls, tokens, money) and do nothing.")
@json_option
@reports_errors
def run(name: str, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Run the study NAME (a shipped one, or the path of a TOML file).

    Ctrl-C, a crash or a cap loses nothing: repeating the command, or `memp study resume`, goes on. Caps hold for the
    whole study. Report and tables are in --out.
    """
    order = order_of(name, options)
    if dry_run:
        _estimate(order, as_json=as_json)
    else:
        _run(order, as_json=as_json)


@study.command()
@click.argument("name", metavar="NAME|DIR")
@click.option("--smoke", is_flag=True, help="The small size (with NAME).")
@run_options
@out_option
@json_option
@reports_errors
def resume(name: str, as_json: bool, **options: Any) -> None:
    """Go on with a study that was stopped: its NAME, or the folder it is in."""
    _run(there_in(name, options), as_json=as_json)


@study.command()
@click.argument("name", metavar="NAME|DIR")
@click.option("--smoke", is_flag=True, help="The small size (with NAME).")
@out_option
@json_option
@reports_errors
def report(name: str, as_json: bool, **options: Any) -> None:
    """Write the report of a study again from what is there: its NAME, or the folder it is in."""
    order = there_in(name, options)
    results, files = _report(order, begun_in(order.out))
    _tell(order, results, files, as_json=as_json)


# -- running -------------------------------------------------------------------------------------------


def _run(order: Order, *, as_json: bool) -> None:
    from memp.errors import BudgetExceeded
    from memp_bench.studies.players import Interrupted

    again = f"go on with: memp study resume {order.out}"
    try:
        manifest = asyncio.run(_play(order, as_json=as_json))
    except* BudgetExceeded as group:
        raise BudgetExceeded(f"{_first(group)}; {again}") from None
    except* Interrupted as group:
        error = _first(group)
        hopeless = getattr(error, "exit_code", 3) == 1
        raise Interrupted(f"{error}; {'once mended, ' if hopeless else ''}{again}", hopeless=hopeless) from None
    except* KeyboardInterrupt:
        click.secho(f"memp: {again}", err=True)
        raise
    results, files = _report(order, manifest)
    _tell(order, results, files, as_json=as_json)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _laboratory(order: Order) -> "Laboratory":
    from memp_bench.cli.parts import remote_of
    from memp_bench.studies.laboratory import Laboratory, Settings

    options = order.options
    remote = remote_of({**options, "price": price_of(order)})
    settings = Settings(
        order.out,
        options["workers"],
        options["data"],
        options["cache"],
        options["only"],
        remote,
        pool=options["pool"],
    )
    return Laboratory(order.study, order.size, settings, limits=limits_of(order))


async def _play(order: Order, *, as_json: bool) -> "Manifest":
    from memp.stores.connect import connect, without_password
    from memp_bench.studies.collect import note_command, write_recall
    from memp_bench.studies.homes import Home

    laboratory = _laboratory(order)
    try:
        laboratory.check()
        if order.memory is not None:
            connect(order.memory).close()  # whether it answers, before anything is written
        manifest = _now(order, laboratory.data_digests()).claim(order.out, accept=order.options["accept_change"])
        home = Home(order.out, order.memory, manifest.memories.name if manifest.memories else "")
        note_command(order.out, [without_password(word) for word in sys.argv[1:]])
        with progress(f"study {order.study.name}", laboratory.total(), quiet=as_json) as advance:
            if order.study.kind == "runs":
                await laboratory.run(advance=advance, home=home)
                return manifest
            results = await laboratory.recall(smoke=order.smoke, advance=advance, home=home)
        write_recall(order.out, results)
    finally:
        await laboratory.close()
    return manifest


def _now(order: Order, data: dict[str, str]) -> "Manifest":
    from memp_bench.studies.homes import Kept
    from memp_bench.studies.manifest import Manifest

    return Manifest.of(
        order.study,
        order.size,
        smoke=order.smoke,
        file=order.file,
        overrides=order.overrides,
        data=data,
        memories=None if order.memory is None else Kept.of(order.memory, order.out),
    )


# -- what came out -------------------------------------------------------------------------------------


def _report(order: Order, manifest: "Manifest") -> "tuple[Results | RecallResults, tuple[Path, ...]]":
    from memp_bench.studies.collect import collect, provenance, read_recall
    from memp_bench.studies.report import write_report

    results: Results | RecallResults
    if order.study.kind == "recall":
        results = read_recall(order.out)
    else:
        results = collect(order.study, order.size, manifest, order.out)
    return results, write_report(order.out, results, provenance(order.study, order.size, manifest, order.out))


def _tell(order: Order, results: "Results | RecallResults", files: tuple[Path, ...], *, as_json: bool) -> None:
    """The results on the screen: the tables in short, and where the report is."""
    if as_json:
        told = {"out": str(order.out), "files": list(map(str, files)), "results": results.model_dump(mode="json")}
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    from memp_bench.cli.study_tables import show_results

    show_results(results)
    for note in results.notes:
        click.secho(f"note: {note}", fg="yellow", err=True)
    for cell in getattr(results, "missing", ()):
        click.secho(f"not run to its end: {cell}", fg="yellow", err=True)
    click.echo(f"report: {order.out / 'report.html'} (also report.md, tables.csv, tables.json)")


def _estimate(order: Order, *, as_json: bool) -> None:
    from memp_bench.studies.estimate import estimate

    found = estimate(
        order.study,
        order.size,
        (order.out, Path("runs")),
        workers=order.options["workers"],
        price=price_of(order),
    )
    click.echo(found.model_dump_json() if as_json else str(found))
