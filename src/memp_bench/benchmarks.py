"""Benchmarks by name."""

from pathlib import Path

from memp.errors import MempError, UnknownName
from memp.models.base import ChatModel
from memp_bench.envs.base import Benchmark
from memp_bench.envs.engine.player import Engine
from memp_bench.envs.slots import PoolMaker, local_pool

NAMES = ("alfworld", "household", "travelplanner")


def benchmark(
    name: str,
    *,
    data: Path | None = None,
    engine: Engine = "fast",
    workers: int = 8,
    cache: Path | None = None,
    seed: int = 0,
    mode: str = "two-stage",
    strategy: str = "direct",
    planner: ChatModel | None = None,
    reader: ChatModel | None = None,
    generated: bool = False,
    pools: PoolMaker = local_pool,
) -> Benchmark:
    """The benchmark of that name. `data` is for those that need some; `seed` for those that generate their games.

    `mode`, `strategy`, `planner` and `reader` are travelplanner's: see `TravelPlanner`. With `generated` it is played
    in a generated country (that of `seed`, kept in `cache`) and needs no data; household is always generated.
    `pools` says where games are played (travelplanner is played in this process).

    Raises:
        UnknownName: no such benchmark, mode or strategy.
        MempError: `generated` with data, or of alfworld, whose games are real ones.
        MissingExtra: the engine is not installed.
    """
    if generated and (name == "alfworld" or data is not None):
        raise MempError(
            "`generated` takes no data: give one of the two"
            if data is not None
            else "alfworld's games are not generated; household plays the same kind of games without data"
        )
    if name == "alfworld":
        from memp_bench.envs.alfworld import AlfWorld

        return AlfWorld(data=data, engine=engine, workers=workers, cache=cache, pools=pools)
    if name == "household":
        from memp_bench.envs.household import Household

        return Household(seed=seed, engine=engine, workers=workers, cache=cache, pools=pools)
    if name == "travelplanner":
        from memp_bench.envs.travelplanner.benchmark import TravelPlanner, check_mode, check_strategy
        from memp_bench.envs.travelplanner.generated_tasks import kept_world

        if generated:
            data = kept_world(cache if cache is not None else Path.home() / ".cache" / "memp", seed)
        return TravelPlanner(data, check_mode(mode), strategy=check_strategy(strategy), planner=planner, reader=reader)
    raise UnknownName("benchmark", name, NAMES)
