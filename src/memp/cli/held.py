"""What commands that open a memory share: its options, opening it, and how a change is told."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from memp.cli.output import json_option, reports_errors
from memp.stores.connect import connect, is_url

if TYPE_CHECKING:
    from memp.forgetting import Forgetting
    from memp.records import Revision

F = TypeVar("F", bound=Callable[..., Any])


class Place(click.ParamType):  # type: ignore[type-arg]  # generic for newer clicks only
    """A file, or the address of a database."""

    name = "place"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> object:
        """An address as it is, anything else as a path."""
        return Path(value) if isinstance(value, str) and not is_url(value) else value


memory_option = click.option(
    "--memory",
    "-m",
    "path",
    type=Place(),
    default="memp.db",
    show_default=True,
    help="The memory: a file, or postgresql://user@host/database.",
)
namespace_option = click.option(
    "--namespace", "-n", default="default", show_default=True, help="Which of the memories in the file."
)


def on_memory(command: F) -> F:
    """What a command that looks at a memory, or changes one, takes beside its own: `path`, `namespace` and `as_json`.

    Its errors are told in one line.
    """
    return memory_option(namespace_option(json_option(reports_errors(command))))


def opened(path: Path | str, namespace: str) -> "Forgetting":
    """The memory at `path`; never creates one."""
    from memp.forgetting import Forgetting
    from memp.records import new_id, now

    store = connect(path, create=False)
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
