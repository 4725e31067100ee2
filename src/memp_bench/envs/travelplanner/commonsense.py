"""The eight commonsense constraints as the official evaluator checks them, quirks and all.

One function each, under its name in the paper. Only the first failing day is reported, in the official words
(misspellings too). A malformed plan raises what the official code raises: the evaluator makes that a verdict.
"""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from memp_bench.envs.travelplanner.tables import Places, Tables
from memp_bench.envs.travelplanner.tasks import Plan, TravelTask
from memp_bench.envs.travelplanner.text import before_parenthesis, from_to, mode, name_city, pieces, present
from memp_bench.envs.travelplanner.verdict import PASSED, Check, failed

MEALS = ("breakfast", "lunch", "dinner")
FIELDS = ("transportation", "breakfast", "lunch", "dinner", "attraction", "accommodation")
_LEFT_EMPTY = "You don't need to fill in the information for this or later days."  # of the annotation tool


def days_of(task: TravelTask, plan: Plan) -> Iterator[tuple[int, Any]]:
    """The days that are looked at, with their numbers from 1; what exceeds the trip is not."""
    for number in range(min(task.days, len(plan))):
        yield number + 1, plan[number]


def _cities(day: Any) -> list[str]:
    """The two cities of a travel day, or the one of another day."""
    text = day["current_city"]
    if "from" in text:
        origin, destination = from_to(text)
        return [before_parenthesis(origin), before_parenthesis(destination)]  # type: ignore[arg-type]
    return [before_parenthesis(text)]


def reasonable_city_route(task: TravelTask, plan: Plan, tables: Tables) -> Check:
    """The route starts and ends in the same city and visits each city once, for a while.

    Quirks: on 3-day trips the destination is not compared with the task's, nor is day 1 with the origin unless its
    city contains `from`.
    """
    route: list[str] = []
    for number, day in days_of(task, plan):
        cities = _cities(day)
        if number == 1 and "from" in day["current_city"] and cities[0] != task.org:
            return failed(f"The first day's city should be {task.org}.")
        route += cities
    if route[0] != route[-1]:
        return failed("The trip should be a closed circle.")
    if not valid_sequence(route):
        return failed("The city sequence is invalid.")
    for place, city in enumerate(route):
        if city not in tables.cities.states:
            return failed(f"{city} is not a valid city.")
        if 0 < place < len(route) - 1 and task.days > 3 and tables.cities.states[city] != task.dest:
            return failed(f"{city} is not in {task.dest}.")
    return PASSED


def valid_sequence(route: list[str]) -> bool:
    """No city but the first and the last may come alone or come back."""
    if len(route) < 3:
        return False
    seen: set[str] = set()
    place, last = 0, len(route) - 1
    for city, run in groupby(route):
        if city in seen and place not in (0, last):
            return False
        length = len(list(run))
        if length == 1 and 0 < place < last:
            return False
        seen.add(city)
        place += length
    return True


def diverse_restaurants(task: TravelTask, plan: Plan, tables: Tables) -> Check:
    """No restaurant twice. Quirk: the whole texts are compared, so any difference makes another restaurant."""
    seen: list[Any] = []
    for number, day in days_of(task, plan):
        for meal in MEALS:
            if not present(day, meal):
                continue
            if day[meal] in seen:
                name = f"lunch {day[meal]}" if meal == "lunch" else meal
                return failed(f"The restaurant in day {number} {name} is repeated.")
            seen.append(day[meal])
    return PASSED


def diverse_attractions(task: TravelTask, plan: Plan, tables: Tables) -> Check:
    """No attraction twice. Quirk: what follows the last `;` of a day is not looked at."""
    seen: list[str] = []
    for number, day in days_of(task, plan):
        for piece in pieces(day["attraction"]) if present(day, "attraction") else ():
            if piece in seen:
                return failed(f"The attraction '{piece}' in day {number} is repeated.")
            seen.append(piece)
    return PASSED


def minimum_nights_stay(task: TravelTask, plan: Plan, tables: Tables) -> Check:
    """Nobody leaves a lodging before its minimum nights. Quirk: a name with no or several matches passes."""
    texts = []
    for _, day in days_of(task, plan):
        if "accommodation" not in day:
            return failed("No Accommodation Info.")
        texts.append(day["accommodation"])
    for text, run in groupby(texts):
        if text in ("-", ""):
            continue
        found = tables.accommodations.containing(*name_city(text))
        nights = tables.accommodations.table["minimum nights"]
        if len(found) == 1 and len(list(run)) < float(nights[found[0]]):
            return failed(f"The accommodation {text} do not obey the minumum nights rule.")
    return PASSED


def non_conflicting_transportation(task: TravelTask, plan: Plan, tables: Tables) -> Check:
    """Self-driving goes with neither flights nor taxis. Quirk: a text naming taxi and flight is a taxi."""
    if not plan[0]["transportation"] or plan[0]["transportation"] == "-":
        return failed("The transportation in day 1 should not be empty.")
    modes = {mode(day["transportation"]) for _, day in days_of(task, plan) if present(day, "transportation")}
    if "Self-driving" in modes and modes & {"Flight", "Taxi"}:
        return failed("The transportation is conflicting.")
    return PASSED


