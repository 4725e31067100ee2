"""A study as data: which tasks, which backbones, which policies, how often. A person can read, copy and change it."""

from collections.abc import Mapping
from typing import Final, Literal, Self

from pydantic import Field, model_validator

from memp.records import Record

Kind = Literal["runs", "recall"]
"""`runs` plays episodes; `recall` scores retrieval alone, without any agent."""


PROVIDER: Final = "provider"
"""In the place of an address: the provider's own."""


class Place(Record):
    """Where the tasks come from."""

    label: str = Field(min_length=1)
    """How tables name it: `ALFWorld dev`."""
    benchmark: str
    split: str
    games: int | None = Field(None, ge=1)
    """A seeded sample; None plays all of the split."""
    mode: str | None = None
    """travelplanner: two-stage or sole-planning."""
    strategy: str | None = None
    wording: str | None = None
    """A list of other words for the tasks (`memp_bench.envs.wording`); None leaves them as they are."""
    max_steps: int = Field(30, ge=1)
    generated: bool = False
    """travelplanner: on a generated country instead of the real tables, for smoke sizes without data."""
    retrieve: str | None = None
    """Here every arm retrieves so, whatever it says itself: the paper does not use one policy on both benchmarks."""
    floor: float | None = Field(None, allow_inf_nan=False)
    """Likewise the least score."""


class Backbone(Record):
    """Who acts, who writes procedures, who embeds."""

    label: str = Field(min_length=1)
    agent: str
    """`openai:gpt-4o`, `anthropic:...`, `sim:novice`."""
    builder: str | None = None
    """Writes scripts, facts and corrections; None: the agent, or `rules` when that is simulated."""
    embedder: str = "static"
    teacher: str | None = None
    """Who plays the training tasks where memory is learned from `played` ones; None: the agent."""
    base_url: str | None = None
    """Of an OpenAI-compatible server; None: each is asked at its provider's own address."""
    builder_base_url: str | None = None
    """The same for builder and teacher, where they are others than the agent; None: at `base_url`; `provider`: at their
    provider's own address."""

    def address_of(self, model: str) -> str | None:
        """Where that model is asked; None is its provider's own address."""
        if model == self.agent or self.builder_base_url is None:
            return self.base_url
        return None if self.builder_base_url == PROVIDER else self.builder_base_url


class Learned(Record):
    """What a memory is built from before the tasks are played."""

    source: Literal["expert", "gold", "played"] = "expert"
    """`expert`: the game's planner; `gold`: the annotators' plans; `played`: what the teacher does without memory."""
    split: str = "train"
    games: int | None = Field(None, ge=1)
    above: float | None = Field(None, ge=0, le=1)
    """Keep trajectories with more reward than this; None keeps the successful ones. ExpeL gets the failures as well."""


class Arm(Record):
    """One way to remember: a row of the table."""

    label: str = Field(min_length=1)
    memory: Literal["none", "new", "learned"] = "learned"
    """`none` plays without; `new` starts empty; `learned` starts from the place's learned memory."""
    build: str = "proceduralization"
    retrieve: str = "query"
    update: str = "adjustment"
    every: int | None = Field(None, ge=1)
    """Update after so many tasks (t); None leaves the memory as it is."""
    discard: bool = False
    holdout: float = Field(0.0, ge=0, lt=1)
    """Share of the recalls that are withheld to measure what memory is worth."""
    guard: bool = False
    """Whether corrections have a cause and prove themselves on trial."""
    k: int = Field(10, ge=1)
    floor: float = Field(0.0, allow_inf_nan=False)
    max_tokens: int | None = Field(None, ge=1)
    """Budget of a recall; None is the benchmark's default."""


class Limits(Record):
    """Where a study stops by itself, cleanly and to be resumed."""

    cost: float | None = Field(None, gt=0)
    """US dollars."""
    tokens: int | None = Field(None, ge=1)
    calls: int | None = Field(None, ge=1)
    hours: float | None = Field(None, gt=0)


class Size(Record):
    """Places, backbones, arms and seeds: the grid that is run."""

    places: tuple[Place, ...] = Field(min_length=1)
    backbones: tuple[Backbone, ...] = ()
    arms: tuple[Arm, ...] = ()
    seeds: tuple[int, ...] = Field((0,), min_length=1)
    learned: Mapping[str, Learned] = Field(default_factory=dict)
    """Benchmark -> what its memories are built from."""
    policies: tuple[str, ...] = ()
    """`recall`: retrieve policies to score."""
    embedders: tuple[str, ...] = ("static",)
    """`recall`: with which embedders."""
    wordings: tuple[str, ...] = ("plain",)
    """`recall`: in which words the tasks are put."""
    temperature: float | None = Field(1.0, ge=0, allow_inf_nan=False)
    runner: Literal["local", "inspect"] = "local"
    limits: Limits = Limits()


class PaperFigure(Record):
    """A number of the paper, to stand beside ours with the same definition."""

    place: str
    backbone: str
    arm: str
    measure: str
    """As in `results.Cell.measures`: success, steps, commonsense_micro, ..."""
    value: float
    """Shares are 0 to 1."""


class Study(Record):
    """An experiment by name. `full` is the real size; `smoke` runs offline on simulated backbones in two minutes."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    kind: Kind = "runs"
    title: str
    question: str
    """What it answers, in a sentence."""
    paper: str = ""
    """The table or figure it repeats; empty for our own."""
    base: str = "none"
    """Label of the arm that every other arm is compared with, task by task."""
    curve: Literal["", "groups", "k"] = ""
    """What a curve is drawn over: groups of tasks, or the number of procedures recalled."""
    paper_figures: tuple[PaperFigure, ...] = ()
    full: Size
    smoke: Size

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        for name, size in (("full", self.full), ("smoke", self.smoke)):
            if self.kind == "runs" and not (size.backbones and size.arms):
                raise ValueError(f"{name} needs at least one backbone and one arm")
            for what in ("places", "backbones", "arms"):
                labels = [item.label for item in getattr(size, what)]
                if len(set(labels)) < len(labels):
                    raise ValueError(f"{name}.{what}: every label may be used once")
            if self.kind == "runs" and self.base not in {arm.label for arm in size.arms}:
                raise ValueError(f"{name}: base {self.base!r} is no arm")
            needed = {place.benchmark for place in size.places} if any(a.memory == "learned" for a in size.arms) else ()
            if missing := sorted(set(needed) - set(size.learned)):
                raise ValueError(f"{name}.learned says nothing about {missing[0]}")
        return self
