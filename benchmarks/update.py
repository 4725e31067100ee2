"""`update()` over a group of 10 at 100,000 memories against the same at 1,000 (rules, no model).

python benchmarks/update.py [--sizes 1000,100000] [--folder /tmp/memp-bench] [--rounds 7] [--json]

A group is 10 tasks played with a recall each: 5 successes and 5 failures, so 5 procedures are added and those served
for the failures are corrected. Vectors of what is new are made at the next retrieve, which is measured as well. The
sizes take turns, on copies of files that are made once, so that a busy machine is busy for both.
"""

import argparse
import itertools
import json
import os
import shutil
import statistics
import time
from pathlib import Path

from loopfiles import sentences, write_memory

from memp import ProceduralMemory, Step, Trajectory

GROUP = 10


def group(memory: ProceduralMemory, tasks: list[str], mark: str) -> None:
    """Play a group."""
    for number, task in enumerate(tasks):
        recall = memory.retrieve(task, floor=-1)
        actions = [f"do {part} {mark}" for part in task.split()[:8]]
        steps = tuple(Step(action=action, observation=f"done: {action}") for action in actions)
        memory.record(Trajectory(task=task, steps=steps, reward=float(number % 2)), recall)


def measure(memory: ProceduralMemory, tasks: list[str], mark: str) -> tuple[float, float, float]:
    """Milliseconds of the update, CPU milliseconds of it, and milliseconds of the retrieve that follows."""
    group(memory, tasks, mark)
    began, cpu = time.perf_counter(), time.process_time()
    receipt = memory.update()
    taken, cpu = time.perf_counter() - began, time.process_time() - cpu
    assert len(receipt.added) == GROUP // 2
    assert len(receipt.revised) == GROUP // 2 * memory._memory.k
    began = time.perf_counter()
    memory.retrieve(tasks[0])
    return 1e3 * taken, 1e3 * cpu, 1e3 * (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="1000,100000")
    parser.add_argument("--folder", type=Path, default=Path("/tmp/memp-bench"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    sizes = [int(size) for size in options.sizes.split(",")]
    memories = {}
    for size in sizes:
        path = options.folder / f"memory-{size}.db"
        if not path.exists():
            write_memory(path, size)
            with ProceduralMemory(path) as memory:
                memory.retrieve("warm up")
        copy = options.folder / f"update-{size}.db"
        shutil.copy(path, copy)
        memories[size] = ProceduralMemory(copy)
        memories[size].retrieve("warm up")
    taken: dict[int, list[tuple[float, float, float]]] = {size: [] for size in sizes}
    tasks = sentences(seed=time.time_ns())
    for turn in range(options.rounds):
        for size in sizes:
            taken[size].append(measure(memories[size], list(itertools.islice(tasks, GROUP)), f"{turn}"))
    for memory in memories.values():
        memory.close()
    for size in sizes:
        for left in options.folder.glob(f"update-{size}.db*"):
            left.unlink()
    update = {size: statistics.median(part[0] for part in taken[size]) for size in sizes}
    result = {
        "update_ms": update,
        "update_cpu_ms": {size: statistics.median(part[1] for part in taken[size]) for size in sizes},
        "next_retrieve_ms": {size: statistics.median(part[2] for part in taken[size]) for size in sizes},
        "ratio": update[sizes[-1]] / update[sizes[0]],
        "load": os.getloadavg()[0],
    }
    if options.json:
        print(json.dumps(result, indent=2))
        return
    for name, value in result.items():
        shown = value if isinstance(value, dict) else {"": value}
        print(
            f"{name:>18}",
            "  ".join(f"{size}: {number:.2f}" if size else f"{number:.2f}" for size, number in shown.items()),
        )


if __name__ == "__main__":
    main()
