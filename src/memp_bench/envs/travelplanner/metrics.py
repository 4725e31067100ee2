"""The six metrics of the benchmark over a split's verdicts."""

from collections.abc import Sequence

from memp.records import Record
from memp_bench.envs.base import Rate
from memp_bench.envs.travelplanner.tasks import TravelTask
from memp_bench.envs.travelplanner.verdict import COMMONSENSE, HARD, Verdict

METRICS = {
    "delivery": "Delivery Rate",
    "commonsense_micro": "Commonsense Constraint Micro Pass Rate",
    "commonsense_macro": "Commonsense Constraint Macro Pass Rate",
    "hard_micro": "Hard Constraint Micro Pass Rate",
    "hard_macro": "Hard Constraint Macro Pass Rate",
    "final": "Final Pass Rate",
}
"""Field of `Scores` -> the official name."""


class Scores(Record):
    """The six metrics, as shares of all tasks or of all that they ask, plans not delivered included."""

    delivery: Rate
    commonsense_micro: Rate
    commonsense_macro: Rate
    hard_micro: Rate
    hard_macro: Rate
    final: Rate


def summarise(tasks: Sequence[TravelTask], verdicts: Sequence[Verdict]) -> Scores:
    """The metrics of `verdicts` on `tasks`, one each and in the same order.

    Totals: every task asks for 8 commonsense constraints, the budget and its local constraints. On whole splits these
    are the numbers that the official evaluator has fixed: 360 and 105 (train), 1,440 and 420 (validation).
    """
    checks = [verdict.checks for verdict in verdicts]
    count = len(tasks)
    asked = sum(1 + task.local_constraint.count for task in tasks)
    return Scores(
        delivery=Rate(passed=sum(verdict.delivered for verdict in verdicts), total=count),
        commonsense_micro=Rate(
            passed=sum(made[name].passed is True for made in checks for name in COMMONSENSE if name in made),
            total=len(COMMONSENSE) * count,
        ),
        commonsense_macro=Rate(passed=sum(verdict.commonsense_pass for verdict in verdicts), total=count),
        hard_micro=Rate(
            passed=sum(made[name].passed is True for made in checks for name in HARD if name in made), total=asked
        ),
        hard_macro=Rate(passed=sum(verdict.hard_pass for verdict in verdicts), total=count),
        final=Rate(passed=sum(verdict.final_pass for verdict in verdicts), total=count),
    )


def by_constraint(tasks: Sequence[TravelTask], verdicts: Sequence[Verdict]) -> dict[str, Rate]:
    """How often each constraint holds, of the tasks that ask for it: official id -> rate."""
    rates = {
        name: Rate(passed=sum(_held(verdict, name) for verdict in verdicts), total=len(tasks)) for name in COMMONSENSE
    }
    slots = {"valid_room_rule": "house_rule", "valid_cuisine": "cuisine", "valid_room_type": "room_type"}
    slots["valid_transportation"] = "transportation"
    for name in HARD:
        asks = [name not in slots or bool(getattr(task.local_constraint, slots[name])) for task in tasks]
        rates[name] = Rate(passed=sum(_held(verdict, name) for verdict in verdicts), total=sum(asks))
    return rates


def _held(verdict: Verdict, name: str) -> bool:
    check = verdict.checks.get(name)
    return check is not None and check.passed is True
