"""The tools that look things up: arguments are checked in the original's order, answers are its texts to the blank.

    tools = Tools(load_tables(folder))
    tools.run(Call("AttractionSearch", "Rockford")).text

Tables are rendered once and kept: a repeated call costs microseconds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from memp_bench.envs.travelplanner.actions import Call, is_date
from memp_bench.envs.travelplanner.tables import Places, Tables

State = Literal[
    "Successful",
    "Illegal args. DateError",
    "Illegal args. City Error",
    "Illegal args. Other Error",
    "invalidAction",
    "",
]
"""How a tool call went, in the original's words; empty for an empty action."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tool says."""

    text: str
    """The observation."""
    state: State = "Successful"
    result: str | None = None
    """What the notebook would store from now on; None leaves it as it was. Blanks at its ends are kept."""
    masks: bool = True
    """Whether the result shown before is hidden from now on."""
    unknown_leg: bool = False
    """A flight search on a leg of which these tables do not know the flights: "no flight" may be wrong."""


class Tools:
    """The six tools that read the tables. Safe to share between episodes: they keep nothing but rendered text."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._cities = frozenset(tables.cities.names)
        self._all_cities = str(list(tables.cities.names))
        self._kept: dict[Call, Answer] = {}
        no_attraction, no_restaurant = "There is no attraction in this city.", "There is no restaurant in this city."
        self._tools: Mapping[str, Callable[[Call], Answer]] = {
            "FlightSearch": self._flights,
            "AttractionSearch": self._places(tables.attractions, "Attraction", no_attraction),
            # The original answers with the attractions' words where a city has no lodging.
            "AccommodationSearch": self._places(tables.accommodations, "Accommodation", no_attraction),
            "RestaurantSearch": self._places(tables.restaurants, "Restaurant", no_restaurant),
            "CitySearch": self._in_state,
            "GoogleDistanceMatrix": self._distance,
        }

    def __contains__(self, tool: object) -> bool:
        return tool in self._tools

    def run(self, call: Call) -> Answer:
        """The answer to a call of one of these tools."""
        answer = self._kept.get(call)
        if answer is None:
            answer = self._tools[call.tool](call)
            if "\n" in (answer.result or ""):  # a table: there are only so many, unlike texts that agents make up
                self._kept[call] = answer
        return answer

    def _flights(self, call: Call) -> Answer:
        if len(call.arguments) < 3:
            return _illegal("Flight Search")
        origin, destination, date = call.arguments[:3]
        if not is_date(date):
            return Answer(f"'{date}' is not in the format YYYY-MM-DD", "Illegal args. DateError", masks=False)
        for city in (origin, destination):
            if city not in self._cities:
                return self._no_city(city)
        found = self._tables.flights.search(origin, destination, date)
        text = found.to_string() if found else f"There is no flight from {origin} to {destination} on {date}."
        unknown = not found and not self._tables.flights.knows(origin, destination, date)
        return Answer(text, result=text, unknown_leg=unknown)

    def _places(self, places: Places, kind: str, none: str) -> Callable[[Call], Answer]:
        def search(call: Call) -> Answer:
            if call.argument not in self._cities:
                return self._no_city(call.argument)
            found = places.in_city(call.argument)
            text = found.to_string() if found else none
            return Answer(text.strip(), result=text)

        return search

    def _in_state(self, call: Call) -> Answer:
        cities = self._tables.cities.in_state(call.argument)
        return Answer(str(cities) if cities else "Invalid State")

    def _distance(self, call: Call) -> Answer:
        if len(call.arguments) < 3:
            # The original hides the earlier result before it looks at the arguments of this tool.
            return Answer("Illegal GoogleDistanceMatrix. Please try again.", "Illegal args. Other Error")
        text = self._tables.distances.describe(*call.arguments[:3])
        return Answer(text, result=text)

    def _no_city(self, city: str) -> Answer:
        return Answer(f"{city} is not valid city in {self._all_cities}.", "Illegal args. City Error", masks=False)


def _illegal(search: str) -> Answer:
    return Answer(f"Illegal {search}. Please try again.", "Illegal args. Other Error", masks=False)
