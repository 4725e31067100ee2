"""The same memory on PostgreSQL as on SQLite: recalls, receipts, all that is kept; and moving between them."""

import io
import json
from datetime import UTC, datetime, timedelta
from itertools import count

import psycopg
import pytest
from click.testing import CliRunner
from storekit import NS, add, play, recall, receipt, revise

import memp
from memp import ProceduralMemory, Step, StoreError, Trajectory
from memp.cli.memory import memory as command
from memp.errors import StoreCorrupt, StoreMissing
from memp.evidence import Drift
from memp.exchange import export_jsonl, import_jsonl
from memp.forgetting import Capacity
from memp.stores.copying import copy
from memp.stores.postgres import PostgresStore
from memp.stores.sqlite import SqliteStore
from memp.testing.store import MemoryStore
from memp.update import Discard, Guard
from memp_bench.cli.doctor import doctor

KINDS = ("put a clean mug on the shelf", "heat an egg and serve it", "find the book in the bedroom", "cool a potato")
START = datetime(2026, 1, 1, tzinfo=UTC)


LIVES = {
    "plain": ({}, "undo of everything"),
    "value": ({"retrieve": "value", "holdout": 0.3}, "withheld: one of the 30% that measure"),
    "avefact": ({"retrieve": "avefact"}, '"revised":[['),
    "proving": ({"build": "script", "holdout": 0.25, "guard": Guard(), "k": 2}, '"probation"'),
    "bounded": (
        {"build": "script", "update": "vanilla", "capacity": Capacity(count=9, grace=0.0), "k": 2},
        "merged into",
    ),
    "watching": ({"build": "script", "update": "validation", "drift": Drift(), "k": 1, "holdout": 0.1}, "withheld: "),
    "approving": ({"approve": True, "k": 2}, '"pending"'),
}
"""Options of a memory, and what must happen in its life."""


def tasks():
    """Forty tasks, groups of four, some lost, some after the world changed."""
    for n in range(40):
        act = ["go to place 0", f"take thing {n % 3}", f"use tool {n % 2}"]
        lost = n % 3 == 0 or (n > 25 and n % 7 != 1)
        steps = [Step(action=a, observation="Nothing happens." if lost and a == act[-1] else "fine") for a in act]
        steps += [Step(action="use tool 7", observation="fine")] if lost else []
        family = KINDS[n % 4]
        task = f"{family} number {n % 7}"
        yield Trajectory(id=f"t{n}", task=task, steps=steps, reward=float(not lost), tags={"family": family})


def stream(memory):
    """A life: tasks, updates, and what a person does to a memory; what was recalled, rendered, and told."""
    told = []
    for n, played in enumerate(tasks()):
        served = memory.retrieve(played.task, agent=f"m{n % 2}")
        told += [served.render(), [item.procedure.id for item in served.withheld], served.note]
        memory.record(played, served)
        if n % 4 == 3:
            told.append(memory.update().model_dump_json())
            told += [memory.approve(item.id).model_dump_json() for item in list(memory.queue())[:2]]
    told += [memory.evidence(agent).model_dump_json() for agent in ("", "m0", "m1")]
    return told + person(memory)


def person(memory):
    """Looks, undoes, pins, merges, forgets."""
    told = []
    first = next(memory.procedures(status="active")).id
    done = (memory.pin(first), memory.undo(first), memory.retire(first, reason="old"), memory.restore(first))
    told += [revision.model_dump_json() for revision in done]
    told.append(memory.merge().model_dump_json())
    told.append(memory.forget(task=f"{KINDS[1]} number 1").model_dump_json())
    erased = memory.forget("t5", hard=True).erased
    told.append(erased.model_dump_json(exclude={"searched", "left", "elsewhere"}))  # the bytes are each store's own
    told += [revision.model_dump_json() for revision in memory.undo_since(START + timedelta(seconds=200))]
    told.append(memory.evidence().model_dump_json())
    told += [receipt.model_dump_json() for receipt in memory.receipts(limit=100)]
    told += [procedure.model_dump_json() for procedure in memory.procedures()]
    return told


@pytest.mark.parametrize("life", LIVES)
def test_a_life_is_the_same_on_every_store(tmp_path, url, life):
    lives, (options, happens) = [], LIVES[life]
    for place in (tmp_path / "memory.db", url, MemoryStore()):
        moments, names = count(), count()
        with ProceduralMemory(
            place,
            seed=7,
            discard=Discard(),
            clock=lambda moments=moments: START + timedelta(seconds=next(moments)),
            ids=lambda names=names: f"id{next(names):05}",
            **options,
        ) as memory:
            said = stream(memory)
            lives.append((said, [entry.model_dump_json() for entry in memory.store.dump("default")]))
    (said, dump), *others = lives
    assert len(dump) > 100
    assert any(happens in str(part) for part in said)
    for said_there, dump_there in others:
        assert said_there == said
        assert dump_there == dump


# -- moving ----------------------------------------------------------------------------------------


@pytest.fixture
def embedded(tmp_path):
    store = SqliteStore(tmp_path / "memory.db")
    for namespace in (NS, "another"):
        add(store, "p", "q\0", namespace=namespace)
        play(store, "t", "p", "q\0", namespace=namespace)
        revise(store, "p", 2, namespace=namespace)
        store.write(namespace, [], consume="t", receipt_id="u", receipt=receipt("u/1"))
        store.log_recall(recall(store, "r", "p", namespace=namespace))
    yield store
    store.close()


