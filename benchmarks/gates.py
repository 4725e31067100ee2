"""Update policies with and without gates on the real ALFWorld games, with a simulated backbone, over seeds.

    python benchmarks/gates.py --out runs/gates --seeds 3 --table gates.md

All of valid_seen (140 games), updates every 10 games, from a memory of 300 expert trajectories and from an empty one;
each update policy as the paper has it and under the guard (`memp run --guard`: blame, candidates on trial, nothing lost
without need). Runs are resumed when the command is repeated. Regressions are games won by the run of the same seed
without memory, or with the same memory frozen (an empty one is no memory), and lost by this one; repairs the other way
round; both per 100 games.
"""

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import fmean

from matrix import memp, play, spread, won

UPDATES = ("adjustment", "vanilla", "validation")


def arms(build, retrieves):
    """(name, memory, options of `memp run`)."""
    yield "none", None, ("--memory", "none")
    for retrieve in retrieves:
        yield f"300 / {retrieve} / frozen", build, ("--build", build, "--retrieve", retrieve, "--freeze")
    for update in UPDATES:
        for memory, label in (("new", "empty"), (build, "300")):
            for retrieve in retrieves if memory != "new" else ("query",):
                flags = ("--build", build, "--retrieve", retrieve, "--update", update, "--every", 10)
                yield f"{label} / {retrieve} / {update}", memory, flags
                yield f"{label} / {retrieve} / {update} + guard", memory, (*flags, "--guard")


def base_of(name):
    """The run with the same memory that does not learn."""
    label, _, rest = name.partition(" / ")
    return "none" if label == "empty" else f"300 / {rest.partition(' / ')[0]} / frozen"


def against(runs, base):
    """(repairs, regressions) per 100 games."""
    pairs = [pair for (_, f), (_, b) in zip(runs, base, strict=True) for pair in zip(won(b), won(f), strict=True)]
    repaired, lost = sum(f and not b for b, f in pairs), sum(b and not f for b, f in pairs)
    return f"{100 * repaired / len(pairs):.1f} / {100 * lost / len(pairs):.1f}"


def row(name, results):
    runs = results[name]
    summaries = [summary for summary, _ in runs]
    receipts = [summary["receipt"] for summary in summaries]
    frozen = base_of(name)
    return (
        name,
        spread([100 * s["success_rate"] for s in summaries]),
        spread([s["mean_steps"] for s in summaries]),
        against(runs, results["none"]) if name != "none" else "",
        against(runs, results[frozen]) if frozen in results and name not in ("none", frozen) else "",
        " / ".join(f"{fmean(r[key] for r in receipts):.0f}" for key in ("added", "revised")),
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/gates"))
    parser.add_argument("--model", default="sim:novice")
    parser.add_argument("--split", default="valid_seen")
    parser.add_argument("--build", default="script")
    parser.add_argument("--retrieves", default="query")
    parser.add_argument("--learn", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--parallel", type=int, default=1)
    parser.add_argument("--table", type=Path, help="write the rows as a Markdown table")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / f"{options.build}.db"
    learning = ("--split", "train", "--games", options.learn, "--build", options.build, "--memory", file)
    memp("learn", "alfworld", *learning)
    memories = {"new": "new", options.build: file}
    chosen = list(arms(options.build, options.retrieves.split(",")))
    results = {name: [] for name, _, _ in chosen}
    with ThreadPoolExecutor(options.parallel) as pool:
        jobs = [
            (name, pool.submit(play, options, memories, name.replace(",", "").replace("+ ", ""), memory, flags, seed))
            for name, memory, flags in chosen
            for seed in range(options.seeds)
        ]
        for name, job in jobs:
            results[name].append(job.result())
            print(f"{name:40} {100 * results[name][-1][0]['success_rate']:5.1f} %", flush=True)
    head = (
        "memory / retrieve / update",
        "won, %",
        "steps",
        "repairs / regressions against none",
        "against the same memory frozen",
        "added / revised a run",
    )
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, ("---",) * len(head))]
    lines += ["| " + " | ".join(row(name, results)) + " |" for name in results]
    print("\n".join(lines))
    if options.table:
        options.table.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
