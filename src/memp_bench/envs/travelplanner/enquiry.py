"""`CostEnquiry`: what one day of a plan costs, told to the agent that plans by itself.

It differs from the evaluator: a name must match exactly, and a flight is looked up by its number alone.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from memp_bench.envs.travelplanner.plan_text import literal
from memp_bench.envs.travelplanner.tables import Places, Tables
from memp_bench.envs.travelplanner.text import from_to, name_city

NOT_JSON: Final = "The sub plan can not be parsed into json format, please check."
ONE_DAY: Final = f"{NOT_JSON} Only one day plan is supported."

# The original's words, misspellings included: agents were measured with them.
_NO_FLIGHT: Final = "The filght information is not valid"
_NO_DRIVE: Final = "The transporation information is not valid, please check."
_NO_CITIES: Final = f"{_NO_DRIVE} You have to make sure there are two cities (from A to B) in your transportation plan."
_MEALS: Final = {"breakfast": "breakfase", "lunch": "lunch", "dinner": "dinner"}
_SEATS: Final = {"self-driving": 5, "taxi": 4}


class _UnknownPriceError(Exception):
    """Something of the day has no price; its text says what, for the agent."""


def cost_enquiry(argument: str, tables: Tables) -> str:
    """The observation for `CostEnquiry[argument]`: a day as JSON (or a Python literal) with `people_number`.

    Nothing is run; what the original would crash on is answered as text that cannot be parsed.
    """
    day = literal(argument)
    if day is None:
        return NOT_JSON
    if not isinstance(day, Mapping):
        return ONE_DAY
    people = day.get("people_number")
    fields = ("current_city", "transportation", *_MEALS, "accommodation")
    if isinstance(people, bool) or not isinstance(people, int) or people < 0:
        return NOT_JSON
    if any(not isinstance(day.get(name), str | None) for name in fields):
        return NOT_JSON
    return f"Cost: {_cost(day, people, tables)}"


def _cost(day: Mapping[str, Any], people: int, tables: Tables) -> str:
    total: float = 0
    reasons: list[str] = []
    for price in (_transportation, *map(_meal, _MEALS), _accommodation):
        try:
            total += price(day, people, tables)
        except _UnknownPriceError as reason:
            reasons.append(str(reason))
    if not reasons:
        return f"The cost of your plan is {total} dollars."
    numbered = "".join(f"{number}. {reason} \t" for number, reason in enumerate(reasons, 1))
    return f"Sorry, the cost of your plan is not available because of the following reasons:{numbered}"


def _present(day: Mapping[str, Any], field: str) -> str:
    value: str = day.get(field) or "-"
    return "" if value == "-" else value


def _transportation(day: Mapping[str, Any], people: int, tables: Tables) -> float:
    text = _present(day, "transportation")
    lower = text.lower()
    if "flight number" in lower:
        number = text.partition("Flight Number: ")[2].partition(",")[0]
        prices = tables.flights.by_number(number)["Price"] if number else ()
        if not prices:
            raise _UnknownPriceError(_NO_FLIGHT)
        return _number(prices[0]) * people
    origin, destination = from_to(text)
    if origin is None or destination is None:
        origin, destination = from_to(day.get("current_city") or "")
    for way, seats in _SEATS.items():
        if way in lower:
            if origin is None or destination is None:
                raise _UnknownPriceError(_NO_CITIES)
            drive = tables.distances.drive(origin, destination, way)
            if drive is None or drive.cost is None:
                raise _UnknownPriceError(_NO_DRIVE)
            return drive.cost * math.ceil(people / seats)
    return 0


def _meal(field: str) -> Callable[[Mapping[str, Any], int, Tables], float]:
    def price(day: Mapping[str, Any], people: int, tables: Tables) -> float:
        row = _row(tables.restaurants, _present(day, field), _MEALS[field])
        return 0 if row is None else _number(tables.restaurants.table["Average Cost"][row]) * people

    return price


def _accommodation(day: Mapping[str, Any], people: int, tables: Tables) -> float:
    row = _row(tables.accommodations, _present(day, "accommodation"), "accommodation")
    if row is None:
        return 0
    lodging = tables.accommodations.table
    return _number(lodging["price"][row]) * math.ceil(people / _number(lodging["maximum occupancy"][row]))


def _row(places: Places, text: str, what: str) -> int | None:
    """The row of `Name, City`; None for text that is no such pair, which costs nothing."""
    name, city = name_city(text)
    if name == "-" or city == "-":
        return None
    rows = places.named(name, city)
    if not rows:
        raise _UnknownPriceError(f"The {what} information is not valid, please check.")
    return rows[0]


def _number(cell: str | int | float) -> float:
    return cell if isinstance(cell, int | float) else float(cell)
