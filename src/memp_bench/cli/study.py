"""`memp study`: the paper's experiments by name, and one's own."""

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from memp.cli.output import json_option, progress, reports_errors, table
from memp_bench.cli.options import together

if TYPE_CHECKING:
    from memp_bench.studies.laboratory import Laboratory
    from memp_bench.studies.manifest import Manifest
    from memp_bench.studies.results import RecallResults, Results
    from memp_bench.studies.spec import Limits, Size, Study

_OVERRIDES = ("agent", "builder", "teacher", "embedder", "base_url", "price", "runner")

identity_options = together(
    click.option("--smoke", is_flag=True, help="The small size: offline, on simulated backbones, within two minutes."),
    click.option("--agent", help="Play with this model instead of the study's backbones (openai:NAME, sim:able ...)."),
    click.option("--builder", help="Have this model write memories; default: the agent, rules when that is simulated."),
    click.option("--teacher", help="Have this model play training tasks where memories are learned from played ones."),
    click.option("--embedder", help="Embed with this: static, or openai:NAME."),
    click.option("--base-url", help="An OpenAI-compatible server (vLLM, Ollama, OpenRouter ...) for all of them."),
    click.option(
        "--price", type=float, nargs=2, help="US dollars per million tokens, in and out, for unlisted models."
    ),
    click.option("--runner", type=click.Choice(["local", "inspect"]), help="Who runs episodes; default: the study's."),
)

run_options = together(
    click.option("--only", default="", help="Only cells whose label (place / backbone / arm / seed) holds this text."),
    click.option("--workers", type=click.IntRange(1), default=8, show_default=True, help="Episodes played at once."),
    click.option("--max-cost", type=click.FloatRange(0, min_open=True), help="Stop once so many US dollars are spent."),
    click.option("--max-total-tokens", type=click.IntRange(1), help="Stop once so many tokens are used."),
    click.option("--max-calls", type=click.IntRange(1), help="Stop before more model calls than this are made."),
    click.option("--max-hours", type=click.FloatRange(0, min_open=True), help="Stop after so many hours."),
    click.option("--data", type=click.Path(path_type=Path), help="The benchmarks' data; default: MEMP_DATA."),
    click.option("--cache", type=click.Path(path_type=Path), help="Folder for generated and unpacked games."),
    click.option(
        "--timeout",
        type=click.FloatRange(0, min_open=True),
        default=60.0,
        show_default=True,
        help="Seconds without an answer after which a request is made again.",
    ),
    click.option("--concurrency", type=click.IntRange(1), default=8, show_default=True, help="Model requests at once."),
    click.option(
        "--accept-change",
        is_flag=True,
        help="Go on though the study, code, data or packages changed since the folder was begun; the report says so.",
    ),
)

out_option = click.option(
    "--out", type=click.Path(path_type=Path), help="Folder of the study; default: runs/study-NAME, or -smoke."
)


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
    order = _order(name, options)
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
    _run(_there(name, options), as_json=as_json)


@study.command()
@click.argument("name", metavar="NAME|DIR")
@click.option("--smoke", is_flag=True, help="The small size (with NAME).")
@out_option
@json_option
@reports_errors
def report(name: str, as_json: bool, **options: Any) -> None:
    """Write the report of a study again from what is there: its NAME, or the folder it is in."""
    order = _there(name, options)
    results, files = _report(order, _manifest(order.out))
    _tell(order, results, files, as_json=as_json)


# -- what is to be run ---------------------------------------------------------------------------------


class _Order(NamedTuple):
    """A study, the size of it, and where."""

    study: "Study"
    size: "Size"
    smoke: bool
    file: str
    """As the manifest names it."""
    overrides: dict[str, str]
    out: Path
    options: dict[str, Any]


def _order(name: str, options: dict[str, Any]) -> _Order:
    """What the command line asks for."""
    given = {key: options.pop(key) for key in _OVERRIDES}
    price = given.pop("price")
    overrides = {key: str(value) for key, value in given.items() if value is not None}
    if price:
        overrides["price"] = f"{price[0]:g} {price[1]:g}"
    return _made(name, bool(options.pop("smoke")), overrides, options)


def _made(name: str, smoke: bool, overrides: dict[str, str], options: dict[str, Any]) -> _Order:
    from memp_bench.studies import catalog
    from memp_bench.studies.overrides import overridden

    loaded = catalog.load(name)
    size = overridden(loaded.smoke if smoke else loaded.full, overrides)
    out = options.pop("out") or Path("runs") / f"study-{loaded.name}{'-smoke' if smoke else ''}"
    file = name if name in catalog.names() else str(Path(name).resolve())
    return _Order(loaded, size, smoke, file, overrides, out, options)


