"""What a study found: the records that tables, pages and CSV files are made of. Nothing here depends on the clock."""

from collections.abc import Mapping

from pydantic import Field

from memp.records import Record


class Interval(Record):
    """A figure with how sure it is. Shares are 0 to 1."""

    value: float
    low: float
    high: float
    """Ends of the 95 % interval: Wilson for shares of tasks, bootstrap over tasks for means."""
    n: int = Field(ge=0)
    """Of how many counted episodes."""
    sd: float | None = None
    """Standard deviation over seeds; None with one seed."""


class Comparison(Record):
    """An arm beside the base arm, paired by task and seed; only tasks counted in both."""

    base: str
    pairs: int
    repairs: int
    """Failed without, solved with."""
    regressions: int
    """Solved without, failed with."""
    success: Interval
    """Difference of the success rates; interval from a bootstrap over tasks."""
    p: float = Field(ge=0, le=1)
    """McNemar's exact test over tasks and seeds, two-sided."""
    p_tasks: float | None = Field(None, ge=0, le=1)
    """The same with the seeds of a task turned together (exact sign flips): pairs of one task are not independent, so
    with several seeds this is the one to believe. With one seed it is `p`."""
    steps: Interval
    tokens: Interval
    """Differences of means, bootstrap over tasks."""


class Point(Record):
    """One point of a curve."""

    x: float
    """Tasks played so far, or k."""
    success: Interval
    """Cumulative over the stream where x is tasks."""
    steps: Interval


class Distribution(Record):
    """Quantiles of a quantity per episode."""

    mean: float
    p10: float
    p50: float
    p90: float
    n: int


class Build(Record):
    """What making the memory of a cell took, over its seeds (learning and updates)."""

    procedures: int
    trajectories: int
    added: int
    revised: int
    retired: int
    calls: int
    tokens: int
    cost: float | None = None


class Cell(Record):
    """One place, backbone and arm, over all its seeds."""

    place: str
    backbone: str
    arm: str
    simulated: bool
    seeds: tuple[int, ...]
    episodes: int
    """Counted; each task of each seed once."""
    failed: int
    """Could not be played to their end; not counted."""
    measures: Mapping[str, Interval]
    """success, steps, tokens, calls; for travelplanner its six metrics too."""
    families: Mapping[str, Interval]
    """Success by kind of task."""
    curve: tuple[Point, ...] = ()
    tokens: Mapping[str, Distribution] = Field(default_factory=dict)
    """Per episode: `tokens`, `calls`, `recalled` (tokens of the recall); over seeds: `tokens_per_success`."""
    build: Build | None = None
    versus: Comparison | None = None
    """None for the base arm."""
    paper: Mapping[str, float] = Field(default_factory=dict)
    """The paper's figures for this cell, by measure."""


class Results(Record):
    """The outcome of a study. Simulated cells and real ones are kept in tables of their own by whoever shows them."""

    study: str
    smoke: bool
    title: str
    question: str
    paper: str
    base: str
    curve: str
    cells: tuple[Cell, ...]
    missing: tuple[str, ...] = ()
    """Cells that were not run to their end, when the study was stopped."""
    notes: tuple[str, ...] = ()
    """What a reader must know: failures, refusals, what was left open."""


class RecallScore(Record):
    """Retrieval alone: one place, wording, policy and embedder."""

    place: str
    wording: str
    """`plain` or the name of a list of other words."""
    policy: str
    embedder: str
    tasks: int
    precision: Mapping[str, float]
    """`@1`, `@5`, `@10`: share of the retrieved that are of the task's kind."""
    ndcg: Mapping[str, Interval]
    """`@5`, `@10`; interval from a bootstrap over tasks."""
    by_grade: Mapping[str, float] = Field(default_factory=dict)
    """Share of the ten retrieved that agree in family, object, receptacle, ..."""


class RecallResults(Record):
    """The outcome of the study `recall`. No model takes part: the figures are real."""

    study: str
    smoke: bool
    title: str
    question: str
    memories: Mapping[str, int]
    """Place -> size of its memory."""
    scores: tuple[RecallScore, ...]
    notes: tuple[str, ...] = ()


class Provenance(Record):
    """Where results come from; shown on the page, never part of a table."""

    commands: tuple[str, ...]
    versions: Mapping[str, str]
    """memp, python, numpy, textworld, inspect-ai, ... and the machine."""
    commit: str
    data: Mapping[str, str]
    """Name of a data set -> digest."""
    memories: Mapping[str, str]
    """Name of a memory -> digest of its content."""
    spent: Mapping[str, float]
    """`calls`, `tokens`, `cost` (absent when unknown), `wall_s`: everything that was used, lost attempts included."""
