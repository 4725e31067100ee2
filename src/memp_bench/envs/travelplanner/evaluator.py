"""Judges plans. `Evaluator(tables).judge(task, plan)` gives a `Verdict`; a malformed plan is a verdict, not a crash."""

from collections.abc import Callable, Mapping
from typing import Any

from memp_bench.envs.travelplanner import commonsense, hard, strict, strict_hard
from memp_bench.envs.travelplanner.cost import total_cost
from memp_bench.envs.travelplanner.plans import problems
from memp_bench.envs.travelplanner.tables import Tables
from memp_bench.envs.travelplanner.tasks import Plan, TravelTask
from memp_bench.envs.travelplanner.verdict import Check, Mode, Verdict, failed

Constraint = Callable[[TravelTask, Plan, Tables], Check]

COMMONSENSE: Mapping[str, Constraint] = {
    "is_reasonable_visiting_city": commonsense.reasonable_city_route,
    "is_valid_restaurants": commonsense.diverse_restaurants,
    "is_valid_attractions": commonsense.diverse_attractions,
    "is_valid_accommodation": commonsense.minimum_nights_stay,
    "is_valid_transportation": commonsense.non_conflicting_transportation,
    "is_valid_information_in_current_city": commonsense.within_current_city,
    "is_valid_information_in_sandbox": commonsense.within_sandbox,
    "is_not_absent": commonsense.complete_information,
}
HARD: Mapping[str, Constraint] = {
    "valid_cuisine": hard.cuisine,
    "valid_room_rule": hard.room_rule,
    "valid_transportation": hard.transportation,
    "valid_room_type": hard.room_type,
    "valid_cost": hard.budget,
}

MALFORMED = (TypeError, KeyError, IndexError, ValueError, AttributeError)
"""What a constraint raises on a plan of the wrong form; the official evaluator stops with it."""

STRICT: Mapping[str, Constraint] = {
    "is_reasonable_visiting_city": strict.reasonable_city_route,
    "is_valid_restaurants": strict.diverse_restaurants,
    "is_valid_attractions": strict.diverse_attractions,
    "is_valid_accommodation": strict.minimum_nights_stay,
    "is_valid_transportation": strict.non_conflicting_transportation,
    "is_valid_information_in_current_city": strict.within_current_city,
    "is_valid_information_in_sandbox": strict.within_sandbox,
    "is_not_absent": strict.complete_information,
}
STRICT_HARD: Mapping[str, Constraint] = {
    "valid_cuisine": strict_hard.cuisine,
    "valid_room_rule": strict_hard.room_rule,
    "valid_transportation": strict_hard.transportation,
    "valid_room_type": strict_hard.room_type,
    "valid_cost": strict_hard.budget,
}


class Evaluator:
    """Judges plans on the tables, in the official or the strict mode."""

    def __init__(self, tables: Tables, mode: Mode = "official") -> None:
        self.tables, self.mode = tables, mode
        self._commonsense, self._hard = (COMMONSENSE, HARD) if mode == "official" else (STRICT, STRICT_HARD)
        self._cost = total_cost if mode == "official" else strict_hard.total_cost

    def judge(self, task: TravelTask, plan: Any) -> Verdict:
        """The verdict on a plan of whatever form; an empty one was not delivered."""
        if not plan:
            return Verdict(idx=task.idx, delivered=False)
        errors: list[str] = []
        commonsense_checks = self._check(self._commonsense, task, plan, errors)
        hard_checks = None
        cost = None
        if commonsense_checks["is_not_absent"].passed and commonsense_checks["is_valid_information_in_sandbox"].passed:
            hard_checks = self._check(self._hard, task, plan, errors)
            cost = self._sum(task, plan)
        return Verdict(
            idx=task.idx,
            delivered=True,
            commonsense=commonsense_checks,
            hard=hard_checks,
            cost=cost,
            budget=task.budget,
            error=errors[0] if errors else None,
            problems=problems(task, plan),
            unknown_flights=unknown_flights(task, plan, self.tables),
        )

    def _check(
        self, constraints: Mapping[str, Constraint], task: TravelTask, plan: Any, errors: list[str]
    ) -> dict[str, Check]:
        checks = {}
        for name, constraint in constraints.items():
            try:
                checks[name] = constraint(task, plan, self.tables)
            except MALFORMED as error:
                said = f"{type(error).__name__}: {error}"
                errors.append(said)
                checks[name] = failed(f"The plan is malformed: {said}")
        return checks

    def _sum(self, task: TravelTask, plan: Any) -> float | None:
        try:
            return self._cost(task, plan, self.tables)
        except MALFORMED:
            return None


def unknown_flights(task: TravelTask, plan: Any, tables: Tables) -> tuple[str, ...]:
    """Flights of a plan that the tables lack, on legs of which they know nothing."""
    if tables.flights.complete or not isinstance(plan, list | tuple):
        return ()
    found = []
    for day in strict.read_days(task, plan):
        if "flight" in day.modes and not strict.on_its_leg(day, tables):
            date = task.date[day.number - 1]
            if not tables.flights.knows(*day.leg, date):
                found.append(f"day {day.number}: {' to '.join(day.leg)} on {date}")
    return tuple(found)
