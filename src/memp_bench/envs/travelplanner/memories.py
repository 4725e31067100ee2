"""Trajectories to learn from: the annotators' plans and files of other plans, with what the evaluator says of them.

    kept, skipped = learnable(bench, bench.tasks("train"), [Path("gpt4.jsonl.gz")], above=0.8)

Train only: the benchmark's authors let nobody learn from verdicts on validation.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from re import compile as pattern
from typing import Any, Final

from memp.errors import MempError, RecordError
from memp.records import Skipped, Step, Trajectory
from memp_bench.envs.base import Task
from memp_bench.envs.travelplanner.benchmark import TravelPlanner
from memp_bench.envs.travelplanner.evaluator import Evaluator
from memp_bench.envs.travelplanner.judging import feedback, reward
from memp_bench.envs.travelplanner.plan_text import FIELDS, Day, checked, literal
from memp_bench.envs.travelplanner.plans import Submission, read_plans
from memp_bench.envs.travelplanner.tasks import TravelTask
from memp_bench.envs.travelplanner.verdict import COMMONSENSE, HARD, Verdict

SPLIT: Final = "train"
"""The one split whose verdicts may be learned from."""

KEPT_ABOVE: Final = 0.8
"""Reward above which the paper keeps a trajectory."""

HAND_IN: Final = "Hand in the plan"
"""The last step: with it the plan is judged."""

_DAY = pattern(r"\bin day (\d+)\b")


def learnable(
    bench: TravelPlanner,
    tasks: Sequence[Task],
    files: Sequence[Path] = (),
    *,
    gold: bool = True,
    above: float | None = KEPT_ABOVE,
    facts: bool = True,
) -> tuple[list[Trajectory], list[Skipped]]:
    """What can be learned from for `tasks`: the gold plans first, then the plans of the files; and what was left out.

    Raises:
        MempError: the tasks are not of the train split, a file cannot be read, or it has no plan for a train task.
        EnvironmentFailed: the data is missing or damaged.
    """
    if strangers := [task.id for task in tasks if not task.id.startswith(f"{SPLIT}/")]:
        raise MempError(
            f"{strangers[0]} may not be learned from: the authors of TravelPlanner allow it on {SPLIT} only; "
            f"leave --split away or give --split {SPLIT}"
        )
    if not gold and not files:
        raise MempError("there is nothing to learn from: name a file of plans, or take the gold plans")
    kept = list(gold_trajectories(bench, tasks, facts=facts)) if gold else []
    skipped: list[Skipped] = []
    for file in files:
        source = file.name.removesuffix(".gz").removesuffix(".jsonl")
        plans, left = plan_trajectories(bench, tasks, read_plans(file), source=source, above=above, facts=facts)
        kept += plans
        skipped += left
    return kept, skipped


def gold_trajectories(bench: TravelPlanner, tasks: Sequence[Task], *, facts: bool = True) -> Iterator[Trajectory]:
    """The annotators' plans of `tasks`, in their order. `facts` as in `trajectory_of_plan`.

    Raises:
        EnvironmentFailed: the data is missing or damaged.
    """
    for travel in map(bench.travel_task, tasks):
        if travel.gold_plan:
            yield trajectory_of_plan(bench, travel, travel.gold_plan, agent="expert:annotator", facts=facts)


def plan_trajectories(
    bench: TravelPlanner,
    tasks: Sequence[Task],
    submissions: Sequence[Submission],
    *,
    source: str,
    above: float | None = KEPT_ABOVE,
    facts: bool = True,
) -> tuple[list[Trajectory], list[Skipped]]:
    """The plans of a file as trajectories, and what was left out and why.

    A line is for the one of `tasks` with its query, else with its `idx`; several lines may be for one task. `above`
    keeps plans with a larger reward; None keeps all.

    Raises:
        MempError: no line is for a train task.
        EnvironmentFailed: the data is missing or damaged.
    """
    chosen = {task.id for task in tasks}
    train = {task.id: bench.travel_task(task) for task in bench.tasks(SPLIT)}
    by_query = {_words(travel.query): id for id, travel in train.items()}
    by_idx = {travel.idx: id for id, travel in train.items()}
    kept: list[Trajectory] = []
    skipped: list[Skipped] = []
    strangers = 0
    for item in submissions:
        name = f"{source}, line {item.line}"
        id = by_query.get(_words(item.query)) if item.query else by_idx.get(item.idx or 0)
        if id is None:
            strangers += 1
            why = item.problem or "its query and idx are of no train task, and only those may be learned from"
            skipped.append(Skipped(subject=name, reason=why))
        elif id in chosen:
            made = _learned(bench, train[id], item, source=source, above=above, facts=facts)
            if isinstance(made, str):
                skipped.append(Skipped(subject=name, reason=made))
            else:
                kept.append(made)
    if strangers == len(submissions):
        raise MempError(f"{source} has no plan for a task of {SPLIT}; verdicts on other splits may not be learned from")
    return kept, skipped


def _learned(
    bench: TravelPlanner, travel: TravelTask, item: Submission, *, source: str, above: float | None, facts: bool
) -> Trajectory | str:
    """The plan of a line as a trajectory, or why it is none or is not kept."""
    try:
        made = trajectory_of_plan(bench, travel, item.plan, agent=source, facts=facts)
    except RecordError as error:
        return item.problem or str(error)
    if above is not None and made.reward <= above:
        return f"its reward is not above {above:g}: it is {made.reward:.2f}"
    return made


def trajectory_of_plan(
    bench: TravelPlanner, travel: TravelTask, plan: Any, *, agent: str, facts: bool = True
) -> Trajectory:
    """A plan as the steps of writing it, a day each, with the verdict as feedback and reward.

    A message that names a day stands at that day, all of them on the whole. `facts` are the slots of the task; without
    them whoever extracts facts reads the query. The id follows from agent, task and plan.

    Raises:
        RecordError: there is no plan, or not in the form of one.
    """
    days, verdict = _read(plan, bench.evaluator, travel)
    said = _by_day(verdict)
    steps = [Step(action=day_text(n, day), feedback=said.get(n, "")) for n, day in enumerate(days, 1)]
    name = json.dumps([agent, travel.idx, days], sort_keys=True)
    return Trajectory(
        id=hashlib.sha256(f"travelplanner plan {name}".encode()).hexdigest()[:32],
        task=travel.query,
        steps=(*steps, Step(action=HAND_IN)),
        reward=reward(travel, verdict),
        agent=agent,
        source=f"travelplanner:{SPLIT}/{travel.idx}",
        feedback=feedback(verdict),
        facts=facts_of(travel) if facts else {},
        tags={"family": f"{travel.level}/{travel.days}"},
    )


def day_text(number: int, day: Mapping[str, Any]) -> str:
    """A day in the layout that planners are asked for."""
    labels = ((name.replace("_", " ").title(), day.get(name) or "-") for name in FIELDS)
    return "\n".join([f"Day {number}:", *(f"{label}: {value}" for label, value in labels)])


def facts_of(travel: TravelTask) -> dict[str, str]:
    """The slots of a train task, by the names that `memp.build.facts` reads out of a query."""
    wishes = travel.local_constraint
    facts = {
        "from": travel.org,
        "to" if travel.visiting_city_number == 1 else "in": travel.dest,
        "days": str(travel.days),
        "people": str(travel.people_number),
        "budget": str(travel.budget),
        "cities": str(travel.visiting_city_number),
        "house rule": wishes.house_rule or "",
        "cuisine": ", ".join(wishes.cuisine or ()),
        "room type": wishes.room_type or "",
        "transportation": wishes.transportation or "",
    }
    return {slot: value.lower() for slot, value in facts.items() if value}


def _read(plan: Any, evaluator: Evaluator, travel: TravelTask) -> tuple[list[Day], Verdict]:
    """The plan in good form, and the verdict on it as it came."""
    found = literal(plan) if isinstance(plan, str) else plan
    if not found:
        raise RecordError("there is no plan: nothing was delivered")
    try:
        return checked(list(found) if isinstance(found, tuple) else found), evaluator.judge(travel, found)
    except ValueError as error:
        raise RecordError(f"it is no plan: {error}") from None


def _by_day(verdict: Verdict) -> dict[int, str]:
    """The broken rules that name a day, by that day."""
    names = COMMONSENSE | HARD
    said: dict[int, list[str]] = {}
    for rule, message in verdict.failures.items():
        if found := _DAY.search(message):
            said.setdefault(int(found[1]), []).append(f"{names[rule]}: {message}")
    return {day: "\n".join(lines) for day, lines in said.items()}


def _words(query: str) -> str:
    return " ".join(query.split())
