"""Namespaces are walls: what is done in one neither shows, counts, changes nor removes anything of another.

The property is non-interference. A random sequence of calls is made in one namespace twice: alone in a store, and
beside a neighbour that holds records of the same ids and tasks. What the calls answer is the same both times, and all
that the neighbour holds is the same before and after.
"""

import asyncio
import inspect
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopkit import counter, ticking, trajectory
from memp.errors import MempError, RecordError
from memp.forgetting import Capacity
from memp.memory import AsyncProceduralMemory
from memp.records import Author, Content, Receipt, Record, Revision
from memp.stores.base import Stats, Store, Write, origin_key
from memp.stores.entries import TrajectoryEntry
from memp.stores.sqlite import SqliteStore
from memp.testing.chat import CharEmbedder

NAMES = (
    "a",
    "A",
    "a ",
    "a%",
    "a_",
    "_",
    "%",
    "*",
    "a' OR '1'='1",
    "á",
    "a\u0301",
    "a\0",
    "a\0b",
    "a/b",
    "default",
    "ａ",
)
SECRET = "wombat"
"""Only the neighbour's records hold it."""
EARLY = datetime(2026, 1, 1, 0, 0, 5, tzinfo=UTC)
TASKS = [f"put thing {n} in box {n % 3}" for n in range(6)]


def opened(store, namespace):
    """A memory whose ids and times are those of every other one."""
    options = {"ids": counter("x"), "clock": ticking(), "embedder": CharEmbedder(), "holdout": 0.3, "agent": "m"}
    return AsyncProceduralMemory(store, namespace=namespace, update="adjustment", floor=-1.0, **options)


async def lived_in(store, namespace, word):
    """A memory in which something has happened; its ids are the same in every namespace."""
    memory = opened(store, namespace)
    for n in range(4):
        await memory.record(trajectory(TASKS[n], id=f"t{n}", feedback=word, source=word, facts={"what": word}))
    await memory.update()
    for n in range(2):
        recall = await memory.retrieve(TASKS[n], facts={"what": word})
        await memory.record(trajectory(TASKS[n], id=f"u{n}", reward=float(n), feedback=word), recall)
    store.save_draft(namespace, "key", word)
    return memory


async def _any(memory, n):
    return next((p.id for k, p in enumerate(memory.procedures()) if k == n % 4), "none")


async def _record(memory, n):
    recall = await memory.retrieve(TASKS[n % 6])
    return await memory.record(trajectory(TASKS[n % 6], id=f"r{n}", reward=float(n % 2)), recall)


CALLS = {
    "retrieve": lambda m, n: m.retrieve(TASKS[n % 6], k=n % 3 + 1, status=("active", "retired", "any")[n % 3]),
    "record": _record,
    "update": lambda m, n: m.update(),
    "discard": lambda m, n: m.discard(),
    "merge": lambda m, n: m.merge(least=0.5),
    "compact": lambda m, n: m.compact(),
    "make_room": lambda m, n: m.make_room(Capacity(count=n % 3 + 1)),
    "forget": lambda m, n: m.forget(f"t{n % 4}", hard=n % 2 == 0) if n % 3 else m.forget(task=TASKS[n % 6], hard=True),
    "finish_forgetting": lambda m, n: m.finish_forgetting(),
    "succeeded": lambda m, n: m.succeeded(trajectory(reward=n % 2)),
    "get": lambda m, n: m.get("x"),
    "procedures": lambda m, n: list(m.procedures()),
    "search": lambda m, n: m.search(("thing", SECRET)[n % 2]),
    "history": lambda m, n: m.history("x0005"),
    "trajectory": lambda m, n: m.trajectory(f"u{n}"),
    "recall": lambda m, n: m.recall(f"x{n:04d}"),
    "recalls": lambda m, n: m.recalls(),
    "outcomes": lambda m, n: m.outcomes(),
    "receipts": lambda m, n: m.receipts(),
    "evidence": lambda m, n: m.evidence(),
    "stats": lambda m, n: m.stats(),
    "retire": lambda m, n: m.retire(f"x{n % 9:04d}", reason="r"),
    "restore": lambda m, n: m.restore(f"x{n % 9:04d}"),
    "pin": lambda m, n: m.pin(f"x{n % 9:04d}"),
    "unpin": lambda m, n: m.unpin(f"x{n % 9:04d}"),
    "queue": lambda m, n: list(m.queue()),
    "approve": lambda m, n: m.approve(f"x{n % 9:04d}"),
    "reject": lambda m, n: m.reject(f"x{n % 9:04d}"),
    "undo": lambda m, n: m.undo(f"x{n % 9:04d}"),
    "undo_since": lambda m, n: m.undo_since(EARLY + timedelta(seconds=n)),
}
"""Every public method of a memory."""


def _revision(n):
    content = Content(task="new", trajectory_id=f"t{n % 4}")
    by = Author(policy="person")
    return Revision(procedure_id=f"w{n}", number=1, content=content, reason="r", author=by, at=EARLY)


