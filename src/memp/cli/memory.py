"""`memp memory`: look at a memory, and change it with a reason."""

import json
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from memp.cli import copy, curate, forget, index
from memp.cli.held import author, memory_option, on_memory, opened, when
from memp.cli.output import json_option, reports_errors, table
from memp.stores.connect import connect

if TYPE_CHECKING:
    from memp.records import Procedure, Revision

STATES = ("active", "probation", "pending", "proposed", "quarantined", "retired")


@click.group()
def memory() -> None:
    """Look at a memory, and change it with a reason.

    Nothing is ever lost, for every change is a revision; only `forget --hard` erases, for good.
    """


for _command in (*curate.COMMANDS, *forget.COMMANDS, *copy.COMMANDS, *index.COMMANDS):
    memory.add_command(_command)


@memory.command()
@click.option("--status", type=click.Choice(STATES), help="Only these.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="At most so many.")
@on_memory
def ls(path: Path, namespace: str, status: str | None, limit: int, as_json: bool) -> None:
    """List procedures, oldest first."""
    from itertools import islice

    held = opened(path, namespace)
    found = list(islice(held.procedures(status=status), limit))  # type: ignore[arg-type]
    total = sum(held.stats().procedures.values())
    if as_json:
        click.echo(json.dumps([p.model_dump(mode="json") for p in found], ensure_ascii=False))
        return
    _list(f"{len(found)} of {total} procedures in {path} ({namespace})", found)
    if not total:
        others = [name for name in held.store.namespaces() if name != namespace]
        click.echo(f"Other namespaces: {', '.join(others)}" if others else "The memory is empty.")


@memory.command()
@click.argument("words", nargs=-1, required=True)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many.")
@on_memory
def search(words: tuple[str, ...], path: Path, namespace: str, limit: int, as_json: bool) -> None:
    """Find procedures whose task or script holds the words."""
    found = opened(path, namespace).search(" ".join(words), limit=limit)
    if as_json:
        click.echo(json.dumps([p.model_dump(mode="json") for p in found], ensure_ascii=False))
        return
    _list(f"{len(found)} procedures with {' '.join(words)!r}", list(found))


@memory.command()
@click.argument("id")
@on_memory
def show(id: str, path: Path, namespace: str, as_json: bool) -> None:
    """Show one procedure as an agent reads it, and where it comes from. ID may be shortened."""
    from memp.render import clean, render_content

    held = opened(path, namespace)
    procedure = held.get(id)
    if as_json:
        click.echo(procedure.model_dump_json())
        return
    wanted = procedure.content.trajectory_id
    _facts_of(procedure)
    if procedure.content.facts:
        click.echo("facts     " + clean(", ".join(f"{k} = {v}" for k, v in procedure.content.facts.items())))
    click.echo("")
    click.echo(render_content(procedure.content, held.trajectory(wanted) if wanted else None))


@memory.command(short_help="Show every revision of a procedure, and why.")
@click.argument("id")
@on_memory
def history(id: str, path: Path, namespace: str, as_json: bool) -> None:
    """Show every revision of a procedure: what changed, why, on what evidence, by whom."""
    from memp.render import clean

    revisions = opened(path, namespace).history(id)
    if as_json:
        rows = [{**r.model_dump(mode="json"), "served": s, "succeeded": w} for r, s, w in revisions]
        click.echo(json.dumps(rows, ensure_ascii=False))
        return
    previous: Revision | None = None
    for revision, served, succeeded in revisions:
        state = f"{revision.status}{', pinned' if revision.pinned else ''}"
        click.secho(f"revision {revision.number}  {when(revision.at)}  {state}", bold=True)
        click.echo(f"  why       {clean(revision.reason)}")
        click.echo(f"  by        {author(revision)}")
        click.echo(f"  evidence  {', '.join(revision.evidence) or '-'}")
        click.echo(f"  served    {served}, succeeded {succeeded}")
        for line in _difference(previous, revision):
            click.echo(f"  {clean(line)}")
        previous = revision


@memory.command()
@on_memory
def stats(path: Path, namespace: str, as_json: bool) -> None:
    """Count what a memory holds, and what its updates did."""
    from memp.curation import WAITING

    held = opened(path, namespace)
    counts, receipts = held.stats(), held.receipts(limit=5)
    if as_json:
        click.echo(counts.model_dump_json())
        return
    rows: list[tuple[str, object]] = [(name, value) for name, value in counts if name != "procedures"]
    rows[2:2] = [(f"procedures, {status}", n) for status, n in counts.procedures.items()]
    table(f"{path} ({namespace})", ["", ""], [(name, f"{value:,}") for name, value in rows])
    if waits := sum(counts.procedures.get(status, 0) for status in WAITING):
        click.secho(f"\n{waits} changes wait for a person: memp memory queue --memory {path}", fg="yellow")
    done = [
        (when(r.at), r.operation, r.policy, len(r.added), len(r.revised), len(r.retired), len(r.skipped))
        for r in receipts
    ]
    if done:
        click.echo("")
        table("latest operations", ["when", "operation", "policy", "added", "revised", "retired", "skipped"], done)


@memory.command("export", short_help="Write a memory to a file (JSON Lines).")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@memory_option
@click.option("--namespace", "-n", help="Only this one; default: all of them.")
@json_option
@reports_errors
def export_(file: Path, path: Path, namespace: str | None, as_json: bool) -> None:
    """Write a memory to FILE (JSON Lines; - is stdout). Nothing is lost but caches; import brings it back."""
    from memp.exchange import export_jsonl

    to_stdout = str(file) == "-"
    with closing(connect(path, create=False)) as store:
        done = export_jsonl(store, namespace, sys.stdout.buffer if to_stdout else file)
    if as_json and not to_stdout:
        click.echo(done.model_dump_json())
    else:
        click.echo(f"exported {done.entries} entries of {_namespaces(done.namespaces)} to {file}", err=to_stdout)


@memory.command("import", short_help="Add an export to a memory.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@memory_option
@click.option("--namespace", "-n", help="Put the entries there; FILE must then hold one namespace only.")
@json_option
@reports_errors
def import_(file: Path, path: Path, namespace: str | None, as_json: bool) -> None:
    """Add an export to a memory, creating it if need be: all of FILE or nothing. What is there already is skipped."""
    from memp.errors import StoreMissing
    from memp.exchange import import_jsonl

    if str(file) != "-" and not file.exists():  # before a memory is made for it
        raise StoreMissing(f"there is no file {file} to import")
    with closing(connect(path)) as store:
        done = import_jsonl(store, sys.stdin.buffer if str(file) == "-" else file, namespace=namespace)
    if as_json:
        click.echo(done.model_dump_json())
        return
    click.echo(
        f"imported {done.trajectories} trajectories, {done.revisions} revisions, {done.recalls} recalls, "
        f"{done.outcomes} outcomes and {done.receipts} receipts into {_namespaces(done.namespaces)} of {path}; "
        f"{done.skipped} entries were there already"
    )


def _namespaces(names: "tuple[str, ...]") -> str:
    return f"namespace {names[0]}" if len(names) == 1 else f"{len(names)} namespaces"


def _list(title: str, procedures: "list[Procedure]") -> None:
    from memp.render import clean

    rows = [
        (
            p.id[:8],
            p.status,
            p.revision.number,
            p.served,
            p.succeeded,
            p.revision.author.policy,
            clean(p.task)[:80],
        )
        for p in procedures
    ]
    table(title, ["id", "status", "rev", "served", "won", "by", "task"], rows)


def _facts_of(procedure: "Procedure") -> None:
    from memp.render import clean

    revision = procedure.revision
    click.secho(f"{procedure.id}  ({procedure.namespace})", bold=True)
    pinned = ", pinned" if revision.pinned else ""
    click.echo(f"status    {procedure.status}{pinned}, revision {revision.number} of {when(revision.at)}")
    if revision.stands is not None:
        how = "beside it" if procedure.status == "probation" else "instead of it"
        click.echo(f"stands    revision {revision.stands} is served {how}")
    if revision.tainted:
        click.echo(f"tainted   {clean(', '.join(revision.tainted))}: shown to agents as data, not as instructions")
    click.echo(f"why       {clean(revision.reason)}")
    click.echo(f"by        {author(revision)}")
    click.echo(f"evidence  {', '.join(revision.evidence) or '-'}")
    click.echo(f"served    {procedure.served}, succeeded {procedure.succeeded}; about {revision.tokens} tokens")


def _difference(before: "Revision | None", after: "Revision") -> list[str]:
    from difflib import unified_diff

    from memp.render import render_content

    old = render_content(before.content, None).splitlines() if before else []
    new = render_content(after.content, None).splitlines()
    return [line for line in unified_diff(old, new, lineterm="", n=1) if not line.startswith(("---", "+++", "@@"))]