def _there(name: str, options: dict[str, Any]) -> _Order:
    """The study that was begun: by its folder, or by its name."""
    from memp_bench.studies.manifest import FILE, Manifest

    smoke, folder = bool(options.pop("smoke")), Path(name)
    if not (folder / FILE).is_file():
        folder = options["out"] or Path("runs") / f"study-{folder.stem}{'-smoke' if smoke else ''}"
    options["out"] = folder
    begun = _manifest(folder)
    assert isinstance(begun, Manifest)
    return _made(begun.file, begun.smoke, dict(begun.overrides), options)


def _manifest(folder: Path) -> "Manifest":
    from memp.errors import MempError
    from memp_bench.studies.manifest import Manifest

    begun = Manifest.read(folder)
    if begun is None:
        raise MempError(f"no study was begun in {folder}; begin one with `memp study run NAME`, or give its folder")
    return begun


def _limits(order: _Order) -> "Limits":
    """The study's caps, or those of the command line where it gives one."""
    from memp_bench.studies.spec import Limits

    named = {"cost": "max_cost", "tokens": "max_total_tokens", "calls": "max_calls", "hours": "max_hours"}
    given = {key: order.options[option] for key, option in named.items() if order.options[option] is not None}
    return Limits.parse(order.size.limits.model_dump() | given)


# -- running -------------------------------------------------------------------------------------------


def _run(order: _Order, *, as_json: bool) -> None:
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


def _laboratory(order: _Order) -> "Laboratory":
    from memp_bench.studies.laboratory import Laboratory, Settings

    options = order.options
    remote = {"timeout": options["timeout"], "max_concurrency": options["concurrency"], "price": _price(order)}
    settings = Settings(order.out, options["workers"], options["data"], options["cache"], options["only"], remote)
    return Laboratory(order.study, order.size, settings, limits=_limits(order))


def _price(order: _Order) -> tuple[float, float] | None:
    """US dollars per million tokens, in and out, if the command line gave them."""
    parts = [float(part) for part in order.overrides.get("price", "").split()]
    return (parts[0], parts[1]) if parts else None


async def _play(order: _Order, *, as_json: bool) -> "Manifest":
    from memp_bench.studies.collect import note_command, write_recall
    from memp_bench.studies.recall import score_recall

    laboratory = _laboratory(order)
    try:
        laboratory.check()
        manifest = _now(order, laboratory.data_digests()).claim(order.out, accept=order.options["accept_change"])
        note_command(order.out, sys.argv[1:])
        with progress(f"study {order.study.name}", laboratory.total(), quiet=as_json) as advance:
            if order.study.kind == "runs":
                await laboratory.run(advance=advance)
                return manifest
            results = await score_recall(
                order.study,
                order.size,
                smoke=order.smoke,
                workers=order.options["workers"],
                advance=advance,
                folder=order.out / "memories",
                data=order.options["data"],
                cache=order.options["cache"],
            )
        write_recall(order.out, results)
    finally:
        await laboratory.close()
    return manifest


def _now(order: _Order, data: dict[str, str]) -> "Manifest":
    from memp_bench.studies.manifest import Manifest

    return Manifest.of(
        order.study, order.size, smoke=order.smoke, file=order.file, overrides=order.overrides, data=data
    )


# -- what came out -------------------------------------------------------------------------------------


def _report(order: _Order, manifest: "Manifest") -> "tuple[Results | RecallResults, tuple[Path, ...]]":
    from memp_bench.studies.collect import collect, provenance, read_recall
    from memp_bench.studies.report import write_report

    results: Results | RecallResults
    if order.study.kind == "recall":
        results = read_recall(order.out)
    else:
        results = collect(order.study, order.size, manifest, order.out)
    return results, write_report(order.out, results, provenance(order.study, order.size, manifest, order.out))


def _tell(order: _Order, results: "Results | RecallResults", files: tuple[Path, ...], *, as_json: bool) -> None:
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


def _estimate(order: _Order, *, as_json: bool) -> None:
    from memp_bench.studies.estimate import estimate

    price = tuple(float(part) for part in order.overrides.get("price", "").split())
    found = estimate(
        order.study,
        order.size,
        (order.out, Path("runs")),
        workers=order.options["workers"],
        price=(price[0], price[1]) if price else None,
    )
    click.echo(found.model_dump_json() if as_json else str(found))
