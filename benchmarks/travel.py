"""TravelPlanner with and without memory: the grid behind docs/results-travelplanner.md.

    python benchmarks/travel.py GPT4_PLANS OUT [--seeds 2] [--model sim:novice] [--modes sole-planning two-stage]

Every cell is a `memp learn` or `memp run` in OUT; what is there already is not run again. Prints a Markdown table.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import fmean, stdev

BUILDS = ("trajectory", "script", "proceduralization")
RETRIEVES = ("random", "query", "avefact")
METRICS = ("delivery", "commonsense_micro", "commonsense_macro", "hard_micro", "hard_macro", "final")
RECALL_TOKENS = 3_000
"""The planner of the two-stage mode reads 12,000 tokens in all, so the recall must leave room for the tables."""


def memp(*words: object) -> str:
    """Run a command of memp; its stdout."""
    command = [str(Path(sys.executable).with_name("memp")), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"memp {' '.join(map(str, words))}: {done.stderr}")
    return done.stdout


def learned(plans: Path, out: Path, build: str, what: str) -> Path:
    """A memory of the gold plans (`gold`), and of GPT-4's above 0.8 (`kept`) or all (`all`)."""
    file = out / f"{build}-{what}.db"
    if not file.exists():
        more = {"gold": (), "kept": ("--plans", plans), "all": ("--plans", plans, "--all")}[what]
        memp("learn", "travelplanner", "--memory", file, "--build", build, *more, "--json")
    return file


def cell(out: Path, name: str, seeds: int, *words: object) -> str:
    """One row: metrics in per cent with the spread over seeds, and steps."""
    runs = []
    for seed in range(seeds):
        folder = out / f"{name}-s{seed}".replace(" ", "_").replace(":", "-")
        if not (folder / "summary.json").exists():
            memp("run", "travelplanner", "--seed", seed, "--out", folder, "--json", *words)
        runs.append(json.loads((folder / "summary.json").read_text()))
    figures = [_spread([100 * run["metrics"][metric] for run in runs]) for metric in METRICS]
    figures.append(_spread([run["mean_steps"] for run in runs]))
    figures.append(f"{fmean(run['counts'].get('unknown_legs', 0) for run in runs):.0f}")
    return f"| {name} | {' | '.join(figures)} |"


def _spread(values: list[float]) -> str:
    return f"{fmean(values):.1f} ± {stdev(values):.1f}" if len(values) > 1 else f"{values[0]:.1f}"


def main() -> None:
    """Run the grid and print it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("plans", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--model", default="sim:novice")
    parser.add_argument("--modes", nargs="+", default=["sole-planning", "two-stage"])
    parser.add_argument("--what", nargs="+", default=["kept", "all"], choices=["gold", "kept", "all"])
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    for mode in asked.modes:
        common = ("--model", asked.model, "--mode", mode)
        print(f"\n{mode}, {asked.model} (simulated)\n\n| memory | {' | '.join(METRICS)} | steps | unknown legs |")
        print("|---" * (len(METRICS) + 3) + "|")
        print(cell(asked.out, f"{asked.model} {mode} none", asked.seeds, *common), flush=True)
        for what in asked.what:
            for build in BUILDS:
                file = learned(asked.plans, asked.out, build, what)
                for retrieve in RETRIEVES:
                    row = f"{asked.model} {mode} {what} {build} {retrieve}"
                    policy = ("--memory", file, "--build", build, "--retrieve", retrieve)
                    words = (*common, *policy, "--recall-tokens", RECALL_TOKENS)
                    print(cell(asked.out, row, asked.seeds, *words), flush=True)


if __name__ == "__main__":
    main()
