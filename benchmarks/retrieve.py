"""Retrieve, embedding included, on one core, at 10,000 and 100,000 memories; opening a file.

OPENBLAS_NUM_THREADS=1 python benchmarks/retrieve.py [--sizes 10000,100000] [--folder /tmp/memp-bench] [--json]

The files are made once and kept in the folder. `scan` is a bare NumPy product of the same vectors in the same run;
`exact` says that the answers equal a sort of all its scores. Every query is new.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from loopfiles import sentences, write_memory

from memp import ProceduralMemory
from memp.models.static import StaticEmbedder

K = 10
OPEN = """
import sys, time
from memp import ProceduralMemory
import memp.memory, memp.models.static, numpy, simsimd
began = time.perf_counter()
memory = ProceduralMemory(sys.argv[1], k=10)
memory.retrieve("put the red mug on the shelf")
print(time.perf_counter() - began)
"""


def reference():
    """A bare scan of 100,000 x 256 float32, in milliseconds: the yardstick of the targets, which took 3.5 there."""
    vectors = np.ones((100_000, 256), np.float32)
    return statistics.median(timed(lambda _: vectors @ vectors[0], range(30)))


def timed(run, arguments):
    """Milliseconds of each call."""
    taken = []
    for argument in arguments:
        began = time.perf_counter()
        run(argument)
        taken.append(1e3 * (time.perf_counter() - began))
    return taken


def measure(path: Path, size: int, queries: int) -> dict[str, object]:
    if not path.exists():
        write_memory(path.with_suffix(".part"), size)
        path.with_suffix(".part").rename(path)
    with ProceduralMemory(path, k=K) as memory:
        memory.retrieve("warm up")  # embeds and keeps the vectors, the first time
        # k = 10 whatever they are: no floor, no budget
        tasks = list(itertools.islice(sentences(seed=time.time_ns()), queries))
        retrieve = timed(lambda task: memory.retrieve(task, floor=-1, max_tokens=10**9), tasks)
        preview = timed(lambda task: memory.retrieve(task, floor=-1, max_tokens=10**9, log=False), tasks[:200])
        recall = memory.retrieve(tasks[0])
        render = timed(lambda _: recall.render(), range(200))
        index = memory._memory._index
        vectors, ids = index.table._rows[: len(index)].copy(), index.ids
        embedder = StaticEmbedder()
        embed = timed(lambda task: embedder.encode([task]), tasks)
        query = embedder.encode([tasks[0]])[0]
        scan = timed(lambda _: vectors @ query, range(100))
        exact = all(same(memory, task, vectors, ids, embedder) for task in tasks[:200])
    opened = [float(subprocess.check_output([sys.executable, "-c", OPEN, str(path)])) for _ in range(5)]
    return {
        "memories": size,
        "p50_ms": statistics.median(retrieve),
        "p99_ms": float(np.percentile(retrieve, 99)),
        "p10_ms": float(np.percentile(retrieve, 10)),
        "not_logged_p50_ms": statistics.median(preview),
        "embed_p50_ms": statistics.median(embed),
        "render_p50_ms": statistics.median(render),
        "scan_p50_ms": statistics.median(scan),
        "reference_ms": reference(),
        "ratio_to_scan": statistics.median(retrieve) / statistics.median(scan),
        "exact": exact,
        "open_s": statistics.median(opened),
        "file_mb": path.stat().st_size / 1e6,
        "load": os.getloadavg()[0],
    }


def same(memory, task, vectors, ids, embedder) -> bool:
    """Whether the recall is what a sort of all scores gives."""
    scores = np.round((vectors @ embedder.encode([task])[0]).astype(np.float64), 6)
    best = np.lexsort((np.arange(len(scores)), -scores))[:K]
    recall = memory.retrieve(task, floor=-1, max_tokens=10**9, log=False)
    return [item.procedure.id for item in recall.ranked] == [ids[row] for row in best]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="10000,100000")
    parser.add_argument("--folder", type=Path, default=Path("/tmp/memp-bench"))
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    results = [
        measure(options.folder / f"memory-{size}.db", size, options.queries)
        for size in map(int, options.sizes.split(","))
    ]
    if options.json:
        print(json.dumps(results, indent=2))
        return
    for name in results[0]:
        values = (result[name] for result in results)
        print(f"{name:>20}", *(f"{v:>12.3f}" if isinstance(v, float) else f"{v!s:>12}" for v in values))


if __name__ == "__main__":
    main()
