"""`memp memory forget | merge | compact`: let go of what a task left, of duplicates, and of bytes."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from memp.cli.held import on_memory, opened
from memp.cli.output import EXIT_ERROR

if TYPE_CHECKING:
    from memp.forgetting import Forgotten


@click.command(short_help="Retire what a task left, or erase every trace of it.")
@click.option("--task", help="The task in its exact words: every trajectory of it.")
@click.option("--trajectory", help="Id of one trajectory.")
@click.option("--hard", is_flag=True, help="Erase every trace for good, history included, and search the file for it.")
@click.option("--finish", is_flag=True, help="Overwrite what an interrupted `--hard` left in freed pages of the file.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@on_memory
def forget(
    task: str | None,
    trajectory: str | None,
    hard: bool,
    finish: bool,
    yes: bool,
    path: Path,
    namespace: str,
    as_json: bool,
) -> None:
    """Forget what a task or a trajectory left.

    Procedures that were built from it are retired, and `restore` brings them back. With --hard everything is erased
    for good: trajectories, procedures, later revisions that it led to, recalls, outcomes, vectors. Exports and copies
    of the file that were made before still hold it.
    """
    if finish:
        if task is not None or trajectory is not None:
            raise click.UsageError("--finish stands alone")
        _finish(path, namespace, as_json)
        return
    if (task is None) == (trajectory is None):
        raise click.UsageError("give --task or --trajectory")
    held = opened(path, namespace)
    if hard and not yes:
        what = f"the task {task!r}" if task is not None else f"trajectory {trajectory}"
        click.confirm(f"Erase every trace of {what} from {path}? It cannot be undone.", abort=True, err=True)
    done = held.forget(trajectory, task=task, hard=hard)
    if as_json:
        click.echo(done.model_dump_json())
    else:
        _tell(done)
    if done.erased is not None and done.erased.left:
        raise SystemExit(EXIT_ERROR)


def _finish(path: Path, namespace: str, as_json: bool) -> None:
    held = opened(path, namespace)
    erased = held.finish_forgetting()
    click.echo(erased.model_dump_json() if as_json else f"{path} was written anew; nothing is left in freed pages")


def _tell(done: "Forgotten") -> None:
    from memp.render import clean

    erased = done.erased
    if erased is None:
        click.echo(f"{len(done.retired)} procedures retired; `memp memory restore ID` brings one back")
        for id in done.retired:
            click.echo(f"  {id}")
        return
    click.echo(
        f"erased for good: {erased.trajectories} trajectories, {erased.procedures} procedures, "
        f"{erased.revisions} revisions, {erased.recalls} recalls, {erased.outcomes} outcomes, "
        f"{erased.vectors} vectors, {erased.drafts} unfinished replies; {erased.receipts} receipts changed"
    )
    for id, number in erased.returned:
        click.echo(f"  {id} goes on from its last revision that did not come from it, as revision {number}")
    if erased.left:
        click.secho(f"FOUND in the file, of {erased.searched} texts that were looked for:", fg="red", bold=True)
        for text in erased.left:
            click.echo(f"  {clean(text)[:200]}")
    else:
        click.echo(f"searched the raw file for {erased.searched} texts and blobs of it: found none")
    if erased.elsewhere:
        click.echo(f"{len(erased.elsewhere)} of them are said by other tasks or procedures too, and stay:")
        for text in erased.elsewhere[:10]:
            click.echo(f"  {clean(text)[:200]}")


@click.command(short_help="Make one of procedures that say the same.")
@click.option("--least", type=click.FloatRange(0, 1), help="How alike their tasks are at least (default 0.5).")
@on_memory
def merge(least: float | None, path: Path, namespace: str, as_json: bool) -> None:
    """Make one of procedures that do the same steps for almost the same task; the others retire."""
    held = opened(path, namespace)
    done = held.merge() if least is None else held.merge(least=least)
    if as_json:
        click.echo(done.model_dump_json())
        return
    click.echo(f"{sum(map(len, done.into.values()))} procedures were merged into {len(done.into)}")
    for id, others in done.into.items():
        click.echo(f"  {id} took up {', '.join(others)}")


@click.command(short_help="Keep trajectories in fewer bytes.")
@click.option("--older-than", type=click.IntRange(0), metavar="DAYS", help="Only those recorded so many days ago.")
@on_memory
def compact(older_than: int | None, path: Path, namespace: str, as_json: bool) -> None:
    """Keep trajectories in fewer bytes. What reads them sees no difference, it takes a little longer."""
    done = opened(path, namespace).compact(older_than=None if older_than is None else timedelta(days=older_than))
    if as_json:
        click.echo(done.model_dump_json())
        return
    saved = f", {100 * (1 - done.after / done.before):.0f} % less" if done.before else ""
    click.echo(f"{done.trajectories} trajectories compacted: {done.before:,} bytes are {done.after:,} now{saved}")


COMMANDS: Final = (forget, merge, compact)
"""What `memp memory` offers of them."""
