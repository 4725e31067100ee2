"""The hard constraints as the paper's text has them. See `strict`."""

import math
from collections.abc import Iterator

from memp_bench.envs.travelplanner import hard
from memp_bench.envs.travelplanner.cost import SEATS
from memp_bench.envs.travelplanner.strict import Day, find, flight_price, read_days
from memp_bench.envs.travelplanner.tables import Tables
from memp_bench.envs.travelplanner.tasks import Plan, TravelTask
from memp_bench.envs.travelplanner.text import name_city
from memp_bench.envs.travelplanner.verdict import NOT_ASKED, PASSED, Check, failed


def cuisine(task: TravelTask, plan: Plan, tables: Tables) -> Check:
    """Every wanted cuisine is eaten away from home. A meal at home hides no other, and a cuisine is one of the
    restaurant's list, not a part of it."""
    wanted = task.local_constraint.cuisine
    if not wanted:
        return NOT_ASKED
    served = tables.restaurants.table["Cuisines"]
    eaten: set[str] = set()
    for day in read_days(task, plan):
        for text in day.meals.values():
            row = find(tables.restaurants, text)
            if row is not None and name_city(text)[1] != task.org:
                eaten.update(str(served[row]).split(", "))
    missing = next((name for name in wanted if name not in eaten), None)
    return PASSED if missing is None else failed(f"The cuisine {missing} is not satisfied.")


def room_rule(task: TravelTask, plan: Plan, tables: Tables) -> Check:
    """No lodging forbids what the travellers bring or do; lodgings are found as in `strict.find`."""
    rule = task.local_constraint.house_rule
    if rule is None:
        return NOT_ASKED
    for row in _lodgings(task, plan, tables):
        if f"No {rule}" in str(tables.accommodations.table["house_rules"][row]).split(" & "):
            return failed(f"The house rule should be {rule}.")
    return PASSED


def transportation(task: TravelTask, plan: Plan, tables: Tables) -> Check:
    """No unwanted means of transport, in any spelling."""
    unwanted = task.local_constraint.transportation
    if unwanted is None:
        return NOT_ASKED
    if any(unwanted.removeprefix("no ") in day.modes for day in read_days(task, plan)):
        return failed(f"The transportation should not be {unwanted}.")
    return PASSED


def room_type(task: TravelTask, plan: Plan, tables: Tables) -> Check:
    """Every lodging is of the wanted type; lodgings are found as in `strict.find`."""
    wanted = task.local_constraint.room_type
    if wanted is None:
        return NOT_ASKED
    rooms = tables.accommodations.table["room type"]
    if all(hard.suits(str(rooms[row]), wanted) for row in _lodgings(task, plan, tables)):
        return PASSED
    return failed(f"The room type should be {wanted}.")


def budget(task: TravelTask, plan: Plan, tables: Tables) -> Check:
    """The plan costs no more than the budget, with the flights of that route and day."""
    return Check(passed=total_cost(task, plan, tables) <= task.budget)


def total_cost(task: TravelTask, plan: Plan, tables: Tables) -> float:
    """Dollars for the whole group; what the tables do not have costs nothing."""
    return sum(_cost(task, day, tables) for day in read_days(task, plan))


def _cost(task: TravelTask, day: Day, tables: Tables) -> float:
    total = 0.0
    if "flight" in day.modes:
        total += (flight_price(task, day, tables) or 0.0) * task.people_number
    else:
        for mode in day.modes:
            drive = tables.distances.drive(*day.leg, mode)
            total += (drive.cost or 0 if drive else 0) * math.ceil(task.people_number / SEATS[mode])
    for text in day.meals.values():
        row = find(tables.restaurants, text)
        total += 0.0 if row is None else float(tables.restaurants.table["Average Cost"][row]) * task.people_number
    row = find(tables.accommodations, day.accommodation)
    if row is not None:
        lodging = tables.accommodations.table
        total += float(lodging["price"][row]) * math.ceil(task.people_number / float(lodging["maximum occupancy"][row]))
    return total


def _lodgings(task: TravelTask, plan: Plan, tables: Tables) -> Iterator[int]:
    for day in read_days(task, plan):
        row = find(tables.accommodations, day.accommodation)
        if row is not None:
            yield row
