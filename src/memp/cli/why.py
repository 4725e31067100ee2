"""`memp why`: what was considered for a task, what was served, what was left out or withheld, and how it went."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from memp.cli.held import on_memory, opened, when
from memp.cli.output import table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from memp.curation import Curation
    from memp.recall import Recall, Recalled
    from memp.records import Outcome

FAR = 1_000_000


@click.command(short_help="Explain a recall: what was considered, served, left out, withheld.")
@click.argument("recall", required=False)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Without RECALL: list so many.")
@on_memory
def why(recall: str | None, limit: int, path: Path, namespace: str, as_json: bool) -> None:
    """Explain why RECALL served what it served. It may be shortened, or be `last`; without it, list the latest."""
    held = opened(path, namespace)
    if recall is None:
        _list(held, limit, as_json)
        return
    found = _find(held, recall)
    outcome = next((o for o in held.outcomes(limit=FAR) if o.recall_id == found.id), None)
    if as_json:
        played = None if outcome is None else outcome.model_dump(mode="json")
        click.echo(json.dumps({"recall": found.model_dump(mode="json"), "outcome": played}, ensure_ascii=False))
        return
    _explain(found, outcome)


def _find(held: "Curation", id: str) -> "Recall":
    """The recall of that id, or the only one whose id starts so.

    Raises:
        RecordError: there is none, or several.
    """
    from memp.errors import RecordError

    if id == "last":
        latest = held.recalls(limit=1)
        if not latest:
            raise RecordError(f"namespace {held.namespace!r} has no recalls yet")
        return latest[0]
    exact = held.store.recalls(held.namespace, id)
    if exact:
        return exact[0]
    found = [recall for recall in held.recalls(limit=FAR) if recall.id.startswith(id)]
    if len(found) == 1:
        return found[0]
    if found:
        raise RecordError(f"{len(found)} recalls start with {id!r}: {', '.join(r.id for r in found[:5])}")
    raise RecordError(f"no recall {id!r} in namespace {held.namespace!r}; `memp why` lists them")


def _list(held: "Curation", limit: int, as_json: bool) -> None:
    from memp.render import clean

    recalls = held.recalls(limit=limit)
    if as_json:
        click.echo(json.dumps([recall.model_dump(mode="json") for recall in recalls], ensure_ascii=False))
        return
    went = {outcome.recall_id: outcome for outcome in held.outcomes(limit=FAR)}
    rows = [
        (
            recall.id[:8],
            when(recall.at),
            recall.policy,
            len(recall.ranked),
            len(recall.withheld),
            len(recall.left_out),
            _result(went.get(recall.id)),
            clean(recall.task)[:80],
        )
        for recall in recalls
    ]
    columns = ["recall", "when", "policy", "served", "withheld", "left out", "result", "task"]
    table(f"{len(recalls)} latest recalls", columns, rows)


def _result(outcome: "Outcome | None") -> str:
    return "-" if outcome is None else f"{'won' if outcome.success else 'lost'} ({outcome.reward:g})"


def _explain(recall: "Recall", outcome: "Outcome | None") -> None:
    from memp.render import clean

    click.secho(f"recall {recall.id}", bold=True)
    click.echo(f"task      {clean(recall.task)}")
    click.echo(
        f"asked     {when(recall.at)}, policy {recall.policy}{f', for {clean(recall.agent)}' if recall.agent else ''}"
    )
    if recall.facts:
        click.echo("facts     " + clean(", ".join(f"{slot} = {value}" for slot, value in recall.facts.items())))
    if recall.note:
        click.secho(f"note      {clean(recall.note)}", fg="yellow")
    if outcome is not None:
        after = f" after {outcome.steps} steps" if outcome.steps else ""
        click.echo(f"result    {_result(outcome)}{after}, trajectory {outcome.trajectory_id}")
    click.echo("")
    _served("served", recall.ranked)
    _served("withheld: would have been served", recall.withheld)
    rows = [
        (item.procedure_id[:8], "-" if item.score is None else f"{item.score:.3f}", clean(item.why))
        for item in recall.left_out
    ]
    if rows:
        table("considered and left out", ["id", "score", "why"], rows)
    if not (recall.ranked or recall.withheld or rows):
        click.echo("The memory had nothing for this task.")


def _served(title: str, items: "Sequence[Recalled]") -> None:
    from memp.render import clean

    if not items:
        return
    rows = [
        (
            item.procedure.id[:8],
            item.procedure.revision.number,
            item.procedure.status,
            f"{item.score:.3f}",
            f"{item.procedure.succeeded}/{item.procedure.served}",
            clean(item.why),
            clean(item.procedure.task)[:60],
        )
        for item in items
    ]
    table(title, ["id", "rev", "status", "score", "won/served", "why", "built from"], rows)
    click.echo("")
