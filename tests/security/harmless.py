"""Trajectories that must not be held back: written by hand in two halves, and real ones."""

import gzip
import json
import os
from pathlib import Path

from memp.records import Step, Trajectory
from memp_bench.envs.plain import PlainHouses

HERE = Path(__file__).parent
DATA = Path(os.environ.get("MEMP_DATA") or HERE.parents[2] / "shared" / "data")
TRAVEL = DATA / "travelplanner" / "plans" / "validation_gemini_two_stage_trajectories.jsonl.gz"


def written(half):
    """The hand-written ones of half "a" (the filter was tuned on it) or "b" (it is reported on)."""
    lines = (HERE / f"benign_{half}.txt").read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        task, action, seen = (part.strip().replace("\\n", "\n").replace("\\t", "\t") for part in line.split(" | ", 2))
        steps = (Step(action="look around", observation="You can start."), Step(action=action, observation=seen))
        yield Trajectory(id=f"{half}{number}", task=task, steps=steps, reward=1)


async def houses(first, count):
    """Played by the expert of a household in the grammar of ALFWorld."""
    benchmark = PlainHouses(0)
    tasks = benchmark.tasks("train", games=first + count)[first:]
    return [await benchmark.record(task, benchmark.actions(task), f"house{n}") for n, task in enumerate(tasks)]
