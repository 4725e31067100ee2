"""What the runner itself costs: CPU a step of a whole stream, with the environment and the model taken away.

    python benchmarks/runner.py [--episodes 50] [--steps 30]

Plays episodes in an environment that answers at once with a model that answers at once, through the real stream:
retrieval from a memory of 1,000 procedures, episode files, recording, updating. Target: <= 2 ms of CPU a step.
"""

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path

from memp.memory import AsyncProceduralMemory
from memp.models.base import Reply
from memp.models.metered import Meter
from memp.records import Step, Trajectory, Usage
from memp_bench.envs.base import Observation, Opening, Task
from memp_bench.studies.config import RunConfig
from memp_bench.studies.stream import Stream


class Instant:
    """Benchmark, environment and model in one; all answer at once."""

    name, instructions, example, splits, simulated = "instant", "Act.", "", ("all",), True

    def __init__(self, steps):
        self._steps = steps

    def environment(self):
        return Instant(self._steps)

    async def reset(self, task):
        self._at = 0
        seen = "On the countertop 1, you see a apple 1, a bread 1, a cup 3, a egg 1 and a soapbottle 2. " * 3
        return Opening(task=f"put a clean mug {task.id} on the shelf", observation=Observation(text=seen))

    async def step(self, action):
        self._at += 1
        return Observation(text=f"You did {action}. " * 5, reward=1.0, done=self._at == self._steps)

    async def complete(self, messages, **_):
        text = f"Thought: on.\nAction: go to shelf {len(messages)}"
        return Reply(text=text, usage=Usage(calls=1, input_tokens=900, output_tokens=12), model="instant")

    async def close(self):
        pass


async def run(folder, episodes, steps):
    instant, meter = Instant(steps), Meter()
    async with AsyncProceduralMemory(folder / "memory.db", k=10, meter=meter) as memory:
        for n in range(1000):
            done = tuple(Step(action=f"go to place {i}", observation=f"thing {n}") for i in range(8))
            await memory.record(Trajectory(task=f"put a clean mug {n} on the shelf", steps=done, reward=1.0))
        await memory.update()
        config = RunConfig(benchmark="instant", split="all", every=10, k=10)
        stream = Stream(config, instant, instant, memory, folder / "run", meter=meter, workers=8)
        tasks = [Task(id=str(n), family="mug") for n in range(episodes)]
        await memory.retrieve("put a clean mug on the shelf")  # the index is read once a process
        started = time.process_time()
        await stream.run(tasks)
        return time.process_time() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=50)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cpu = asyncio.run(run(Path(folder), options.episodes, options.steps))
    figure = {
        "steps": options.episodes * options.steps,
        "cpu_ms_a_step": 1000 * cpu / (options.episodes * options.steps),
    }
    print(json.dumps(figure) if options.json else f"{figure['cpu_ms_a_step']:.3f} ms of CPU a step")


if __name__ == "__main__":
    main()
