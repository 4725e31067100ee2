"""What a plan is worth, and what the agent's record says about it."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from memp.records import Usage
from memp_bench.envs.base import Observation
from memp_bench.envs.travelplanner.plan_text import Day
from memp_bench.envs.travelplanner.tasks import TravelTask
from memp_bench.envs.travelplanner.verdict import COMMONSENSE, HARD, Verdict

NOT_DELIVERED: Final = "No plan was delivered."
NOT_JUDGED: Final = (
    "The hard constraints were not judged and count as broken: that needs complete information within the sandbox."
)

Judge = Callable[[TravelTask, Sequence[Mapping[str, Any]] | None], Verdict]
"""Gives the verdict on a plan; None is no plan."""


def reward(task: TravelTask, verdict: Verdict) -> float:
    """Share of passed checks, 0 to 1: the eight commonsense checks, the budget, and each local constraint of the task.

    1 is a final pass. Hard constraints that could not be judged count as broken, and no plan is worth nothing.
    """
    if not verdict.delivered:
        return 0.0
    asked = len(COMMONSENSE) + 1 + task.local_constraint.count
    return sum(check.passed is True for check in verdict.checks.values()) / asked


def feedback(verdict: Verdict) -> str:
    """The broken rules, one a line, under their names in the paper."""
    if not verdict.delivered:
        return NOT_DELIVERED
    names = COMMONSENSE | HARD
    lines = [f"{names[rule]}: {message}" for rule, message in verdict.failures.items()]
    lines += [f"Malformed: {problem}" for problem in verdict.problems]
    if verdict.hard is None:
        lines.append(NOT_JUDGED)
    if verdict.unknown_flights:
        lines.append(f"Unknown to these tables, judged as if not flown: {', '.join(verdict.unknown_flights)}")
    return "\n".join(lines) or "Every rule is kept."


def outcome(
    task: TravelTask,
    plan: list[Day] | None,
    judge: Judge,
    text: str,
    *,
    usage: Mapping[str, Usage] | None = None,
    counts: Mapping[str, int] | None = None,
) -> Observation:
    """The last observation of an episode, with the judgement on `plan` and the plan as JSON."""
    verdict = judge(task, plan)
    return Observation(
        text=text,
        reward=reward(task, verdict),
        done=True,
        invalid=plan is None,
        verdict=feedback(verdict),
        product=json.dumps(plan, ensure_ascii=False) if plan else "",
        counts=counts or {},
        usage=usage or {},
    )
