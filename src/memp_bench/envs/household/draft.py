"""Draw a game: pure, cheap and the same on every machine; whether it can be won is found out by `solve`."""

import random
from dataclasses import dataclass

from memp_bench.envs.household.goals import FAMILIES, Family, Goal, draw_goal
from memp_bench.envs.household.house import House, draw_house
from memp_bench.envs.household.problem import problem_for
from memp_bench.envs.household.tables import OBJECTS

GENERATOR = 1
"""Version of the generator. Raise it whenever a draft changes: it names the cache and is part of every draw."""

_SPARE = 0.3
"""How often there is one more instance than the task needs."""


@dataclass(frozen=True)
class Draft:
    """A game that nobody has solved yet."""

    name: str
    goal: Goal
    house: House

    @property
    def problem(self) -> str:
        """The PDDL problem."""
        return problem_for(self.name, self.house, self.goal)


def family_of(index: int) -> Family:
    """The family of a game: they take turns."""
    return FAMILIES[index % len(FAMILIES)]


def draw(seed: int, split: str, index: int, attempt: int = 0) -> Draft:
    """Game number `index` of a split; `attempt` counts the redraws after drafts that could not be won."""
    rng = random.Random(f"memp household {GENERATOR} {seed} {split} {index} {attempt}")
    family = family_of(index)
    goal, layout = draw_goal(rng, seed, split, family)
    copies = 2 if family == "put_two" else 1
    if copies < OBJECTS[goal.obj].most + (family == "put_two") and rng.random() < _SPARE:
        copies += 1
    keep_out = frozenset[str]() if family == "examine" else frozenset({goal.target})
    house = draw_house(rng, layout, goal.obj, copies=copies, keep_out=keep_out, lamp=family == "examine")
    return Draft(f"household_{GENERATOR}_{seed}_{split}_{index}_{attempt}", goal, house)
