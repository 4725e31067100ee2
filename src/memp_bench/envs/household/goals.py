"""What is asked for: six families, their sentences and goals, and which splits may ask for what."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

from memp.errors import UnknownName
from memp_bench.envs.household.house import LAYOUTS, Layout, layouts
from memp_bench.envs.household.tables import INITIALS, LAMP, LAMP_KEPT, OBJECTS, Room, can_contain, in_room

Family = Literal["put", "clean", "heat", "cool", "examine", "put_two"]
FAMILIES: tuple[Family, ...] = get_args(Family)

SPLITS: Mapping[str, int] = {"train": 600, "seen": 120, "unseen": 120}
"""Games of each split. An index's family is `FAMILIES[index % 6]`."""

_UNSEEN_LAYOUTS = 3
"""The last three layouts of every room are kept for the unseen split."""

_LIT: tuple[Room, ...] = ("bedroom", "livingroom")
"""Rooms with a lamp."""

_SENTENCES: Mapping[Family, tuple[str, str]] = {
    "put": ("put a {obj} in {target}", "put some {obj} on {target}"),
    "clean": ("put a clean {obj} in {target}", "clean some {obj} and put it in {target}"),
    "heat": ("put a hot {obj} in {target}", "heat some {obj} and put it in {target}"),
    "cool": ("put a cool {obj} in {target}", "cool some {obj} and put it in {target}"),
    "examine": ("look at {obj} under the {target}", "examine the {obj} with the {target}"),
    "put_two": ("put two {obj} in {target}", "find two {obj} and put them in {target}"),
}
"""ALFWorld's own templates."""

_NEEDS: Mapping[Family, tuple[str, str]] = {
    "clean": ("w", "SinkBasin"),
    "heat": ("h", "Microwave"),
    "cool": ("c", "Fridge"),
}
"""The ability the object needs, and the appliance the room needs (never the target itself)."""


@dataclass(frozen=True)
class Goal:
    """One task in words and in PDDL."""

    family: Family
    obj: str
    target: str
    """Receptacle kind, or the lamp."""
    sentence: str

    @property
    def pair(self) -> tuple[str, str]:
        """Object and target: what the unseen split never shares with the others."""
        return self.obj, self.target


def check_split(split: str) -> None:
    """Raises `UnknownName` when there is no such split."""
    if split not in SPLITS:
        raise UnknownName("split", split, SPLITS)


def split_layouts(seed: int, split: str, room: Room) -> tuple[Layout, ...]:
    """The layouts a split may use. `train` and `seen` share theirs; `unseen` has its own."""
    check_split(split)
    known = LAYOUTS - _UNSEEN_LAYOUTS
    return layouts(seed, room)[known:] if split == "unseen" else layouts(seed, room)[:known]


@lru_cache(maxsize=16)
def held_out(seed: int) -> frozenset[tuple[str, str]]:
    """The (object, target) pairs that only the unseen split asks for: about a third of each object's targets."""
    rng = random.Random(f"memp household pairs {seed}")
    chosen: set[tuple[str, str]] = set()
    for obj in OBJECTS:
        targets = sorted({*OBJECTS[obj].kept, *OBJECTS[obj].fits.split()})
        chosen.update((obj, target) for target in rng.sample(targets, len(targets) // 3))
    lit = [obj for obj in OBJECTS if any(in_room(obj, room) for room in _LIT)]
    chosen.update((obj, LAMP) for obj in rng.sample(lit, len(lit) // 3))
    return frozenset(chosen)


def pairs(seed: int, split: str, family: Family, layout: Layout) -> list[tuple[str, str]]:
    """What a split may ask for in a layout, in a fixed order."""
    if family == "examine":
        lit = layout.room in _LIT and layout.kinds & LAMP_KEPT.keys()
        fitting = [(obj, LAMP) for obj in OBJECTS] if lit else []
    else:
        fitting = [(obj, target) for obj in OBJECTS for target in sorted(layout.kinds) if can_contain(target, obj)]
    ability, appliance = _NEEDS.get(family, ("", ""))
    return [
        (obj, target)
        for obj, target in fitting
        if in_room(obj, layout.room)
        and ability in OBJECTS[obj].can
        and target != appliance
        and (not appliance or appliance in layout.kinds)
        and (family != "put_two" or OBJECTS[obj].most > 1)
        and any(place in layout.kinds and place != target for place in OBJECTS[obj].kept)
        and ((obj, target) in held_out(seed)) == (split == "unseen")
    ]


def draw_goal(rng: random.Random, seed: int, split: str, family: Family) -> tuple[Goal, Layout]:
    """A goal and the layout to play it in; every room, then every object, then every target is as likely."""
    while True:
        room = rng.choice(list(INITIALS))
        layout = rng.choice(split_layouts(seed, split, room))
        possible = pairs(seed, split, family, layout)
        if not possible:
            continue
        obj = rng.choice(sorted({obj for obj, _ in possible}))
        target = rng.choice([target for name, target in possible if name == obj])
        words = rng.choice(_SENTENCES[family]).format(obj=obj.lower(), target=target.lower())
        return Goal(family, obj, target, words + "."), layout


_STATES: Mapping[Family, str] = {
    "put": "",
    "clean": "(cleanable ?o) (isClean ?o) ",
    "heat": "(heatable ?o) (isHot ?o) ",
    "cool": "(coolable ?o) (isCool ?o) ",
}


def goal_pddl(goal: Goal) -> str:
    """The goal as ALFWorld writes it."""
    if goal.family == "examine":
        return (
            "(and (exists (?ot - object ?r - receptacle ?a - agent ?l - location)\n"
            f"        (and (objectType ?ot {goal.target}Type) (toggleable ?ot) (isToggled ?ot)\n"
            "             (receptacleAtLocation ?r ?l) (atLocation ?a ?l) (inReceptacle ?ot ?r)))\n"
            f"     (exists (?o - object ?a - agent) (and (objectType ?o {goal.obj}Type) (holds ?a ?o))))"
        )
    if goal.family == "put_two":
        one, other = (_lies_in(goal, name) for name in ("?o1", "?o2"))
        return (
            f"(exists (?r - receptacle) (exists (?o1 - object) (and {one}\n"
            f"        (exists (?o2 - object) (and (not (= ?o1 ?o2)) {other})))))"
        )
    state = _STATES[goal.family]
    return f"(exists (?r - receptacle) (exists (?o - object) (and {state}{_lies_in(goal, '?o')})))"


def _lies_in(goal: Goal, name: str) -> str:
    return f"(objectType {name} {goal.obj}Type) (receptacleType ?r {goal.target}Type) (inReceptacle {name} ?r)"
