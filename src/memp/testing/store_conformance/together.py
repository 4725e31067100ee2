"""Rules of threads, tasks, clients and processes that share a memory: no lost outcome, no double credit."""

import asyncio
import multiprocessing
import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from memp.errors import Conflict
from memp.records import Step, Trajectory
from memp.stores.base import Store, Write
from memp.testing.store_conformance.expect import expect, same
from memp.testing.store_conformance.harness import Harness
from memp.testing.store_conformance.kit import (
    NS,
    add,
    at,
    counters,
    heads,
    outcome,
    play,
    put,
    recall,
    receipt,
    record,
    revision,
    trajectory,
    waiting,
)
from memp.testing.store_conformance.rule import rule

T = TypeVar("T")
ROUNDS = 10


def _at_once(work: Callable[[int, Store], T], stores: Sequence[Store]) -> list[T]:
    """`work(number, store)` for every store, in threads that start together."""
    start = threading.Barrier(len(stores))

    def begin(number: int) -> T:
        start.wait()
        return work(number, stores[number])

    with ThreadPoolExecutor(len(stores)) as pool:
        return list(pool.map(begin, range(len(stores))))


def _plays(worker: int, store: Store) -> None:
    """Record with credit to p and q (in either order), every other one a success, and look."""
    served = ("p", "q") if worker % 2 else ("q", "p")
    for n in range(ROUNDS):
        expect(play(store, f"t{worker}-{n}", *served, reward=n % 2), "recording a new trajectory returned False")
        expect(store.trajectory(NS, f"t{worker}-{n}") is not None, "what was recorded is not there")
        store.log_receipt(NS, receipt(f"u{worker}-{n}"))


