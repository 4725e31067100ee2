"""Rules of closing and opening again, and of clients that are killed."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection

import numpy as np

from memp.errors import StoreError
from memp.stores.base import Store, Write
from memp.testing.store_conformance.expect import expect, refused, same
from memp.testing.store_conformance.harness import Harness
from memp.testing.store_conformance.kit import (
    NS,
    add,
    counters,
    everything,
    fill,
    play,
    put,
    record,
    revision,
    waiting,
)
from memp.testing.store_conformance.rule import Broken, rule


@rule("clients")
def what_was_written_stays(h: Harness) -> None:
    """When every client was closed, the next one finds everything that was acknowledged, and drafts too."""
    fill(h.store)
    h.store.save_draft(NS, "k", "reply")
    before, listed = everything(h.store), h.store.waiting(NS)
    h.store.close()
    again = h.client()
    same("everything", everything(again), before)
    same("waiting", again.waiting(NS), listed)
    same("draft", again.draft(NS, "k"), "reply")
    same("search", [p.id for p in again.search(NS, "mug", 5)], ["p"])
    play(again, "later", "p")
    same("counters", counters(again, "p"), [(2, 2)])


@rule("clients")
def clients_see_each_other(h: Harness) -> None:
    """What one client was told is done, the others see at once."""
    one, two = h.client(), h.client()
    add(one, "p")
    same("a procedure", [p.id for p in two.find(NS, ["p"])], ["p"])
    play(two, "t", "p")
    same("credit", counters(one, "p"), [(1, 1)])
    same("waiting", waiting(one), ["t"])
    put(one, Write(revision=revision("p", 2)), consume="t", by="u")
    same("a revision", [p.revision.number for p in two.find(NS, ["p"])], [2])
    same("taken", waiting(two), [])
    one.save_vectors("space", [("task of p", np.ones(2, dtype=np.float32))], NS)
    same("a vector", two.vectors("space", ["task of p"], NS)["task of p"].tolist(), [1, 1])


@rule()
def a_closed_store_says_so(h: Harness) -> None:
    """After `close` every use is a StoreError, and closing again does nothing."""
    fill(h.store)
    h.store.close()
    h.store.close()
    refused(StoreError, "reading", lambda: h.store.find(NS, ["p"]))
    refused(StoreError, "recording", lambda: record(h.store, "t"))
    refused(StoreError, "writing", lambda: put(h.store, Write(revision=revision("r"))))
    refused(StoreError, "dumping", lambda: everything(h.store))


@rule("clients")
def closing_leaves_others_alone(h: Harness) -> None:
    """A client that is closed leaves the others working."""
    one, two = h.client(), h.client()
    add(one, "p")
    one.close()
    play(two, "t", "p")
    same("counters", counters(h.store, "p"), [(1, 1)])


def _plays_until_killed(connect: Callable[[], Store], told: Connection) -> None:
    store, number = connect(), 0
    while True:
        play(store, f"t{number}", "p")
        put(store, Write(revision=revision(f"p{number}")), consume=f"t{number}", by="u")
        told.send(number)
        number += 1


@rule("processes")
def a_killed_client_loses_nothing(h: Harness) -> None:
    """When a client is killed in the middle of its work, what it was told is done is there, and the rest is there whole
    or not at all: a trajectory with its outcome and credit, a revision with its trajectory taken.
    """
    add(h.store, "p")
    spawn = multiprocessing.get_context("spawn")
    listening, told = spawn.Pipe(duplex=False)
    client = spawn.Process(target=_plays_until_killed, args=(h.connect, told), daemon=True)
    client.start()
    told.close()
    done = -1
    try:
        while done < 12:
            done = listening.recv()
    except EOFError:
        raise Broken(f"the client gave up by itself after {done + 1} rounds") from None
    finally:
        client.kill()
        client.join()
    while listening.poll():  # what it said before it died
        try:
            done = listening.recv()
        except EOFError:
            break
    listening.close()
    _whole(h.client(), done)


def _whole(store: Store, done: int) -> None:
    """Rounds 0 to `done` are there, and of the next one all, half (recorded, not yet taken) or nothing."""
    told = [t.id for t in store.trajectories(NS)]
    expect(len(told) in (done + 1, done + 2), f"{done + 1} rounds were acknowledged, {len(told)} are there")
    same("trajectories", told, [f"t{n}" for n in range(len(told))])
    same("credit", counters(store, "p"), [(len(told), len(told))])
    same("outcomes", len(store.outcomes(NS, 10_000)), len(told))
    taken = [id for id in told if id not in waiting(store)]
    expect(len(taken) > done, f"{done + 1} were taken, {len(taken)} are")
    found = store.find(NS, [f"p{n}" for n in range(len(told))])
    same("revisions of what was taken", [p.id for p in found], [f"p{id[1:]}" for id in taken])
