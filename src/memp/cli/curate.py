"""`memp memory undo | retire | restore | pin | approve ...`: what a person changes, each time by a new revision."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import click

from memp.cli.held import author, changed, on_memory, opened, when
from memp.cli.output import table

_AGO = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def _moment(_ctx: click.Context, _param: click.Parameter, value: str | None) -> datetime | None:
    """A time as people write it: `2026-11-22`, `2026-11-22T13:00`, or `90m`, `2h`, `3d`, `1w` ago."""
    if value is None:
        return None
    if value[:-1].isdecimal() and value[-1] in _AGO:
        return datetime.now(UTC) - timedelta(**{_AGO[value[-1]]: int(value[:-1])})
    try:
        return datetime.fromisoformat(value).astimezone()
    except ValueError:
        raise click.BadParameter(f"{value!r} is no time; write 2026-11-22, 2026-11-22T13:00, or 2h, 3d (ago)") from None


@click.command(short_help="Return a procedure, or everything since a time, to what it was.")
@click.argument("id", required=False)
@click.option("--to", type=click.IntRange(1), help="Revision to return to; default: the one before.")
@click.option("--since", callback=_moment, help="Undo everything since then: a date, a time, or 2h, 3d (ago).")
@click.option("--reason", default="", help="Kept with the new revision.")
@on_memory
def undo(
    id: str | None, to: int | None, since: datetime | None, reason: str, path: Path, namespace: str, as_json: bool
) -> None:
    """Return procedure ID to an earlier revision, by appending it as a new one.

    With --since instead of ID: every procedure returns to what it was then, and what was created since is retired.
    """
    if (id is None) == (since is None) or (since is not None and to is not None):
        raise click.UsageError("give the ID of a procedure (and --to), or --since")
    held = opened(path, namespace)
    if since is None:
        changed(held.undo(str(id), to=to, reason=reason), as_json)
        return
    done = held.undo_since(since, reason=reason)
    if as_json:
        click.echo(json.dumps([revision.model_dump(mode="json") for revision in done], ensure_ascii=False))
        return
    for revision in done:
        changed(revision, as_json=False)
    click.echo(f"{len(done)} procedures were returned to what they were at {when(since)}")


def _by_id(name: str, help: str, **reason: Any) -> click.Command:
    """`memp memory NAME ID`: calls the method of that name. `reason`: settings of its option `--reason`."""

    @click.command(name, help=help)
    @click.argument("id")
    @click.option("--reason", **reason, show_default=True, help="Kept with the new revision.")
    @on_memory
    def command(id: str, reason: str, path: Path, namespace: str, as_json: bool) -> None:
        changed(getattr(opened(path, namespace), name)(id, reason=reason), as_json)

    return command


@click.command()
@on_memory
def queue(path: Path, namespace: str, as_json: bool) -> None:
    """List the changes that wait for a person: approve or reject them."""
    from memp.render import clean

    waiting = list(opened(path, namespace).queue())
    if as_json:
        click.echo(json.dumps([p.model_dump(mode="json") for p in waiting], ensure_ascii=False))
        return
    rows = [
        (p.id[:8], p.status, p.revision.number, author(p.revision), clean(p.revision.reason)[:80], clean(p.task)[:60])
        for p in waiting
    ]
    table(f"{len(waiting)} changes wait", ["id", "status", "rev", "by", "why", "task"], rows)
    if waiting:
        first = waiting[0].id[:8]
        click.echo(
            f"\nSee one:   memp memory history {first}\nThen:      memp memory approve {first}, or reject {first}"
        )


COMMANDS: Final = (
    undo,
    _by_id("retire", "Stop serving a procedure. It keeps its history and can be restored.", required=True),
    _by_id("restore", "Serve a retired or quarantined procedure again.", default="restored"),
    _by_id("pin", "Keep a procedure as it is: no policy changes it, only a person.", default="pinned"),
    _by_id("unpin", "Let policies change a procedure again.", default="unpinned"),
    queue,
    _by_id(
        "approve",
        "Vouch for what a procedure says: it is served from here on, as instructions.",
        default="approved",
    ),
    _by_id(
        "reject",
        "Turn a change down: the revision that stands is served again, a new procedure is retired.",
        default="rejected",
    ),
)
"""What `memp memory` offers of them."""
