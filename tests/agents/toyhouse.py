"""A small text world in the manner of ALFWorld, in plain Python: the environment double of the agent's tests."""

import random
import re
from collections.abc import Mapping

from memp_bench.envs.base import Observation, Opening, Task

COMMANDS = [
    (re.compile(pattern), name)
    for pattern, name in [
        (r"go to (\S+ \d+)", "go"),
        (r"open (\S+ \d+)", "open"),
        (r"take (\S+ \d+) from (\S+ \d+)", "take"),
        (r"move (\S+ \d+) to (\S+ \d+)", "move"),
        (r"use (\S+ \d+)", "use"),
        (r"(heat|cool|clean) (\S+ \d+) with (\S+ \d+)", "work"),
    ]
]


def kind(name):
    return name.rpartition(" ")[0]


def listing(names):
    items = [f"a {name}" for name in names]
    if not items:
        return "nothing"
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])}, and {items[-1]}"


class ToyHouse:
    """`contents`: place -> things; `closed`: places with a door; `works`: verb -> types of place that do it."""

    def __init__(self, task, contents, closed, works, thing, place="", verb="", tool="", count=1):
        self.task, self.works, self.thing, self.place = task, works, thing, place
        self.verb, self.tool, self.count = verb, tool, count
        self._contents, self._closed = contents, set(closed)
        self.steps = 0

    async def reset(self, task: Task) -> Opening:
        self.contents = {place: list(things) for place, things in self._contents.items()}
        self.closed, self.doors = set(self._closed), set(self._closed)
        self.here = self.hand = None
        self.done_to: set[tuple[str, str]] = set()
        self.lit: set[str] = set()
        text = f"You are in the middle of a room. Looking quickly around you, you see {listing(self.contents)}."
        return Opening(task=self.task, observation=Observation(text=text))

    async def step(self, action: str) -> Observation:
        self.steps += 1
        for pattern, name in COMMANDS:
            found = pattern.fullmatch(action.strip())
            if found and (text := getattr(self, f"_{name}")(*found.groups())):
                won = self._won()
                return Observation(text=text, reward=float(won), done=won)
        return Observation(text="Nothing happens.", invalid=True)

    async def close(self) -> None:
        pass

    def _show(self, place):
        if place in self.closed:
            return f"The {place} is closed."
        things = listing(self.contents[place])
        if place in self.doors:
            return f"The {place} is open. In it, you see {things}."
        return f"On the {place}, you see {things}."

    def _go(self, place):
        if place in self.contents and place != self.here:
            self.here = place
            return f"You arrive at {place}. {self._show(place)}"
        return ""

    def _open(self, place):
        if place == self.here and place in self.closed:
            self.closed.discard(place)
            return f"You open the {place}. {self._show(place)}"
        return ""

    def _take(self, thing, place):
        if self.hand is None and place == self.here and place not in self.closed and thing in self.contents[place]:
            self.contents[place].remove(thing)
            self.hand = thing
            return f"You pick up the {thing} from the {place}."
        return ""

    def _move(self, thing, place):
        if self.hand == thing and place == self.here and place not in self.closed:
            self.contents[place].append(thing)
            self.hand = None
            return f"You move the {thing} to the {place}."
        return ""

    def _use(self, thing):
        if self.here and kind(thing) == self.tool and thing in self.contents[self.here]:
            self.lit.add(self.here)
            return f"You turn on the {thing}."
        return ""

    def _work(self, verb, thing, place):
        if self.hand == thing and place == self.here and kind(place) in self.works.get(verb, ()):
            self.done_to.add((verb, thing))
            return f"You {verb} the {thing} using the {place}."
        return ""

    def _won(self):
        if self.tool:
            return bool(self.hand) and kind(self.hand) == self.thing and self.here in self.lit
        return any(
            sum(kind(thing) == self.thing and (not self.verb or (self.verb, thing) in self.done_to) for thing in things)
            >= self.count
            for place, things in self.contents.items()
            if kind(place) == self.place
        )


NAMES: Mapping[str, str] = {
    "microwave": "zorb", "fridge": "quil", "sinkbasin": "brant", "countertop": "mopse", "cabinet": "felk",
    "drawer": "trill", "shelf": "vonk", "mug": "plim", "apple": "grot", "plate": "snarf", "desklamp": "hux",
    "garbagecan": "yelp", "stoveburner": "dend", "table": "krom", "book": "wist",
}  # fmt: skip


def kitchen(seed: int, task: str, thing: str, **goal) -> ToyHouse:
    """A kitchen with seeded places for its things."""
    draw = random.Random(seed)
    counts = {"cabinet": 5, "countertop": 2, "drawer": 3, "fridge": 1, "garbagecan": 1, "microwave": 1}
    counts |= {"shelf": 2, "sinkbasin": 1, "stoveburner": 3, "table": 1}
    places = [f"{name} {i}" for name, n in counts.items() for i in range(n, 0, -1)]
    contents: dict[str, list[str]] = {place: [] for place in places}
    for name, homes in {
        "mug": ["cabinet", "shelf"], "apple": ["countertop", "fridge"], "plate": ["cabinet", "table"],
        "book": ["table", "shelf"], "desklamp": ["table"],
    }.items():  # fmt: skip
        for i in (1, 2):
            contents[draw.choice([place for place in places if kind(place) in homes])].append(f"{name} {i}")
    closed = [place for place in places if kind(place) in {"cabinet", "drawer", "fridge", "microwave"}]
    works = {"heat": {"microwave"}, "cool": {"fridge"}, "clean": {"sinkbasin"}}
    return ToyHouse(task, contents, closed, works, thing, **goal)
