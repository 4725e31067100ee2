"""Draw a house: a layout of receptacles, and the things in them."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from memp_bench.envs.household.tables import LAMP, LAMP_KEPT, OBJECTS, ROOMS, Room, in_room

LAYOUTS = 9
"""Layouts a room comes in, numbered from 1."""
_FEWEST_RECEPTACLES, _MOST_RECEPTACLES = 16, 20
_FEWEST_THINGS, _MOST_THINGS = 14, 20
"""Wanted; a room with few kinds of things may hold fewer."""


@dataclass(frozen=True)
class Receptacle:
    """A piece of furniture or an appliance, with a place of its own to stand in front of it."""

    kind: str
    id: str
    location: str


@dataclass(frozen=True)
class Layout:
    """The receptacles of one room. Every house with this layout has the same, in the same places."""

    room: Room
    number: int
    receptacles: tuple[Receptacle, ...]

    @property
    def kinds(self) -> frozenset[str]:
        """Kinds of receptacles there are."""
        return frozenset(receptacle.kind for receptacle in self.receptacles)


@dataclass(frozen=True)
class Thing:
    """An object and the receptacle it lies in."""

    kind: str
    id: str
    place: Receptacle


@dataclass(frozen=True)
class House:
    """A layout with things in it."""

    layout: Layout
    things: tuple[Thing, ...]


@lru_cache(maxsize=64)
def layouts(seed: int, room: Room) -> tuple[Layout, ...]:
    """All layouts of a room, no two with the same receptacles: each number stands for a different room."""
    found: list[Layout] = []
    seen: set[tuple[tuple[str, int], ...]] = set()
    rng = random.Random(f"memp household layouts {seed} {room}")
    while len(found) < LAYOUTS:
        counts = {kind: rng.randint(low, high) for kind, (low, high) in ROOMS[room].items()}
        key = tuple(sorted(counts.items()))
        if key in seen or not _FEWEST_RECEPTACLES <= sum(counts.values()) <= _MOST_RECEPTACLES:
            continue
        seen.add(key)
        found.append(Layout(room, len(found) + 1, _furnish(rng, counts)))
    return tuple(found)


def _furnish(rng: random.Random, counts: Mapping[str, int]) -> tuple[Receptacle, ...]:
    kinds = [kind for kind, count in counts.items() for _ in range(count)]
    spots = rng.sample([(x, y) for x in range(-9, 10) for y in range(-9, 10)], len(kinds))
    placed = []
    for kind, (x, y) in zip(kinds, spots, strict=True):
        location = f"loc_bar_{_whole(x)}_bar_{_whole(y)}_bar_{rng.randrange(4)}_bar_{rng.choice((30, 45, 60))}"
        placed.append(Receptacle(kind, _receptacle_id(kind, rng, x, y), location))
    return tuple(placed)


def _whole(number: int) -> str:
    return f"_minus_{-number}" if number < 0 else str(number)


def _coordinate(hundredths: int) -> str:
    sign = "_minus_" if hundredths < 0 else "_plus_"
    return f"{sign}{abs(hundredths) // 100:02d}_dot_{abs(hundredths) % 100:02d}"


def _receptacle_id(kind: str, rng: random.Random, x: int, y: int) -> str:
    where = (x * 25 + rng.randrange(25), rng.randrange(10, 180), y * 25 + rng.randrange(25))
    coordinates = "_bar_".join(_coordinate(part) for part in where)
    if kind.endswith("Basin"):  # AI2-THOR's way: the basin is a part of the sink or the bathtub
        return f"{kind.removesuffix('Basin')}_bar_{coordinates}_bar_{kind}"
    return f"{kind}_bar_{coordinates}"


def draw_house(
    rng: random.Random, layout: Layout, goal: str, *, copies: int, keep_out: frozenset[str], lamp: bool
) -> House:
    """Fill a layout: `copies` things of kind `goal`, none in a receptacle of a kind in `keep_out`, and others.

    The goal must be one that `goals.pairs` allows in this layout: then there is a place for it, and for the lamp.
    """
    filling = _Filling(rng, layout)
    filling.add(goal, OBJECTS[goal].kept, copies, keep_out)
    if lamp:
        filling.add(LAMP, LAMP_KEPT, 1)
    others = [kind for kind in OBJECTS if kind != goal and in_room(kind, layout.room)]
    wanted = rng.randint(_FEWEST_THINGS, _MOST_THINGS)
    for kind in rng.sample(others, len(others)):
        if len(filling.things) >= wanted:
            break
        filling.add(kind, OBJECTS[kind].kept, rng.randint(1, OBJECTS[kind].most))
    return House(layout, tuple(filling.things))


class _Filling:
    """Puts things into the receptacles of a layout."""

    def __init__(self, rng: random.Random, layout: Layout) -> None:
        self.things: list[Thing] = []
        self._rng = rng
        self._layout = layout

    def add(self, kind: str, kept: Mapping[str, int], count: int, keep_out: frozenset[str] = frozenset()) -> None:
        """Things of one kind in usual places, none if there is no such place; kept apart while there are several."""
        free = [place for place in self._layout.receptacles if place.kind in kept and place.kind not in keep_out]
        for _ in range(count if free else 0):
            place = self._rng.choices(free, _weights(free, kept))[0]
            if len(free) > 1:
                free.remove(place)
            self.things.append(Thing(kind, self._new_id(kind), place))

    def _new_id(self, kind: str) -> str:
        used = {thing.id for thing in self.things}
        while True:
            where = [self._rng.randrange(low, high) for low, high in ((-299, 300), (20, 180), (-299, 300))]
            name = f"{kind}_bar_" + "_bar_".join(_coordinate(part) for part in where)
            if name not in used:
                return name


def _weights(places: Sequence[Receptacle], kept: Mapping[str, int]) -> list[float]:
    """The weight belongs to the kind of place: four cabinets share a cabinet's weight."""
    kinds = [place.kind for place in places]
    return [kept[kind] / kinds.count(kind) for kind in kinds]
