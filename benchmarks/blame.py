"""Blame on labelled simulated failures: the confusion matrix, for the half it was made on and for another half.

    python benchmarks/blame.py [--each 50] [--seeds 100,101] [--player sim:novice] [--wrong]

Every failure is planted in plain houses (see memp_bench/studies/failures.py) and won without what was planted. Seeds
0 to 9 are for development; the reported half has other seeds, other houses, other ways of the world, and
passing faults in other words.
"""

import argparse
import asyncio
import json
from collections import Counter

from memp.blame import RuleBlamer
from memp_bench.studies.failures import FAULTS, OTHER_FAULTS, VERDICT, Failures

VERDICTS = ("procedure", "not-followed", "did-not-apply", "environment")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=50, help="failures of each of the six causes, per seed")
    parser.add_argument("--seeds", default="100")
    parser.add_argument("--player", default="sim:novice")
    parser.add_argument("--wrong", action="store_true", help="print what was blamed wrongly")
    asked = parser.parse_args()
    matrix: Counter[tuple[str, str]] = Counter()
    causes: Counter[tuple[str, bool]] = Counter()
    steps: Counter[bool] = Counter()
    for seed in (int(part) for part in asked.seeds.split(",")):
        faults = FAULTS if seed < 100 else OTHER_FAULTS
        async for failure in Failures(seed, player=asked.player, faults=faults).made(asked.each):
            blame = await RuleBlamer().blame("p", 1, failure.content, None, failure.failed)
            matrix[failure.verdict, blame.verdict] += 1
            right = blame.verdict == failure.verdict
            causes[failure.cause, right] += 1
            if failure.wrong and right:
                steps[blame.step in failure.wrong] += 1
            if asked.wrong and (not right or (failure.wrong and blame.step not in failure.wrong)):
                show(failure, blame)
    total = sum(matrix.values())
    print(f"{total} labelled failures, seeds {asked.seeds}, {asked.player} (simulated), rules\n")
    print("| planted | " + " | ".join(VERDICTS) + " | right |\n|---|" + "---|" * 5)
    for row in VERDICTS:
        found = [matrix[row, column] for column in VERDICTS]
        print(f"| {row} | " + " | ".join(map(str, found)) + f" | {100 * matrix[row, row] / max(1, sum(found)):.1f} % |")
    correct = sum(matrix[name, name] for name in VERDICTS)
    print(f"\naccuracy {100 * correct / total:.1f} % ({correct} of {total})")
    print("by cause: " + ", ".join(f"{c} {causes[c, True]} of {causes[c, True] + causes[c, False]}" for c in VERDICT))
    print(f"wrong step named, where the procedure was blamed rightly: {steps[True]} of {sum(steps.values())}")
    lessons = sum(matrix["environment", name] for name in VERDICTS if name != "environment")
    print(f"lessons from passing faults: {lessons}")


def show(failure, blame) -> None:
    script = failure.content.script
    print(f"\n## {failure.cause} {failure.wrong}: {failure.failed.task}\n   procedure for: {failure.content.task}")
    print("   " + "; ".join(f"{n}. {step}" for n, step in enumerate(script.steps, 1)))
    print("   blamed " + json.dumps(blame.model_dump(exclude={"procedure_id", "revision", "by", "note"})))
    for step in failure.failed.steps:
        print(f"      {step.action} -> {step.observation[:90]} {step.error or ''}")


if __name__ == "__main__":
    asyncio.run(main())
