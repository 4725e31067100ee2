"""A stream of tasks in plain houses, whose ways may change: things move, and an appliance stops doing its work."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from memp.errors import EnvironmentFailed, UnknownName
from memp.records import Step, Trajectory
from memp_bench.envs.alfred_rules import INSTRUCTIONS
from memp_bench.envs.base import Observation, Opening, Task
from memp_bench.envs.plain.house import House, kind

OPEN = ("table", "shelf", "counter", "desk", "bench", "rack")
CLOSED = ("cupboard", "drawer", "chest")
APPLIANCES = ("oven", "kettle", "icebox", "cellar", "basin", "tub")
"""Two types of place for each verb: one of them works, the other one after the drift."""
DANGEROUS = {
    "heat": ("oven", "kettle", "stove", "hearth"),
    "cool": ("icebox", "cellar", "well", "larder"),
    "clean": ("basin", "tub", "pump", "trough"),
}
"""Four types of place for each verb in dangerous houses: three of them work, the other one ruins the thing."""
VERBS = {"heat": ("oven", "kettle"), "cool": ("icebox", "cellar"), "clean": ("basin", "tub")}
THINGS = (
    "apple", "bread", "egg", "carrot", "onion", "turnip", "pear", "plum",
    "cup", "bowl", "jug", "pan", "spoon", "knife", "fork", "plate",
    "book", "letter", "coin", "key", "candle", "brush", "cloth", "rope",
)  # fmt: skip
TOOL = "lantern"
FAMILIES = ("put", "heat", "cool", "clean", "look", "two")
SPLITS = ("train", "stream")


@dataclass(frozen=True)
class Ways:
    """How the world is at a time."""

    homes: Mapping[str, str]
    """Type of thing -> type of place where such things are kept."""
    works: Mapping[str, str]
    """Verb -> type of place where it works (in dangerous houses: the one that ruins the thing is another)."""
    ruins: Mapping[str, str] = field(default_factory=dict)
    """Verb -> type of place where it destroys the thing."""


@dataclass(frozen=True)
class Goal:
    """What one task asks for."""

    family: str
    thing: str
    place: str = ""
    verb: str = ""
    tool: str = ""
    count: int = 1

    @property
    def words(self) -> str:
        """The task as a sentence."""
        if self.tool:
            return f"look at the {self.thing} under the {self.tool}."
        if self.count > 1:
            return f"find two {self.thing} and put them in the {self.place}."
        state = {"heat": "hot", "cool": "cool", "clean": "clean"}.get(self.verb, "")
        return f"put a {state + ' ' if state else ''}{self.thing} in the {self.place}."


@dataclass
class PlainHouses:
    """Tasks number 0, 1, ... of a stream; those from `drift_at` on are played in a world whose ways have changed.

    A house has every type of place, some of them several times. Things of a type are kept at one type of place, the
    same in all houses of a time; each verb works at one of its two appliances. A task knows its number, so that
    repeating a stream with the same seed repeats it exactly.

    Args:
        seed: of the ways of the world and of the houses.
        drift_at: number of the first task after the change; None never changes.
        families: the kinds of task, which take turns.
        dangerous: each verb works at three types of place and ruins the thing at a fourth.
    """

    seed: int = 0
    drift_at: int | None = None
    families: Sequence[str] = FAMILIES
    dangerous: bool = False
    name: str = field(default="plain", init=False)
    instructions: str = field(default=INSTRUCTIONS, init=False)
    example: str = field(default="", init=False)
    splits: Sequence[str] = field(default=SPLITS, init=False)

    def ways(self, number: int) -> Ways:
        """How the world is when task `number` of the stream is played."""
        drifted = self.drift_at is not None and number >= self.drift_at
        source = random.Random(f"memp plain {self.seed}")
        homes = {thing: source.choice((*OPEN, *CLOSED)) for thing in (*THINGS, TOOL)}
        works = {verb: source.choice(places) for verb, places in VERBS.items()}
        if drifted:
            moved = random.Random(f"memp plain {self.seed} drifted")
            others = {thing: [place for place in (*OPEN, *CLOSED) if place != home] for thing, home in homes.items()}
            homes = {thing: moved.choice(others[thing]) for thing in homes}
            works = {verb: next(place for place in VERBS[verb] if place != at) for verb, at in works.items()}
        if not self.dangerous:
            return Ways(homes, works)
        ruins = {verb: source.choice(places) for verb, places in DANGEROUS.items()}
        safe = {verb: [place for place in places if place != ruins[verb]] for verb, places in DANGEROUS.items()}
        return Ways(homes, {verb: source.choice(places) for verb, places in safe.items()}, ruins)

    def tasks(self, split: str, *, games: int | None = None, seed: int = 0) -> Sequence[Task]:
        """The first `games` (100) tasks of a split. `train` is played in the first ways of the world.

        Raises:
            UnknownName: no such split.
        """
        if split not in SPLITS:
            raise UnknownName("split", split, SPLITS)
        numbers = range(100 if games is None else games)
        return tuple(
            Task(
                id=f"{split}/{seed}/{number:05d}",
                family=self._goal(split, seed, number).family,
                payload={"split": split, "seed": str(seed), "number": str(number)},
            )
            for number in numbers
        )

    def goal(self, task: Task) -> Goal:
        """What `task` asks for.

        Raises:
            EnvironmentFailed: it is no task of this benchmark.
        """
        return self._goal(*self._where(task))

    def house(self, task: Task) -> House:
        """The house of `task`, as it is at first."""
        split, seed, number = self._where(task)
        goal, ways = self._goal(split, seed, number), self._ways(split, number)
        source = random.Random(f"memp plain {self.seed} {split} {seed} {number} house")
        places = [f"{name} {n}" for name in OPEN for n in range(1, source.randint(1, 2) + 1)]
        places += [f"{name} {n}" for name in CLOSED for n in range(1, source.randint(1, 2) + 1)]
        appliances = [name for names in DANGEROUS.values() for name in names] if self.dangerous else APPLIANCES
        places += [f"{name} 1" for name in appliances]
        source.shuffle(places)
        contents: dict[str, list[str]] = {place: [] for place in places}
        for thing in filter(None, dict.fromkeys((goal.thing, goal.tool, *source.sample(THINGS, 8)))):  # in this order
            homes = [place for place in places if kind(place) == ways.homes[thing]]
            for n in range(1, (goal.count if thing == goal.thing else 1) + 1):
                contents[source.choice(homes)].append(f"{thing} {n}")
        contents = {place: sorted(things) for place, things in contents.items()}
        closed = [place for place in places if kind(place) in CLOSED]
        works: dict[str, tuple[str, ...]] = {verb: (place,) for verb, place in ways.works.items()}
        for verb, ruin in ways.ruins.items():
            works[verb] = tuple(place for place in DANGEROUS[verb] if place != ruin)
        wanted = (goal.thing, goal.place, goal.verb, goal.tool, goal.count)
        ruins = {verb: (place,) for verb, place in ways.ruins.items()}
        return House(goal.words, contents, closed, works, *wanted, ruins=ruins)

    def environment(self) -> "AnyHouse":
        """A new environment."""
        return AnyHouse(self)

    def actions(self, task: Task, ways: Ways | None = None) -> list[str]:
        """What somebody does who knows the world as `ways` (default: as it is) without looking: the expert's actions.

        With other ways than the world's this is a plausible record of what used to work elsewhere.
        """
        goal, house = self.goal(task), self.house(task)
        known = ways or self._ways(*self._where(task)[::2])
        held = {thing: place for place, things in house.contents_at_first.items() for thing in things}
        done: list[str] = []
        at_last = [""]

        opened: set[str] = set()

        def reach(place: str) -> str:
            if not done or at_last[-1] != place:
                done.append(f"go to {place}")
                at_last.append(place)
            if kind(place) in CLOSED and place not in opened:
                done.append(f"open {place}")
                opened.add(place)
            return place

        def place_of(name: str) -> str:
            return next(place for place in house.contents_at_first if kind(place) == name)

        for n in range(1, goal.count + 1):
            thing = f"{goal.thing} {n}"
            at = held[thing] if ways is None else place_of(known.homes[goal.thing])
            done.append(f"take {thing} from {reach(at)}")
            if goal.tool:
                reach(held[f"{goal.tool} 1"] if ways is None else place_of(known.homes[goal.tool]))
                done.append(f"use {goal.tool} 1")
            else:
                if goal.verb:
                    done.append(f"{goal.verb} {thing} with {reach(place_of(known.works[goal.verb]))}")
                done.append(f"move {thing} to {reach(place_of(goal.place))}")
        return done

    async def record(self, task: Task, actions: Sequence[str], id: str, **more: str) -> Trajectory:
        """The trajectory of doing `actions` in the task's house, with its true reward."""
        house = self.house(task)
        opening = await house.reset(task)
        steps, reward = [], 0.0
        for action in actions:
            seen = await house.step(action)
            error = "agent" if seen.invalid else None
            steps.append(Step.parse({"action": action, "observation": seen.text, "error": error}))
            reward = seen.reward
        return Trajectory(
            id=id,
            task=opening.task,
            start=opening.observation.text,
            steps=tuple(steps),
            reward=reward,
            source=f"plain:{task.id}",
            tags={"family": task.family},
            **more,
        )

    async def close(self) -> None:
        """Nothing is held."""

    def _where(self, task: Task) -> tuple[str, int, int]:
        try:
            return task.payload["split"], int(task.payload["seed"]), int(task.payload["number"])
        except (KeyError, ValueError):
            raise EnvironmentFailed(f"{task.id!r} is no task of plain houses; take one from `tasks`") from None

    def _ways(self, split: str, number: int) -> Ways:
        return self.ways(number if split == "stream" else -1)

    def _goal(self, split: str, seed: int, number: int) -> Goal:
        source = random.Random(f"memp plain {self.seed} {split} {seed} {number} goal")
        family, thing = self.families[number % len(self.families)], source.choice(THINGS)
        home = self._ways(split, number).homes[thing]
        place = source.choice([name for name in (*OPEN, *CLOSED) if name != home])
        if family == "look":
            return Goal(family, thing, tool=TOOL)
        verb = family if family in VERBS else ""
        return Goal(family, thing, place, verb, count=2 if family == "two" else 1)


class AnyHouse:
    """The environment of a benchmark of houses: every reset enters the house of the task."""

    def __init__(self, benchmark: PlainHouses) -> None:
        self._benchmark = benchmark
        self._house: House | None = None

    async def reset(self, task: Task) -> Opening:
        """See `Environment.reset`."""
        self._house = self._benchmark.house(task)
        return await self._house.reset(task)

    async def step(self, action: str) -> Observation:
        """See `Environment.step`."""
        assert self._house is not None, "reset comes first"
        return await self._house.step(action)

    async def close(self) -> None:
        """Nothing is held."""
