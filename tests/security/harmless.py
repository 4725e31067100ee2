"""Trajectories that must not be held back: written by hand in two halves, and real ones."""

import gzip
import json
import os
from itertools import islice
from pathlib import Path

from memp.records import Step, Trajectory, now
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


def travels(every=1):
    """Real ones of TravelPlanner (one in so many): recorded episodes, annotators' plans, what its tools show."""
    from memp_bench.envs.travelplanner.benchmark import TravelPlanner
    from memp_bench.envs.travelplanner.memories import gold_trajectories
    from memp_bench.envs.travelplanner.reference import reference_information

    bench = TravelPlanner(DATA)
    for task in bench.tasks("train")[::every]:
        travel = bench.travel_task(task)
        shown = reference_information(travel.reference_descriptions, bench.tables)
        steps = (Step(action="read", observation=shown), Step(action="plan"))
        yield Trajectory(id=f"shown{travel.idx}", task=travel.query, steps=steps, reward=1)
    yield from gold_trajectories(bench, bench.tasks("train")[::every])
    with gzip.open(TRAVEL, "rt", encoding="utf-8") as file:
        for line in islice(file, 0, None, every):
            episode = json.loads(line)
            steps = tuple(
                Step(action=done["action"] or " ", observation=done["observation"] or "", thought=done["thought"] or "")
                for done in episode["action_log"]
            )
            yield Trajectory(id=f"recorded{episode['idx']}", task=episode["query"], steps=steps, reward=0)


async def games(count, workers=2):
    """The planner's plays of real ALFWorld games."""
    from memp_bench.envs.alfworld import AlfWorld
    from memp_bench.envs.expert import expert_trajectories

    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "memp"
    bench = AlfWorld(DATA, cache=cache, workers=workers)
    try:
        played, _ = await expert_trajectories(bench, bench.tasks("valid_seen", games=count), clock=now)
    finally:
        await bench.close()
    return played
