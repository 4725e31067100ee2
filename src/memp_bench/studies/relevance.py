"""What makes a memory useful for a task: grades from the tasks' own parameters, and scores of a retrieved order.

Nothing here reads a sentence: ALFWorld's parameters are in the name of a game's folder, a household game's in its file,
and TravelPlanner's in its table of tasks. So a task in other words has the same useful memories.

household, alfworld   1 (family) + 0.5 (object) + 0.5 (receptacle; for `examine` the lamp)
travelplanner         1 (days, and with them the number of cities) + 1 x the share of the kinds of constraint (house
                      rule, cuisine, room type, transportation) that either has and both have; two without any agree

A family (the same days and the same kinds of constraint) is what precision counts.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from memp.errors import EnvironmentFailed
from memp_bench.envs.base import Benchmark, Task
from memp_bench.envs.textworld import game_of
from memp_bench.envs.travelplanner.benchmark import TravelPlanner
from memp_bench.envs.travelplanner.tasks import LocalConstraint, TravelTask

APPLIANCES: Mapping[str, str] = {"clean": "sinkbasin", "heat": "microwave", "cool": "fridge", "examine": "desklamp"}
"""What the work of a family is done with; the other families need nothing."""

_CLASSES: Mapping[str, str] = {
    "closed": "cabinet drawer fridge microwave safe laundryhamper",
    "seat": "armchair bed ottoman sofa",
    "surface": "cart coffeetable countertop desk diningtable dresser shelf sidetable toilet tvstand",
    "basin": "bathtubbasin sinkbasin",
    "fixture": "coffeemachine stoveburner desklamp floorlamp garbagecan",
    "holder": "handtowelholder toiletpaperhanger towelholder",
}
_CLASS_OF = {name: kind for kind, names in _CLASSES.items() for name in names.split()}


class Agreement(NamedTuple):
    """How far a memory's task is like another."""

    grade: float
    kind: bool
    """Of the same kind: what precision counts."""
    parts: Mapping[str, bool]
    """What they agree in, by name."""


class Subject(Protocol):
    """What a task is about."""

    def agreement(self, other: "Subject") -> Agreement:
        """How useful a memory of `other` is for this task."""


class Chore(NamedTuple):
    """A household task."""

    family: str
    object: str
    place: str
    """Receptacle to deliver to; for `examine` the lamp."""

    def agreement(self, other: Subject) -> Agreement:
        """1 (family) + 0.5 (object) + 0.5 (receptacle)."""
        assert isinstance(other, Chore)
        parts = {
            "family": self.family == other.family,
            "object": self.object == other.object,
            "receptacle": self.place == other.place,
            "receptacle class": _class(self.place) == _class(other.place),
            "appliance": APPLIANCES.get(self.family) == APPLIANCES.get(other.family),
        }
        grade = parts["family"] + 0.5 * parts["object"] + 0.5 * parts["receptacle"]
        return Agreement(grade, parts["family"], parts)


class Journey(NamedTuple):
    """A trip to be planned."""

    days: int
    kinds: frozenset[str]
    """Kinds of constraint."""
    level: str
    alone: bool

    def agreement(self, other: Subject) -> Agreement:
        """1 (days) + 1 x Jaccard's index of the kinds of constraint."""
        assert isinstance(other, Journey)
        either = self.kinds | other.kinds
        parts = {
            "days": self.days == other.days,
            "kinds": self.kinds == other.kinds,
            "level": self.level == other.level,
            "alone": self.alone == other.alone,
        }
        grade = parts["days"] + (len(self.kinds & other.kinds) / len(either) if either else 1.0)
        return Agreement(grade, parts["days"] and parts["kinds"], parts)


def subject_of(benchmark: Benchmark, task: Task) -> Subject:
    """What `task` is about, from its parameters.

    A household game must have been made (see `Household.prepare`).

    Raises:
        EnvironmentFailed: the task does not say.
    """
    if isinstance(benchmark, TravelPlanner):
        return journey(benchmark.travel_task(task))
    if benchmark.name == "alfworld":
        parts = task.id.split("/")[1].split("-") if "/" in task.id else []
        if len(parts) == 5:  # kind, object, what it lies in, receptacle, scene
            return Chore(task.family, parts[1].lower(), parts[3].lower())
    elif benchmark.name == "household":
        try:
            drawn = json.loads(Path(game_of(task)).read_bytes())["household"]
            return Chore(str(drawn["family"]), str(drawn["object"]).lower(), str(drawn["target"]).lower())
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise EnvironmentFailed(f"the game of {task.id} does not say what it is about: {error!r}") from None
    raise EnvironmentFailed(f"what {benchmark.name}:{task.id} is about cannot be told from its parameters")


def journey(task: TravelTask) -> Journey:
    """What a trip is about."""
    wishes = task.local_constraint
    kinds = frozenset(name for name in LocalConstraint.model_fields if getattr(wishes, name))
    return Journey(task.days, kinds, task.level, task.people_number == 1)


def ndcg(grades: Sequence[float], all_grades: Iterable[float], k: int) -> float:
    """nDCG@k with linear gain: `grades` of what was retrieved, best first, beside the best order of `all_grades`.

    1 where nothing in the memory is of any use: no order could be better.
    """
    best = _dcg(sorted(all_grades, reverse=True)[:k])
    return _dcg(grades[:k]) / best if best > 0 else 1.0


def precision(kinds: Sequence[bool], k: int) -> float:
    """Share of the first k that are of the task's kind; places left empty count as wrong."""
    return sum(kinds[:k]) / k


def _dcg(grades: Sequence[float]) -> float:
    return float(np.sum(np.asarray(grades, float) / np.log2(np.arange(len(grades)) + 2)))


def _class(place: str) -> str:
    return _CLASS_OF.get(place, place)
