"""Benchmarks by name."""

from pathlib import Path

from memp.errors import UnknownName
from memp_bench.envs.base import Benchmark
from memp_bench.envs.engine.player import Engine

NAMES = ("alfworld", "household")


def benchmark(
    name: str,
    *,
    data: Path | None = None,
    engine: Engine = "fast",
    workers: int = 8,
    cache: Path | None = None,
    seed: int = 0,
) -> Benchmark:
    """The benchmark of that name. `data` is for those that need some; `seed` for those that generate their games.

    Raises:
        UnknownName: no such benchmark.
        MissingExtra: the engine is not installed.
    """
    if name == "alfworld":
        from memp_bench.envs.alfworld import AlfWorld

        return AlfWorld(data=data, engine=engine, workers=workers, cache=cache)
    if name == "household":
        from memp_bench.envs.household import Household

        return Household(seed=seed, engine=engine, workers=workers, cache=cache)
    raise UnknownName("benchmark", name, NAMES)
