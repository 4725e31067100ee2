"""Trajectories to learn from: the annotators' plans and files of other plans, with what the evaluator says of them.

    gold = gold_trajectories(bench)                       # 45, all with reward 1
    kept, skipped = plan_trajectories(bench, read_plans(path), source="gpt4", above=0.8)

Train only: the benchmark's authors let nobody learn from verdicts on validation.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from re import compile as pattern
from typing import Any, Final

from memp.errors import MempError, RecordError
from memp.records import Skipped, Step, Trajectory
from memp_bench.envs.travelplanner.benchmark import TravelPlanner
from memp_bench.envs.travelplanner.evaluator import Evaluator
from memp_bench.envs.travelplanner.judging import feedback, reward
from memp_bench.envs.travelplanner.plan_text import FIELDS, Day, checked, literal
from memp_bench.envs.travelplanner.plans import Submission
from memp_bench.envs.travelplanner.tasks import TravelTask
from memp_bench.envs.travelplanner.verdict import COMMONSENSE, HARD, Verdict

SPLIT: Final = "train"
"""The one split whose verdicts may be learned from."""

KEPT_ABOVE: Final = 0.8
"""Reward above which the paper keeps a trajectory."""

HAND_IN: Final = "Hand in the plan"
"""The last step: with it the plan is judged."""

_DAY = pattern(r"\bin day (\d+)\b")


def gold_trajectories(bench: TravelPlanner, *, facts: bool = True) -> Iterator[Trajectory]:
    """The annotators' plans, in the order of the tasks. `facts` as in `trajectory_of_plan`.

    Raises:
        EnvironmentFailed: the data is missing or damaged.
    """
    for task in bench.tasks(SPLIT):
        travel = bench.travel_task(task)
        if travel.gold_plan:
            yield trajectory_of_plan(bench, travel, travel.gold_plan, agent="expert:annotator", facts=facts)


def plan_trajectories(
    bench: TravelPlanner,
    submissions: Sequence[Submission],
    *,
    source: str,
    above: float | None = KEPT_ABOVE,
    facts: bool = True,
) -> tuple[list[Trajectory], list[Skipped]]:
    """The plans of a file as trajectories, and what was left out and why.

    A line is for the train task with its query, else with its `idx`; several lines may be for one task. `above` keeps
    plans with a larger reward; None keeps all.

    Raises:
        MempError: no line is for a train task.
        EnvironmentFailed: the data is missing or damaged.
    """
    travels = [bench.travel_task(task) for task in bench.tasks(SPLIT)]
    by_query = {_words(travel.query): travel for travel in travels}
    by_idx = {travel.idx: travel for travel in travels}
    kept: list[Trajectory] = []
    skipped: list[Skipped] = []
    strangers = 0
    for item in submissions:
        name = f"{source}, line {item.line}"
        travel = by_query.get(_words(item.query)) if item.query else by_idx.get(item.idx or 0)
        if travel is None:
            strangers += 1
            why = item.problem or "its query and idx are of no train task, and only those may be learned from"
            skipped.append(Skipped(subject=name, reason=why))
            continue
        try:
            made = trajectory_of_plan(bench, travel, item.plan, agent=source, facts=facts)
        except RecordError as error:
            skipped.append(Skipped(subject=name, reason=item.problem or str(error)))
            continue
        if above is not None and made.reward <= above:
            skipped.append(Skipped(subject=name, reason=f"its reward is not above {above:g}: it is {made.reward:.2f}"))
        else:
            kept.append(made)
    if strangers == len(submissions):
        raise MempError(f"{source} has no plan for a task of {SPLIT}; verdicts on other splits may not be learned from")
    return kept, skipped


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
