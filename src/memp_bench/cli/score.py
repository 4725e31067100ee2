"""`memp score`: judge a file of plans."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from memp.cli.output import json_option, reports_errors, table

if TYPE_CHECKING:
    from memp_bench.envs.travelplanner.score import Report


@click.command()
@click.argument("benchmark", type=click.Choice(["travelplanner"]))
@click.argument("plans", type=click.Path(path_type=Path))
@click.option("--split", default="validation", show_default=True, help="train or validation.")
@click.option("--data", type=click.Path(path_type=Path), help="Folder of the tables and tasks; default: $MEMP_DATA.")
@click.option(
    "--mode",
    type=click.Choice(["official", "strict"]),
    default="official",
    show_default=True,
    help="official: every quirk of the original evaluator, for comparable figures; strict: as the paper's text says.",
)
@click.option("--explain", is_flag=True, help="Also list each failed check of each plan.")
@json_option
@reports_errors
def score(
    benchmark: str,
    plans: Path,
    split: str,
    data: Path | None,
    mode: Literal["official", "strict"],
    explain: bool,
    as_json: bool,
) -> None:
    """Judge a file of plans: JSON Lines in the official format, one plan a task, in the order of the split.

    A malformed plan or line is named and counted; the others are scored all the same.
    """
    report = _score(plans, split, data, mode)
    if as_json:
        import json

        click.echo(json.dumps(_as_json(report, split), ensure_ascii=False))
        return
    _show(report, f"{benchmark} {split}, {plans}, {mode}")
    if explain:
        _explain(report)
    for note in report.notes:
        click.secho(f"note: {note}", fg="yellow", err=True)


def _score(plans: Path, split: str, data: Path | None, mode: Literal["official", "strict"]) -> "Report":
    import os

    from memp_bench.envs.travelplanner.evaluator import Evaluator
    from memp_bench.envs.travelplanner.loading import find_data, load_tables
    from memp_bench.envs.travelplanner.plans import read_plans
    from memp_bench.envs.travelplanner.score import score as judge
    from memp_bench.envs.travelplanner.tasks import load_tasks

    submissions = read_plans(plans)
    folder = find_data(data, environ=os.environ)
    tasks = load_tasks(folder, split)
    return judge(tasks, submissions, Evaluator(load_tables(folder), mode))


def _as_json(report: "Report", split: str) -> dict[str, Any]:
    from memp_bench.envs.travelplanner.metrics import METRICS

    made = report.model_dump(mode="json")
    rates = {name: getattr(report.scores, name) for name in METRICS}
    made["scores"] = {name: {**rate.model_dump(), "rate": rate.value} for name, rate in rates.items()}
    for verdict, plan in zip(report.verdicts, made["verdicts"], strict=True):
        plan |= {name: getattr(verdict, name) for name in ("commonsense_pass", "hard_pass", "final_pass")}
    return {"split": split, **made}


def _show(report: "Report", title: str) -> None:
    from memp_bench.envs.travelplanner.metrics import METRICS
    from memp_bench.envs.travelplanner.verdict import COMMONSENSE, HARD

    rates = [(label, getattr(report.scores, name)) for name, label in METRICS.items()]
    rows = [(label, f"{100 * rate.value:.2f}", f"{rate.passed}/{rate.total}") for label, rate in rates]
    table(title, ["metric", "%", "passed"], rows)
    names = COMMONSENSE | HARD
    rows = [
        (names[name], f"{100 * rate.value:.2f}", f"{rate.passed}/{rate.total}")
        for name, rate in report.constraints.items()
    ]
    click.echo()
    table("of the tasks that ask for it", ["constraint", "%", "passed"], rows)
    unknown = sum(len(verdict.unknown_flights) for verdict in report.verdicts)
    if unknown:
        click.echo(
            f"\n{unknown} flights are on legs of which these tables know nothing; they are judged as not existing"
        )


def _explain(report: "Report") -> None:
    from memp_bench.envs.travelplanner.verdict import COMMONSENSE, HARD

    names = COMMONSENSE | HARD
    for verdict in report.verdicts:
        lines = [f"{names[name]}: {message}" for name, message in verdict.failures.items()]
        lines += [f"form: {problem}" for problem in verdict.problems]
        lines += [f"unknown flight: {flight}" for flight in verdict.unknown_flights]
        if verdict.delivered and verdict.hard is None:
            lines.append("hard constraints: not judged, as information is incomplete or not within the sandbox")
        state = "passes" if verdict.final_pass else "fails" if verdict.delivered else "not delivered"
        click.echo(f"\nplan {verdict.idx}: {state}" + (f", ${verdict.cost:,.2f}" if verdict.cost is not None else ""))
        for line in lines:
            click.echo(f"  {line}")