def _nothing_lost(store: Store, workers: int) -> None:
    everyone = sorted(f"t{worker}-{n}" for worker in range(workers) for n in range(ROUNDS))
    for id in ("p", "q"):
        same("counters", counters(store, id), [(workers * ROUNDS, workers * ROUNDS // 2)])
    same("outcomes", sorted(o.trajectory_id for o in store.outcomes(NS, 10_000)), everyone)
    same("waiting", sorted(waiting(store)), everyone)
    same("recalls", len(store.recalls(NS, None, 10_000)), workers * ROUNDS)
    same("receipts", len(store.receipts(NS, 10_000)), workers * ROUNDS)


@rule()
def threads_lose_nothing(h: Harness) -> None:
    """Threads that record through one store lose no outcome, credit none twice, and read what they wrote."""
    add(h.store, "p", "q")
    _at_once(_plays, [h.store] * 12)
    _nothing_lost(h.store, 12)


@rule("clients")
def clients_lose_nothing(h: Harness) -> None:
    """Likewise several clients at once."""
    add(h.store, "p", "q")
    _at_once(_plays, [h.client() for _ in range(4)])
    _nothing_lost(h.store, 4)


@rule()
def tasks_lose_nothing(h: Harness) -> None:
    """Likewise tasks of an event loop whose calls run in threads, interleaved call by call."""
    add(h.store, "p", "q")

    async def one(worker: int) -> None:
        for n in range(ROUNDS):
            id, reward = f"t{worker}-{n}", float(n % 2)
            await asyncio.to_thread(play, h.store, id, "p", "q", reward=reward)
            await asyncio.sleep(0)
            await asyncio.to_thread(h.store.log_receipt, NS, receipt(f"u{worker}-{n}"))

    async def all_of_them() -> None:
        await asyncio.gather(*(one(worker) for worker in range(4)))

    asyncio.run(all_of_them())
    _nothing_lost(h.store, 4)


def _plays_elsewhere(connect: Callable[[], Store], worker: int) -> None:
    store = connect()
    try:
        _plays(worker, store)
    finally:
        store.close()


@rule("processes")
def processes_lose_nothing(h: Harness) -> None:
    """Likewise several processes at once."""
    add(h.store, "p", "q")
    assert h.connect is not None
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        for job in [pool.submit(_plays_elsewhere, h.connect, worker) for worker in range(2)]:
            job.result()
    _nothing_lost(h.store, 2)


def _credited_once(stores: Sequence[Store]) -> None:
    add(stores[0], "p")
    served = recall(stores[0], "r", "p")
    for n in range(ROUNDS):
        played: Trajectory = trajectory(f"t{n}", steps=(Step(action="x" * 5_000),))
        mine = served.model_copy(update={"id": f"r{n}"})
        credit = outcome(mine, played)
        new = _at_once(
            lambda _, store, played=played, mine=mine, credit=credit: store.record(  # type: ignore[misc]
                NS, played, mine, credit, at()
            ),
            stores,
        )
        same("clients to whom a trajectory was new", new.count(True), 1)
    same("counters", counters(stores[0], "p"), [(ROUNDS, ROUNDS)])
    same("outcomes", len(stores[0].outcomes(NS, 1_000)), ROUNDS)


@rule()
def threads_credit_once(h: Harness) -> None:
    """Of threads that record the same trajectory at once, one is told that it is new; it is credited once."""
    _credited_once([h.store] * 3)


@rule("clients")
def clients_credit_once(h: Harness) -> None:
    """Likewise of clients."""
    _credited_once([h.client() for _ in range(3)])


def _revised_in_turn(stores: Sequence[Store]) -> None:
    add(stores[0], "p", "q")

    def revises(worker: int, store: Store) -> list[int]:
        won = []
        for number in range(2, 2 + ROUNDS):
            both = [Write(revision=revision(id, number)) for id in (("p", "q") if worker % 2 else ("q", "p"))]
            try:
                put(store, *both, Write(revision=revision(f"with-{worker}-{number}")))
                won.append(number)
            except Conflict:
                pass
        return won

    acknowledged = sorted(number for won in _at_once(revises, stores) for number in won)
    numbers = [r.number for r, _, _ in stores[0].history(NS, "p")]
    same("numbers of the history", numbers, list(range(1, len(numbers) + 1)))
    same("acknowledged revisions", acknowledged, numbers[1:])
    same("numbers of the other", [r.number for r, _, _ in stores[0].history(NS, "q")], numbers)
    same("what came with them", len(heads(stores[0])), len(numbers) + 1)


@rule()
def threads_revise_in_turn(h: Harness) -> None:
    """Of threads that revise the same procedures at once, in any order, one is acknowledged and the others are told of
    a Conflict; each revision is there once, with what was written beside it.
    """
    _revised_in_turn([h.store] * 3)


@rule("clients")
def clients_revise_in_turn(h: Harness) -> None:
    """Likewise of clients."""
    _revised_in_turn([h.client() for _ in range(3)])


def _taken_once(stores: Sequence[Store]) -> None:
    ids = [f"t{n}" for n in range(2 * ROUNDS)]
    record(stores[0], *ids)

    def takes(worker: int, store: Store) -> list[str]:
        new = {id: Write(revision=revision(f"p-{id}-{worker}")) for id in waiting(store)}
        return [id for id, write in new.items() if put(store, write, consume=id, by=f"u{worker}")]

    taken = _at_once(takes, stores)
    same("taken", sorted(id for one in taken for id in one), sorted(ids))
    same("waiting", waiting(stores[0]), [])
    wrote = sorted(f"p-{id}-{worker}" for worker, one in enumerate(taken) for id in one)
    same("procedures", sorted(heads(stores[0])), wrote)


@rule()
def threads_take_once(h: Harness) -> None:
    """Of threads that update at once, each trajectory is taken by one, whose revisions are there, and no one else's."""
    _taken_once([h.store] * 3)


@rule("clients")
def clients_take_once(h: Harness) -> None:
    """Likewise of clients."""
    _taken_once([h.client() for _ in range(3)])


@rule("clients")
def clients_save_the_same_vectors(h: Harness) -> None:
    """Clients that save vectors of the same texts at once, each in an order of its own, do not get into each other's
    way.
    """
    texts = [f"text {n}" for n in range(200)]

    def saves(worker: int, store: Store) -> None:
        for n in range(3):
            mine = random.Random(10 * worker + n).sample(texts, len(texts))
            store.save_vectors("space", [(text, np.full(4, len(text), np.float32)) for text in mine], NS)

    _at_once(saves, [h.client() for _ in range(3)])
    found = h.store.vectors("space", texts, NS)
    same("vectors", {text: vector[0] for text, vector in found.items()}, {text: len(text) for text in texts})
