"""One house: places with things in them, doors, and verbs that work at some types of place."""

import re
from collections.abc import Collection, Mapping, Sequence

from memp_bench.envs.base import Observation, Opening, Task

_COMMANDS = [
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


def kind(name: str) -> str:
    """The type of a thing or a place: its name without the number."""
    return name.rpartition(" ")[0]


def _listing(names: Sequence[str]) -> str:
    items = [f"a {name}" for name in names]
    if not items:
        return "nothing"
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])}, and {items[-1]}"


class House:
    """An environment in the manner of ALFWorld. What is wanted: things of type `thing` at a `place`, with `verb` done
    to them, or in hand beside a `tool` that is on.

    Args:
        task: the task in words.
        contents: place -> things.
        closed: places with a door, shut at first.
        works: verb -> types of place where it works.
        ruins: verb -> types of place where the thing is destroyed by it.
        thing, place, verb, tool: types; empty where the task does not ask for one.
        count: how many things.
    """

    def __init__(
        self,
        task: str,
        contents: Mapping[str, Sequence[str]],
        closed: Collection[str],
        works: Mapping[str, Collection[str]],
        thing: str,
        place: str = "",
        verb: str = "",
        tool: str = "",
        count: int = 1,
        *,
        ruins: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        self.task, self.works, self.thing, self.place = task, works, thing, place
        self.verb, self.tool, self.count = verb, tool, count
        self.contents_at_first, self._closed = contents, set(closed)
        self.ruins = ruins or {}
        self.steps = 0

    async def reset(self, task: Task) -> Opening:
        """See `Environment.reset`."""
        del task
        self.contents = {place: list(things) for place, things in self.contents_at_first.items()}
        self.closed, self.doors = set(self._closed), set(self._closed)
        self.here = ""
        self.hand = ""
        self.done_to: set[tuple[str, str]] = set()
        self.lit: set[str] = set()
        text = f"You are in the middle of a room. Looking quickly around you, you see {_listing(list(self.contents))}."
        return Opening(task=self.task, observation=Observation(text=text))

    async def step(self, action: str) -> Observation:
        """See `Environment.step`."""
        self.steps += 1
        for pattern, name in _COMMANDS:
            found = pattern.fullmatch(action.strip())
            if found and (text := getattr(self, f"_{name}")(*found.groups())):
                won = self._won()
                return Observation(text=text, reward=float(won), done=won)
        return Observation(text="Nothing happens.", invalid=True)

    async def close(self) -> None:
        """Nothing is held."""

    def _show(self, place: str) -> str:
        if place in self.closed:
            return f"The {place} is closed."
        things = _listing(self.contents[place])
        if place in self.doors:
            return f"The {place} is open. In it, you see {things}."
        return f"On the {place}, you see {things}."

    def _go(self, place: str) -> str:
        if place in self.contents and place != self.here:
            self.here = place
            return f"You arrive at {place}. {self._show(place)}"
        return ""

    def _open(self, place: str) -> str:
        if place == self.here and place in self.closed:
            self.closed.discard(place)
            return f"You open the {place}. {self._show(place)}"
        return ""

    def _take(self, thing: str, place: str) -> str:
        if not self.hand and place == self.here and place not in self.closed and thing in self.contents[place]:
            self.contents[place].remove(thing)
            self.hand = thing
            return f"You pick up the {thing} from the {place}."
        return ""

    def _move(self, thing: str, place: str) -> str:
        if self.hand == thing and place == self.here and place not in self.closed:
            self.contents[place].append(thing)
            self.hand = ""
            return f"You move the {thing} to the {place}."
        return ""

    def _use(self, thing: str) -> str:
        if self.here and kind(thing) == self.tool and thing in self.contents[self.here]:
            self.lit.add(self.here)
            return f"You turn on the {thing}."
        return ""

    def _work(self, verb: str, thing: str, place: str) -> str:
        if self.hand == thing and place == self.here and kind(place) in self.works.get(verb, ()):
            self.done_to.add((verb, thing))
            return f"You {verb} the {thing} using the {place}."
        if self.hand == thing and place == self.here and kind(place) in self.ruins.get(verb, ()):
            self.hand = ""
            return f"You {verb} the {thing} using the {place}. The {thing} is ruined, nothing is left of it."
        return ""

    def _won(self) -> bool:
        if self.tool:
            return bool(self.hand) and kind(self.hand) == self.thing and self.here in self.lit
        return any(
            sum(kind(thing) == self.thing and (not self.verb or (self.verb, thing) in self.done_to) for thing in things)
            >= self.count
            for place, things in self.contents.items()
            if kind(place) == self.place
        )
