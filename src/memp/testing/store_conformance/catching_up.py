"""Rules of `heads`, `version` and `outcomes_since`: an index that reads what changed misses nothing."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from memp.stores.base import Store, Write
from memp.stores.entries import Entry
from memp.testing.store_conformance.expect import expect, same
from memp.testing.store_conformance.harness import Harness
from memp.testing.store_conformance.kit import (
    NS,
    ODD,
    add,
    content,
    everything,
    heads,
    play,
    put,
    revise,
    revision,
)
from memp.testing.store_conformance.rule import rule

PAUSE = 0.5
"""Seconds that a slow transaction leaves to others. One that makes them wait makes the rule wait as long."""


@rule()
def heads_are_in_order_of_creation(h: Harness) -> None:
    """`heads` gives every procedure in the order in which it was created, however often it was revised."""
    add(h.store, "b", "a", "c")
    revise(h.store, "b", 2)
    same("heads", heads(h.store), ["b", "a", "c"])
    found = h.store.heads(NS, "")
    same("by `seq`", [head.id for head in sorted(found, key=lambda head: head.seq)], ["b", "a", "c"])


@rule()
def heads_say_what_changed_since(h: Harness) -> None:
    """`heads` since the greatest `changed` seen gives exactly what was created or revised later."""
    add(h.store, "b", "a", "c")
    seen = max(head.changed for head in h.store.heads(NS, ""))
    same("nothing changed", heads(h.store, seen), [])
    revise(h.store, "c", 2)
    revise(h.store, "b", 2)
    add(h.store, "d")
    same("changed", heads(h.store, seen), ["b", "c", "d"])
    expect(all(head.changed > seen for head in h.store.heads(NS, "", seen)), "`changed` did not grow")
    last = max(head.changed for head in h.store.heads(NS, ""))
    same("nothing changed since", heads(h.store, last), [])


@rule()
def a_head_says_what_an_index_needs(h: Harness) -> None:
    """A head has the current status, task and facts, and whether the procedure was built from a success."""
    for odd in ODD:
        put(h.store, Write(revision=revision(odd), success=False))
        revise(h.store, odd, 2, content=content(odd, **{odd: odd}), status="retired")
    for head, odd in zip(h.store.heads(NS, ""), ODD, strict=True):
        same("id, status, task", (head.id, head.status, head.task), (odd, "retired", odd))
        same("success", bool(head.success), False)
        same("facts", json.loads(head.facts), {odd: odd})


@rule()
def heads_carry_the_vectors_of_their_space(h: Harness) -> None:
    """A head has the cached vector of its current task in the space that was asked for, to the bit, or None; those
    saved for no namespace too.
    """
    add(h.store, "p", "q", "r")
    one, two = np.array([1 / 3, -0.0, 3e-45], dtype=np.float32), np.ones(2, dtype=np.float32)
    h.store.save_vectors("one", [("task of p", one)], NS)
    h.store.save_vectors("one", [("another task", two)])
    same("vectors", [head.vector for head in h.store.heads(NS, "one")], [one.tobytes(), None, None])
    same("of another space", [head.vector for head in h.store.heads(NS, "two")], [None] * 3)
    seen = max(head.changed for head in h.store.heads(NS, "one"))
    revise(h.store, "p", 2, content=content("another task"))
    revise(h.store, "r", 2)
    same("since", [head.vector for head in h.store.heads(NS, "one", seen)], [two.tobytes(), None])


@rule()
def the_version_changes_with_procedures(h: Harness) -> None:
    """`version` changes with every write and load, and rests while nothing is written; that of all namespaces too."""
    add(h.store, "other", namespace="elsewhere")
    entries = everything(h.store, "elsewhere")
    changes: list[Callable[[], object]] = [
        lambda: add(h.store, "p"),
        lambda: revise(h.store, "p", 2),
        lambda: h.store.load([(NS, entry) for entry in entries]),
    ]
    seen = [(h.store.version(NS), h.store.version())]
    for change in changes:
        change()
        seen.append((h.store.version(NS), h.store.version()))
        h.store.find(NS, ["p"])
        same("at rest", (h.store.version(NS), h.store.version()), seen[-1])
    same(
        "different versions of the namespace, of all",
        [len(set(numbers)) for numbers in zip(*seen, strict=True)],
        [4, 4],
    )


@rule("clients")
def the_version_tells_of_other_clients(h: Harness) -> None:
    """`version` changes for a client when another one wrote."""
    reader, writer = h.client(), h.client()
    seen = [reader.version(NS)]
    for n in range(3):
        add(writer, f"p{n}")
        seen.append(reader.version(NS))
    same("different versions", len(set(seen)), 4)


@rule()
def outcomes_are_numbered(h: Harness) -> None:
    """`outcomes_since` gives outcomes oldest first, with growing numbers, and those after a number only."""
    add(h.store, "p")
    for n in range(4):
        play(h.store, f"t{n}", "p", reward=n % 2)
        play(h.store, f"t{n}", namespace="another")
    found = h.store.outcomes_since(NS)
    same("outcomes", [o.trajectory_id for _, o in found], ["t0", "t1", "t2", "t3"])
    numbers = [number for number, _ in found]
    expect(numbers == sorted(set(numbers)) and numbers[0] > 0, f"numbers do not grow: {numbers}")
    same("since the second", list(h.store.outcomes_since(NS, numbers[1])), list(found[2:]))
    same("since the last", list(h.store.outcomes_since(NS, numbers[3])), [])


# -- with concurrent writers -----------------------------------------------------------------------


class _Index:
    """Catches up as memp's own index does: the version, then what changed since."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.seen: dict[str, int] = {}
        self._since, self._version = 0, -1

    def refresh(self) -> None:
        version = self.store.version(NS)
        if version == self._version:
            return
        for head in self.store.heads(NS, "", self._since):
            self.seen[head.id] = self.store.find(NS, [head.id])[0].revision.number
            self._since = max(self._since, head.changed)
        self._version = version


