"""Tasks in a generated country, each with a plan that satisfies all of it: so every budget can be reached."""

import gzip
import json
import math
import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from memp.errors import EnvironmentFailed
from memp_bench.envs.travelplanner.cost import total_cost
from memp_bench.envs.travelplanner.generated import CUISINES, DATES, GENERATOR, RULES, Country, country
from memp_bench.envs.travelplanner.hard import suits
from memp_bench.envs.travelplanner.table import Table
from memp_bench.envs.travelplanner.tables import Tables
from memp_bench.envs.travelplanner.tasks import LocalConstraint, TravelTask

LEVELS = ("easy", "medium", "hard")
DAYS = (3, 5, 7)
PER_CELL = {"train": 5, "validation": 20}
"""Tasks of each level and length, as in the benchmark."""

_WISHES = ("house rule", "cuisine", "room type", "transportation")


def generate_tasks(made: Country, split: str, *, per_cell: int | None = None) -> list[TravelTask]:
    """The tasks of a split in the benchmark's order: by level, then days."""
    tasks: list[TravelTask] = []
    for level in LEVELS:
        for days in DAYS:
            for number in range(PER_CELL[split] if per_cell is None else per_cell):
                rng = random.Random(f"memp travelplanner {GENERATOR} {made.seed} {split} {level} {days} {number}")
                tasks.append(_task(rng, made, level, days, len(tasks) + 1))
    return tasks


def write_world(folder: Path, seed: int = 0, *, per_cell: Mapping[str, int] = PER_CELL) -> Path:
    """Write a generated country and its tasks in the packed layout; `find_data` then takes `folder`."""
    made = country(seed)
    made.write(folder)
    for split, count in per_cell.items():
        rows = (task.model_dump(mode="json", by_alias=True) for task in generate_tasks(made, split, per_cell=count))
        text = "\n".join(json.dumps(row) for row in rows)
        (folder / f"{split}.jsonl.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    return folder


def kept_world(cache: Path, seed: int = 0) -> Path:
    """The folder in `cache` with the country of `seed` and all its tasks; written once, whole or not at all.

    Raises:
        EnvironmentFailed: it cannot be written there.
    """
    folder = cache.absolute() / "travelplanner" / f"v{GENERATOR}-{seed}"
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".part-") as part:
            made = write_world(Path(part) / "world", seed)
            made.rename(folder)
    except OSError as error:
        if not folder.is_dir():  # else another process was first, with the same bytes
            raise EnvironmentFailed(f"the generated country cannot be kept in {cache}: {error}") from None
    return folder


@dataclass
class _Trip:
    """A plan in the making."""

    rng: random.Random
    tables: Tables
    org: str
    cities: list[str]
    dates: tuple[str, ...]
    people: int
    wishes: LocalConstraint
    eaten: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)

    def plan(self) -> list[dict[str, Any]] | None:
        """A plan that satisfies every constraint, or None if there is none on these dates."""
        rooms = [self._room(city) for city in self.cities]
        if not all(rooms):
            return None
        rides = self._rides()
        return [self._day(number, rides, rooms) for number in range(1, len(self.dates) + 1)]

    @property
    def legs(self) -> list[tuple[str, str, str]]:
        """Two nights a city: the days of travel are 1, 3, 5, 7."""
        stops = [self.org, *self.cities, self.org]
        return list(zip(stops, stops[1:], self.dates[::2], strict=False))

    @property
    def flights(self) -> list[Table]:
        """The flights of each leg; none unless every leg is flown and the travellers fly."""
        if self.wishes.transportation == "no flight":
            return []
        found = [self.tables.flights.search(*leg) for leg in self.legs]
        return found if all(found) else []

    def _rides(self) -> list[str]:
        if self.flights:
            return [_flight_text(found) for found in self.flights]
        mode = "taxi" if self.wishes.transportation == "no self-driving" else "self-driving"
        ways = [self.tables.distances.describe(a, b, mode) for a, b, _ in self.legs]
        return [way[0].upper() + way[1:] for way in ways]

    def _room(self, city: str) -> str:
        found = self.tables.accommodations.in_city(city)
        fitting = []
        for number in range(len(found)):
            row = found.row(number)
            forbidden = f"No {self.wishes.house_rule}" in str(row["house_rules"])
            suitable = self.wishes.room_type is None or suits(str(row["room type"]), self.wishes.room_type)
            if suitable and not forbidden and float(row["minimum nights"]) <= 2:
                fitting.append(f"{row['NAME']}, {city}")
        return self.rng.choice(fitting) if fitting else ""

    def _day(self, number: int, rides: Sequence[str], rooms: Sequence[str]) -> dict[str, Any]:
        travel = number % 2 == 1
        stop = (number - 1) // 2  # cities left behind
        last = number == len(self.dates)
        here = self.cities[stop - 1] if travel and stop else self.cities[min(stop, len(self.cities) - 1)]
        origin, destination, _ = self.legs[stop]
        return {
            "days": number,
            "current_city": f"from {origin} to {destination}" if travel else here,
            "transportation": rides[stop] if travel else "-",
            "breakfast": "-" if number == 1 else self._meal(here),
            "attraction": "-" if number == 1 else self._sights(here),
            "lunch": "-" if number == 1 else self._meal(here),
            "dinner": "-" if last else self._meal(destination if travel else here),
            "accommodation": "-" if last else rooms[stop],
        }

    def _meal(self, city: str) -> str:
        """A restaurant where nobody has eaten yet, of a wanted cuisine as long as one is missing."""
        found = self.tables.restaurants.in_city(city)
        fresh = [n for n in range(len(found)) if f"{found['Name'][n]}, {city}" not in self.eaten]
        wanted = [name for name in self.wishes.cuisine or () if name not in self.seen]
        matching = [n for n in fresh if wanted and wanted[0] in str(found["Cuisines"][n])]
        number = self.rng.choice(matching or fresh)
        self.seen.update(wanted[:1] if matching else ())
        text = f"{found['Name'][number]}, {city}"
        self.eaten.add(text)
        return text

    def _sights(self, city: str) -> str:
        found = self.tables.attractions.in_city(city)
        fresh = [text for name in found["Name"] if (text := f"{name}, {city}") not in self.eaten]
        chosen = self.rng.sample(fresh, 2)
        self.eaten.update(chosen)
        return "".join(f"{text};" for text in chosen)


