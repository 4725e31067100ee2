"""Where the time goes: a study's games on this machine, through the local player and through inspect-ai.

    python benchmarks/harness.py [--games 140] [--learn 60] [--inspect-games 16] [--delay 1.0] [--json]

Plays all of ALFWorld's valid_seen twice, without memory and with a frozen one learned from expert games, by a
simulated backbone that answers at once: nothing to wait for, so everything that costs shows. Then fewer games with a
model that takes `--delay` seconds an answer, as real ones do, through both players. Prints a Markdown table.

What is counted is CPU time: the environments' worker processes; the simulated agent; the memory (recalling); and the
harness, which is all the rest of this process (loop, prompts, episode files, talking to the workers, inspect-ai). Its
share of the wall time is that of one core, so 10 % means that 90 % of the run would remain without it.
Target: <= 10 % of the wall time of the 140 games x 2 arms.
"""

import argparse
import asyncio
import json
import os
import resource
import sys
import tempfile
import time
import types
from pathlib import Path
from typing import NamedTuple

from memp.memory import AsyncProceduralMemory
from memp.models.metered import Meter
from memp.models.wrapped import Wrapped
from memp_bench.agents.registry import backbone
from memp_bench.benchmarks import benchmark
from memp_bench.cli.run import in_stream_order
from memp_bench.studies.config import RunConfig
from memp_bench.studies.learn import learn
from memp_bench.studies.stream import Stream

WARNING = "the CPU was shared with other work: {load:.1f} processes ran or waited when it began"


class Part:
    """CPU time of one part of this process, in seconds; exact also when coroutines take turns."""

    def __init__(self):
        self.cpu = 0.0

    @types.coroutine
    def timed(self, coroutine):
        """`await`s the coroutine and counts the time while it runs, not while it waits."""
        step, value = coroutine.send, None
        while True:
            began = time.thread_time()
            try:
                waiting = step(value)
            except StopIteration as done:
                return done.value
            finally:
                self.cpu += time.thread_time() - began
            try:
                step, value = coroutine.send, (yield waiting)
            except BaseException as error:  # noqa: BLE001 - passed on to the coroutine
                step, value = coroutine.throw, error


class Agent(Wrapped):
    """A simulated backbone that is timed, and as slow as asked for."""

    def __init__(self, name, part, delay):
        super().__init__(backbone(name))
        self._part, self._delay = part, delay

    async def asked(self, messages, purpose, ask):
        reply = await self._part.timed(ask())
        await asyncio.sleep(self._delay)
        return reply


class Figures(NamedTuple):
    """Seconds, over all arms of a case."""

    name: str
    episodes: int
    steps: int
    wall: float
    workers: float
    agent: float
    memory: float
    harness: float


class Case(NamedTuple):
    name: str
    player: str
    games: int
    delay: float
    workers: int


async def learned(options, file):
    """A memory of the train split's expert games."""
    house = benchmark("alfworld", data=options.data, workers=os.cpu_count() or 2)
    memory = AsyncProceduralMemory(file, k=10)
    try:
        await learn(memory, house, house.tasks("train", games=options.learn, seed=0))
    finally:
        await house.close()
        await memory.close()


async def arm(options, case, file, folder, agent, recalling):
    """One arm; the steps that were played. The memory is opened before the clock starts, as a study does once."""
    house = benchmark("alfworld", data=options.data, workers=case.workers)
    memory = None if file is None else AsyncProceduralMemory(file, k=10)
    if memory is not None:
        retrieve = memory.retrieve
        memory.retrieve = lambda task, *rest, **more: recalling.timed(retrieve(task, *rest, **more))
    config = RunConfig(benchmark="alfworld", split="valid_seen", memory=file is not None, model=agent.name)
    tasks = in_stream_order(house.tasks("valid_seen", games=case.games, seed=0), 0)
    steps = []
    try:
        await Stream(
            config,
            house,
            agent,
            memory,
            folder,
            meter=Meter(),
            workers=case.workers,
            player=case.player,
            record=False,
            on_episode=lambda episode: steps.append(len(episode.steps)),
        ).run(tasks)
    finally:
        await house.close()
        if memory is not None:
            await memory.close()
    return steps


async def measure(options, case, file, folder):
    acting, recalling = Part(), Part()
    agent = Agent(options.model, acting, case.delay)
    cpu, children, wall = time.process_time(), _children(), time.perf_counter()
    steps = []
    for name, memory in (("none", None), ("memory", file)):
        steps += await arm(options, case, memory, folder / name, agent, recalling)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Figures(
        case.name,
        len(steps),
        sum(steps),
        wall,
        _children() - children,
        acting.cpu,
        recalling.cpu,
        cpu - acting.cpu - recalling.cpu,
    )


def _children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)  # of those that have ended: all, once the house is closed
    return used.ru_utime + used.ru_stime


def cases(options):
    cores = os.cpu_count() or 2
    few, slow = options.inspect_games, f"{options.delay:g} s a reply"
    yield Case("local, a model that answers at once", "local", options.games, 0.0, cores)
    if few:
        yield Case(f"local, {slow}", "local", few, options.delay, 8)
        yield Case("inspect-ai, its start-up (once a process)", "inspect", 1, 0.0, cores)
        yield Case(f"inspect-ai, {slow}", "inspect", few, options.delay, 8)


def table(figures):
    head = ["case", "episodes", "steps", "wall, s"]
    head += [
        "environments, CPU s",
        "agent, CPU s",
        "memory, CPU s",
        "harness, CPU s",
        "harness, % of wall",
        "ms a step",
    ]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" + " ---: |" * (len(head) - 1)]
    for f in figures:
        parts = [f"{f.wall:.1f}", f"{f.workers:.1f}", f"{f.agent:.1f}", f"{f.memory:.2f}", f"{f.harness:.2f}"]
        share = [f"{100 * f.harness / f.wall:.1f}", f"{1000 * f.harness / max(1, f.steps):.2f}"]
        lines.append("| " + " | ".join([f.name, f"{f.episodes:,}", f"{f.steps:,}", *parts, *share]) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--games", type=int, default=140, help="of valid_seen, in both arms")
    parser.add_argument("--learn", type=int, default=60, help="expert games the memory is learned from")
    parser.add_argument("--inspect-games", type=int, default=16, help="for the cases with a slow model; 0 leaves them")
    parser.add_argument("--delay", type=float, default=1.0, help="seconds a real model takes for an answer")
    parser.add_argument("--model", default="sim:novice")
    parser.add_argument("--data", type=Path, help="ALFWorld's data; default: MEMP_DATA")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    found = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        asyncio.run(learned(options, folder / "memory.db"))
        for number, case in enumerate(cases(options)):
            found.append(asyncio.run(measure(options, case, folder / "memory.db", folder / str(number))))
            print(f"{case.name}: {found[-1].wall:.1f} s", file=sys.stderr)
    print(json.dumps([f._asdict() for f in found], indent=1) if options.json else table(found))
    if load > 1:
        print(WARNING.format(load=load), file=sys.stderr)


if __name__ == "__main__":
    main()
