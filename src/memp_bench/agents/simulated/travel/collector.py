"""The tool agent: what to ask next, from the query and the calls so far."""

from collections.abc import Generator, Mapping, Sequence
from random import Random
from re import compile as pattern
from typing import Final, NamedTuple

from memp.models.base import Message
from memp_bench.agents.reply import parse_reply
from memp_bench.agents.simulated.travel.query import Trip

_QUOTED = pattern(r"'([^']+)'|\"([^\"]+)\"")
_NOTHING = pattern(r"^(?:There is no|No valid|Illegal|Invalid|'.*' is not|.*no valid information|.* is not valid city)")
_SEARCHES: Final = frozenset(
    ("FlightSearch", "GoogleDistanceMatrix", "AccommodationSearch", "RestaurantSearch", "AttractionSearch")
)
_FOUND: Final = "found"
_ENOUGH: Final = 27
"""After so many turns the plan is written from what there is: a slip or two still leave time for that."""
_TRIES: Final = 3
"""So many cities are tried for each stop."""

Calls = Generator[str, str, None]
"""Yields the calls that are needed; is sent what came of each, empty where nothing was found."""


class Round(NamedTuple):
    """One turn so far."""

    action: str
    seen: str


def rounds(messages: Sequence[Message]) -> list[Round]:
    """The turns in a conversation."""
    made: list[Round] = []
    for message in messages:
        if message.role == "assistant":
            made.append(Round(parse_reply(message.content).action or "", ""))
        elif message.role == "user" and made:
            made[-1] = Round(made[-1].action, message.content.removeprefix("Observation:").strip())
    return made


def next_call(trip: Trip, query: str, done: Sequence[Round], *, recalled: str, seed: str, mixes: bool) -> str:
    """The next action. Results that are masked by now count as found if they were written down."""
    ends = f"Planner[{' '.join(query.split())}]"
    if len(done) >= _ENOUGH:
        return ends
    last = done[-1] if done else Round("", "")
    tool, _, argument = last.action.removesuffix("]").partition("[")
    if tool in _SEARCHES and not _NOTHING.match(last.seen):
        return f"NotebookWrite[{tool.removesuffix('Search')} {argument}]"
    if tool == "NotebookWrite" and last.seen.startswith("Invalid Action"):  # the result is still there
        return f"NotebookWrite[{argument}]"
    outcomes = _outcomes(done)
    calls = _calls(trip, recalled=recalled, seed=seed, mixes=mixes)
    try:
        call = next(calls)
        while call in outcomes:
            call = calls.send(outcomes[call])
    except StopIteration:
        return ends
    return call


def _outcomes(done: Sequence[Round]) -> Mapping[str, str]:
    made: dict[str, str] = {}
    for number, (action, seen) in enumerate(done):
        after = done[number + 1].action if number + 1 < len(done) else ""
        if action.startswith("CitySearch["):
            made[action] = seen
        elif action.partition("[")[0] in _SEARCHES:
            made[action] = _FOUND if after.startswith("NotebookWrite[") else ""
    return made


def _calls(trip: Trip, *, recalled: str, seed: str, mixes: bool) -> Calls:
    offered = [trip.destination]
    if trip.cities > 1:
        listed = yield f"CitySearch[{trip.destination}]"
        offered = [a or b for a, b in _QUOTED.findall(listed) if (a or b) != trip.origin]
        Random(f"{seed}|cities").shuffle(offered)
        offered.sort(key=lambda city: f" {city}" not in recalled)  # towns that earlier plans went to come first
    stops: list[str] = []
    here, mode = trip.origin, "self-driving" if trip.avoids == "flight" else "flight"
    for number in range(trip.cities):
        date = trip.dates[min(2 * number, len(trip.dates) - 1)]
        for city in [city for city in offered if city not in stops][:_TRIES]:
            found = yield from _way(trip, here, city, date, mode, mixes)
            if found:
                break
        else:
            continue
        mode = mode if mixes else found
        stops.append(city)
        here = city
    yield from _way(trip, here, trip.origin, trip.dates[-1], mode, mixes)
    for city in stops or offered[: trip.cities]:
        for tool in ("AccommodationSearch", "RestaurantSearch", "AttractionSearch"):
            yield f"{tool}[{city}]"


def _way(trip: Trip, origin: str, destination: str, date: str, mode: str, mixes: bool) -> Generator[str, str, str]:
    """Ask for a way; gives the mode in which there is one, or an empty string."""
    if mode == "flight":
        if (yield f"FlightSearch[{origin}, {destination}, {date}]"):
            return "flight"
        first_leg = origin == trip.origin
        mode = "self-driving" if mixes or (first_leg and trip.avoids != "self-driving") else "taxi"
        road = yield f"GoogleDistanceMatrix[{origin}, {destination}, {mode}]"
        return ("flight" if mode == "taxi" else mode) if road else ""
    return mode if (yield f"GoogleDistanceMatrix[{origin}, {destination}, {mode}]") else ""
