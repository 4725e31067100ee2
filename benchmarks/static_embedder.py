"""Speed of the bundled embedder: load, one sentence, a batch, a megabyte.

Single texts: median wall time. Load and batches: CPU time (one thread), so that a busy machine can measure them.

python benchmarks/static_embedder.py
"""

import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from memp.models.static import StaticEmbedder, bundled_table

SENTENCE = "find two clean mugs and put them in the cupboard over there"
LOAD = (
    "import time, memp.models.static as s; t = time.process_time(); s.bundled_table(); print(time.process_time() - t)"
)


def p50(run: Callable[[], object], repeats: int) -> float:
    """Median seconds of `run`."""
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def main() -> None:
    loads = [float(subprocess.check_output([sys.executable, "-c", LOAD])) for _ in range(5)]
    embedder = StaticEmbedder()
    words = [word for word in bundled_table().vocabulary if word.isalpha()]
    rng = random.Random(0)
    texts = [" ".join(rng.choices(words, k=12)) for _ in range(10_000)]
    began = time.process_time()
    embedder.encode(texts)
    cold = time.process_time() - began
    began = time.process_time()
    for _ in range(3):
        embedder.encode(texts)
    warm = (time.process_time() - began) / 3
    figures = {
        "table_load_cpu_ms": 1e3 * statistics.median(loads),
        "one_12_word_sentence_us": 1e6 * p50(lambda: embedder.encode([SENTENCE]), 5_000),
        "one_random_12_word_sentence_us": 1e6 * p50(lambda: embedder.encode([rng.choice(texts)]), 5_000),
        "batch_texts_per_cpu_s_cold_words": len(texts) / cold,
        "batch_texts_per_cpu_s": len(texts) / warm,
        "one_megabyte_text_ms": 1e3 * p50(lambda: embedder.encode(["put the mug away " * 60_000]), 20),
    }
    print(json.dumps({name: round(value, 1) for name, value in figures.items()}, indent=2))


if __name__ == "__main__":
    main()
