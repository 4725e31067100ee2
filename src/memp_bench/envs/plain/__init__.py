"""Houses in plain Python: the grammar of ALFWorld without its engine, for streams of thousands of tasks."""

from memp_bench.envs.plain.benchmark import PlainHouses
from memp_bench.envs.plain.house import House

__all__ = ["House", "PlainHouses"]
