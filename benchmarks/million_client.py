"""One process that uses a memory, for `million.py`: prints what it measured as JSON.

python benchmarks/million_client.py PLACE --mode embed|measure [--rounds N] [--answers FILE] [--known FILE]
"""

import argparse
import itertools
import json
import os
import statistics
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from synthetic import played, questions

from memp import ProceduralMemory
from memp.models.static import StaticEmbedder

K, GROUP = 10, 10
FILTERS = ({}, {"only_success": True})
"""What a recall is measured with: a tenth of the procedures is hidden by their status in both."""
_TIED = 2e-6
"""Scores are rounded to 6 places: as near as this is as good."""


def resident() -> dict[str, float]:
    """Megabytes of this process in memory; `anonymous` is what it does not share with files and other processes."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {
        name: int(lines[key].split()[0]) / 1e3
        for name, key in (("resident_mb", "VmRSS"), ("anonymous_mb", "RssAnon"), ("peak_mb", "VmHWM"))
    }


def timed(run, count: int) -> dict[str, float]:
    """p50 and p99 in milliseconds."""
    taken = []
    for number in range(count):
        began = time.perf_counter()
        run(number)
        taken.append(1e3 * (time.perf_counter() - began))
    return {"p50_ms": statistics.median(taken), "p99_ms": float(np.percentile(taken, 99))}


def answers(memory: ProceduralMemory, tasks: list[str], k: int = K) -> list[list[tuple[str, float]]]:
    """For every filter and task what is served."""
    recalls = (
        memory.retrieve(task, k=k, floor=-1, max_tokens=10**9, log=False, **chosen)
        for chosen in FILTERS
        for task in tasks
    )
    return [[(item.procedure.id, item.score) for item in recall.ranked] for recall in recalls]


def share(found: list[list[tuple[str, float]]], exact: list[list[tuple[str, float]]]) -> float:
    """recall@10: of what an exact search serves, how much is served; what is as near as the tenth is as good."""
    got = []
    for hits, best in zip(found, exact, strict=True):
        good = {id for id, score in best if score >= best[K - 1][1] - _TIED}
        got.append(sum(id in good for id, _ in hits) / K)
    return float(np.mean(got))


def update(memory: ProceduralMemory, tasks: list[str], mark: str) -> tuple[float, float]:
    """Milliseconds of `update()` over a group of ten tasks, and of the retrieve that follows."""
    for number, task in enumerate(tasks):
        memory.record(played(task, number, mark), memory.retrieve(task, k=5, floor=-1))
    began = time.perf_counter()
    receipt = memory.update()
    updated = time.perf_counter()
    assert receipt.added, receipt
    assert receipt.revised, receipt
    memory.retrieve(tasks[0])
    return 1e3 * (updated - began), 1e3 * (time.perf_counter() - updated)


def measure(place: str, rounds: int, write: Path | None, known: Path | None) -> dict[str, object]:
    """Everything that one client sees."""
    StaticEmbedder().encode(["read the table before the clock starts"])
    began = time.perf_counter()
    with ProceduralMemory(place, k=K) as memory:
        memory.retrieve("put the red mug on the shelf")
        result: dict[str, object] = {"open_s": time.perf_counter() - began, **resident()}
        tasks = list(itertools.islice(questions(seed=1), rounds))
        if known is not None:
            result["recall_at_10"] = share(answers(memory, tasks[:200]), json.loads(known.read_text()))
        fresh = list(itertools.islice(questions(seed=time.time_ns()), 2 * rounds))
        recalls = []
        result["retrieve"] = timed(
            lambda n: recalls.append(memory.retrieve(fresh[n], floor=-1, max_tokens=10**9)), rounds
        )
        result["filtered"] = timed(
            lambda n: memory.retrieve(fresh[rounds + n], floor=-1, max_tokens=10**9, only_success=True), rounds
        )
        result["record"] = timed(lambda n: memory.record(played(fresh[n], 1, "r"), recalls[n]), min(rounds, 200))
        memory.update()
        took = [update(memory, list(itertools.islice(questions(seed=time.time_ns()), GROUP)), f"{n}") for n in range(5)]
        result["update_ms"], result["next_retrieve_ms"] = (statistics.median(part) for part in zip(*took, strict=True))
        result["after"] = resident()
        if write is not None:
            write.write_text(json.dumps(answers(memory, tasks[:200], 3 * K)))
    return result


def embed(place: str) -> dict[str, object]:
    """The first retrieve of all: it embeds every task and keeps the vectors."""
    began = time.perf_counter()
    with ProceduralMemory(place, k=K) as memory:
        memory.retrieve("put the red mug on the shelf")
        return {"embed_s": time.perf_counter() - began, **resident()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("place")
    parser.add_argument("--mode", choices=("embed", "measure"), default="measure")
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--answers", type=Path, help="write what is served for the same 200 tasks")
    parser.add_argument("--known", type=Path, help="compare with what an exact search served")
    options = parser.parse_args()
    if options.mode == "embed":
        print(json.dumps(embed(options.place)))
    else:
        print(json.dumps(measure(options.place, options.rounds, options.answers, options.known)))


if __name__ == "__main__":
    main()
