"""What playing on a Ray cluster costs beside processes of one machine: a call, a start, memory, episodes a second.

    python benchmarks/ray_pool.py                       # some two minutes on a quiet machine
    python benchmarks/ray_pool.py --games 12 --calls 200   # small

The cluster is Ray's own test cluster: its nodes are processes of this machine with one CPU each, and share its cores.
So a second node shows that work is spread, not how much faster two machines are. Episodes are those of the planner's
expert (no model is asked): the engine works without a pause, which is the most that a pool can be asked for. `memory`
is the proportional set size of all processes of the pool and of the cluster, the driver not counted.
"""

import argparse
import asyncio
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from memp.records import now
from memp_bench.envs.expert import expert_trajectories
from memp_bench.envs.household import Household
from memp_bench.envs.ray_cluster import RayCluster
from memp_bench.envs.slots import PoolMaker, local_pool

MARK = f"MEMP_BENCHMARK={os.getpid()}"


async def measure(name: str, pools: PoolMaker, processes: int, cache: Path, args: argparse.Namespace) -> str:
    """One row of the table."""
    pool = pools("collections:Counter", {}, size=args.workers, processes=processes)
    began = time.perf_counter()
    async with pool.lease() as slot:
        await slot.call("total")
        start = time.perf_counter() - began
        took = []
        for _ in range(args.calls):
            before = time.perf_counter()
            await slot.call("total")
            took.append(time.perf_counter() - before)
    await pool.close()
    house = Household(seed=0, workers=args.workers, processes=processes, cache=cache, pools=pools)
    tasks = house.tasks("seen", games=args.games)
    await expert_trajectories(house, tasks[: 2 * processes], clock=now)  # engines are loaded
    began = time.perf_counter()
    played, skipped = await expert_trajectories(house, tasks, clock=now)
    seconds = time.perf_counter() - began
    assert len(played) == args.games, skipped
    memory = memory_mb()
    await house.close()
    took.sort()
    p50, p99 = (1000 * took[int(len(took) * share)] for share in (0.5, 0.99))
    return f"| {name} | {start:.1f} s | {p50:.2f} / {p99:.2f} ms | {args.games / seconds:.1f} | {memory:,.0f} MB |"


def memory_mb() -> float:
    """Of all processes that were started by this one, directly or not."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, StopIteration):
            if folder.name != str(os.getpid()) and MARK.encode() in (folder / "environ").read_bytes():
                lines = (folder / "smaps_rollup").read_text().splitlines()
                total += int(next(line for line in lines if line.startswith("Pss:")).split()[1])
    return total / 1024


def run(args: argparse.Namespace) -> None:
    """The table."""
    os.environ |= {MARK.partition("=")[0]: MARK.partition("=")[2], "RAY_USAGE_STATS_ENABLED": "0"}
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": os.urandom(32).hex()}
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        print(f"making {args.games} games", flush=True)
        house = Household(seed=0, cache=cache)
        asyncio.run(prepared(house, args.games))
        print("| pool | first answer | call p50 / p99 | episodes/s | memory |\n|---|---|---|---|---|", flush=True)
        for processes in (1, 2):
            row = measure(f"processes, {processes}", local_pool, processes, cache, args)
            print(asyncio.run(row), flush=True)
        from ray.cluster_utils import Cluster

        node: dict[str, Any] = {"include_dashboard": False, "num_cpus": 1, "object_store_memory": 80 * 1024 * 1024}
        began = time.perf_counter()
        cluster = Cluster(initialize_head=True, head_node_args=node)
        print(f"one node of a Ray cluster started in {time.perf_counter() - began:.1f} s", flush=True)
        for nodes in (1, 2):
            if nodes == 2:
                cluster.add_node(**node)
            row = measure(f"Ray, nodes: {nodes}", RayCluster(cluster.address).pool, nodes, cache, args)
            print(asyncio.run(row), flush=True)
        cluster.shutdown()
    print(f"{os.cpu_count()} cores; load while it ran: {os.getloadavg()[0]:.1f}")


async def prepared(house: Household, games: int) -> None:
    """Make the games, so that no pool has to."""
    await house.prepare("seen", games)
    await house.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--games", type=int, default=60)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=8, help="episodes at once")
    run(parser.parse_args())
