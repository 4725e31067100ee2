"""A small generated country: tables of the benchmark's form, for the demo and for tests where no data is.

All names are invented. The same seed gives the same country on every machine.
"""

import csv
import gzip
import io
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from memp_bench.envs.travelplanner.flights import COLUMNS as FLIGHTS
from memp_bench.envs.travelplanner.flights import Flights
from memp_bench.envs.travelplanner.loading import PACKED
from memp_bench.envs.travelplanner.table import Cell, Table
from memp_bench.envs.travelplanner.tables import (
    ACCOMMODATIONS,
    ATTRACTIONS,
    RESTAURANTS,
    Cities,
    Distances,
    Places,
    Tables,
)

GENERATOR = 1
"""Version of the generator. Raise it whenever a country changes."""

CUISINES = ("Chinese", "American", "Italian", "Mexican", "Indian", "Mediterranean", "French")
RULES = ("smoking", "parties", "children under 10", "visitors", "pets")
ROOMS = ("Entire home/apt", "Private room", "Shared room")
DATES = tuple(f"2022-03-{day:02d}" for day in range(1, 32))

_STATES = ("Ostrana", "Velmark", "Quillia", "Tornberg")
_STARTS = ("Al", "Ber", "Cal", "Dun", "El", "Far", "Gil", "Har", "Ist", "Jor", "Kel", "Lin", "Mar", "Nor", "Oak", "Pel")
_ENDS = ("bury", "dale", "field", "haven", "minster", "port", "ridge", "stead", "ville", "wick")
_OTHER_DISHES = ("Bakery", "BBQ", "Cafe", "Desserts", "Fast Food", "Pizza", "Seafood", "Tea")
_COOKS = ("Amber", "Blue Door", "Copper Pot", "Daisy's", "Emerald", "Fig Tree", "Golden Spoon", "Harvest", "Ivy")
_KITCHENS = ("Kitchen", "Table", "Grill", "Corner", "House")
_SIGHTS = ("Museum of Art", "Botanical Garden", "Zoo", "Castle", "River Walk", "Science Center", "Market", "Lighthouse")
_LODGINGS = ("Sunny", "Quiet", "Cozy", "Spacious", "Bright", "Modern")
_KINDS = ("Loft by the Park", "Room near the Station", "Flat with a View", "Studio Downtown")
_RESTAURANTS_A_CITY = 24
_CITIES_A_STATE = 4
_FLIGHT_SHARE = 0.8  # of the ordered pairs of cities have flights