class _Ledger:
    """Catches up with outcomes as memp's own ledger does."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.seen: list[str] = []
        self._since = 0

    def refresh(self) -> None:
        for number, outcome in self.store.outcomes_since(NS, self._since):
            self.seen.append(outcome.trajectory_id)
            self._since = number


def _overtake(slow: Store, entries: list[Entry], overtaking: Callable[[], None]) -> None:
    """Load `entries` into `slow`; before the last one is taken, `overtaking` has its chance to commit."""
    begun, done = threading.Event(), threading.Event()

    def dawdle() -> Iterator[tuple[str, Entry]]:
        for entry in entries[:-1]:
            yield NS, entry
        begun.set()
        done.wait(PAUSE)
        yield NS, entries[-1]

    def overtake() -> None:
        begun.wait()
        try:
            overtaking()
        finally:
            done.set()

    with ThreadPoolExecutor(2) as pool:
        loading, other = pool.submit(slow.load, dawdle()), pool.submit(overtake)
        loading.result()
        other.result()


@rule("clients")
def an_index_is_not_overtaken(h: Harness) -> None:
    """A change that began early and became visible late is not missed by who has read a later one: numbers of changes
    follow the order in which changes become visible.
    """
    add(h.store, "slow-1", "slow-2", "slow-3", namespace="elsewhere")
    slow, fast = h.client(), h.client()
    index = _Index(h.client())

    def overtaking() -> None:
        add(fast, "fast")
        index.refresh()

    _overtake(slow, everything(h.store, "elsewhere"), overtaking)
    index.refresh()
    same("procedures that the index has", sorted(index.seen), ["fast", "slow-1", "slow-2", "slow-3"])


@rule("clients")
def a_ledger_is_not_overtaken(h: Harness) -> None:
    """Likewise of outcomes: one that was numbered early and became visible late is not missed."""
    for n in range(3):
        play(h.store, f"slow-{n}", namespace="elsewhere")
    slow, fast = h.client(), h.client()
    ledger = _Ledger(h.client())

    def overtaking() -> None:
        play(fast, "fast")
        ledger.refresh()

    entries = everything(h.store, "elsewhere")
    _overtake(slow, entries, overtaking)
    ledger.refresh()
    same("outcomes that the ledger has", sorted(ledger.seen), ["fast", "slow-0", "slow-1", "slow-2"])


def _catch_up(reader: Store, writers: list[Store]) -> None:
    """Writers of large and small writes, and a reader that catches up all the while."""
    index, ledger = _Index(reader), _Ledger(reader)
    rounds = 6

    def work(worker: int) -> None:
        for n in range(rounds):
            names = [f"p{worker}-{n}-{m}" for m in range(20 if worker % 2 else 1)]
            put(writers[worker], *(Write(revision=revision(name)) for name in names))
            revise(writers[worker], names[0], 2)
            play(writers[worker], f"t{worker}-{n}", names[0])
            time.sleep(0.002)  # the reader has its turn, however fast the store is

    with ThreadPoolExecutor(len(writers)) as pool:
        working = [pool.submit(work, worker) for worker in range(len(writers))]
        while not all(job.done() for job in working):
            index.refresh()
            ledger.refresh()
        for job in working:
            job.result()
    index.refresh()
    ledger.refresh()
    current = {p.id: p.revision.number for p in reader.find(NS, heads(reader))}
    same("procedures", len(current), sum(rounds * (20 if n % 2 else 1) for n in range(len(writers))))
    same("missed or stale", {id: n for id, n in current.items() if index.seen.get(id) != n}, {})
    same("outcomes", sorted(ledger.seen), sorted(o.trajectory_id for o in reader.outcomes(NS, 1_000)))
    same("outcomes, each once", len(ledger.seen), rounds * len(writers))


@rule()
def catching_up_beside_threads_misses_nothing(h: Harness) -> None:
    """Who reads what changed since, again and again while threads write, ends with everything, each outcome once."""
    _catch_up(h.store, [h.store] * 3)


@rule("clients")
def catching_up_beside_clients_misses_nothing(h: Harness) -> None:
    """Likewise while several clients write."""
    _catch_up(h.client(), [h.client() for _ in range(3)])
