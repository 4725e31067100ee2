"""The one protocol for environments: text in, text out."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from pydantic import Field

from memp.models.base import ChatModel
from memp.records import Record, Usage


class Task(Record):
    """One task of a benchmark, before it is played."""

    id: str
    """Unique and stable within the benchmark, for example `valid_seen/pick_.../trial_...`."""
    family: str
    """Kind of task, for tables only; never shown to an agent."""
    payload: Mapping[str, str] = Field(default_factory=dict)
    """What the environment needs to set it up (a path, a seed)."""


class Observation(Record):
    """What the agent sees after a reset or a step."""

    text: str
    reward: float = 0.0
    """Reward of the episode so far, 0 to 1."""
    done: bool = False
    invalid: bool = False
    """The action was not understood or had no effect."""
    admissible: tuple[str, ...] | None = None
    """Commands the environment would accept now, where it can tell. Agents see them only on request."""
    masked: tuple[str, str] | None = None
    """(text, what stands for it): the agent's history since the task shows the text no longer. The record keeps it."""
    verdict: str = ""
    """What a judge says about the episode so far. For the record: the agent does not see it."""
    product: str = ""
    """What the episode has made so far, where that is more than the steps (a plan, as JSON)."""
    counts: Mapping[str, int] = Field(default_factory=dict)
    """What the environment counted in the episode so far, for reports."""
    usage: Mapping[str, Usage] = Field(default_factory=dict)
    """What models of the environment's own (a planner) consumed in this step, by purpose."""


class Opening(Record):
    """What a reset gives: the task in words and the first observation."""

    task: str
    observation: Observation
    given: str = ""
    """Material that comes with the task (tables). The agent reads it; no record keeps it, for the benchmark can make it
    again, and a memory of tables would hold nothing else."""


@runtime_checkable
class Environment(Protocol):
    """A place where one episode at a time is played."""

    async def reset(self, task: Task) -> Opening:
        """Set the task up and return it.

        Raises:
            EnvironmentFailed: the task could not be set up; says which and why.
        """

    async def step(self, action: str) -> Observation:
        """Do `action`.

        Raises:
            EnvironmentFailed: the environment crashed or stalled.
        """

    async def close(self) -> None:
        """End the episode and free what it held."""


@runtime_checkable
class ReadsReplies(Protocol):
    """An environment that finds the action in a reply by rules of its own (a whole text, several lines)."""

    def read(self, reply: str) -> tuple[str, str | None]:
        """The thought and the action in `reply`; None where there is no action."""


@runtime_checkable
class Remembers(Protocol):
    """An environment with models of its own that should read what was recalled for the task, too."""

    def remember(self, recalled: str) -> None:
        """Take the recalled text, once, after the reset and before the first step."""


@runtime_checkable
class Benchmark(Protocol):
    """A set of tasks with the environments to play them in."""

    @property
    def name(self) -> str:
        """`alfworld`, `household` ..."""

    @property
    def instructions(self) -> str:
        """System prompt: the rules and the action grammar, and nothing about where things are."""

    @property
    def example(self) -> str:
        """An optional one-shot example, or an empty string."""

    @property
    def splits(self) -> Sequence[str]:
        """Names of the splits."""

    def tasks(self, split: str, *, games: int | None = None, seed: int = 0) -> Sequence[Task]:
        """The tasks of a split in a fixed order, each exactly once; `games` takes a seeded sample.

        Raises:
            UnknownName: no such split.
        """

    def environment(self) -> Environment:
        """A new environment."""

    async def close(self) -> None:
        """Stop workers and free what they held."""


@runtime_checkable
class Measures(Protocol):
    """A benchmark with metrics of its own beside the success rate."""

    def measure(self, products: Mapping[str, str]) -> Mapping[str, float]:
        """The metrics, 0 to 1 each, over episodes given as task id -> what was made (see `Observation.product`)."""


class Rate(Record):
    """So many of so many."""

    passed: int = Field(ge=0)
    total: int = Field(ge=0)

    @property
    def value(self) -> float:
        """The share, 0 to 1; 0 of nothing."""
        return self.passed / self.total if self.total else 0.0


@runtime_checkable
class MeasuresTasks(Protocol):
    """A benchmark whose metrics are shares that add up over tasks, so that a study can say how sure they are."""

    def rates(self, products: Mapping[str, str]) -> Mapping[str, Mapping[str, Rate]]:
        """What each task adds to each metric: task id -> metric -> so many of so many, from what `measure` is given.

        Summed up over tasks they are the metrics that `measure` gives.
        """


@runtime_checkable
class PlansWithModel(Protocol):
    """A benchmark whose environments ask a model of their own, beside the agent."""

    def plan_with(self, planner: ChatModel) -> None:
        """Have `planner` answer in environments made from now on."""
