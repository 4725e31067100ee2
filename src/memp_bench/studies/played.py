"""What was played, as rows: the few figures of each episode that tables are made of, each episode once."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from memp.errors import RecordError
from memp.render import approximate_tokens
from memp_bench.agents.episode import Episode
from memp_bench.envs.base import Rate
from memp_bench.studies.pooling import Score
from memp_bench.studies.results import Build
from memp_bench.studies.spec import Arm, Size

IDLE = 10
"""One reply in so many without an action is worth a word."""


class Played(NamedTuple):
    """One cell of the grid under one seed, played to its end."""

    place: str
    backbone: str
    arm: str
    seed: int
    simulated: bool
    groups: Sequence[Sequence[Episode]]
    """In the order of the stream."""
    rates: Mapping[str, Mapping[str, Rate]]
    """Task id -> metric -> so many of so many (`MeasuresTasks`); empty where the benchmark has none."""
    learned: Build | None = None
    """Making the memory it started from."""
    updates: Build | None = None
    """What its updates did; `procedures` and `trajectories` are all that the memory held in the end."""


class Row(NamedTuple):
    """What tables need of one episode."""

    task: str
    family: str
    counted: bool
    figures: Mapping[str, int]
    """success (0 or 1), steps, tokens, calls, recalled."""
    rates: Mapping[str, Rate]


class Runs(NamedTuple):
    """A cell of the table: the runs of all its seeds, rows in the order of the stream."""

    arm: Arm
    runs: Sequence[Played]
    rows: Mapping[int, Sequence[Row]]

    def scores(self, name: str, rows: Mapping[int, Sequence[Row]] | None = None) -> dict[int, list[Score]]:
        """What each counted episode adds to a figure or metric, by seed."""
        return {
            seed: [_score(row, name) for row in some if row.counted]
            for seed, some in (self.rows if rows is None else rows).items()
        }

    @property
    def counted(self) -> list[Row]:
        """The rows that count, seed after seed."""
        return [row for rows in self.rows.values() for row in rows if row.counted]


def runs_of(size: Size, played: Sequence[Played]) -> dict[tuple[str, str, str], Runs]:
    """What was played, by cell, in the order of the study's places, backbones, arms and seeds.

    Raises:
        RecordError: a cell is not of this study, or an episode would count twice.
    """
    by_cell: dict[tuple[str, str, str], dict[int, Played]] = {}
    for run in played:
        seeds = by_cell.setdefault((run.place, run.backbone, run.arm), {})
        if run.seed in seeds:
            raise RecordError(f"{_name(run)} was given twice: each episode counts once")
        seeds[run.seed] = run
    found = {}
    for place in size.places:
        for backbone in size.backbones:
            for arm in size.arms:
                seeds = by_cell.pop((place.label, backbone.label, arm.label), {})
                runs = [seeds.pop(seed) for seed in size.seeds if seed in seeds]
                if seeds:
                    raise RecordError(f"{_name(next(iter(seeds.values())))}: the study has no such seed")
                if runs:
                    rows = {run.seed: _rows(run) for run in runs}
                    found[place.label, backbone.label, arm.label] = Runs(arm, runs, rows)
    if by_cell:
        raise RecordError(f"{', '.join(next(iter(by_cell)))}: the study has no such place, backbone and arm")
    return found


def _rows(run: Played) -> list[Row]:
    rows = [_row(run, episode) for group in run.groups for episode in group]
    for task, times in Counter(row.task for row in rows).items():
        if times > 1:
            raise RecordError(f"{_name(run)} holds {task} {times} times: each episode counts once")
    return rows


def _row(run: Played, episode: Episode) -> Row:
    rates = run.rates.get(episode.task_id, {})
    if run.rates and not rates and episode.counted:
        raise RecordError(f"{_name(run)}: there are metrics, but none of {episode.task_id}")
    figures = {
        "success": int(episode.success),
        "steps": len(episode.steps),
        "tokens": sum(usage.tokens for usage in episode.usage.values()),
        "calls": sum(usage.calls for usage in episode.usage.values()),
        "recalled": approximate_tokens(episode.recalled),
    }
    return Row(episode.task_id, episode.family, episode.counted, figures, rates)


def _score(row: Row, name: str) -> Score:
    if name in row.figures:
        return Score(row.task, row.figures[name])
    return Score(row.task, row.rates[name].passed, row.rates[name].total)


def _name(run: Played) -> str:
    return f"{run.place}, {run.backbone}, {run.arm}, seed {run.seed}"


def remarks(runs: Runs, base: Runs | None) -> list[str]:
    """What a reader must know about a cell: episodes lost, many replies of no use, tasks without counterpart."""
    episodes = [episode for run in runs.runs for group in run.groups for episode in group]
    found = []
    if lost := [episode for episode in episodes if not episode.counted]:
        why = Counter(f"{e.failure.boundary} {e.failure.kind}" if e.failure else e.status for e in lost)
        reasons = ", ".join(f"{reason} x {times}" for reason, times in sorted(why.items()))
        found.append(f"{len(lost)} of {len(episodes)} episodes could not be played and do not count ({reasons})")
    acts = [step.action for episode in episodes if episode.counted for step in episode.steps]
    if IDLE * (idle := acts.count("")) >= len(acts) > 0:
        found.append(f"{idle} of {len(acts)} replies held no action: the model may refuse, or not follow the format")
    if base is not None:
        found += _unpaired(runs, base)
    return found


def _unpaired(runs: Runs, base: Runs) -> list[str]:
    """Tasks that only one of the two arms was given: a comparison should not lose them silently."""
    alone = sum(
        len({row.task for row in runs.rows.get(seed, ())} ^ {row.task for row in base.rows.get(seed, ())})
        for seed in {*runs.rows, *base.rows}
    )
    return [f"{alone} episodes have no counterpart in {base.arm.label} and are not compared"] if alone else []
