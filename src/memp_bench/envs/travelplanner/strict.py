"""The constraints as the paper's text has them, without the official evaluator's quirks.

One function each, under its name in the paper; every deviation from the official one is in its docstring and listed in
docs/travelplanner.md. A plan is first read into `Day`s: what is no text or None is absent.
"""

from dataclasses import dataclass
from itertools import groupby
from re import IGNORECASE
from re import compile as pattern
from typing import Any

from memp_bench.envs.travelplanner import commonsense
from memp_bench.envs.travelplanner.tables import Places, Tables
from memp_bench.envs.travelplanner.tasks import Plan, TravelTask
from memp_bench.envs.travelplanner.text import before_parenthesis, from_to, name_city
from memp_bench.envs.travelplanner.verdict import PASSED, Check, failed

_NUMBER = pattern(r"flight number:\s*([^,\s]+)", IGNORECASE)
_DEPARTURE = pattern(r"departure time:\s*(\d\d:\d\d)", IGNORECASE)
_MODES = ("flight", "self-driving", "taxi")


@dataclass(frozen=True, slots=True)
class Day:
    """One day, read. Absent texts are empty."""

    number: int
    origin: str
    """Where a travel day starts; empty on other days."""
    city: str
    """Where the day ends."""
    transportation: str
    meals: dict[str, str]
    attractions: list[str]
    accommodation: str
    missing: str
    """The first field whose key is not there at all; empty if none."""

    @property
    def cities(self) -> list[str]:
        """The day's cities: two on a travel day."""
        return [self.origin, self.city] if self.origin else [self.city]

    @property
    def modes(self) -> set[str]:
        """All means of transport that are named."""
        lower = self.transportation.lower()
        return {name for name in _MODES if name in lower}

    @property
    def leg(self) -> tuple[str, str]:
        """Where the transportation goes: as its text says, else as the day does."""
        origin, destination = from_to(self.transportation)
        if origin is None or destination is None:
            return self.origin, self.city
        return before_parenthesis(origin).strip(), before_parenthesis(destination).strip()

    @property
    def empty(self) -> bool:
        """Nothing is planned at all."""
        return not (self.city or self.transportation or self.meals or self.attractions or self.accommodation)


def read_days(task: TravelTask, plan: Plan) -> list[Day]:
    """The days of the trip that the plan has.

    Raises:
        TypeError: the plan is not a list.
    """
    if not isinstance(plan, list | tuple):
        raise TypeError(f"the plan is a {type(plan).__name__}, not a list of days")
    return [_read_day(number, day) for number, day in enumerate(plan[: task.days], 1)]


def _read_day(number: int, day: Any) -> Day:
    def text(field: str) -> str:
        value = day.get(field) if isinstance(day, dict) else None
        return value.strip() if isinstance(value, str) and value.strip() != "-" else ""

    origin, destination = from_to(text("current_city"))
    return Day(
        number=number,
        origin=before_parenthesis(origin or "").strip(),
        city=before_parenthesis(destination or text("current_city")).strip(),
        transportation=text("transportation"),
        meals={meal: text(meal) for meal in commonsense.MEALS if text(meal)},
        attractions=[piece.strip() for piece in text("attraction").split(";") if piece.strip(" -")],
        accommodation=text("accommodation"),
        missing=next((field for field in commonsense.FIELDS if not isinstance(day, dict) or field not in day), ""),
    )


def find(places: Places, text: str) -> int | None:
    """The row of a place: the first with exactly that name in that city, or the only one whose name contains it.

    (Officially the first of any number whose names contain it.)
    """
    name, city = name_city(text)
    names = places.table["NAME" if "NAME" in places.table.columns else "Name"]
    rows = places.containing(name, city)
    exact = [row for row in rows if str(names[row]).strip() == name]
    return exact[0] if exact else rows[0] if len(rows) == 1 else None


def is_in(text: str, cities: list[str], tables: Tables) -> bool:
    """Whether an entry is in one of `cities`: as its own `Name, City` says, else if it names one of them."""
    city = name_city(text)[1]
    return city in cities if city in tables.cities.states else any(name and name in text for name in cities)


def reasonable_city_route(task: TravelTask, plan: Plan, tables: Tables) -> Check:
    """As the official one, and: the first day leaves from the origin whatever its wording, the last day returns
    there, and a 3-day trip goes to its destination."""
    days = read_days(task, plan)
    route = [city for day in days for city in day.cities]
    if not route or route[0] != task.org or not days[0].origin:
        return failed(f"The first day's city should be {task.org}.")
    if route[-1] != task.org:
        return failed("The trip should be a closed circle.")
    if not commonsense.valid_sequence(route):
        return failed("The city sequence is invalid.")
    for place, city in enumerate(route):
        if city not in tables.cities.states:
            return failed(f"{city} is not a valid city.")
        inner = 0 < place < len(route) - 1
        if inner and task.dest != (tables.cities.states[city] if task.days > 3 else city):
            return failed(f"{city} is not in {task.dest}.")
    return PASSED


def diverse_restaurants(task: TravelTask, plan: Plan, tables: Tables) -> Check:
    """No restaurant twice: name and city are compared, not the wording of the entry."""
    seen = set()
    for day in read_days(task, plan):
        for meal, text in day.meals.items():
            if name_city(text) in seen and name_city(text) != ("-", "-"):
                return failed(f"The restaurant in day {day.number} {meal} is repeated.")
            seen.add(name_city(text))
    return PASSED


def diverse_attractions(task: TravelTask, plan: Plan, tables: Tables) -> Check:
    """No attraction twice, the last of a day included."""
    seen = set()
    for day in read_days(task, plan):
        for piece in day.attractions:
            if piece in seen:
                return failed(f"The attraction '{piece}' in day {day.number} is repeated.")
            seen.add(piece)
    return PASSED


