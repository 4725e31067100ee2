"""A world of three cities, a good plan in it, and how to change it."""

import copy
import io

from memp_bench.envs.travelplanner.evaluator import COMMONSENSE, HARD, STRICT, STRICT_HARD, Evaluator
from memp_bench.envs.travelplanner.flights import Flights
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

_FLIGHTS = b"""Flight Number,Price,DepTime,ArrTime,ActualElapsedTime,FlightDate,OriginCityName,DestCityName,Distance
F1,100,08:00,09:00,1 hours 0 minutes,2022-03-01,Home,Alba,400
F2,80,18:00,19:00,1 hours 0 minutes,2022-03-03,Alba,Home,400
F3,60,18:00,19:00,1 hours 0 minutes,2022-03-05,Alba,Home,400
F4,10,12:00,13:00,1 hours 0 minutes,2022-03-01,Borea,Alba,40
"""


def _places(columns, *rows):
    return Places(Table({name: [row[n] for row in rows] for n, name in enumerate(columns)}, range(len(rows))))


def world(known=None):
    """Home in the state North; Alba and Borea in the state South."""
    return Tables(
        accommodations=_places(
            ACCOMMODATIONS,
            ("Loft", 100.0, "Private room", "No pets", 2.0, 2, 4.0, "Alba"),
            ("Loft Deluxe", 200.0, "Entire home/apt", "No smoking & No parties", 3.0, 4, 4.0, "Alba"),
            ("Barn", 50.5, "Shared room", "No visitors & No children under 10", 1.0, 1, 4.0, "Alba"),
            ("Barn", 60.0, "Shared room", "No visitors", 2.0, 3, 4.0, "Borea"),
        ),
        restaurants=_places(
            RESTAURANTS,
            ("Uno", 20, "Italian, Cafe", 4.0, "Alba"),
            ("Uno East", 40, "French", 4.0, "Alba"),
            ("Dos", 30, "Mexican", 4.0, "Alba"),
            ("Tres", 25, "Indian, American", 4.0, "Alba"),
            ("Quatro", 25, "Fast Food", 4.0, "Alba"),
            ("Cinque", 25, "Fast Food", 4.0, "Alba"),
            ("Dos", 35, "Mexican", 4.0, "Borea"),
            ("Diner", 15, "Chinese", 4.0, "Home"),
        ),
        attractions=_places(
            ATTRACTIONS,
            *((name, 1.0, 1.0, "-", "-", "-", "Alba") for name in ("Museum", "Park", "Zoo")),
            ("Beach", 1.0, 1.0, "-", "-", "-", "Borea"),
        ),
        distances=Distances(
            {
                ("Home", "Alba"): ("12 hours 1 min", "1,259 km"),
                ("Alba", "Home"): ("20 mins", "13.0 km"),
                ("Home", "Borea"): ("1 day 3 hours", "2,000 km"),
                ("Borea", "Home"): ("", ""),
            }
        ),
        flights=Flights.read(io.BytesIO(_FLIGHTS), "flights", known),
        cities=Cities(["Home", "Alba", "Borea"], {"Home": "North", "Alba": "South", "Borea": "South"}),
        source="judgekit",
    )


def task(**changes):
    """3 days from Home to Alba for two, with changes."""
    made = {
        "idx": 1,
        "org": "Home",
        "dest": "Alba",
        "days": 3,
        "visiting_city_number": 1,
        "date": ["2022-03-01", "2022-03-02", "2022-03-03"],
        "people_number": 2,
        "budget": 1000,
        "query": "From Home to Alba.",
        "level": "easy",
    }
    return TravelTask.parse({**made, **changes})


_GOOD = (
    {
        "days": 1,
        "current_city": "from Home to Alba",
        "transportation": "Flight Number: F1, from Home to Alba, Departure Time: 08:00, Arrival Time: 09:00",
        "breakfast": "-",
        "attraction": "-",
        "lunch": "Uno, Alba",
        "dinner": "Uno East, Alba",
        "accommodation": "Loft, Alba",
    },
    {
        "days": 2,
        "current_city": "Alba",
        "transportation": "-",
        "breakfast": "Dos, Alba",
        "attraction": "Museum, Alba;Park, Alba;",
        "lunch": "Tres, Alba",
        "dinner": "Quatro, Alba",
        "accommodation": "Loft, Alba",
    },
    {
        "days": 3,
        "current_city": "from Alba to Home",
        "transportation": "Flight Number: F2, from Alba to Home, Departure Time: 18:00, Arrival Time: 19:00",
        "breakfast": "Cinque, Alba",
        "attraction": "Zoo, Alba;",
        "lunch": "-",
        "dinner": "-",
        "accommodation": "-",
    },
)


def plan(**changes):
    """The good plan with changes: `plan(lunch2="...")` sets the lunch of day 2; `...` leaves the key out."""
    made = copy.deepcopy(list(_GOOD))
    for name, value in changes.items():
        field, day = name[:-1], int(name[-1]) - 1
        if value is ...:
            del made[day][field]
        else:
            made[day][field] = value
    return made


def check(name, of=None, *, mode="official", tables=None, **changes):
    """What one constraint, by its official id, says: None where it holds or is not asked, else the message."""
    constraints = {**COMMONSENSE, **HARD} if mode == "official" else {**STRICT, **STRICT_HARD}
    made = constraints[name](task(**changes), plan() if of is None else of, tables or world())
    return (made.message or "broken") if made.passed is False else None


def judge(of, *, mode="official", tables=None, **changes):
    """The verdict on a plan."""
    return Evaluator(tables or world(), mode).judge(task(**changes), of)
