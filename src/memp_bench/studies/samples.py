"""What episodes took that were played already: the ground on which the cost of a study is estimated."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from memp.errors import RecordError
from memp.records import Usage
from memp_bench.agents.episode import EpisodeEnd
from memp_bench.agents.registry import is_simulated
from memp_bench.studies.config import RunConfig


class Taken(NamedTuple):
    """What one counted episode took."""

    usage: Usage
    """Of the agent, its planner included."""
    seconds: float | None


class Sample(NamedTuple):
    """The counted episodes of one run."""

    config: RunConfig
    episodes: Sequence[Taken]


def samples(folders: Sequence[Path]) -> list[Sample]:
    """All runs at any depth in `folders`; what is no run, or cannot be read, is passed over."""
    found = {}
    for folder in folders:
        for file in sorted(folder.rglob("run.json")):
            sample = _sample(file)
            if sample is not None and sample.episodes:
                found[file.resolve()] = sample
    return list(found.values())


def like(config: RunConfig, there: Sequence[Sample]) -> tuple[list[Taken], RunConfig] | None:
    """The episodes that are nearest to those of `config`, and the run they are from; None if no run is near enough.

    Near enough plays the same benchmark with the same kind of memory, by the same model or one of its kind (a
    simulated one writes far less than a real one). Of these, the ones that agree in the most count.
    """
    near = [(_agreement(config, sample.config), sample) for sample in there if _comparable(config, sample.config)]
    if not near:
        return None
    best = max(agreement for agreement, _ in near)
    chosen = [sample for agreement, sample in near if agreement == best]
    return [taken for sample in chosen for taken in sample.episodes], chosen[0].config


def _comparable(mine: RunConfig, theirs: RunConfig) -> bool:
    if is_simulated(mine.model) != is_simulated(theirs.model):
        return False
    same = ["benchmark", "generated", "memory", "options", "max_steps"]
    if mine.memory:
        same += ["build", "k", "max_tokens"]
        if (mine.source is None) != (theirs.source is None):
            return False
        if {mine.retrieve, theirs.retrieve} & {"awm", "expel"}:
            same += ["retrieve"]
    return all(getattr(mine, name) == getattr(theirs, name) for name in same)


def _agreement(mine: RunConfig, theirs: RunConfig) -> tuple[bool, ...]:
    """The model before all else, then what decides how long a recall is, then the tasks."""
    names = ("model", "retrieve", "floor", "update", "every", "wording", "split")
    return tuple(getattr(mine, name) == getattr(theirs, name) for name in names)


def _sample(file: Path) -> Sample | None:
    try:
        config = RunConfig.parse(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecordError):
        return None
    taken = (_taken(episode) for episode in sorted((file.parent / "episodes").glob("*.jsonl")))
    return Sample(config, [one for one in taken if one is not None])


def _taken(file: Path) -> Taken | None:
    """Of the last attempt, read from its header and its end alone: a file may hold megabytes of replies."""
    try:
        lines = file.read_bytes().splitlines()
        headers = [line for line in lines if line.startswith(b'{"kind":"episode"')]
        first, last = json.loads(headers[-1]), json.loads(lines[-1])
        end = EpisodeEnd.parse(last["data"])
        if last["kind"] != "end" or end.status != "done":
            return None
        began = datetime.fromisoformat(str(first["data"]["started_at"]))
    except (OSError, ValueError, LookupError, TypeError, RecordError):
        return None
    seconds = (end.finished_at - began).total_seconds() if end.finished_at else None
    return Taken(sum(end.usage.values(), Usage()), seconds)
