"""Reads what a planner is given: printed tables and lines about roads, whatever they are called."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from re import compile as pattern
from typing import Final, NamedTuple

_HEADERS: Final = (
    (
        *("Flight Number", "Price", "DepTime", "ArrTime", "ActualElapsedTime", "FlightDate"),
        *("OriginCityName", "DestCityName", "Distance"),
    ),
    ("NAME", "price", "room type", "house_rules", "minimum nights", "maximum occupancy", "review rate number", "city"),
    ("Name", "Average Cost", "Cuisines", "Aggregate Rating", "City"),
    ("Name", "Latitude", "Longitude", "Address", "Phone", "Website", "City"),
)
"""The columns of the tables, as their first line shows them."""
_ROAD = pattern(r"^(self-driving|taxi), from (.+?) to (.+?), duration: (.+?), distance: (.+?), cost: (\d+)$")
_LABEL = pattern(r"^\d+\s+")

Row = Mapping[str, str]


class Road(NamedTuple):
    """A way between two cities."""

    duration: str
    distance: str
    cost: int


@dataclass
class Information:
    """Everything given, by what it is about. Cities keep the order in which they came."""

    lodgings: dict[str, list[Row]] = field(default_factory=dict)
    restaurants: dict[str, list[Row]] = field(default_factory=dict)
    sights: dict[str, list[Row]] = field(default_factory=dict)
    flights: dict[tuple[str, str, str], list[Row]] = field(default_factory=dict)
    """By origin, destination and date."""
    roads: dict[tuple[str, str, str], Road] = field(default_factory=dict)
    """By origin, destination and mode."""

    @property
    def cities(self) -> list[str]:
        """Cities with a table of their own."""
        return list(dict.fromkeys([*self.lodgings, *self.restaurants, *self.sights]))

    def linked(self, origin: str, destination: str) -> bool:
        """Whether some way from one city to the other was given."""
        return any(leg[:2] == (origin, destination) for leg in [*self.flights, *self.roads])


def read_information(text: str) -> Information:
    """Read a Python list of entries with a `Content`; what is no list gives nothing."""
    made = Information()
    try:
        entries = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return made
    for entry in entries if isinstance(entries, list) else ():
        content = str(entry.get("Content", "")) if isinstance(entry, dict) else ""
        if road := _ROAD.match(content.strip()):
            made.roads[road[2], road[3], road[1]] = Road(road[4], road[5], int(road[6]))
            continue
        for row in _rows(content):
            _put(made, row)
    return made


def _put(made: Information, row: Row) -> None:
    if "Flight Number" in row:
        made.flights.setdefault((row["OriginCityName"], row["DestCityName"], row["FlightDate"]), []).append(row)
    elif "NAME" in row:
        made.lodgings.setdefault(row["city"], []).append(row)
    elif "Cuisines" in row:
        made.restaurants.setdefault(row["City"], []).append(row)
    else:
        made.sights.setdefault(row["City"], []).append(row)


def _rows(content: str) -> Iterator[Row]:
    """The rows of a table printed with its columns aligned to the right."""
    head, *lines = content.strip("\n").split("\n")
    header = next((names for names in _HEADERS if head.split() == " ".join(names).split()), None)
    if header is None:
        return
    ends: list[int] = []
    for name in header:
        ends.append(head.index(name, ends[-1] if ends else 0) + len(name))
    shift = 0  # the first column may have lost blanks at the very beginning of the text
    if lines and len({len(line) for line in lines}) == 1:
        shift = len(lines[0]) - len(head)
    labelled = head.startswith(" ") and bool(lines) and all(_LABEL.match(line) for line in lines)
    for line in lines:
        starts = [0, *(end + shift for end in ends[:-1])]
        cells = [line[a : b + shift].strip() for a, b in zip(starts, ends, strict=True)]
        if labelled:
            cells[0] = _LABEL.sub("", cells[0])
        yield dict(zip(header, cells, strict=True))
