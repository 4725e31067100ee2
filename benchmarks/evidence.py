"""Does the evidence tell harm from help? Two studies in plain houses, with a simulated backbone.

    python benchmarks/evidence.py harmful --seeds 4 --tasks 600 --model sim:able --size 40
    python benchmarks/evidence.py null --seeds 100 --tasks 60 --holdout 0.3

harmful: half of the memory is from a world where appliances and places are others. The stream is played without memory,
with retrieval by similarity alone, and with evidence (a tenth of the recalls withheld, `value` retrieval, quarantine).
Reported: the success rate of the final third, its difference from no memory task by task with a bootstrap interval over
tasks and seeds, and after how many tasks harmful procedures were quarantined.

null: the words of every procedure are shuffled so that it says nothing. Reported: in how many seeds the interval of
the lift (95 %) covers 0 (an honest measure covers it in about 95 of 100), and the mean lift with its standard error.

A run of the same seeds is the same run, figure for figure. A minute a seed for harmful, two seconds for null.
"""

import argparse
import asyncio
import json
import random
from statistics import fmean, stdev

from memp.evidence import Quarantine
from memp.memory import AsyncProceduralMemory
from memp.records import Content, Script
from memp.update import Add, Skip
from memp_bench.agents.react import play
from memp_bench.agents.registry import backbone
from memp_bench.envs.plain import PlainHouses
from memp_bench.envs.plain.benchmark import VERBS, Ways
from memp_bench.studies.statistics import Bootstrap


class Frozen:
    """Keeps what was there before the stream and learns nothing from it, so that the arms differ by evidence alone."""

    name = "frozen"

    async def changes(self, episode, tools):
        if episode.had_recall:
            return [Skip(subject=episode.trajectory.id, reason="the stream only measures")]
        return [Add(built=await tools.build(episode.trajectory), reason="from before the stream")]


class Shuffled(Frozen):
    """As `Frozen`, and every line is put into an order that says nothing."""

    name = "shuffled"

    async def changes(self, episode, tools):
        (change,) = await super().changes(episode, tools)
        if isinstance(change, Skip):
            return [change]
        script = change.built.content.script
        draw = random.Random(episode.trajectory.id)
        lines = tuple("".join(draw.sample(line, len(line))).strip() or "-" for line in script.steps)
        nothing = Script(goal="Nothing.", steps=lines)
        content = Content(task=change.built.content.task, facts=change.built.content.facts, script=nothing)
        return [change.model_copy(update={"built": change.built.model_copy(update={"content": content})})]


def wrong_ways(houses, kind):
    """The world as it is not: `appliance`, `place`, or `version` (both, as before a change of everything)."""
    true, other = houses.ways(0), PlainHouses(houses.seed, drift_at=0).ways(0)
    return {
        "appliance": Ways(true.homes, true.ruins),
        "place": Ways(other.homes, true.works),
        "version": Ways(other.homes, true.ruins),
    }[kind]


def dangerous(seed):
    """Houses where an agent that is careful wins most tasks without memory, and a wrong word costs the task."""
    return PlainHouses(seed, families=tuple(VERBS), dangerous=True)


async def filled(memory, houses, *, size, harmful):
    """Learn `size` procedures; of the first `harmful` share of them what the wrong world taught. Their ids."""
    bad = set()
    kinds = ("appliance", "version", "appliance", "version", "place")
    for number, task in enumerate(houses.tasks("train", games=size)):
        wrong = random.Random(f"harmful {houses.seed} {number}").random() < harmful
        ways = wrong_ways(houses, kinds[number % 5]) if wrong else None
        done = await houses.record(task, houses.actions(task, ways), f"{'bad' if wrong else 'good'}-{number}")
        # Elsewhere it worked: the record says so, with observations as they were there.
        steps = tuple(s.model_copy(update={"error": None, "observation": "Done."}) for s in done.steps)
        await memory.record(done.model_copy(update={"reward": 1.0, "steps": steps if wrong else done.steps}))
    await memory.update()
    for procedure in memory.procedures():
        if procedure.revision.evidence[0].startswith("bad"):
            bad.add(procedure.id)
    return bad


async def stream(houses, tasks, model, memory, *, every=10, agent="m"):
    """Play the tasks; what was won, and after how many tasks each procedure was quarantined."""
    won, quarantined = [], {}
    for number, task in enumerate(tasks):
        recall = None

        async def ask(words, number=number):
            nonlocal recall
            recall = await memory.retrieve(words)
            return recall

        episode = await play(
            houses.environment(),
            task,
            model,
            instructions=houses.instructions,
            recall=ask if memory else None,
            max_steps=60,
        )
        won.append(episode.success)
        if memory:
            from memp_bench.agents.episode import trajectory_of

            done = trajectory_of(episode, f"stream-{number}").model_copy(update={"agent": agent})
            await memory.record(done, recall)
            if (number + 1) % every == 0:
                receipt = await memory.update()
                quarantined |= dict.fromkeys(receipt.quarantined, number + 1)
    return won, quarantined


