"""The PostgreSQL store on this machine: retrieve, record, writers at once, similarity in the database.

    python benchmarks/postgres.py [--procedures 10000] [--rounds 300] [--url postgresql://...] [--no-index]

Without --url a server of its own is started on a unix socket, with fsync on. Everything is measured through
`ProceduralMemory` as an agent uses it, but for the writers, who record through stores in processes of their own.
"""

import argparse
import asyncio
import multiprocessing
import os
import platform
import re
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any

import numpy as np

from memp import ProceduralMemory, Step, Trajectory
from memp.models.static import StaticEmbedder
from memp.recall import Recall, Recalled
from memp.records import Author, Content, Outcome, Revision, Script
from memp.retrieve import Index
from memp.retrieve.far import search_in_store
from memp.stores.base import Write
from memp.stores.postgres import PostgresStore
from memp.testing.postgres import PostgresServer

AT = datetime(2026, 1, 1, tzinfo=UTC)
THINGS = re.findall(r"\w+", "mug plate apple egg knife lamp towel book key phone bowl cup pan spoon bread potato")
PLACES = re.findall(
    r"\w+", "desk shelf fridge drawer table sink cabinet bed sofa microwave counter safe box garage cart toilet"
)
DEEDS = re.findall(r"\w+", "put clean heat cool find take examine wash move slice hide count sort store throw open")
KINDS = re.findall(r"\w+", "red blue small large old broken shiny wooden metal plastic dusty hot cold wet empty full")


def task(random: np.random.Generator) -> str:
    """One of some ten million household tasks."""
    deed, kind, thing, place, other = (random.choice(words) for words in (DEEDS, KINDS, THINGS, PLACES, PLACES))
    return f"{deed} the {kind} {thing} {random.integers(40)} from the {place} {random.integers(9)} to the {other}"


def fill(store: PostgresStore, namespace: str, count: int) -> float:
    """Procedures of realistic size; returns seconds."""
    random, start = np.random.default_rng(0), time.perf_counter()
    for first in range(0, count, 500):
        writes = []
        for n in range(first, min(count, first + 500)):
            script = Script(
                goal="do it", steps=[f"go to the {random.choice(PLACES)} and look for it" for _ in range(9)]
            )
            revision = Revision(
                procedure_id=f"p{n}",
                number=1,
                content=Content(task=task(random), script=script),
                reason="built",
                author=Author(policy="benchmark"),
                status="retired" if n % 10 == 0 else "active",
                at=AT,
                tokens=120,
            )
            writes.append(Write(revision=revision, success=bool(n % 7)))
        store.write(namespace, writes, consume=None, receipt_id="")
    return time.perf_counter() - start


def played(id: str) -> Trajectory:
    """Some thirty steps."""
    steps = [Step(action=f"go to {n}", observation=f"You are at {n}. You see a {THINGS[n % 16]}.") for n in range(30)]
    return Trajectory(id=id, task=f"task {id}", steps=steps, reward=1.0)


def times(count: int, work: Callable[[int], object]) -> str:
    """p50 and p99 in milliseconds, and this process's own part of it."""
    each, spent = [], time.process_time()
    for n in range(count):
        start = time.perf_counter()
        work(n)
        each.append((time.perf_counter() - start) * 1e3)
    spent = (time.process_time() - spent) / count * 1e3
    return f"p50 {statistics.median(each):.2f} ms, p99 {np.percentile(each, 99):.2f} ms, client CPU {spent:.2f} ms"


def write_for(url: str, namespace: str, name: str, seconds: float, ready: Any, said: Any) -> None:
    """Record with credit until the time is over; says how many."""
    store, done = PostgresStore(url), 0
    served = store.find(namespace, [f"p{n}" for n in range(3)])
    ready.wait()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        id = f"{name}-{done}"
        recall = Recall(
            id=f"r-{id}",
            namespace=namespace,
            task="t",
            policy="query",
            ranked=tuple(Recalled(procedure=p, score=0.5, why="") for p in served),
            left_out=(),
            facts={},
            at=AT,
        )
        credited = tuple((p.id, 1) for p in served)
        told = Outcome(recall_id=recall.id, trajectory_id=id, reward=1, success=True, credited=credited, at=AT)
        store.record(namespace, played(id), recall, told, AT)
        done += 1
    store.close()
    said.put(done)


