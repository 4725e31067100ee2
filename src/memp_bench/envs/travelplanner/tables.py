"""The benchmark's world: lodging, restaurants, attractions, driving distances, flights and cities.

    tables = load_tables(find_data(None, environ=os.environ))        # memp_bench.envs.travelplanner.loading
    tables.restaurants.in_city("Rockford").to_string()               # what the restaurant tool shows
    tables.flights.search("Buffalo", "Atlanta", "2022-03-02")        # a Table, perhaps empty
    tables.flights.knows("Buffalo", "Atlanta", "2022-03-02")         # is "empty" a fact, or not known here?
    tables.distances.drive("Buffalo", "Atlanta", "self-driving")     # Drive(duration, distance, cost)
    tables.cities.in_state("Montana")                                # [] for an unknown state

Every table is loaded as the original code does it: rows with a missing value are dropped, then columns are selected.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from re import compile as pattern

from memp_bench.envs.travelplanner.flights import Flights
from memp_bench.envs.travelplanner.table import Table

ACCOMMODATIONS = (
    "NAME",
    "price",
    "room type",
    "house_rules",
    "minimum nights",
    "maximum occupancy",
    "review rate number",
    "city",
)
RESTAURANTS = ("Name", "Average Cost", "Cuisines", "Aggregate Rating", "City")
ATTRACTIONS = ("Name", "Latitude", "Longitude", "Address", "Phone", "Website", "City")

_PARENTHESIS = pattern(r"^(.*?)\([^)]*\)")


def before_parenthesis(text: str) -> str:
    """The text before the first `(...)`, else all of it: `Dallas(Texas)` is `Dallas`. A blank before it is kept."""
    found = _PARENTHESIS.match(text)
    return found[1] if found else text


class Places:
    """A table of named places, indexed by city."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._name = "NAME" if "NAME" in table.columns else "Name"
        self._cities: dict[str, list[int]] = {}
        for row, city in enumerate(table["city" if "city" in table.columns else "City"]):
            self._cities.setdefault(str(city), []).append(row)

    def __len__(self) -> int:
        return len(self.table)

    def in_city(self, city: str) -> Table:
        """The places of a city in file order; an empty table where there are none."""
        return self.table.rows(self._cities.get(city, ()))

    def containing(self, name: str, city: str) -> list[int]:
        """Rows of `table` in `city` whose name contains `name`, in file order: how the evaluator looks a place up."""
        names = self.table[self._name]
        return [row for row in self._cities.get(city, ()) if name in str(names[row])]

    def named(self, name: str, city: str) -> list[int]:
        """Rows of `table` in `city` with exactly that name, in file order: how CostEnquiry looks a place up."""
        names = self.table[self._name]
        return [row for row in self._cities.get(city, ()) if names[row] == name]


@dataclass(frozen=True, slots=True)
class Drive:
    """A way by road. `cost` in whole dollars for one car; None where there is no valid way or no such mode."""

    duration: str
    distance: str
    cost: int | None

    @property
    def valid(self) -> bool:
        """Whether the way is known and takes less than a day."""
        return bool(self.duration and self.distance) and "day" not in self.duration


class Distances:
    """Driving distances between cities; of duplicate pairs the first row counts."""

    def __init__(self, ways: Mapping[tuple[str, str], tuple[str, str]]) -> None:
        self._ways = ways

    def __len__(self) -> int:
        return len(self._ways)

    def drive(self, origin: str, destination: str, mode: str) -> Drive | None:
        """The way from `origin` to `destination` (text in parentheses does not count); None if the pair is absent.

        Cost: 5 cents a kilometre where `mode` contains `driving`, a dollar where it is `taxi`, cut to whole dollars.
        """
        way = self._ways.get((before_parenthesis(origin), before_parenthesis(destination)))
        if way is None:
            return None
        found = Drive(*way, cost=None)
        if not found.valid:
            return found
        kilometres = float(found.distance.replace("km", "").replace(",", ""))
        if "driving" in mode:
            return Drive(*way, cost=int(kilometres * 0.05))
        return Drive(*way, cost=int(kilometres) if mode == "taxi" else None)

    def describe(self, origin: str, destination: str, mode: str) -> str:
        """What the distance tool answers, and the line of the reference information."""
        way = f"{mode}, from {before_parenthesis(origin)} to {before_parenthesis(destination)}"
        found = self.drive(origin, destination, mode)
        if found is None:
            return f"{way}, no valid information."
        if not found.valid:
            return "No valid information."
        return f"{way}, duration: {found.duration}, distance: {found.distance}, cost: {found.cost}"


@dataclass(frozen=True)
class Cities:
    """The cities the tools accept, and the state of every city the evaluator knows."""

    names: Sequence[str]
    """In file order: the order in which an error message lists them. Has 311; `Jackson` is missing."""
    states: Mapping[str, str]
    """City -> state, 312 cities in 64 states and territories."""

    def in_state(self, state: str) -> list[str]:
        """The cities of a state in file order; none for an unknown state."""
        return [city for city, its in self.states.items() if its == state]


@dataclass(frozen=True)
class Tables:
    """Everything a task is played and judged on."""

    accommodations: Places
    restaurants: Places
    attractions: Places
    distances: Distances
    flights: Flights
    cities: Cities
    source: str
    """Where they were read from, for reports."""
