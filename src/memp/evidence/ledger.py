"""The outcomes of a namespace as tallies, read once and then caught up with."""

import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field

from memp.evidence.reading import OutcomeReader
from memp.records import Outcome
from memp.stores.base import Store

USE_DECAY = 0.5 ** (1 / 500)
"""How often a procedure is used lately: a use 500 tasks ago counts half."""

FRESH_DECAY = 0.5 ** (1 / 200)
"""How a procedure did lately, where the world may have changed: a task 200 tasks ago counts half."""

DECAY = 0.95
"""A procedure's older tasks count for less, by this factor for each later one: the world may change."""


@dataclass
class Tally:
    """Tasks on one side: with memory, or without."""

    count: int = 0
    won: int = 0
    recent: float = 0.0
    """As `count`, older tasks counting for less."""
    recent_won: float = 0.0
    steps: float = 0.0
    steps_squared: float = 0.0
    tokens: float = 0.0
    with_tokens: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def add(self, outcome: Outcome) -> None:
        """Count one task."""
        self.count += 1
        self.won += outcome.success
        self.recent = self.recent * DECAY + 1
        self.recent_won = self.recent_won * DECAY + outcome.success
        self.steps += outcome.steps
        self.steps_squared += outcome.steps**2
        if outcome.tokens is not None:
            self.tokens += outcome.tokens
            self.with_tokens += 1


@dataclass
class Sides:
    """Tasks with memory and tasks from which it was withheld."""

    served: Tally = field(default_factory=Tally)
    withheld: Tally = field(default_factory=Tally)
    families: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: "Sides") -> "Sides":
        return Sides(self.served + other.served, self.withheld + other.withheld, self.families + other.families)

    def add(self, outcome: Outcome) -> None:
        """Count one task on its side."""
        (self.withheld if outcome.withheld else self.served).add(outcome)
        self.families[outcome.family] += 1


@dataclass
class Agent:
    """What is known of the tasks of one model."""

    overall: Sides = field(default_factory=Sides)
    families: dict[str, Sides] = field(default_factory=lambda: defaultdict(Sides))
    procedures: dict[tuple[str, int], Sides] = field(default_factory=lambda: defaultdict(Sides))
    """By id and the first revision that said the same."""

    fresh: dict[tuple[str, int], tuple[float, float, int]] = field(default_factory=dict)
    """By the same: tasks and won ones, older ones counting for less, and the number of the last one."""

    tasks: dict[str, tuple[list[bool], list[bool]]] = field(default_factory=lambda: defaultdict(lambda: ([], [])))
    """By task: whether it was won each time with memory, and each time without."""

    def of(self, keys: Iterable[tuple[str, int]]) -> Sides | None:
        """What is known of all of these together; None when nothing is."""
        known = [self.procedures[key] for key in keys if key in self.procedures]
        return None if not known else known[0] if len(known) == 1 else sum(known[1:], start=known[0])


class Ledger:
    """What is known of how tasks went, with what was served or withheld for them. A view of the store.

    Threads that share one read it within `current`.
    """

    def __init__(self, store: Store, namespace: str) -> None:
        self._store = store
        self._namespace = namespace
        self._reader = OutcomeReader(store, namespace)
        self._lock = threading.RLock()
        self._start()

    def _start(self) -> None:
        self._sides: Counter[bool] = Counter()
        self._first: Counter[tuple[str, bool]] = Counter()
        self._same: dict[tuple[str, int], int] = {}
        self._merged: dict[tuple[str, int], set[tuple[str, int]]] = defaultdict(set)
        self._uses: dict[str, tuple[float, int]] = {}
        self.count = 0
        """Tasks for which there was something to serve."""
        self.agents: dict[str, Agent] = defaultdict(Agent)

    def refresh(self) -> bool:
        """Catch up with what this and other processes recorded. True when there was anything new.

        When anything was erased for good since, all is read again: what it said must not count.
        """
        with self._lock:
            afresh, outcomes = self._reader.read()
            if afresh:
                self._start()
            for outcome in outcomes:
                self._add(outcome)
            return bool(outcomes)

    @contextmanager
    def current(self) -> "Iterator[Ledger]":
        """The ledger, caught up, while no other thread changes it."""
        with self._lock:
            self.refresh()
            yield self

    def _add(self, outcome: Outcome) -> None:
        named = outcome.withheld or outcome.credited
        if not named:  # there was nothing to serve: it says nothing about memory
            return
        self._sides[bool(outcome.withheld)] += 1
        self._first[named[0][0], bool(outcome.withheld)] += 1
        self.count += 1
        for id, _ in named:
            self._uses[id] = (self.use(id) + 1, self.count)
        agent = self.agents[outcome.agent]
        agent.overall.add(outcome)
        agent.families[outcome.family].add(outcome)
        for id, number in named:
            agent.procedures[id, self.saying(id, number)].add(outcome)
            if not outcome.withheld:
                key = (id, self.saying(id, number))
                count, won = self.lately(agent, key)
                agent.fresh[key] = (count + 1, won + outcome.success, self.count)
        if outcome.task_key:
            agent.tasks[outcome.task_key][bool(outcome.withheld)].append(outcome.success)

    @property
    def all(self) -> tuple[int, int]:
        """How many tasks had, or would have had, anything served: (served, withheld)."""
        return self._sides[False], self._sides[True]

    def busiest(self) -> str:
        """The agent with the most tasks for which something was served; empty when there is none."""
        return max(sorted(self.agents), key=lambda name: self.agents[name].overall.served.count, default="")

    def under(self, procedure_id: str) -> tuple[int, int]:
        """How many tasks had, or would have had, this procedure first: (served, withheld)."""
        return self._first[procedure_id, False], self._first[procedure_id, True]

    def saying(self, id: str, number: int) -> int:
        """The first revision of a procedure that says what revision `number` says: they share their evidence."""
        if number == 1:
            return 1
        if (id, number) not in self._same:
            first: dict[str, int] = {}
            for revision, _, _ in self._store.history(self._namespace, id):
                said = revision.content.model_dump_json()
                self._same[id, revision.number] = same = first.setdefault(said, revision.number)
                self._merged[id, same].update(revision.merged)
        return self._same.get((id, number), number)

    def keys(self, id: str, number: int) -> list[tuple[str, int]]:
        """Under what the evidence of a procedure at a revision stands: itself, and what it took up by merging."""
        found = [(id, self.saying(id, number))]
        for key in found:  # it grows: what was taken up may have taken up others
            merged = sorted((other, self.saying(other, at)) for other, at in self._merged.get(key, ()))
            found += [other for other in merged if other not in found]
        return found

    def lately(self, agent: Agent, key: tuple[str, int]) -> tuple[float, float]:
        """Tasks and won ones of a procedure, older ones counting for less by the tasks there were since.

        Where it comes from is one won task: what was never served is as good as what just worked.
        """
        count, won, at = agent.fresh.get(key, (1.0, 1.0, self.count))
        weight = FRESH_DECAY ** (self.count - at)
        return count * weight, won * weight

    def use(self, id: str) -> float:
        """For how many tasks the procedure was, or would have been, served; older ones count for less."""
        uses, at = self._uses.get(id, (0.0, self.count))
        return uses * USE_DECAY ** (self.count - at)
