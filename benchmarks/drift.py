"""A long stream of tasks in which the world changes half way: does a bounded memory do as well, does it recover?

    python benchmarks/drift.py play --arm unlimited --seed 0 --tasks 5000 --out DIR
    python benchmarks/drift.py report DIR --picture docs/img/drift.png

Plain houses, simulated backbone. Half way all things move to other types of place and every verb works at its other
appliance. Arms: no memory; a memory without bound; the same with a capacity of 200; the paper's update policy
(adjustment, ranked by similarity). All retrieve 3 procedures, record every task and update after every 10.

The options were chosen on seed 100 and are reported on others. Every 100 tasks what is known is written to DIR, so a
run may be watched, and stopped.
"""

import argparse
import asyncio
import json
import time
from collections import defaultdict
from pathlib import Path
from statistics import fmean

from memp.evidence import Drift
from memp.forgetting import Capacity
from memp.memory import AsyncProceduralMemory
from memp_bench.agents.episode import trajectory_of
from memp_bench.agents.react import play
from memp_bench.agents.registry import backbone
from memp_bench.envs.plain import PlainHouses

CAPACITY = 200
ARMS = ("no memory", "unlimited", "capacity 200", "paper", "similarity")
LEVEL, WINDOW, WITHIN = 500, 200, 0.05
"""The level before the change is that of the last 500 tasks; recovered is a mean over 200 within 5 points of it."""


def memory_of(arm, seed, capacity=CAPACITY):
    """The memory of an arm; None without memory."""
    if arm == "no memory":
        return None
    options = {"build": "script", "k": 3, "seed": seed}
    if arm == "paper":
        return AsyncProceduralMemory(":memory:", update="adjustment", **options)
    if arm == "similarity":
        return AsyncProceduralMemory(":memory:", update="validation", **options)
    bound = Capacity(count=capacity) if arm.startswith("capacity") else None
    return AsyncProceduralMemory(":memory:", update="validation", drift=Drift(), capacity=bound, **options)


async def stream(arm, *, seed, tasks, drift_at, model="sim:novice", capacity=CAPACITY, save=None):
    """Play the stream: for each task whether it was won, and how many procedures were served, of which from before."""
    houses, agent, memory = (
        PlainHouses(seed, drift_at=drift_at),
        backbone(model, seed=seed),
        memory_of(arm, seed, capacity),
    )
    kept = {"arm": arm, "seed": seed, "tasks": tasks, "drift_at": drift_at, "model": model, "won": [], "served": []}
    kept |= {"held": [], "retrieve_ms": [], "seconds": 0.0}
    born, start = {}, time.perf_counter()
    for number, task in enumerate(houses.tasks("stream", games=tasks, seed=seed)):
        recall = None

        async def ask(words):
            nonlocal recall
            began = time.perf_counter()
            recall = await memory.retrieve(words)
            kept["retrieve_ms"].append(round(1000 * (time.perf_counter() - began), 2))
            return recall

        episode = await play(
            houses.environment(), task, agent, instructions=houses.instructions, recall=ask if memory else None
        )
        kept["won"].append(int(episode.success))
        if memory:
            served = [item.procedure.id for item in recall.ranked]
            kept["served"].append([len(served), sum(born[id] < drift_at for id in served)])
            await memory.record(trajectory_of(episode, f"stream-{number}"), recall)
            if (number + 1) % 10 == 0:
                receipt = await memory.update()
                born |= dict.fromkeys(receipt.added, number)
        if (number + 1) % 100 == 0 or number + 1 == tasks:
            kept["seconds"] = round(time.perf_counter() - start, 1)
            if memory:
                kept["held"].append(memory.stats().procedures.get("active", 0))
            if save:
                save.write_text(json.dumps(kept), encoding="utf-8")
    if memory:
        kept["doctor"] = memory.store.check()
        if save:
            save.write_text(json.dumps(kept), encoding="utf-8")
        await memory.close()
    return kept


def recovered_after(won, drift_at):
    """After how many tasks since the change the mean of the last WINDOW is near the level before it; None: never."""
    level = fmean(won[max(0, drift_at - LEVEL) : drift_at])
    for end in range(drift_at + WINDOW, len(won) + 1):
        if fmean(won[end - WINDOW : end]) >= level - WITHIN:
            return end - drift_at
    return None


def stale_share(served, start, end):
    """Share of the procedures served for these tasks that were learned before the change."""
    part = served[start:end]
    return sum(old for _, old in part) / max(1, sum(count for count, _ in part))


