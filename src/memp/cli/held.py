"""What commands that open a memory share: its options, opening it, and how a change is told."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from memp.forgetting import Forgetting
    from memp.records import Revision

memory_option = click.option(
    "--memory",
    "-m",
    "path",
    type=click.Path(path_type=Path),
    default=Path("memp.db"),
    show_default=True,
    help="The memory file.",
)
namespace_option = click.option(
    "--namespace", "-n", default="default", show_default=True, help="Which of the memories in the file."
)


def opened(path: Path, namespace: str) -> "Forgetting":
    """The memory at `path`; never creates one."""
    from memp.forgetting import Forgetting
    from memp.records import new_id, now
    from memp.stores.sqlite import SqliteStore

    store = SqliteStore(path, create=False)
    click.get_current_context().call_on_close(store.close)
    return Forgetting(store, namespace, now, new_id)


def changed(revision: "Revision", as_json: bool) -> None:
    """Tell what a change did."""
    if as_json:
        click.echo(revision.model_dump_json())
        return
    from memp.render import clean

    where = f"{revision.procedure_id} is at revision {revision.number} ({revision.status})"
    click.echo(f"{where}: {clean(revision.reason)}")


def author(revision: "Revision") -> str:
    """Who wrote a revision, for people."""
    from memp.render import clean

    by = revision.author
    return clean(", ".join(part for part in (by.policy, by.model, by.prompt) if part))


def when(at: datetime) -> str:
    """A time as people read it, in their own zone."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
