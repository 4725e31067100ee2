"""Writes a plan from what was understood, given and not forgotten."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from typing import Final, NamedTuple

from memp_bench.agents.simulated.travel.information import Information, Row
from memp_bench.agents.simulated.travel.query import Trip

_SEATS: Final = {"self-driving": 5, "taxi": 4}
_LIKED: Final = 6
"""Among so many of the best rated somebody who does not count money chooses."""


class Leg(NamedTuple):
    """How to get from one city to the next."""

    mode: str
    text: str
    cost: float


@dataclass
class PlanWriter:
    """One plan. `forgotten` are rules of `care.RULES`; every choice that is free depends on `seed`."""

    trip: Trip
    known: Information
    forgotten: frozenset[str]
    seed: str
    _used: set[str] = field(default_factory=set)

    def write(self) -> str:
        """The plan in the layout that was asked for."""
        trip = self.trip
        route = self._route()
        moves = {2 * n: leg for n, leg in enumerate(pairwise(route))}
        ways = self._ways(list(moves.values()))
        tables = {city: self._table_of(city) for city in route[1:]}
        wanted = [] if "cuisine" in self.forgotten else list(trip.cuisines)
        lodgings: dict[str, str] = {}
        days = []
        here = trip.origin
        for number in range(len(trip.dates)):
            came = here
            if number in moves:
                here = moves[number][1]
            if number in moves and here not in lodgings and here != trip.origin:
                lodgings[here] = self._lodging(here, self._nights(number))
            days.append(self._day(number, came, here, ways, tables, wanted, lodgings))
        return "\n\n".join(days)

    def _day(
        self,
        number: int,
        came: str,
        here: str,
        ways: dict[tuple[str, str], Leg],
        tables: dict[str, "_Tables | None"],
        wanted: list[str],
        lodgings: dict[str, str],
    ) -> str:
        moving, last = came != here, number == len(self.trip.dates) - 1
        place = tables.get(here)
        meals = ["-", "-", "-"]
        sights = "-"
        slots = (2,) if moving and number == 0 else (1, 2) if moving else (0, 1, 2)
        if place is not None:
            for slot in slots:
                meals[slot] = self._meal(place, here, wanted)
            sights = self._sights(place, here, 1 if moving else 2)
        if moving and (left := tables.get(came)) is not None:
            meals[0] = self._meal(left, came, wanted)
        if "complete" in self.forgotten and not moving:
            meals[1] = "-"
        lodging = "-" if last or here == self.trip.origin else lodgings.get(here, "-")
        return "\n".join(
            [
                f"Day {number + 1}:",
                f"Current City: {f'from {came} to {here}' if moving else here}",
                f"Transportation: {ways[came, here].text if moving else '-'}",
                f"Breakfast: {meals[0]}",
                f"Attraction: {sights}",
                f"Lunch: {meals[1]}",
                f"Dinner: {meals[2]}",
                f"Accommodation: {lodging}",
            ]
        )

    # -- the route ----------------------------------------------------------------------------------

    def _route(self) -> list[str]:
        """Cities from the start to the end: along the ways that were given, or in the order of the tables."""
        trip, known = self.trip, self.known
        stops: list[str] = []
        offered = [city for city in known.cities if city != trip.origin] or [trip.destination]
        for _ in range(trip.cities):
            left = [city for city in offered if city not in stops]
            if left:
                linked = [city for city in left if known.linked(stops[-1] if stops else trip.origin, city)]
                stops.append((linked or left)[0])
        return [trip.origin, *stops, *(() if "circle" in self.forgotten else (trip.origin,))]

    def _nights(self, arrival: int) -> int:
        return min(2, len(self.trip.dates) - 1 - arrival)

    def _ways(self, moves: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Leg]:
        """How to go each leg: all by one kind of transport, unless it is forgotten that kinds do not mix."""
        dates = self.trip.dates
        offers = {move: self._offers(*move, dates[min(2 * n, len(dates) - 1)]) for n, move in enumerate(moves)}
        groups: list[set[str]] = [{"flight", "taxi"}, {"self-driving"}]
        chosen = [{move: self._cheapest(offers[move], group) for move in moves} for group in groups]
        whole = [ways for ways in chosen if all(way is not None for way in ways.values())]
        if "modes" not in self.forgotten and whole:
            best = min(whole, key=lambda ways: self._sum(ways.values())) if "budget" not in self.forgotten else whole[0]
            return {move: way for move, way in best.items() if way is not None}
        unsure = {"flight", "taxi", "self-driving"}
        first = "flight" if "budget" in self.forgotten else ""
        return {
            move: self._cheapest(offers[move], {first}) or self._cheapest(offers[move], unsure) or _guess(*move)
            for move in moves
        }

    def _sum(self, ways: Iterable[Leg | None]) -> float:
        return sum(way.cost for way in ways if way is not None)

    def _cheapest(self, offers: list[Leg], modes: set[str]) -> Leg | None:
        return min((leg for leg in offers if leg.mode in modes), key=lambda leg: leg.cost, default=None)

    def _offers(self, origin: str, destination: str, date: str) -> list[Leg]:
        known, people = self.known, self.trip.people
        way = f"from {origin} to {destination}"
        legs = [
            Leg(
                "flight",
                f"Flight Number: {row['Flight Number']}, {way}, Departure Time: {row['DepTime']}, "
                f"Arrival Time: {row['ArrTime']}",
                _number(row["Price"]) * people,
            )
            for row in known.flights.get((origin, destination, date), ())
        ]
        for mode, seats in _SEATS.items():
            if road := known.roads.get((origin, destination, mode)):
                text = f"{mode.capitalize()}, {way}, Duration: {road.duration}, Distance: {road.distance}"
                legs.append(Leg(mode, text, road.cost * math.ceil(people / seats)))
        avoided = "" if "avoid" in self.forgotten else self.trip.avoids
        return [leg for leg in legs if leg.mode != avoided]

    # -- places --------------------------------------------------------------------------------------

    def _table_of(self, city: str) -> "_Tables | None":
        known = self.known
        if city == self.trip.origin or not known.restaurants.get(city):
            return None
        return _Tables(known.restaurants[city], known.sights.get(city, []))

    def _lodging(self, city: str, nights: int) -> str:
        offers = self.known.lodgings.get(city, [])
        tests: list[tuple[str, Callable[[Row], bool]]] = [
            ("nights", lambda row: _number(row["minimum nights"]) <= nights),
            ("house", lambda row: not self.trip.house_rule or f"No {self.trip.house_rule}" not in row["house_rules"]),
            ("room", lambda row: _suits(row["room type"], self.trip.room)),
        ]
        for rule, test in tests:
            if rule not in self.forgotten:
                offers = [row for row in offers if test(row)] or offers
        if not offers:
            return "-"
        if "budget" in self.forgotten:
            liked = sorted(offers, key=lambda row: -_number(row["review rate number"]))[:_LIKED]
            row = Random(f"{self.seed}|bed {city}").choice(liked)
        else:
            row = min(offers, key=self._price)
        return f"{row['NAME']}, {city}"

    def _price(self, row: Row) -> float:
        return _number(row["price"]) * math.ceil(self.trip.people / max(1.0, _number(row["maximum occupancy"])))

    def _meal(self, place: "_Tables", city: str, wanted: list[str]) -> str:
        """A restaurant: new, with a cuisine that is still wanted, and cheap, as far as these are thought of."""
        draw = Random(f"{self.seed}|meal {city} {len(self._used)}")
        if "real" in self.forgotten and draw.random() < 0.3:
            return f"The Corner Bistro No. {draw.randrange(2, 9)}, {city}"
        offers = place.restaurants
        if "restaurants" not in self.forgotten:
            offers = [row for row in offers if f"{row['Name']}, {city}" not in self._used] or offers
        served = [row for row in offers if any(name in row["Cuisines"] for name in wanted)]
        if "budget" in self.forgotten and not served:
            liked = sorted(offers, key=lambda row: -_number(row["Aggregate Rating"]))[:_LIKED]
            row = draw.choice(liked)
        else:
            row = min(served or offers, key=lambda row: _number(row["Average Cost"]))
        wanted[:] = [name for name in wanted if name not in row["Cuisines"]]
        text = f"{row['Name']}, {city}"
        self._used.add(text)
        return text

    def _sights(self, place: "_Tables", city: str, count: int) -> str:
        names = [f"{row['Name']}, {city}" for row in place.sights]
        if "sights" not in self.forgotten:
            names = [name for name in names if name not in self._used]
        chosen = list(dict.fromkeys(names))[:count]
        self._used.update(chosen)
        return "".join(f"{name};" for name in chosen) or "-"


class _Tables(NamedTuple):
    """What a city offers by day."""

    restaurants: list[Row]
    sights: list[Row]


def _guess(origin: str, destination: str) -> Leg:
    return Leg("taxi", f"Taxi, from {origin} to {destination}", 0.0)


def _suits(room: str, wanted: str) -> bool:
    return room != "Shared room" if wanted == "not shared" else not wanted or room == wanted


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return 0.0
