"""Real tables, tasks and recorded episodes where they are; a small world of our own where they are not."""

import gzip
import io
import json
import os
from functools import cache
from pathlib import Path

import pytest

from memp_bench.envs.base import Task
from memp_bench.envs.travelplanner.flights import Flights
from memp_bench.envs.travelplanner.loading import load_tables
from memp_bench.envs.travelplanner.table import Table
from memp_bench.envs.travelplanner.tables import (
    ACCOMMODATIONS,
    ATTRACTIONS,
    RESTAURANTS,
    Cities,
    Distances,
    Places,
    Tables,
)
from memp_bench.envs.travelplanner.tasks import TravelTask

FLIGHTS = (
    b"Flight Number,Price,DepTime,ArrTime,ActualElapsedTime,FlightDate,OriginCityName,DestCityName,Distance\n"
    b"F1000001,120,08:00,09:30,1 hours 30 minutes,2022-03-01,Arden,Birch,400\n"
    b"F1000002,80,19:00,20:30,1 hours 30 minutes,2022-03-01,Arden,Birch,400\n"
    b"F1000003,95,07:00,08:30,1 hours 30 minutes,2022-03-03,Birch,Arden,400\n"
)


def data_folder():
    """The folder of the real data; skips the test where it is not."""
    named = os.environ.get("MEMP_DATA")
    place = Path(named) if named else Path(__file__).parents[4] / "shared" / "data"
    folder = place / "travelplanner"
    if not folder.is_dir():
        pytest.skip(f"no TravelPlanner data: {folder} (set MEMP_DATA)")
    return folder


@cache
def _tables(folder):
    return load_tables(folder)


def real_tables():
    return _tables(data_folder())


def recorded(name):
    """The rows of a file of plans."""
    with gzip.open(data_folder() / "plans" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _places(columns, *rows):
    return Places(Table({name: [row[n] for row in rows] for n, name in enumerate(columns)}, list(range(len(rows)))))


def small_tables():
    """Arden and Birch, in the state of Woods; all flights between the two on March 1st and 3rd are known."""
    known = {("Arden", "Birch", "2022-03-01"), ("Birch", "Arden", "2022-03-03"), ("Birch", "Arden", "2022-03-01")}
    return Tables(
        accommodations=_places(
            ACCOMMODATIONS,
            ("Oak, Room 1", 100.0, "Private room", "No pets", 2.0, 2, 4.0, "Birch"),
            ("Elm House", 250.0, "Entire home/apt", "No smoking", 1.0, 4, 5.0, "Birch"),
        ),
        restaurants=_places(
            RESTAURANTS,
            ("Fern Bar", 20, "American, Cafe", 4.1, "Birch"),
            ("Moss Grill", 35, "Mexican", 3.9, "Birch"),
        ),
        attractions=_places(ATTRACTIONS, ("Leaf Museum", 40.5, -80.25, "1 Leaf St", "555", "leaf.org", "Birch")),
        distances=Distances(
            {("Arden", "Birch"): ("4 hours 2 mins", "1,401 km"), ("Birch", "Arden"): ("1 day 2 hours", "9 km")}
        ),
        flights=Flights.read(io.BytesIO(FLIGHTS), "flights", known),
        cities=Cities(["Arden", "Birch"], {"Arden": "Woods", "Birch": "Woods"}),
        source="small",
    )


LABELS = {"current_city": "Current City"}


def plan_text(plan):
    """A plan in the layout that planners are asked for."""
    days = []
    for number, day in enumerate([day for day in plan if day], 1):
        lines = [
            f"{LABELS.get(name, name.title())}: {value}" for name, value in day.items() if name not in ("day", "days")
        ]
        days.append("\n".join([f"Day {number}:", *lines]))
    return "\n\n".join(days)


TASK = Task(id="train/1", family="medium/3")
TRAVEL = TravelTask(
    idx=1,
    org="Arden",
    dest="Birch",
    days=3,
    visiting_city_number=1,
    date=("2022-03-01", "2022-03-02", "2022-03-03"),
    people_number=2,
    local_constraint={"house rule": "smoking", "cuisine": None, "room type": None, "transportation": None},
    budget=1000,
    query="Two people from Arden to Birch, March 1st to 3rd, 2022, smoking allowed, $1,000.",
    level="medium",
)
HOME = "Oak, Room 1, Birch"
PLAN = [
    {
        "days": 1,
        "current_city": "from Arden to Birch",
        "transportation": "Flight Number: F1000001, from Arden to Birch, Departure Time: 08:00, Arrival Time: 09:30",
        "breakfast": "-",
        "attraction": "-",
        "lunch": "-",
        "dinner": "-",
        "accommodation": HOME,
    },
    {
        "days": 2,
        "current_city": "Birch",
        "transportation": "-",
        "breakfast": "Fern Bar, Birch",
        "attraction": "Leaf Museum, Birch;",
        "lunch": "Moss Grill, Birch",
        "dinner": "Fern Bar, Birch",
        "accommodation": HOME,
    },
    {
        "days": 3,
        "current_city": "from Birch to Arden",
        "transportation": "Flight Number: F1000003, from Birch to Arden, Departure Time: 07:00, Arrival Time: 08:30",
        "breakfast": "-",
        "attraction": "-",
        "lunch": "-",
        "dinner": "-",
        "accommodation": "-",
    },
]
"""A trip through the small world: it keeps every rule but one, a restaurant is visited twice."""