def test_a_memory_moves_there_and_back(embedded, store, tmp_path):
    there = list(copy(embedded, store))
    assert [(c.namespace, c.entries, c.loaded.skipped, c.same) for c in there] == [
        ("another", 8, 0, True),
        (NS, 8, 0, True),
    ]
    again = list(copy(embedded, store))
    assert [(c.loaded.skipped, c.same) for c in again] == [(8, True)] * 2, "it may be repeated"
    back = SqliteStore(tmp_path / "back.db")
    assert [c.digest for c in copy(store, back)] == [c.digest for c in there]
    exported = [io.BytesIO() for _ in range(3)]
    for one, file in zip((embedded, store, back), exported, strict=True):
        export_jsonl(one, None, file)
    assert len({file.getvalue() for file in exported}) == 1
    back.close()


def test_a_copy_into_a_memory_that_goes_on_keeps_both(embedded, store):
    list(copy(embedded, store, [NS]))
    play(store, "later", "p")
    revise(store, "p", 3)
    store.requeue(NS, "t")
    (done,) = copy(embedded, store, [NS])
    assert (done.loaded.skipped, done.same) == (8, False)
    assert store.stats(NS).trajectories == 2


def test_what_is_not_given_back_is_noticed(embedded, store, monkeypatch):
    dump = PostgresStore.dump
    monkeypatch.setattr(
        PostgresStore, "dump", lambda self, namespace: (e for e in dump(self, namespace) if e.kind != "outcome")
    )
    with pytest.raises(StoreCorrupt, match="1 of 8 entries are not in the copy"):
        list(copy(embedded, store, [NS]))
    with pytest.raises(StoreMissing, match="no namespace 'absent'"):
        list(copy(embedded, store, ["absent"]))


def test_an_export_of_one_is_imported_by_the_other(embedded, store):
    file = io.BytesIO()
    export_jsonl(embedded, None, file)
    file.seek(0)
    assert import_jsonl(store, file).skipped == 0
    assert list(store.dump(NS)) == list(embedded.dump(NS))


# -- by address ------------------------------------------------------------------------------------


def test_connect_knows_addresses_and_paths(tmp_path, url):
    for place, kind in ((url, PostgresStore), (tmp_path / "a.db", SqliteStore), (":memory:", SqliteStore)):
        store = memp.connect(place)
        assert isinstance(store, kind)
        store.close()
    with pytest.raises(StoreError, match="no store has addresses that begin with redis://"):
        memp.connect("redis://localhost")
    with pytest.raises(StoreMissing):
        memp.connect(tmp_path / "absent.db", create=False)


def run(*arguments):
    done = CliRunner().invoke(command, [*map(str, arguments)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def test_the_commands_take_an_address(embedded, url, tmp_path):
    copied = run("copy", embedded.path, url, "--json")
    assert [done["same"] for done in json.loads(copied.stdout)["copied"]] == [True, True]
    assert "8 entries, 0 of them new; verified, digest" in run("copy", embedded.path, url).stdout
    for arguments in (["ls"], ["stats"], ["show", "p"], ["history", "p"], ["search", "task"]):
        here = run(*arguments, "-m", embedded.path, "-n", NS, "--json")
        there = run(*arguments, "-m", url, "-n", NS, "--json")
        drop = {"bytes"}
        mine, theirs = (json.loads(done.stdout) for done in (here, there))
        if isinstance(mine, dict):
            mine, theirs = ({k: v for k, v in said.items() if k not in drop} for said in (mine, theirs))
        assert theirs == mine, arguments
    assert run("retire", "p", "--reason", "old", "-m", url, "-n", NS).exit_code == 0
    assert run("index", "-m", url, "-n", NS).stdout == f"namespace {NS}: the store searches 2 procedures\n"
    assert "for itself" in run("index", "--off", "-m", url, "-n", NS).stdout
    exported = run("export", tmp_path / "out.jsonl", "-m", url)
    assert exported.exit_code == 0
    refused = run("ls", "-m", f"postgresql://u:secret@/x?host={tmp_path}")
    assert refused.exit_code == 1
    assert "no server answers" in refused.stderr
    assert "secret" not in refused.stderr


def test_the_doctor_finds_what_is_wrong(embedded, store, url):
    list(copy(embedded, store))
    assert store.check() == []
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("UPDATE memp.revisions SET served = 7 WHERE procedure_id = 'p' AND number = 1")
        db.execute("UPDATE memp.procedures SET head = 1 WHERE id = 'p'")
        db.execute("DELETE FROM memp.texts WHERE id = 'p'")
        db.execute("DELETE FROM memp.recalls WHERE id = 'r-t' AND namespace = 'another'")
    found = store.check()
    for said in (
        "another: an outcome is of recall r-t, which is not there",
        f"{NS}/p revision 1: counters 1/7, outcomes say 1/1",
        f"{NS}/p: at revision 1, but has 2 revisions up to 2",
        f"{NS}/p: procedure that cannot be found by text",
    ):
        assert said in found
    done = CliRunner().invoke(doctor, ["--memory", url])
    assert done.exit_code == 1
    assert "counters 1/7" in done.stdout
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("UPDATE memp.recalls SET body = 'torn'")
    assert any("is damaged" in line for line in store.check())