def _flight_text(found: Table) -> str:
    row = found.row(0)
    return (
        f"Flight Number: {row['Flight Number']}, from {row['OriginCityName']} to {row['DestCityName']}, "
        f"Departure Time: {row['DepTime']}, Arrival Time: {row['ArrTime']}"
    )


def _task(rng: random.Random, made: Country, level: str, days: int, idx: int) -> TravelTask:
    """Draw until there is a plan (half of the time one with flights); its cost and a margin are the budget."""
    fly = rng.random() < 0.5
    while True:
        trip = _draw(rng, made, level, days)
        plan = trip.plan()
        if fly and trip.wishes.transportation != "no flight" and not trip.flights:
            continue
        if plan is not None and len(trip.seen) == len(trip.wishes.cuisine or ()):
            break
    dest = trip.cities[0] if days == 3 else made.states[trip.cities[0]]
    task = TravelTask(
        idx=idx,
        org=trip.org,
        dest=dest,
        days=days,
        visiting_city_number=len(trip.cities),
        date=trip.dates,
        people_number=trip.people,
        local_constraint=trip.wishes,
        budget=1,
        query="?",
        level=level,
        reference_descriptions=tuple(_descriptions(trip)),
        gold_plan=tuple(plan),
    )
    cost = total_cost(task, plan, made.tables)
    task = task.model_copy(update={"budget": 100 * math.ceil(cost * rng.uniform(1.1, 1.4) / 100)})
    return task.model_copy(update={"query": _query(task)})


def _draw(rng: random.Random, made: Country, level: str, days: int) -> _Trip:
    states = sorted(set(made.states.values()))
    home, away = rng.sample(states, 2)
    first = rng.randrange(len(DATES) - days + 1)
    return _Trip(
        rng=rng,
        tables=made.tables,
        org=rng.choice([city for city, state in made.states.items() if state == home]),
        cities=rng.sample([city for city, state in made.states.items() if state == away], days // 2),
        dates=DATES[first : first + days],
        people=1 if level == "easy" else rng.randint(2, 8),
        wishes=_wishes(rng, level),
    )


def _wishes(rng: random.Random, level: str) -> LocalConstraint:
    chosen = {"easy": [], "medium": rng.sample(_WISHES[:3], 1), "hard": rng.sample(_WISHES, 3)}[level]
    values = {
        "house rule": rng.choice(RULES),
        "cuisine": rng.sample(CUISINES, 4 if level == "hard" else 2),
        "room type": rng.choice(("entire room", "private room", "shared room", "not shared room")),
        "transportation": rng.choice(("no flight", "no self-driving")),
    }
    return LocalConstraint.model_validate({name: values[name] for name in chosen})


def _descriptions(trip: _Trip) -> Iterator[str]:
    for city in trip.cities:
        yield from (f"{kind} in {city}" for kind in ("Attractions", "Restaurants", "Accommodations"))
    for origin, destination, date in trip.legs:
        yield f"Flight from {origin} to {destination} on {date}"
        yield from (f"{mode} from {origin} to {destination}" for mode in ("Self-driving", "Taxi"))


def _query(task: TravelTask) -> str:
    """The task in words, in the manner of the benchmark's queries."""
    first, last = (f"March {int(date[-2:])}" for date in (task.date[0], task.date[-1]))
    where = task.dest if task.days == 3 else f"{task.visiting_city_number} cities in {task.dest}"
    who = "one person" if task.people_number == 1 else f"{task.people_number} people"
    wishes = task.local_constraint
    parts = [
        f"Please create a {task.days}-day travel plan for {who}, departing from {task.org} and visiting {where}, "
        f"from {first} to {last}, 2022, with a budget of ${task.budget:,}."
    ]
    if wishes.house_rule:
        parts.append(f"Our accommodations must allow {wishes.house_rule}.")
    if wishes.cuisine:
        parts.append(f"We would like to taste {', '.join(wishes.cuisine[:-1])} and {wishes.cuisine[-1]} cuisines.")
    if wishes.room_type:
        kind = {"entire room": "entire rooms", "not shared room": "rooms that are not shared"}
        parts.append(f"We prefer {kind.get(wishes.room_type, f'{wishes.room_type}s')}.")
    if wishes.transportation:
        parts.append(f"For transportation, {wishes.transportation}, please.")
    return " ".join(parts)