def within_current_city(task: TravelTask, plan: Plan, tables: Tables) -> Check:
    """All of a day happens in that day's city or cities.

    Quirk: on a day without travel the *letters* of the city are looked for. All must be in the transportation, one in
    each meal and attraction, the last one in the accommodation.
    """
    for number, day in days_of(task, plan):
        cities: list[str] | str = _cities(day)
        if "from" not in day["current_city"]:
            cities = cities[0]
        wrong = f"in day {number} is invalid city choice."
        if present(day, "transportation") and not all(city in day["transportation"] for city in cities):
            return failed(f"The transportation {wrong}")
        for meal in MEALS:
            if present(day, meal) and not any(city in day[meal] for city in cities):
                return failed(f"The {meal} {wrong}")
        for piece in pieces(day["attraction"]) if present(day, "attraction") else ():
            if not any(city in piece for city in cities):
                return failed(f"The attraction {wrong}")
        if present(day, "accommodation") and cities[-1] not in day["accommodation"]:
            return failed(f"The accommodation {wrong}")
    return PASSED


def within_sandbox(task: TravelTask, plan: Plan, tables: Tables) -> Check:
    """Everything named exists in the tables. Quirks: dates and times of flights are not compared, other means of
    transport not looked up, and part of a name is enough."""
    for number, day in days_of(task, plan):
        wrong = f"in day {number} is invalid in the sandbox."
        if day["transportation"] and day["transportation"] != "-":
            unknown = _unknown_transportation(day, number, tables)
            if unknown:
                return failed(f"The {unknown} {wrong}")
        for meal in MEALS:
            if present(day, meal) and not _found(tables.restaurants, day[meal]):
                return failed(f"The {meal} {wrong}")
        for piece in pieces(day["attraction"]) if present(day, "attraction") else ():
            if not _found(tables.attractions, piece):
                return failed(f"The attraction {piece} {wrong}")
        if present(day, "accommodation") and not _found(tables.accommodations, day["accommodation"]):
            return failed(f"The accommodation {wrong}")
    return PASSED


def _found(places: Places, text: str) -> bool:
    return bool(places.containing(*name_city(text)))


def flight_number(text: str) -> str:
    """What stands between the literal `Flight Number: ` and the next comma; IndexError without the literal."""
    return text.split("Flight Number: ")[1].partition(",")[0]


def leg_of(day: Any) -> tuple[str, str] | tuple[None, None]:
    """Where the transportation of a day goes: as its text says, else as the day's city says."""
    leg = from_to(day["transportation"])
    return from_to(day["current_city"]) if leg[0] is None else leg


def _unknown_transportation(day: Any, number: int, tables: Tables) -> str:
    """What the tables do not have, or an empty string."""
    text = day["transportation"]
    origin, destination = leg_of(day)
    lower = text.lower()
    if "flight number" in lower:
        if origin is None or destination is None:
            raise ValueError(f"The transportation {text} in day {number} can not be parsed.")
        leg = before_parenthesis(origin), before_parenthesis(destination)
        flights = tables.flights.by_number(flight_number(text))
        return "" if leg in zip(flights["OriginCityName"], flights["DestCityName"], strict=True) else "flight number"
    for name in ("self-driving", "taxi"):
        if name in lower:
            drive = tables.distances.drive(origin or "-", destination or "-", name)
            return name if drive is None or drive.cost is None else ""
    return ""


def complete_information(task: TravelTask, plan: Plan, tables: Tables) -> Check:
    """No day and no needed entry is missing. Quirks: None counts as an entry, and the share of entries counts every
    key of a day, so that it is practically always half."""
    days = list(days_of(task, plan))
    if sum(day != {} and day["current_city"] != _LEFT_EMPTY for _, day in days) != task.days:
        return failed("Invalid Days")
    if not _valid_city_number(task, plan):
        return failed("Invalid City Number")
    entries = 0
    for number, day in days:
        missing = _missing(task, number, day)
        if missing:
            return failed(missing)
        entries += sum(bool(day[field] and day[field] != "-") for field in day)
    if entries / (6 * task.days) < 0.5:
        return failed("The absent information is more than 50%.")
    return PASSED


def _valid_city_number(task: TravelTask, plan: Plan) -> bool:
    cities: set[str] = set()
    for number, day in days_of(task, plan):
        found = _cities(day)
        if number == 1 and "from" in day["current_city"] and found[0] != task.org:
            return False
        cities.update(found)
    return len(cities - {task.org}) == task.visiting_city_number


def _missing(task: TravelTask, number: int, day: Any) -> str:
    """What a day lacks, or an empty string."""
    for field in FIELDS:
        if field not in day:
            return f"No {field.capitalize()} Info."
    city, empty = day["current_city"], ("", "-")
    if ("from " in city or "to " in city) and day["transportation"] in empty:
        return f"No transportation in day {number} is not allowed."
    if "from " not in city and " to " not in city and day["attraction"] in empty:
        return f"No attaction in day {number} is not allowed."
    if number != task.days and day["accommodation"] in empty:
        return f"No accommodation in day {number} is not allowed."
    if any(day[meal] in empty for meal in MEALS) and "from " not in city:
        return f"No meal in day {number} is not allowed."
    return ""
