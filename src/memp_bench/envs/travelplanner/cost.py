"""What a plan costs the whole group, as the official evaluator adds it up."""

import math
from typing import Any

from memp_bench.envs.travelplanner.commonsense import MEALS, days_of, flight_number, leg_of
from memp_bench.envs.travelplanner.tables import Places, Tables
from memp_bench.envs.travelplanner.tasks import Plan, TravelTask
from memp_bench.envs.travelplanner.text import name_city

SEATS = {"self-driving": 5, "taxi": 4}
"""Passengers a car."""


def total_cost(task: TravelTask, plan: Plan, tables: Tables) -> float:
    """Dollars for transportation, meals and lodging; attractions are free.

    A lodging is paid for each day it is written. What the tables do not have costs nothing.
    Quirk: a flight's price is that of its number, whatever its route and date.
    """
    total = 0.0
    for _, day in days_of(task, plan):
        if day["transportation"] and day["transportation"] != "-":
            total += _transportation(day, task.people_number, tables)
        for meal in MEALS:
            row = first_row(tables.restaurants, day[meal])
            if row is not None:
                total += float(tables.restaurants.table["Average Cost"][row]) * task.people_number
        row = first_row(tables.accommodations, day["accommodation"])
        if row is not None:
            lodging = tables.accommodations.table
            rooms = math.ceil(task.people_number / float(lodging["maximum occupancy"][row]))
            total += float(lodging["price"][row]) * rooms
    return total


def first_row(places: Places, text: Any) -> int | None:
    """The first row that a field of a plan matches; None for an empty field or no match."""
    if not text or text == "-":
        return None
    return next(iter(places.containing(*name_city(text))), None)


def _transportation(day: Any, people: int, tables: Tables) -> float:
    text = day["transportation"]
    origin, destination = leg_of(day)
    if origin is None or destination is None:
        return 0.0
    lower = text.lower()
    if "flight number" in lower:
        prices = tables.flights.by_number(flight_number(text))["Price"]
        return float(prices[0]) * people if prices else 0.0
    for name, seats in SEATS.items():
        if name in lower:
            drive = tables.distances.drive(origin, destination, name)
            if drive is None or drive.cost is None:
                raise TypeError("unsupported operand type(s) for *: 'NoneType' and 'int'")  # the official words
            return float(drive.cost * math.ceil(people / seats))
    return 0.0
