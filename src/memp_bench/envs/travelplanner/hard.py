"""The five hard constraints as the official evaluator checks them, quirks and all.

One function each, under its name in the paper. They are asked only of plans whose information is complete and within
the sandbox.
"""

from memp_bench.envs.travelplanner.commonsense import MEALS, days_of
from memp_bench.envs.travelplanner.cost import first_row, total_cost
from memp_bench.envs.travelplanner.tables import Tables
from memp_bench.envs.travelplanner.tasks import Plan, TravelTask
from memp_bench.envs.travelplanner.text import name_city
from memp_bench.envs.travelplanner.verdict import NOT_ASKED, PASSED, Check, failed

ROOM_TYPES = {"shared room": "Shared room", "private room": "Private room", "entire room": "Entire home/apt"}
"""What travellers ask for -> what the table calls it."""
HOUSE_RULES = ("smoking", "parties", "children under 10", "visitors", "pets")


def cuisine(task: TravelTask, plan: Plan, tables: Tables) -> Check:
    """Every wanted cuisine is eaten. Quirk: a meal in the city of origin hides the later meals of that day."""
    wanted = task.local_constraint.cuisine
    if not wanted:
        return NOT_ASKED
    eaten: set[str] = set()
    for _, day in days_of(task, plan):
        for meal in MEALS:
            if not day[meal] or day[meal] == "-":
                continue
            if name_city(day[meal])[1] == task.org:
                break
            row = first_row(tables.restaurants, day[meal])
            served = "" if row is None else str(tables.restaurants.table["Cuisines"][row])
            eaten.update(name for name in wanted if name in served)
    missing = next((name for name in wanted if name not in eaten), None)
    return PASSED if missing is None else failed(f"The cuisine {missing} is not satisfied.")


def room_rule(task: TravelTask, plan: Plan, tables: Tables) -> Check:
    """No lodging forbids what the travellers bring or do."""
    rule = task.local_constraint.house_rule
    if rule is None:
        return NOT_ASKED
    for row in _lodgings(task, plan, tables):
        if rule in HOUSE_RULES and f"No {rule}" in str(tables.accommodations.table["house_rules"][row]):
            return failed(f"The house rule should be {rule}.")
    return PASSED


def transportation(task: TravelTask, plan: Plan, tables: Tables) -> Check:
    """No unwanted means of transport. Quirk: `flight` and `self-driving` in lower case are not seen."""
    unwanted = task.local_constraint.transportation
    if unwanted is None:
        return NOT_ASKED
    word = {"no flight": "Flight", "no self-driving": "Self-driving"}.get(unwanted)
    for _, day in days_of(task, plan):
        text = day["transportation"]
        if text and text != "-" and word is not None and word in text:
            return failed(f"The transportation should not be {unwanted}.")
    return PASSED


def room_type(task: TravelTask, plan: Plan, tables: Tables) -> Check:
    """Every lodging is of the wanted type."""
    wanted = task.local_constraint.room_type
    if wanted is None:
        return NOT_ASKED
    for row in _lodgings(task, plan, tables):
        if not suits(str(tables.accommodations.table["room type"][row]), wanted):
            return failed(f"The room type should be {wanted}.")
    return PASSED


def suits(room: str, wanted: str) -> bool:
    """Whether a room of the table's type `room` is what the travellers ask for."""
    if wanted == "not shared room":
        return room != "Shared room"
    return wanted not in ROOM_TYPES or room == ROOM_TYPES[wanted]


def budget(task: TravelTask, plan: Plan, tables: Tables) -> Check:
    """The plan costs no more than the budget."""
    return Check(passed=total_cost(task, plan, tables) <= task.budget)


def _lodgings(task: TravelTask, plan: Plan, tables: Tables) -> list[int]:
    """The rows of the lodgings that the tables have, day by day."""
    rows = (first_row(tables.accommodations, day["accommodation"]) for _, day in days_of(task, plan))
    return [row for row in rows if row is not None]
