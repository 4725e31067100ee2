"""What a run gave, in one record: the machine-readable answer of `memp run`."""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean

from memp.records import Record, Skipped, Usage
from memp_bench.agents.episode import Episode


class Family(Record):
    """Result on one kind of task."""

    games: int
    success_rate: float
    mean_steps: float


class Changes(Record):
    """What the updates of a run did, summed up."""

    updates: int = 0
    added: int = 0
    revised: int = 0
    retired: int = 0
    skipped: Mapping[str, int] = {}
    """Reason (its first words) -> how often."""


class Summary(Record):
    """Result of a run. `success_rate` is the share of counted games that were won; steps of a lost game count too."""

    benchmark: str
    split: str
    model: str
    simulated: bool
    """True when the agent is an instrument: its numbers say nothing about any real model. That is `sim:...`, and any
    model whose name begins with `simulated-`, as `memp_bench.serve` calls what it serves."""
    seed: int
    memory: str
    """`none`, or build/retrieve/update."""
    games: int
    success_rate: float | None
    mean_steps: float | None
    mean_tokens: float | None
    """Tokens of the agent per game, recalled text included."""
    by_family: Mapping[str, Family]
    curve: Sequence[float]
    """Success rate of each group of tasks, in order."""
    metrics: Mapping[str, float] = {}
    """The benchmark's own metrics, 0 to 1, where it has any."""
    counts: Mapping[str, int] = {}
    """What the environments counted in counted games, summed up (`unknown_legs`)."""
    usage: Mapping[str, Usage]
    receipt: Changes
    failed: Sequence[Skipped] = ()
    """Games that could not be played to their end; not counted."""
    wall_s: float
    out: str


def summarise(episodes: Sequence[Episode]) -> dict[str, object]:
    """The figures of counted episodes, as fields of `Summary`."""
    counted = [episode for episode in episodes if episode.counted]
    families = sorted({episode.family for episode in counted})
    by_family = {}
    counts: Counter[str] = Counter()
    for episode in counted:
        counts.update(episode.counts)  # a sum of counters would leave out what is 0
    for family in families:
        members = [episode for episode in counted if episode.family == family]
        by_family[family] = Family(
            games=len(members), success_rate=_success(members), mean_steps=fmean(len(e.steps) for e in members)
        )
    return {
        "games": len(counted),
        "success_rate": _success(counted) if counted else None,
        "mean_steps": fmean(len(e.steps) for e in counted) if counted else None,
        "mean_tokens": fmean(sum(u.tokens for u in e.usage.values()) for e in counted) if counted else None,
        "by_family": by_family,
        "counts": dict(counts),
    }


def _success(episodes: Sequence[Episode]) -> float:
    return fmean(float(episode.success) for episode in episodes)