def report(folder, picture):
    """Print the table of what was played, and draw it."""
    runs = defaultdict(list)
    for file in sorted(folder.glob("*.json")):
        run = json.loads(file.read_text(encoding="utf-8"))
        if len(run["won"]) < run["drift_at"] + WINDOW:
            print(f"{file.name} is left out: {len(run['won'])} tasks, too few after the change\n")
            continue
        runs[run["model"], run["tasks"], run["arm"]].append(run)
    print("| backbone | arm | seeds | tasks | before, last 500 | first 200 after | last 500 | all | recovered after | "
          "stale served, 500 after | last 500 | held | retrieve ms |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|---|---|---|---|")
    for (model, _, arm), played in sorted(runs.items(), key=lambda item: (*item[0][:2], ARMS.index(item[0][2]))):
        print("| " + " | ".join((model, arm, *_row(played))) + " |")
    if picture is not None:
        longest = max(tasks for _, tasks, _ in runs)
        draw(picture, {arm: played for (_, tasks, arm), played in runs.items() if tasks == longest})


def _row(played):
    won, served = [run["won"] for run in played], [run["served"] for run in played]
    at = [run["drift_at"] for run in played]
    after = [recovered_after(run, when) for run, when in zip(won, at, strict=True)]

    def mean(part):
        return f"{100 * fmean(fmean(part(run, when)) for run, when in zip(won, at, strict=True)):.1f}"

    stale = ["-", "-"]
    if all(served):
        pairs = list(zip(served, at, strict=True))
        stale = [
            f"{100 * fmean(stale_share(run, when + 400, when + 600) for run, when in pairs):.0f} %",
            f"{100 * fmean(stale_share(run, len(run) - 500, len(run)) for run in served):.0f} %",
        ]
    times = sorted(ms for run in played for ms in run["retrieve_ms"])
    return (
        ", ".join(str(run["seed"]) for run in played),
        ", ".join(sorted({f"{len(run):,}" for run in won})),
        mean(lambda run, when: run[when - min(500, when) : when]),
        mean(lambda run, when: run[when : when + 200]),
        mean(lambda run, when: run[-500:]),
        mean(lambda run, when: run),
        ", ".join("never" if tasks is None else f"{tasks:,}" for tasks in after) if all(served) else "-",
        *stale,
        ", ".join(f"{run['held'][-1]:,}" if run["held"] else "-" for run in played),
        f"{times[len(times) // 2]:.1f}" if times else "-",
    )


def draw(file, runs):
    """Success and stale share over the stream, means over seeds of windows of 100 tasks."""
    from matplotlib.figure import Figure

    from memp_bench.studies.figures import COLORS

    figure = Figure(figsize=(7, 5.5), dpi=110, layout="constrained")
    top, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    for color, arm in zip(COLORS, [arm for arm in ARMS if arm in runs], strict=False):
        played = runs[arm]
        length = min(len(run["won"]) for run in played)
        ends = range(WINDOW, length + 1, 50)
        rate = [100 * fmean(fmean(run["won"][end - WINDOW : end]) for run in played) for end in ends]
        top.plot(list(ends), rate, color=color, label=arm)
        if arm != "no memory":
            old = [100 * fmean(stale_share(run["served"], end - 100, end) for run in played) for end in ends]
            below.plot(list(ends), old, color=color)
        for axes in (top, below):
            axes.axvline(played[0]["drift_at"], color="grey", linewidth=0.8, linestyle="--")
    top.set(ylabel=f"won, mean of {WINDOW} tasks, %", ylim=(0, 100), title="The world changes half way")
    below.set(xlabel="tasks", ylabel="served from\nbefore, %", ylim=(0, 105))
    for axes in (top, below):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", alpha=0.25)
    top.legend(frameon=False, loc="lower right", fontsize=8)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("play")
    one.add_argument("--arm", choices=ARMS, required=True)
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--tasks", type=int, default=5_000)
    one.add_argument("--model", default="sim:novice")
    one.add_argument("--out", type=Path, required=True)
    told = commands.add_parser("report")
    told.add_argument("folder", type=Path)
    told.add_argument("--picture", type=Path)
    asked = parser.parse_args()
    if asked.command == "report":
        report(asked.folder, asked.picture)
        return
    asked.out.mkdir(parents=True, exist_ok=True)
    name = f"{asked.model.replace(':', '-')}_{asked.arm.replace(' ', '-')}_{asked.seed}.json"
    options = {"seed": asked.seed, "tasks": asked.tasks, "drift_at": asked.tasks // 2, "model": asked.model}
    asyncio.run(stream(asked.arm, **options, save=asked.out / name))


if __name__ == "__main__":
    main()
