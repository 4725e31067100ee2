"""What commands share: errors as one line with an exit code, tables for people, JSON for programs."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from rich.console import Console

F = TypeVar("F", bound=Callable[..., Any])

EXIT_ERROR = 1
EXIT_INTERRUPTED = 3
"""Stopped before its end with everything kept; repeating the command goes on."""
EXIT_SIGINT = 130
"""Stopped by Ctrl-C, as shells have it; likewise."""

EXIT_SIGPIPE = 141
"""The reader of the output has gone, as shells have it."""

json_option = click.option("--json", "as_json", is_flag=True, help="One machine-readable object on stdout.")


def reports_errors(command: F) -> F:
    """Show memp's errors as one line on stderr, without a traceback."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        from memp.errors import BudgetExceeded, MempError

        try:
            return command(*args, **kwargs)
        except* BrokenPipeError:  # whoever read the output has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(EXIT_SIGPIPE)
        except* BudgetExceeded as group:
            _fail(group, EXIT_INTERRUPTED)
        except* MempError as group:
            _fail(group, EXIT_ERROR)
        except* OSError as group:  # a disk that is full, a folder that cannot be written
            _fail(group, EXIT_ERROR)
        except* KeyboardInterrupt:
            click.secho("memp: stopped. Nothing is lost; repeat the command to go on", err=True, fg="red")
            sys.exit(EXIT_SIGINT)

    return wrapped  # type: ignore[return-value]


def _fail(group: BaseExceptionGroup, code: int) -> None:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    click.secho(f"memp: {error}", err=True, fg="red")
    sys.exit(getattr(error, "exit_code", code))


def console(*, stderr: bool = False) -> "Console":
    """The terminal; wide enough for any table when the output is piped."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, highlight=False, width=None if stream.isatty() else 200)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a title and, when there are rows, a table; numbers to the right, columns without names without a head."""
    from rich.markup import escape
    from rich.table import Table

    made = Table(
        box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0), show_header=any(columns), highlight=False
    )
    for n, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[n], int | float) for row in rows)
        last = n == len(columns) - 1  # takes what room there is; the others stay on their line
        made.add_column(escape(column), justify="right" if numeric else "left", overflow="fold", no_wrap=not last)
    for row in rows:
        made.add_row(*(escape(_cell(cell)) for cell in row))
    out = console()
    if title:  # on its own line: rich would wrap it to the width of the table
        out.print(escape(title), style="italic")
    if rows:
        out.print(made)


def _cell(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)


@contextmanager
def progress(description: str, total: int, *, quiet: bool = False) -> Iterator[Callable[[str], None]]:
    """A progress bar on stderr; call the yielded function with a note after each item."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console(stderr=True),
        disable=quiet,
    )
    with bar:
        task = bar.add_task(description, total=total, note="")
        yield lambda note: bar.update(task, advance=1, note=note)


@contextmanager
def waiting(description: str, *, quiet: bool = False) -> Iterator[None]:
    """Says on stderr what is being done, and for how long, while nothing can be counted."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    shown = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=console(stderr=True),
        transient=True,
        disable=quiet or not sys.stderr.isatty(),  # it would leave an empty line in a log
    )
    with shown:
        shown.add_task(description, total=None)
        yield
