"""Scores a file of plans against a split: lines are matched with tasks, judged and summed up."""

from collections.abc import Sequence

from memp.records import Record
from memp_bench.envs.base import Rate
from memp_bench.envs.travelplanner.evaluator import Evaluator
from memp_bench.envs.travelplanner.metrics import Scores, by_constraint, summarise
from memp_bench.envs.travelplanner.plans import Submission
from memp_bench.envs.travelplanner.tasks import TravelTask
from memp_bench.envs.travelplanner.verdict import Mode, Verdict


class Report(Record):
    """What is said about a file of plans."""

    mode: Mode
    scores: Scores
    constraints: dict[str, Rate]
    verdicts: tuple[Verdict, ...]
    """One a task, in the order of the split."""
    notes: tuple[str, ...] = ()
    """What was wrong with the file. The other plans were scored all the same."""


def score(tasks: Sequence[TravelTask], submissions: Sequence[Submission], evaluator: Evaluator) -> Report:
    """Judge the plans of a file on the tasks of a split.

    As officially, line i is for task i, whatever its `idx`. In the strict mode a line is for the task of its `idx`,
    where every line has one of its own. What does not fit is noted.
    """
    by_idx = {item.idx: item for item in submissions if item.idx is not None}
    matched = by_idx
    if evaluator.mode == "official" or len(by_idx) < len(submissions):
        matched = {item.line: item for item in submissions}
    verdicts = []
    for task in tasks:
        item = matched.get(task.idx)
        verdict = evaluator.judge(task, item.plan if item is not None else None)
        if item is not None and item.problem:
            verdict = verdict.model_copy(update={"problems": (item.problem,)})
        verdicts.append(verdict)
    return Report(
        mode=evaluator.mode,
        scores=summarise(tasks, verdicts),
        constraints=by_constraint(tasks, verdicts),
        verdicts=tuple(verdicts),
        notes=_notes(tasks, submissions, by_line=matched is not by_idx),
    )


def _notes(tasks: Sequence[TravelTask], submissions: Sequence[Submission], *, by_line: bool) -> tuple[str, ...]:
    notes = [item.problem for item in submissions if item.problem]
    if len(submissions) < len(tasks):
        missing = len(tasks) - len(submissions)
        notes.append(
            f"{len(submissions)} lines for {len(tasks)} tasks: the other {missing} count as not delivered "
            "(the official evaluator stops here)"
        )
    if len(submissions) > len(tasks):
        notes.append(f"{len(submissions)} lines for {len(tasks)} tasks: the rest is not looked at")
    if by_line:
        notes += _out_of_order(tasks, submissions)
    else:
        known = {task.idx for task in tasks}
        notes += [f"line {item.line}: there is no task {item.idx}" for item in submissions if item.idx not in known]
    return tuple(notes)


def _out_of_order(tasks: Sequence[TravelTask], submissions: Sequence[Submission]) -> list[str]:
    """Lines that say they are for another task than that of their row. Counting from 0 is fine."""
    zero = bool(submissions) and all(item.idx == item.line - 1 for item in submissions if item.idx is not None)
    notes = []
    for item, task in zip(submissions, tasks, strict=False):
        if item.query and item.query.split() != task.query.split():
            notes.append(f"line {item.line}: its query is not that of task {task.idx}; plans are matched by line")
        elif item.idx is not None and item.idx != task.idx and not zero:
            notes.append(
                f"line {item.line}: its idx is {item.idx}; plans are matched by line, so it counts for task {task.idx}"
            )
    return notes
