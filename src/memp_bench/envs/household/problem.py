"""Write a house and a goal down as a game file for the TextWorld/PDDL engine."""

import importlib.util
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from memp.errors import MissingExtra
from memp_bench.envs.household.goals import Goal, goal_pddl
from memp_bench.envs.household.house import House, Thing
from memp_bench.envs.household.tables import LAMP, OBJECTS, OPENABLE, can_contain

_MIDDLE = "loc_bar_0_bar_0_bar_0_bar_0"
"""Where the agent starts: the middle of the room, in front of nothing. No receptacle is seen from under 30 degrees."""
_ABILITIES = {"h": "heatable", "c": "coolable", "w": "cleanable", "s": "sliceable", "o": "isReceptacleObject"}


@lru_cache(maxsize=1)
def alfred_files() -> tuple[str, str]:
    """ALFWorld's domain (`alfred.pddl`) and grammar (`alfred.twl2`), as the package ships them.

    The package is located without importing it: importing it reads and sets environment variables.

    Raises:
        MissingExtra: alfworld is not installed.
    """
    found = importlib.util.find_spec("alfworld")
    if found is None or not found.submodule_search_locations:
        raise MissingExtra("alfworld", "the household benchmark")
    data = Path(found.submodule_search_locations[0]) / "data"
    return (data / "alfred.pddl").read_text(), (data / "alfred.twl2").read_text()


def grammar_for(goal: Goal) -> str:
    """The grammar with the task's sentence in it."""
    _, grammar = alfred_files()
    return grammar.replace("UNKNOWN GOAL.", goal.sentence)


def problem_for(name: str, house: House, goal: Goal) -> str:
    """The PDDL problem, laid out as ALFWorld's: objects with types, facts, goal."""
    objects = "\n".join(f"        {line}" for line in _objects(house))
    facts = "\n".join(f"        ({fact})" for fact in _facts(house))
    return (
        f"\n(define (problem {name})\n(:domain alfred)\n(:objects\n{objects}\n        )\n\n"
        f"(:init\n{facts}\n        )\n\n(:goal\n    {goal_pddl(goal)}\n)\n)\n"
    )


def _objects(house: House) -> Iterator[str]:
    yield "agent1 - agent"
    for kind in _thing_kinds(house):
        yield f"{kind}Type - otype"
    for kind in sorted(house.layout.kinds):
        yield f"{kind}Type - rtype"
    for thing in house.things:
        yield f"{thing.id} - object"
    for receptacle in house.layout.receptacles:
        yield f"{receptacle.id} - receptacle"
    yield f"{_MIDDLE} - location"
    for receptacle in house.layout.receptacles:
        yield f"{receptacle.location} - location"


def _thing_kinds(house: House) -> list[str]:
    return sorted({thing.kind for thing in house.things})


def _facts(house: House) -> Iterator[str]:
    yield f"atLocation agent1 {_MIDDLE}"
    for receptacle in house.layout.receptacles:
        yield f"receptacleType {receptacle.id} {receptacle.kind}Type"
        yield f"receptacleAtLocation {receptacle.id} {receptacle.location}"
        if receptacle.kind in OPENABLE:
            yield f"openable {receptacle.id}"
    for receptacle_kind in sorted(house.layout.kinds):
        for kind in _thing_kinds(house):
            if kind != LAMP and can_contain(receptacle_kind, kind):
                yield f"canContain {receptacle_kind}Type {kind}Type"
    for thing in house.things:
        yield from _thing_facts(thing)


def _thing_facts(thing: Thing) -> Iterator[str]:
    yield f"objectType {thing.id} {thing.kind}Type"
    yield f"inReceptacle {thing.id} {thing.place.id}"
    yield f"objectAtLocation {thing.id} {thing.place.location}"
    if thing.kind == LAMP:
        yield f"toggleable {thing.id}"
        return
    yield f"pickupable {thing.id}"
    for ability in OBJECTS[thing.kind].can:
        yield f"{_ABILITIES[ability]} {thing.id}"
