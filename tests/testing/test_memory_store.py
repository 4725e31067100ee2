"""The in-memory store beside SQLite: whatever is done to both, they answer the same."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memp import ProceduralMemory
from memp.errors import MempError
from memp.records import Step, Trajectory
from memp.stores.base import Write
from memp.stores.sqlite import SqliteStore
from memp.testing.store import MemoryStore
from memp.testing.store_conformance import kit

NAMESPACES = ("one", "two")
IDS = st.sampled_from(["a", "b", "c", "a-b"])
TASKS = st.sampled_from(["task of a", "put a mug", "another"])
REWARDS = st.sampled_from([0.0, 0.25, 1.0])
NUMBERS = st.integers(1, 4)
EVIDENCE = st.lists(IDS, max_size=2).map(tuple)
STATUS = st.sampled_from(["active", "retired", "quarantined", "probation"])


def trajectory(id, task, reward):
    return Trajectory(id=id, task=task, steps=(Step(action="look"),), reward=reward, facts={"of": id})


def record(store, ns, id, task, reward, recall, served):
    asked = kit.recall(store, recall, *served, namespace=ns)
    told = trajectory(id, task, reward)
    return store.record(ns, told, asked, kit.outcome(asked, told), kit.at())


def write(store, ns, id, number, task, evidence, status, consume):
    said = kit.content(task, f"{task} at {number}")
    revision = kit.revision(id, number, content=said, status=status, reason=f"after {' '.join(evidence)}.")
    writes = [Write(revision=revision.model_copy(update={"evidence": evidence}), origin=task.encode())]
    part = kit.receipt(f"{consume}/1").model_copy(update={"added": (id,), "revised": ((id, number),)})
    return store.write(ns, writes, consume=consume, receipt_id=consume or "", receipt=part if consume else None)


def forget(store, ns, ids, task):
    erased = store.forget(ns, trajectories=ids, task=task, at=kit.at(99))
    return erased.model_copy(update={"searched": 0, "left": (), "elsewhere": ()})


def move(store, ns):
    return store.load([(NAMESPACES[ns == "one"], entry) for entry in kit.everything(store, ns)])


SPACE = st.sampled_from(NAMESPACES)
DEED = st.one_of(
    st.tuples(st.just(record), SPACE, IDS, TASKS, REWARDS, IDS, st.lists(IDS, max_size=2, unique=True)),
    st.tuples(st.just(write), SPACE, IDS, NUMBERS, TASKS, EVIDENCE, STATUS, st.none() | IDS),
    st.tuples(st.just(write), SPACE, IDS, st.just(1), TASKS, EVIDENCE, STATUS, st.none()),
    st.tuples(st.just(lambda store, *given: store.requeue(*given)), SPACE, IDS),
    st.tuples(st.just(lambda store, ns, id: store.log_receipt(ns, kit.receipt(id))), SPACE, IDS),
    st.tuples(st.just(lambda store, *given: store.save_draft(*given)), SPACE, IDS, TASKS),
    st.tuples(st.just(lambda store, *given: store.drop_drafts(*given)), SPACE, st.lists(IDS, max_size=2)),
    st.tuples(st.just(forget), SPACE, st.lists(IDS, max_size=2), st.none() | TASKS),
    st.tuples(st.just(move), SPACE),
)


def done(store, deed, given):
    """What it answers, or the kind of its error."""
    try:
        return deed(store, *given)
    except MempError as error:
        return type(error)


def told(store, ns):
    """All that can be read."""
    heads = store.heads(ns, "")
    return {
        "dump": kit.everything(store, ns),
        "waiting": store.waiting(ns),
        "found": store.find(ns, ["a-b", "b", "a"]),
        "heads": [(h.id, h.status, bool(h.success), h.task, h.facts) for h in heads],
        "search": sorted(p.id for p in store.search(ns, "mug at", 9)),
        "recalls": store.recalls(ns),
        "outcomes": [outcome for _, outcome in store.outcomes_since(ns)],
        "built": [store.built_from(ns, task) for task in (b"task of a", b"put a mug", b"another")],
        "drafts": [store.draft(ns, id) for id in ("a", "b", "c")],
        "stats": store.stats(ns).model_copy(update={"bytes": 0}),
    }


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(DEED, max_size=25))
def test_whatever_is_done_both_answer_the_same(deeds):
    ours, theirs = MemoryStore(), SqliteStore(":memory:")
    try:
        for deed, *arguments in deeds:
            before = ours.version()
            assert done(ours, deed, arguments) == done(theirs, deed, arguments)
            assert ours.version() >= before
            for namespace in NAMESPACES:
                assert told(ours, namespace) == told(theirs, namespace)
        assert ours.namespaces() == theirs.namespaces()
        assert ours.erasures() == theirs.erasures()
    finally:
        theirs.close()


@pytest.mark.parametrize("build", ["trajectory", "proceduralization"])
def test_a_memory_lives_in_it(build):
    said = []
    for store in (MemoryStore(), SqliteStore(":memory:")):
        ids = iter(f"id{n}" for n in range(1_000))
        with ProceduralMemory(store, build=build, clock=kit.at, ids=lambda ids=ids: next(ids)) as memory:
            for n in range(6):
                recall = memory.retrieve(f"put a mug on shelf {n % 2}")
                memory.record(trajectory(f"t{n}", f"put a mug on shelf {n % 2}", n % 3 / 2), recall)
                memory.update()
            memory.retire(next(memory.procedures()).id, reason="no use")
            said.append((kit.everything(store, "default"), memory.retrieve("put a mug on shelf 1").render()))
    assert said[0] == said[1]


def test_a_client_shares_and_outlives():
    store = MemoryStore()
    other = store.client()
    kit.fill(store)
    store.close()
    assert kit.everything(other) != []
    assert kit.everything(MemoryStore()) == []