STORE_CALLS = {
    "record": lambda s, ns, n: s.record(ns, trajectory(id=f"t{n}"), None, None, EARLY),
    "trajectory": lambda s, ns, n: s.trajectory(ns, f"t{n}"),
    "trajectories": lambda s, ns, n: list(s.trajectories(ns)),
    "waiting": lambda s, ns, n: s.waiting(ns),
    "requeue": lambda s, ns, n: s.requeue(ns, f"t{n}"),
    "write": lambda s, ns, n: s.write(ns, [Write(revision=_revision(n))], consume=f"u{n}", receipt_id="w"),
    "heads": lambda s, ns, n: [head.id for head in s.heads(ns, "")],
    "find": lambda s, ns, n: s.find(ns, [f"x{k:04d}" for k in range(20)]),
    "at": lambda s, ns, n: s.at(ns, [(f"x{k:04d}", 1) for k in range(20)]),
    "built_from": lambda s, ns, n: s.built_from(ns, origin_key(trajectory(TASKS[n % 6]))),
    "history": lambda s, ns, n: s.history(ns, "x0001"),
    "search": lambda s, ns, n: s.search(ns, ("thing", SECRET, "a OR thing", '"')[n % 4], 50),
    "recalls": lambda s, ns, n: s.recalls(ns, None if n % 2 else f"x{n:04d}"),
    "outcomes": lambda s, ns, n: s.outcomes(ns),
    "outcomes_since": lambda s, ns, n: [outcome for _, outcome in s.outcomes_since(ns)],
    "log_receipt": lambda s, ns, n: s.log_receipt(
        ns, Receipt(id=f"y{n}", operation="update", policy="p", at=EARLY, added=(f"x{n:04d}",))
    ),
    "receipts": lambda s, ns, n: s.receipts(ns),
    "draft": lambda s, ns, n: s.draft(ns, "key"),
    "save_draft": lambda s, ns, n: s.save_draft(ns, "key", "mine"),
    "drop_drafts": lambda s, ns, n: s.drop_drafts(ns, ["key"]),
    "stats": lambda s, ns, n: s.stats(ns),
    "dump": lambda s, ns, n: list(s.dump(ns)),
    "load": lambda s, ns, n: s.load([(ns, TrajectoryEntry(trajectory=trajectory(id=f"l{n}"), recorded_at=EARLY))]),
    "forget": lambda s, ns, n: s.forget(ns, trajectories=[f"t{n % 4}"], task=TASKS[n % 6] if n % 2 else None, at=EARLY),
    "compact": lambda s, ns, n: s.compact(ns, before=EARLY + timedelta(days=n)),
}
"""Every method of a store that is about one namespace."""
OF_ALL = {"log_recall", "vectors", "save_vectors", "namespaces", "erasures", "version", "close"}
"""Those that are not: a recall names its namespace; a vector is a function of its text, which whoever asks has."""


def shown(value):
    """What a call answered, without what is about the file as a whole."""
    if isinstance(value, Stats):
        value = value.model_copy(update={"bytes": 0})
    if isinstance(value, Record):
        told = value.model_dump(mode="json")
        return {name: part for name, part in told.items() if name != "bytes"}
    return [shown(part) for part in value] if isinstance(value, list | tuple) else value


async def called(call, *arguments):
    try:
        answer = call(*arguments)
        return shown(await answer if inspect.isawaitable(answer) else answer)
    except MempError as error:
        return f"{type(error).__name__}: {error}"


def kept(store, namespace):
    """All that a namespace holds."""
    waiting = [item.model_dump_json() for item in store.waiting(namespace)]
    everything = [entry.model_dump_json() for entry in store.dump(namespace)]
    return everything, waiting, store.draft(namespace, "key"), shown(store.stats(namespace))


calls = st.lists(st.tuples(st.sampled_from(sorted(CALLS)), st.integers(0, 8)), max_size=8)
store_calls = st.lists(st.tuples(st.sampled_from(sorted(STORE_CALLS)), st.integers(0, 8)), max_size=12)
names = st.lists(st.sampled_from(NAMES), min_size=2, max_size=2, unique=True)


async def told(namespace, neighbour, memory_calls, direct_calls):
    """What the calls answer, beside a neighbour or (None) alone."""
    store = SqliteStore(":memory:")
    try:
        if neighbour is not None:
            await lived_in(store, neighbour, SECRET)
            before = kept(store, neighbour)
        memory = await lived_in(store, namespace, "own")
        answers = [await called(CALLS[name], memory, n) for name, n in memory_calls]
        answers += [await called(STORE_CALLS[name], store, namespace, n) for name, n in direct_calls]
        if neighbour is not None:
            assert kept(store, neighbour) == before
            assert sorted(store.namespaces()) == sorted([namespace, neighbour])
        return answers
    finally:
        store.close()


@settings(max_examples=25, deadline=None)
@given(names, calls, store_calls)
def test_no_call_in_one_namespace_meets_another(pair, memory_calls, direct_calls):
    namespace, neighbour = pair
    alone = asyncio.run(told(namespace, None, memory_calls, direct_calls))
    beside = asyncio.run(told(namespace, neighbour, memory_calls, direct_calls))
    assert beside == alone
    assert SECRET not in repr(beside).replace(repr(SECRET), "")


def test_every_method_is_tried():
    public = {name for name, _ in inspect.getmembers(AsyncProceduralMemory, inspect.isfunction) if name[0] != "_"}
    assert public - set(CALLS) == {"close"}
    methods = {name for name, _ in inspect.getmembers(Store, inspect.isfunction) if name[0] != "_"}
    assert methods == set(STORE_CALLS) | OF_ALL


async def test_a_recall_of_another_namespace_is_refused(tmp_path):
    store = SqliteStore(tmp_path / "m.db")
    one, other = await lived_in(store, "a", "own"), await lived_in(store, "A", SECRET)
    recall = await other.retrieve(TASKS[0])
    with pytest.raises(RecordError, match="the recall is of namespace 'A'"):
        await one.record(trajectory(), recall)
    store.close()
