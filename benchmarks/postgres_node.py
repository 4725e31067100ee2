"""What one PostgreSQL node holds and does, for the arithmetic of docs/scale.md.

    python benchmarks/postgres_node.py [--tenants 1] [--procedures 20000] [--index] [--seconds 5] [--clients 1 4 16]

A server of its own on a unix socket, fsync on; `--procedures` for each tenant (`synthetic.py`: 1-2 KB each), written
with the store's own `write`, 2,000 a transaction, then embedded (128 dimensions). Prints bytes a procedure by table and
part, the rate and memory of the HNSW build (`--index`), bytes an episode, and what clients (processes, one memory
each, tenants in turn) retrieve and record a second through `ProceduralMemory`: they share this machine with the server.
"""

import argparse
import asyncio
import multiprocessing
import os
import statistics
import time
import zlib
from itertools import islice
from typing import Any

from pgparts import parts, peak, tidy
from synthetic import fill, played, questions

from memp import ProceduralMemory
from memp.models.static import StaticEmbedder
from memp.retrieve.far import search_in_store
from memp.stores.postgres import PostgresStore
from memp.testing.postgres import PostgresServer

K = 5


def work(url: str, namespace: str, name: str, seconds: float, records: bool, ready: Any, said: Any) -> None:
    """Retrieve, or record what was played, until the time is over; says how often, and the median in milliseconds."""
    taken, asked = [], questions(seed=zlib.crc32(name.encode()))
    with ProceduralMemory(url, namespace=namespace, k=K) as memory:
        memory.retrieve(next(asked), log=False)
        served = [memory.retrieve(task) for task in islice(asked, 50)] if records else []
        ready.wait()
        end = time.perf_counter() + seconds
        while (start := time.perf_counter()) < end:
            if records:
                recall = served[len(taken) % 50].model_copy(update={"id": f"{name}-{len(taken)}"})
                memory.record(played(recall.task, len(taken), name), recall)
            else:
                memory.retrieve(next(asked))
            taken.append(time.perf_counter() - start)
    said.put((len(taken), statistics.median(taken) * 1e3))


def rate(url: str, tenants: int, clients: int, seconds: float, *, records: bool) -> str:
    """Of so many clients at once, in tenants in turn."""
    spawn = multiprocessing.get_context("spawn")
    ready, said = spawn.Barrier(clients), spawn.Queue()
    names = [f"{records}-{clients}-{n}" for n in range(clients)]
    workers = [
        spawn.Process(target=work, args=(url, f"tenant-{n % tenants}", name, seconds, records, ready, said))
        for n, name in enumerate(names)
    ]
    for worker in workers:
        worker.start()
    done = [said.get() for _ in workers]
    for worker in workers:
        worker.join()
    return f"{sum(n for n, _ in done) / seconds:8.0f}/s, p50 {statistics.median(ms for _, ms in done):.1f} ms"


def table(label: str, before: dict[tuple[str, str], int], after: dict[tuple[str, str], int], count: int) -> None:
    """Bytes for each of `count`, by table and part."""
    grown = {key: (size - before.get(key, 0)) / count for key, size in after.items()}
    print(f"\nbytes {label}: {sum(grown.values()):.0f}")
    for (name, part), size in sorted(grown.items(), key=lambda item: -item[1]):
        if size >= 1:
            print(f"{size:10.0f}  {name}, {part}")


def index(server: PostgresServer, store: PostgresStore, tenants: int, count: int) -> None:
    """Let the database search every tenant's vectors."""
    embedder, rested = StaticEmbedder(), server.memory()
    with peak(server.memory) as most:
        start = time.perf_counter()
        for n in range(tenants):
            asyncio.run(search_in_store(store, f"tenant-{n}", embedder))
        took = time.perf_counter() - start
    print(f"memp memory index: {took:.1f} s, {tenants * count / took:.0f} procedures a second (copy and HNSW)")
    print(f"server memory meanwhile: {most[0]:.0f} MB (before: {rested:.0f} MB)")


def measure(server: PostgresServer, tenants: int, count: int, asked: argparse.Namespace) -> None:
    """All of it."""
    url, total = server.url(), tenants * count
    store, empty = PostgresStore(url), parts(url)
    spent = sum(fill(store, f"tenant-{n}", count, seed=n, progress=lambda _: None) for n in range(tenants))
    print(f"written: {spent:.1f} s, {total / spent:.0f} procedures a second by one client, {min(2_000, count)} at once")
    start = time.perf_counter()
    for n in range(tenants):
        with ProceduralMemory(url, namespace=f"tenant-{n}") as memory:
            memory.retrieve("put the red mug on the shelf", log=False)
    took = time.perf_counter() - start
    print(f"embedded, each tenant by its first retrieve: {took:.1f} s, {total / took:.0f} a second")
    if asked.index:
        index(server, store, tenants, count)
    tidy(url)
    filled = parts(url)
    table("a procedure", empty, filled, total)
    print(f"\nretrieve, logged, {'in the database' if asked.index else 'exact in the client'}")
    for clients in asked.clients:
        print(f"{clients:4} clients {rate(url, tenants, clients, asked.seconds, records=False)}")
    tidy(url)
    before, episodes = parts(url), sum(store.stats(f"tenant-{n}").trajectories for n in range(tenants))
    print("record, durable, credit to 5")
    for clients in asked.clients:
        print(f"{clients:4} clients {rate(url, tenants, clients, asked.seconds, records=True)}")
    tidy(url)
    episodes = sum(store.stats(f"tenant-{n}").trajectories for n in range(tenants)) - episodes
    table("an episode (trajectory of some 12 steps, recall, outcome)", before, parts(url), episodes)
    print(f"server memory: {server.memory():.0f} MB")
    store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenants", type=int, default=1)
    parser.add_argument("--procedures", type=int, default=20_000, help="of each tenant")
    parser.add_argument("--index", action="store_true", help="search in the database")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measured rate")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16])
    asked = parser.parse_args()
    print(f"{asked.tenants} tenants x {asked.procedures} procedures")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    settings = {"shared_buffers": "1GB", "maintenance_work_mem": "2GB", "max_wal_size": "4GB", "max_connections": 200}
    with PostgresServer(durable=True, **settings) as server:
        measure(server, asked.tenants, asked.procedures, asked)


if __name__ == "__main__":
    main()
