"""The reference information of a task: the tables that sole-planning gives to the planner."""

from collections.abc import Iterable
from re import compile as pattern

from memp_bench.envs.travelplanner.tables import Tables

_PLACES = pattern(r"(Attractions|Restaurants|Accommodations) in (.+)")
_FLIGHT = pattern(r"Flight from (.+) to (.+) on (\d{4}-\d{2}-\d{2})")
_DRIVE = pattern(r"(Self-driving|Taxi) from (.+) to (.+)")


def reference_information(descriptions: Iterable[str], tables: Tables, *, labels: bool = False) -> str:
    """The tables named by `descriptions` as text, in the form of the original data set.

    With `labels`, restaurants are printed with their row numbers, as in the original train split.

    Raises:
        ValueError: a description is none of `Attractions in C`, `Restaurants in C`, `Accommodations in C`,
            `Flight from A to B on D`, `Self-driving from A to B`, `Taxi from A to B`.
    """
    return str([{"Description": title, "Content": content(title, tables, labels=labels)} for title in descriptions])


def content(title: str, tables: Tables, *, labels: bool = False) -> str:
    """The table of one description as text.

    Raises:
        ValueError: it is not a description.
    """
    if found := _PLACES.fullmatch(title):
        kind, city = found.groups()
        places = {
            "Attractions": tables.attractions,
            "Restaurants": tables.restaurants,
            "Accommodations": tables.accommodations,
        }[kind]
        return places.in_city(city).to_string(labels=labels and kind == "Restaurants")
    if found := _FLIGHT.fullmatch(title):
        origin, destination, date = found.groups()
        flights = tables.flights.search(origin, destination, date)
        return flights.to_string() if flights else f"There is no flight from {origin} to {destination} on {date}."
    if found := _DRIVE.fullmatch(title):
        mode, origin, destination = found.groups()
        return tables.distances.describe(origin, destination, mode.lower())
    raise ValueError(f"not a description of reference information: {title!r}")