def writers(url: str, namespaces: list[str], label: str, seconds: float = 4.0) -> float:
    """Records a second of one process for each of the namespaces, all at once."""
    spawn = multiprocessing.get_context("spawn")
    ready, said = spawn.Barrier(len(namespaces)), spawn.Queue()
    workers = [
        spawn.Process(target=write_for, args=(url, namespace, f"{label}-{n}", seconds, ready, said))
        for n, namespace in enumerate(namespaces)
    ]
    for worker in workers:
        worker.start()
    done = sum(said.get() for _ in workers)
    for worker in workers:
        worker.join()
    return done / seconds


async def recall_of(store: PostgresStore, namespace: str, embedder: StaticEmbedder, questions: list[str]) -> float:
    """Of the ten nearest that are served, how many the database finds; equally near ones are as good."""
    exact = Index(store, namespace, embedder)
    await exact.refresh()
    hidden, found = exact.hidden(), []
    for vector in await embedder.embed(questions):
        best = exact.nearest(vector, 400, hidden)
        good = {id for id, score in best if score >= best[9][1] - 2e-6}
        near = store.nearest(namespace, embedder.fingerprint, vector, 10, status="active", only_success=False)
        found.append(len({id for id, _ in near} & good) / 10)
    return float(np.mean(found))


def measure(url: str, count: int, rounds: int, indexed: bool) -> None:
    """All of it, in the namespace `bench`."""
    store, random = PostgresStore(url), np.random.default_rng(1)
    print(f"{count} procedures written in {fill(store, 'bench', count):.1f} s, 500 a transaction")
    with ProceduralMemory(url, namespace="bench") as memory:
        start = time.perf_counter()
        memory.retrieve(task(random))
        print(f"first retrieve (embeds everything): {time.perf_counter() - start:.1f} s")
    with ProceduralMemory(url, namespace="bench") as memory:
        start = time.perf_counter()
        memory.retrieve(task(random))
        print(f"first retrieve of another process: {time.perf_counter() - start:.2f} s")
        print("retrieve, exact:", times(rounds, lambda _: memory.retrieve(task(random))))
        print("retrieve, exact, not logged:", times(rounds, lambda _: memory.retrieve(task(random), log=False)))
        recalls = [memory.retrieve(task(random)) for _ in range(rounds)]
        print("record, durable:", times(rounds, lambda n: memory.record(played(f"b{n}"), recalls[n])))
    if indexed:
        embedder = StaticEmbedder()
        start = time.perf_counter()
        asyncio.run(search_in_store(store, "bench", embedder))
        print(f"memp memory index: {time.perf_counter() - start:.1f} s")
        with ProceduralMemory(url, namespace="bench") as memory:
            start = time.perf_counter()
            memory.retrieve(task(random))
            print(f"first retrieve of another process, in the database: {time.perf_counter() - start:.3f} s")
            print("retrieve, in the database:", times(rounds, lambda _: memory.retrieve(task(random))))
        share = asyncio.run(recall_of(store, "bench", embedder, [task(random) for _ in range(100)]))
        print(f"recall@10, a tenth hidden: {share:.3f}")
        store.forget_near("bench", embedder.fingerprint)
    for name in ("one", "two", "three"):
        fill(store, name, 10)
    one = writers(url, ["bench"], "one")
    within = writers(url, ["bench"] * 4, "within")
    across = writers(url, ["bench", "one", "two", "three"], "across")
    print(
        f"records a second: 1 writer {one:.0f}; 4 writers in one namespace {within:.0f} ({within / one:.2f} x); "
        f"4 in 4 namespaces {across:.0f} ({across / one:.2f} x)"
    )
    size = store.stats("bench").bytes
    print(f"size of all tables and indexes: {size / 1e6:.0f} MB")
    store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--procedures", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--url", help="an empty database; default: a server of its own")
    parser.add_argument("--no-index", action="store_true")
    asked = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    own = PostgresServer(durable=True, shared_buffers="1GB", maintenance_work_mem="1GB", max_wal_size="4GB")
    with nullcontext() if asked.url else own:
        measure(asked.url or own.url(), asked.procedures, asked.rounds, not asked.no_index)


if __name__ == "__main__":
    main()