def options_of(arm, share):
    if arm == "similarity":
        return {"retrieve": "query"}
    return {"retrieve": "value", "holdout": share}


async def harmful(asked):
    arms = {"no memory": [], "similarity": [], "evidence": []}
    notes = []
    for seed in range(asked.first, asked.first + asked.seeds):
        houses, model = dangerous(seed), backbone(asked.model, seed=seed)
        tasks = houses.tasks("stream", games=asked.tasks, seed=seed)
        arms["no memory"].append((await stream(houses, tasks, model, None))[0])
        for arm in ("similarity", "evidence"):
            made = AsyncProceduralMemory(
                ":memory:",
                agent="m",
                build="script",
                update=Frozen(),
                k=asked.k,
                seed=seed,
                **options_of(arm, asked.holdout),
            )
            async with made as memory:
                bad = await filled(memory, houses, size=asked.size, harmful=0.5)
                won, out = await stream(houses, tasks, model, memory)
                arms[arm].append(won)
                if arm == "evidence":
                    right = sorted(when for id, when in out.items() if id in bad)
                    served = {id for o in memory.outcomes(limit=10**6) for id, _ in o.credited}
                    notes.append(
                        {
                            "seed": seed,
                            "harmful": len(bad),
                            "harmful_served": len(bad & served),
                            "harmful_quarantined": len(right),
                            "harmless_quarantined": len(out) - len(right),
                            "first_after": right[0] if right else None,
                            "half_after": right[len(right) // 2] if right else None,
                            "lift": memory.evidence("m").overall.model_dump(),
                        }
                    )
        print(f"seed {seed}: " + ", ".join(f"{arm} {fmean(runs[-1]):.3f}" for arm, runs in arms.items()), flush=True)
    last = asked.tasks - asked.tasks // 3
    seeds = f"seeds {asked.first} to {asked.first + asked.seeds - 1}"
    print(f"\n{asked.model} (simulated), {asked.tasks} tasks, {seeds}, k = {asked.k}\n")
    print("| arm | first third | second third | final third | final third beside no memory, points | 95 % |")
    print("|---|---|---|---|---|---|")
    base = arms["no memory"]
    third = asked.tasks // 3
    for arm, runs in arms.items():
        parts = [100 * fmean(x for run in runs for x in run[at : at + third]) for at in (0, third, last)]
        gain = [
            float(a) - float(b)
            for run, other in zip(runs, base, strict=True)
            for a, b in zip(run[last:], other[last:], strict=True)
        ]
        low, high = Bootstrap(seed="harmful").mean(gain)
        said = "" if arm == "no memory" else f"{100 * fmean(gain):+.1f} | {100 * low:+.1f} to {100 * high:+.1f}"
        print(f"| {arm} | " + " | ".join(f"{part:.1f}" for part in parts) + f" | {said or ' | '} |")
    print()
    for note in notes:
        print(json.dumps(note))


async def null(asked):
    covered, lifts = 0, []
    bounds = Quarantine(abstain_after=10**9) if asked.never_abstain else Quarantine()
    for seed in range(asked.first, asked.first + asked.seeds):
        houses, model = PlainHouses(seed), backbone(asked.model, seed=seed)
        made = AsyncProceduralMemory(
            ":memory:",
            build="script",
            agent="m",
            update=Shuffled(),
            k=asked.k,
            seed=seed,
            holdout=asked.holdout,
            quarantine=bounds,
        )
        async with made as memory:
            await filled(memory, houses, size=30, harmful=0.0)
            await stream(houses, houses.tasks("stream", games=asked.tasks, seed=seed), model, memory, every=10**6)
            lift = memory.evidence("m").overall
        covered += lift.low <= 0 <= lift.high
        lifts.append(lift.success)
        if len(lifts) % 10 == 0 or len(lifts) == asked.seeds:
            spread = 100 * stdev(lifts) / len(lifts) ** 0.5 if len(lifts) > 1 else float("nan")
            print(
                f"{len(lifts)} seeds: {covered} intervals cover 0, mean lift {100 * fmean(lifts):+.2f} points "
                f"(standard error {spread:.2f})",
                flush=True,
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=["harmful", "null"])
    parser.add_argument("--model", default="sim:novice")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="the first of the seeds")
    parser.add_argument("--tasks", type=int, default=600)
    parser.add_argument("--size", type=int, default=60, help="procedures in the memory")
    parser.add_argument("--k", type=int, default=1)
    parser.add_argument("--holdout", type=float, default=0.1)
    parser.add_argument("--never-abstain", action="store_true", help="null: serve on, however bad the lift looks")
    asked = parser.parse_args()
    asyncio.run({"harmful": harmful, "null": null}[asked.study](asked))


if __name__ == "__main__":
    main()
