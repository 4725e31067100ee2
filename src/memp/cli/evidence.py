"""`memp evidence`: whether the memory helps, in all, by family and by procedure."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from memp.cli.held import on_memory, opened
from memp.cli.output import table

if TYPE_CHECKING:
    from memp.evidence import Evidence, Lift

COLUMNS = ["", "served", "won %", "withheld", "won %", "lift, points", "95 %", "harm", "steps", "tokens"]


@click.command(short_help="Show whether the memory helps: lift, with intervals.")
@click.option("--agent", help="The model whose tasks to look at; default: the one with the most.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many procedures.")
@on_memory
def evidence(agent: str | None, limit: int, path: Path, namespace: str, as_json: bool) -> None:
    """Show whether the memory helps: tasks with it beside tasks from which it was withheld.

    Needs a memory that withholds a share of its recalls (`holdout=0.1`). Lift is the difference of the success rates
    in points; harm is the probability that it is below 0.
    """
    found = opened(path, namespace).evidence(agent)
    if as_json:
        click.echo(found.model_dump_json())
    else:
        _show(found, limit)


def _show(found: "Evidence", limit: int) -> None:
    from memp.render import clean

    if not found.agents:
        click.echo("No task was recorded with a recall yet, so there is no evidence.")
        return
    named = clean(found.agent) or "(not named)"
    if len(found.agents) > 1:
        others = ", ".join(clean(name) or "(not named)" for name in found.agents if name != found.agent)
        click.echo(f"Agent {named}; there is evidence of {others} too (--agent).")
    if not found.overall.withheld:
        click.secho(
            "No recall was withheld, so nothing can be compared: open the memory with holdout=0.1.", fg="yellow"
        )
    table(f"with memory and without: {named}", COLUMNS, [_row(lift) for lift in (found.overall, *found.families)])
    if found.both:
        click.echo(
            f"\n{found.both} tasks came with memory and without: {found.repairs} repairs (lost without, won with), "
            f"{found.regressions} regressions"
        )
    if found.abstains:
        click.secho(f"\nThe memory {clean(found.abstains)}", fg="red")
    if found.procedures:
        click.echo("")
        title = f"procedures, the most harmful first ({min(limit, len(found.procedures))} of {len(found.procedures)})"
        table(title, ["id", *COLUMNS[1:]], [_row(lift) for lift in found.procedures[:limit]])
    if found.quarantined:
        click.secho(f"\nquarantined: {', '.join(id[:8] for id in found.quarantined)}", fg="yellow")


def _row(lift: "Lift") -> tuple[object, ...]:
    return (
        lift.name[:12],
        lift.served,
        _share(lift.served_won, lift.served),
        lift.withheld,
        _share(lift.withheld_won, lift.withheld),
        "-" if lift.success is None else f"{100 * lift.success:+.0f}",
        "-" if lift.low is None or lift.high is None else f"{100 * lift.low:+.0f} to {100 * lift.high:+.0f}",
        f"{lift.harm:.2f}",
        "-" if lift.steps is None else f"{lift.steps:+.1f}",
        "-" if lift.tokens is None else f"{lift.tokens:+,.0f}",
    )


def _share(won: int, of: int) -> str:
    return f"{100 * won / of:.0f}" if of else "-"