def minimum_nights_stay(task: TravelTask, plan: Plan, tables: Tables) -> Check:
    """Nobody leaves a lodging before its minimum nights. The same lodging in other words is the same; of several with
    that very name the first counts."""
    nights = tables.accommodations.table["minimum nights"]
    days = read_days(task, plan)
    for found, run in groupby(days, lambda day: find(tables.accommodations, day.accommodation)):
        stay = list(run)
        if found is not None and len(stay) < float(nights[found]):
            return failed(f"The accommodation {stay[0].accommodation} do not obey the minumum nights rule.")
    return PASSED


def non_conflicting_transportation(task: TravelTask, plan: Plan, tables: Tables) -> Check:
    """Self-driving goes with neither flights nor taxis; every means that a text names counts."""
    days = read_days(task, plan)
    if not days or not days[0].transportation:
        return failed("The transportation in day 1 should not be empty.")
    modes = set().union(*(day.modes for day in days))
    if "self-driving" in modes and len(modes) > 1:
        return failed("The transportation is conflicting.")
    return PASSED


def within_current_city(task: TravelTask, plan: Plan, tables: Tables) -> Check:
    """All of a day happens in that day's city or cities: names are compared, not letters, the last attraction counts,
    and transportation within a city need not name it."""
    for day in read_days(task, plan):
        wrong = f"in day {day.number} is invalid city choice."
        allowed = {(day.origin, day.city), (day.origin or day.city, day.city)}
        if day.transportation and day.leg not in allowed:
            return failed(f"The transportation {wrong}")
        for meal, text in day.meals.items():
            if not is_in(text, day.cities, tables):
                return failed(f"The {meal} {wrong}")
        if not all(is_in(piece, day.cities, tables) for piece in day.attractions):
            return failed(f"The attraction {wrong}")
        if day.accommodation and not is_in(day.accommodation, [day.city], tables):
            return failed(f"The accommodation {wrong}")
    return PASSED


def within_sandbox(task: TravelTask, plan: Plan, tables: Tables) -> Check:
    """Everything named exists in the tables, and no name fits several places: flights on that day and leaving when the
    plan says, the last attraction too, and no other means of transport."""
    for day in read_days(task, plan):
        wrong = f"in day {day.number} is invalid in the sandbox."
        unknown = _unknown_transportation(task, day, tables)
        if unknown:
            return failed(f"The {unknown} {wrong}")
        for meal, text in day.meals.items():
            if find(tables.restaurants, text) is None:
                return failed(f"The {meal} {wrong}")
        for piece in day.attractions:
            if find(tables.attractions, piece) is None:
                return failed(f"The attraction {piece} {wrong}")
        if day.accommodation and find(tables.accommodations, day.accommodation) is None:
            return failed(f"The accommodation {wrong}")
    return PASSED


def _unknown_transportation(task: TravelTask, day: Day, tables: Tables) -> str:
    if not day.transportation:
        return ""
    if not day.modes:
        return "transportation"
    if "flight" in day.modes:
        return "" if flight_price(task, day, tables) is not None else "flight number"
    mode = "self-driving" if "self-driving" in day.modes else "taxi"
    drive = tables.distances.drive(*day.leg, mode)
    return mode if drive is None or drive.cost is None else ""


def flight_price(task: TravelTask, day: Day, tables: Tables) -> float | None:
    """The price of a day's flight for one; None if there is no such flight on that leg, day and (if given) time."""
    number = _NUMBER.search(day.transportation)
    departure = _DEPARTURE.search(day.transportation)
    if number is None:
        return None
    flights = tables.flights.by_number(number[1])
    for row in range(len(flights)):
        flight = flights.row(row)
        leg = flight["OriginCityName"], flight["DestCityName"], flight["FlightDate"]
        on_time = departure is None or departure[1] == flight["DepTime"]
        if leg == (*day.leg, task.date[day.number - 1]) and on_time:
            return float(flight["Price"])
    return None


def on_its_leg(day: Day, tables: Tables) -> bool:
    """Whether the tables have the day's flight number on its leg, on any date."""
    number = _NUMBER.search(day.transportation)
    flights = tables.flights.by_number(number[1] if number else "")
    return day.leg in zip(flights["OriginCityName"], flights["DestCityName"], strict=True)


def complete_information(task: TravelTask, plan: Plan, tables: Tables) -> Check:
    """No day and no needed entry is missing; None is no entry, and only the six kinds of entries are counted."""
    days = read_days(task, plan)
    if sum(not day.empty for day in days) != task.days:
        return failed("Invalid Days")
    cities = {city for day in days for city in day.cities} - {task.org}
    if days[0].cities[0] != task.org or len(cities) != task.visiting_city_number:
        return failed("Invalid City Number")
    for day in days:
        if day.missing:
            return failed(f"No {day.missing.capitalize()} Info.")
        if day.origin and not day.transportation:
            return failed(f"No transportation in day {day.number} is not allowed.")
        if not day.origin and not day.attractions:
            return failed(f"No attaction in day {day.number} is not allowed.")
        if not day.accommodation and day.number != task.days:
            return failed(f"No accommodation in day {day.number} is not allowed.")
        if not day.origin and len(day.meals) < len(commonsense.MEALS):
            return failed(f"No meal in day {day.number} is not allowed.")
    entries = sum(
        len(day.meals) + bool(day.transportation) + bool(day.attractions) + bool(day.accommodation) for day in days
    )
    if entries / (6 * task.days) < 0.5:
        return failed("The absent information is more than 50%.")
    return PASSED