@dataclass(frozen=True)
class Country:
    """The rows of every table, by the columns' names, before they become `Tables`."""

    seed: int
    states: Mapping[str, str]
    rows: Mapping[str, Sequence[Mapping[str, Cell]]]
    """By the names of `loading.PACKED`: accommodations, restaurants, attractions, distances, flights."""

    @cached_property
    def tables(self) -> Tables:
        """The country as tables, without the detour over files."""
        text = io.BytesIO(_csv(FLIGHTS, self.rows["flights"]).encode())
        ways = {
            (str(row["origin"]), str(row["destination"])): (str(row["duration"]), str(row["distance"]))
            for row in self.rows["distances"]
        }
        return Tables(
            accommodations=Places(_table(ACCOMMODATIONS, self.rows["accommodations"])),
            restaurants=Places(_table(RESTAURANTS, self.rows["restaurants"])),
            attractions=Places(_table(ATTRACTIONS, self.rows["attractions"])),
            distances=Distances(ways),
            flights=Flights.read(text, "generated flights"),
            cities=Cities(tuple(self.states), self.states),
            source=f"generated country {GENERATOR}, seed {self.seed}",
        )

    def write(self, folder: Path) -> None:
        """Write the tables in the packed layout, which `load_tables` reads."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, rows in self.rows.items():
            text = _csv(tuple(rows[0]), rows)
            (folder / PACKED[name]).write_bytes(gzip.compress(text.encode(), mtime=0))
        (folder / PACKED["cities"]).write_text("\n".join(self.states), encoding="utf-8")
        pairs = "\n".join(f"{city}\t{state}" for city, state in self.states.items())
        (folder / PACKED["states"]).write_text(pairs, encoding="utf-8")


def country(seed: int = 0) -> Country:
    """The country of a seed: 4 states with 4 cities each, 384 restaurants, 192 lodgings, about 5,000 flights."""
    rng = random.Random(f"memp travelplanner {GENERATOR} {seed}")
    names = [start + end for start in _STARTS for end in _ENDS]
    rng.shuffle(names)
    states = {
        city: _STATES[number // _CITIES_A_STATE] for number, city in enumerate(names[: _CITIES_A_STATE * len(_STATES)])
    }
    places = {city: _position(rng, _STATES.index(state)) for city, state in states.items()}
    rows: dict[str, list[Mapping[str, Cell]]] = {
        "accommodations": [row for city in states for row in _accommodations(rng, city)],
        "restaurants": [row for city in states for row in _restaurants(rng, city)],
        "attractions": [row for city, at in places.items() for row in _attractions(rng, city, at)],
        "distances": [_way(a, b, places) for a in states for b in states if a != b],
        "flights": _flights(rng, places),
    }
    return Country(seed, states, rows)


def _position(rng: random.Random, state: int) -> tuple[float, float]:
    """Kilometres east and north; a state is a cluster."""
    return 700 * (state % 2) + rng.uniform(0, 350), 700 * (state // 2) + rng.uniform(0, 350)


def _accommodations(rng: random.Random, city: str) -> list[Mapping[str, Cell]]:
    rows: list[Mapping[str, Cell]] = []
    for number, name in enumerate(rng.sample([f"{a} {b}" for a in _LODGINGS for b in _KINDS], 12)):
        rules = rng.sample(RULES, 2 if number % 3 else 1)
        values: tuple[Cell, ...] = (
            name,
            float(rng.randint(50, 400)),
            ROOMS[number % 3],
            " & ".join(f"No {rule}" for rule in rules),
            float(rng.choice((1, 1, 2, 2, 3, 5))),
            rng.randint(1, 5),
            float(rng.randint(1, 5)),
            city,
        )
        rows.append(dict(zip(ACCOMMODATIONS, values, strict=True)))
    return rows


def _restaurants(rng: random.Random, city: str) -> list[Mapping[str, Cell]]:
    rows: list[Mapping[str, Cell]] = []
    for number, name in enumerate(rng.sample([f"{a} {b}" for a in _COOKS for b in _KITCHENS], _RESTAURANTS_A_CITY)):
        dishes = [CUISINES[number % len(CUISINES)], *rng.sample(_OTHER_DISHES, rng.randint(1, 3))]
        values = (name, rng.randint(10, 60), ", ".join(dishes), rng.randint(0, 50) / 10, city)
        rows.append(dict(zip(RESTAURANTS, values, strict=True)))
    return rows


def _attractions(rng: random.Random, city: str, at: tuple[float, float]) -> list[Mapping[str, Cell]]:
    rows: list[Mapping[str, Cell]] = []
    for sight in _SIGHTS:
        latitude, longitude = (round(part / 100 + rng.uniform(-0.1, 0.1), 7) for part in at)
        address = f"{rng.randint(1, 900)} Main St, {city}, Country"
        phone = f"({rng.randint(200, 999)}) 555-{rng.randint(0, 9999):04d}"
        values = (f"{city} {sight}", latitude, longitude, address, phone, "Unknown", city)
        rows.append(dict(zip(ATTRACTIONS, values, strict=True)))
    return rows


def _kilometres(a: str, b: str, places: Mapping[str, tuple[float, float]]) -> int:
    return max(20, round(1.2 * math.dist(places[a], places[b])))


def _way(a: str, b: str, places: Mapping[str, tuple[float, float]]) -> Mapping[str, Cell]:
    kilometres = _kilometres(a, b, places)
    hours, minutes = divmod(round(kilometres / 95 * 60), 60)
    duration = f"{hours} hours {minutes} mins" if hours else f"{minutes} mins"
    return {"origin": a, "destination": b, "cost": "", "duration": duration, "distance": f"{kilometres:,} km"}


def _flights(rng: random.Random, places: Mapping[str, tuple[float, float]]) -> list[Mapping[str, Cell]]:
    """A leg is flown every day or every other day, once or twice."""
    rows: list[Mapping[str, Cell]] = []
    for a in places:
        for b in places:
            if a == b or rng.random() > _FLIGHT_SHARE:
                continue
            kilometres = _kilometres(a, b, places)
            for date in DATES[rng.randrange(2) :: rng.randint(1, 2)]:
                rows += [_flight(rng, a, b, date, kilometres) for _ in range(rng.choice((1, 1, 1, 2)))]
    return [{"Flight Number": f"F{5_000_000 + number}", **row} for number, row in enumerate(rows)]


def _flight(rng: random.Random, a: str, b: str, date: str, kilometres: int) -> Mapping[str, Cell]:
    leaves = rng.randint(6 * 60, 20 * 60)
    takes = 30 + kilometres // 12
    return {
        "Price": 30 + kilometres // 10 + rng.randint(0, 120),
        "DepTime": f"{leaves // 60:02d}:{leaves % 60:02d}",
        "ArrTime": f"{(leaves + takes) // 60 % 24:02d}:{(leaves + takes) % 60:02d}",
        "ActualElapsedTime": f"{takes // 60} hours {takes % 60} minutes",
        "FlightDate": date,
        "OriginCityName": a,
        "DestCityName": b,
        "Distance": float(kilometres * 5 // 8),
    }


def _table(columns: Sequence[str], rows: Sequence[Mapping[str, Cell]]) -> Table:
    return Table({name: [row[name] for row in rows] for name in columns}, range(len(rows)))


def _csv(columns: Sequence[str], rows: Sequence[Mapping[str, Cell]]) -> str:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([[row[name] for name in columns] for row in rows])
    return out.getvalue()
