"""Every build x retrieve x update policy on the real ALFWorld games, with a simulated backbone, over seeds.

    python benchmarks/matrix.py --out runs/matrix --seeds 3 --table docs/results.md

Builds one memory a build policy from 300 expert trajectories of the train split (`memp learn`), then plays all of
valid_seen (140 games) with `memp run`: without memory, with the memory frozen, with every policy updating every 10
games, and from an empty memory. Runs are resumed when the command is repeated. The table holds mean and standard
deviation over seeds, and repairs and regressions game by game against the run of the same seed without memory.
"""

import argparse
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from statistics import fmean, pstdev

from memp_bench.agents.episode import EpisodeFile

BUILDS = ("trajectory", "script", "proceduralization")
RETRIEVES = ("random", "query", "avefact")
UPDATES = ("vanilla", "validation", "adjustment")


def memp(*arguments):
    command = [str(Path(sys.executable).with_name("memp")), *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr[-2000:]}")
    return json.loads(done.stdout)


def learn(options, build):
    memory = options.out / f"{build}.db"
    memp("learn", "alfworld", "--split", "train", "--games", options.learn, "--build", build, "--memory", memory)
    return memory


def arms():
    """(name, build, options of `memp run`)."""
    yield "none", None, ("--memory", "none")
    for build in BUILDS:
        yield f"{build} / query / frozen", build, ("--build", build, "--freeze")
    for update in UPDATES:
        yield f"starts empty: proceduralization / query / {update}", "new", ("--update", update, "--every", 10)
    for build, retrieve, update in product(BUILDS, RETRIEVES, UPDATES):
        flags = ("--build", build, "--retrieve", retrieve, "--update", update, "--every", 10)
        yield f"{build} / {retrieve} / {update}", build, flags


def play(options, memories, name, build, flags, seed):
    folder = options.out / "runs" / f"{name.replace(' / ', '-').replace(': ', '-').replace(' ', '-')}-s{seed}"
    where = () if build is None else ("--memory", memories[build])
    common = ("--split", options.split, "--model", options.model, "--seed", seed, "--out", folder)
    return memp("run", "alfworld", *common, *where, *flags), folder


def won(folder):
    return [EpisodeFile(file).read().success for file in sorted((folder / "episodes").glob("*.jsonl"))]


def spread(values, digits=1):
    return f"{fmean(values):,.{digits}f} ± {pstdev(values):,.{digits}f}"


def row(name, results, base):
    summaries = [summary for summary, _ in results]
    pairs = [pair for (_, f), (_, b) in zip(results, base, strict=True) for pair in zip(won(b), won(f), strict=True)]
    receipts = [summary["receipt"] for summary in summaries]
    return (
        name,
        spread([100 * s["success_rate"] for s in summaries]),
        spread([s["mean_steps"] for s in summaries]),
        spread([s["mean_tokens"] for s in summaries], 0),
        sum(after and not before for before, after in pairs),
        sum(before and not after for before, after in pairs),
        " / ".join(f"{fmean(r[key] for r in receipts):.0f}" for key in ("added", "revised")),
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/matrix"))
    parser.add_argument("--model", default="sim:novice")
    parser.add_argument("--split", default="valid_seen")
    parser.add_argument("--learn", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--parallel", type=int, default=2)
    parser.add_argument("--only", default="", help="only arms whose name holds this (and none)")
    parser.add_argument("--table", type=Path, help="write the rows as a Markdown table")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    memories = {"new": "new"} | {build: learn(options, build) for build in BUILDS}
    chosen = [arm for arm in arms() if options.only in arm[0] or arm[0] == "none"]
    results = {name: [] for name, _, _ in chosen}
    with ThreadPoolExecutor(options.parallel) as pool:
        jobs = [
            (name, pool.submit(play, options, memories, name, build, flags, seed))
            for seed in range(options.seeds)
            for name, build, flags in chosen
        ]
        for name, job in jobs:
            results[name].append(job.result())
            print(f"{name:45} {100 * results[name][-1][0]['success_rate']:5.1f} %", flush=True)
    rows = [row(name, runs, results["none"]) for name, runs in results.items()]
    head = ("memory", "won, %", "steps", "tokens a game", "repairs", "regressions", "added / revised a run")
    lines = ["| " + " | ".join(map(str, cells)) + " |" for cells in (head, ("---",) * len(head), *rows)]
    print("\n".join(lines))
    if options.table:
        options.table.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
