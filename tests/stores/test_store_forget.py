"""Erasing for good: every trace goes, everything else stays and still adds up."""

import sqlite3
import zlib
from pathlib import Path

import numpy as np
import pytest
from storekit import NS, add, at, content, counters, outcome, play, recall, receipt, revise, revision, trajectory

from memp.errors import StoreError
from memp.records import Skipped, Step
from memp.stores.base import Write
from memp.stores.erase import REASON
from memp.stores.statements import unpack, words_of

MARKER = "xyzzyplughmarker"
TASK = f"hide the {MARKER} task in the safe."


def planted(store):
    """A memory in which a task with a marker left traces in every place that there is."""
    add(store, "other", "beside")
    marked = trajectory(
        "marked",
        task=TASK,
        start=f"start {MARKER}",
        steps=(Step(action=f"take {MARKER} 1", observation=f"seen {MARKER}", thought=f"thought {MARKER}"),),
        facts={"object": f"{MARKER} fact"},
        feedback=f"feedback {MARKER}",
    )
    asked = recall(store, "r-marked", "other", "beside").model_copy(update={"task": TASK, "facts": {"o": MARKER}})
    assert store.record(NS, marked, asked, outcome(asked, marked), at())
    made = revision("built", content=content(TASK, f"step {MARKER}", object=f"{MARKER} fact"))
    made = made.model_copy(update={"evidence": ("marked",)})
    done = receipt("u/1").model_copy(
        update={"added": ("built",), "skipped": (Skipped(subject="marked", reason=f"because {MARKER}"),)}
    )
    store.write(NS, [Write(revision=made, origin=b"o")], consume="marked", receipt_id="u", receipt=done)
    revise(store, "other", 2)
    tainted = revision("other", 3, content=content("task of other", f"beware of {MARKER}"))
    store.write(
        NS,
        [Write(revision=tainted.model_copy(update={"evidence": ("marked",), "reason": f'failed: "{TASK}"'}))],
        consume=None,
        receipt_id="",
    )
    revise(store, "other", 4)
    store.save_vectors("f", [(TASK, np.linspace(0, 1, 64)), (f"{MARKER} fact", np.linspace(1, 2, 64))])
    store.save_draft(NS, "key", f"reply with {MARKER}")
    play(store, "later", "built", "other")
    play(store, "last", "other", "beside")
    store.log_recall(recall(store, "r-seen", "built").model_copy(update={"task": TASK}))


def everything(store):
    """All that the file says, decompressed too."""
    db = sqlite3.connect(store.path)
    said = []
    for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        for row in db.execute(f"SELECT * FROM {table}").fetchall():
            for cell in row:
                raw = cell.encode() if isinstance(cell, str) else cell
                if isinstance(raw, bytes):
                    packed = table == "trajectories" and isinstance(cell, bytes)
                    said.append(unpack(raw, words_of(db)) if packed else raw)
    db.close()
    return b"\n".join(said)


def raw(store):
    return b"".join(
        Path(store.path + end).read_bytes() for end in ("", "-wal", "-shm") if Path(store.path + end).exists()
    )


def test_no_byte_of_a_marker_is_left(store):
    planted(store)
    assert MARKER.encode() in raw(store)
    assert MARKER.encode() in everything(store)
    erased = store.forget(NS, task=TASK, at=at(9))
    assert (erased.left, erased.elsewhere) == ((), ("task of other",))  # which its other revisions say
    assert erased.searched > 10
    assert (erased.trajectories, erased.procedures, erased.recalls, erased.outcomes) == (1, 1, 2, 1)
    assert erased.revisions == 3  # of `built` one, of `other` the third and the fourth
    for bytes_ in (raw(store), everything(store)):
        assert MARKER.encode() not in bytes_
        assert b"marked" not in bytes_
        assert MARKER[:9].encode() not in bytes_  # the index of words cuts and stems
    assert store.check() == []


def test_a_procedure_goes_on_from_its_last_clean_revision(store):
    planted(store)
    erased = store.forget(NS, task=TASK, at=at(9))
    assert erased.returned == (("other", 3),)
    (_, second, third) = [r for r, _, _ in store.history(NS, "other")]
    assert (third.content, third.reason, third.status, third.at) == (second.content, REASON, "active", at(9))
    assert third.author.policy == "forget"
    assert store.find(NS, ["other", "built"])[0].revision == third
    assert [p.id for p in store.search(NS, "step of other at 2", 5)] == ["other"]


def test_counters_are_those_of_the_outcomes_that_are_left(store):
    planted(store)
    assert counters(store, "other") == [(1, 1), (0, 0), (0, 0), (2, 2)]
    store.forget(NS, task=TASK, at=at(9))
    assert counters(store, "other") == [(0, 0), (0, 0), (0, 0)]
    assert counters(store, "beside") == [(1, 1)]
    kept = {o.trajectory_id: o.credited for o in store.outcomes(NS)}
    assert kept == {"later": (), "last": (("beside", 1),)}
    assert [[r.procedure.id for r in recall.ranked] for recall in store.recalls(NS)] == [["beside"], []]


def test_by_trajectory_the_task_of_another_stays(store):
    play(store, "a")
    other = trajectory("b", task="task of a")
    store.record(NS, other, None, None, at())
    erased = store.forget(NS, trajectories=["b"], at=at(9))
    assert (erased.trajectories, erased.left) == (1, ())
    assert [t.id for t in store.trajectories(NS)] == ["a"]
    assert store.recalls(NS, "r-a")


def test_an_id_in_a_longer_id_is_another(store):
    add(store, "p1", "p10")
    for id in ("t1", "t10"):
        store.record(NS, trajectory(id), None, None, at())
    made = revision("p1", 2).model_copy(update={"evidence": ("t10",), "reason": "after t10"})
    store.write(NS, [Write(revision=made)], consume=None, receipt_id="")
    assert store.forget(NS, trajectories=["t1"], at=at(9)).revisions == 0
    assert store.forget(NS, trajectories=["t10"], at=at(9)).returned == (("p1", 2),)


def test_what_was_retired_does_not_come_back(store):
    add(store, "p")
    revise(store, "p", 2)
    gone = revision("p", 3, status="retired", pinned=True).model_copy(update={"evidence": ("t",)})
    store.write(NS, [Write(revision=gone)], consume=None, receipt_id="")
    store.forget(NS, trajectories=["t"], at=at(9))
    (now,) = store.find(NS, ["p"])
    assert (now.status, now.revision.pinned, now.revision.number) == ("retired", True, 3)


def test_another_namespace_is_not_touched(store):
    planted(store)
    store.record("theirs", trajectory("marked", task=TASK), None, None, at())
    add(store, "theirs-p", namespace="theirs", content=content(TASK, "step"))
    before = list(store.dump("theirs"))
    erased = store.forget(NS, task=TASK, at=at(9))
    assert list(store.dump("theirs")) == before
    assert erased.left == ()
    assert TASK not in erased.elsewhere  # what others say is not told


def test_an_export_after_it_comes_back_whole(store, open_store, tmp_path):
    planted(store)
    store.forget(NS, task=TASK, at=at(9))
    entries = list(store.dump(NS))
    copy = open_store(tmp_path / "copy.db")
    copy.load((NS, entry) for entry in entries)
    assert list(copy.dump(NS)) == entries
    assert copy.check() == []


def test_nothing_to_erase_says_so(store):
    planted(store)
    before = list(store.dump(NS))
    erased = store.forget(NS, task="no such task", at=at(9))
    assert (erased.trajectories, erased.procedures, erased.recalls) == (0, 0, 0)
    assert list(store.dump(NS)) == before


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM trajectories",
        "DELETE FROM revisions",
        "DELETE FROM outcomes",
        "UPDATE outcomes SET body = '{}'",
        "UPDATE trajectories SET body = x'00'",
        "UPDATE trajectories SET recall_id = 'r'",
    ],
)
def test_everything_else_stays_append_only(store, statement):
    planted(store)
    store.forget(NS, task=TASK, at=at(9))
    db = sqlite3.connect(store.path)
    with pytest.raises(sqlite3.IntegrityError, match="never"):
        db.execute(statement)
    db.close()


def test_an_open_reader_is_named_and_the_next_call_finishes(store, open_store):
    planted(store)
    store.close()
    store = open_store(timeout=0.3)
    reader = sqlite3.connect(store.path)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM trajectories").fetchone()
    with pytest.raises(StoreError, match="it is erased, but freed pages"):
        store.forget(NS, task=TASK, at=at(9))
    assert any("memory forget --finish" in line for line in store.check())
    reader.close()
    assert store.forget(NS, task=TASK, at=at(10)).left == ()
    assert store.check() == []
    assert MARKER.encode() not in raw(store)


def test_a_memory_without_a_file(open_store):
    store = open_store(":memory:")
    planted(store)
    erased = store.forget(NS, task=TASK, at=at(9))
    assert erased.left == ()
    assert erased.searched > 10


def test_the_search_would_find_what_is_left(store, monkeypatch):
    from memp.stores import sqlite

    monkeypatch.setattr(sqlite.Connection, "scrub", lambda self: None)
    planted(store)
    erased = store.forget(NS, task=TASK, at=at(9))
    assert TASK in erased.left
    assert any("freed pages" in line for line in store.check())


def test_compacted_trajectories_read_the_same(store):
    steps = tuple(Step(action=f"go to place {n}", observation=f"You see a thing {n * n}.") for n in range(60))
    for n in range(5):
        store.record(NS, trajectory(f"long-{n}", steps=steps), None, None, at(n))
    before, entries = list(store.trajectories(NS)), list(store.dump(NS))
    done = store.compact(NS, before=at(3))
    assert done.trajectories == 3
    assert done.after < done.before
    assert list(store.trajectories(NS)) == before
    assert list(store.dump(NS)) == entries
    assert store.check() == []
    assert not store.record(NS, before[0], None, None, at())  # the same again
    assert store.compact(NS, before=at(3)).trajectories == 0


def test_a_damaged_compacted_trajectory_is_noticed(store):
    steps = tuple(Step(action=f"go to place {n}", observation=f"You see a thing {n * n}.") for n in range(60))
    store.record(NS, trajectory("long", steps=steps), None, None, at())
    store.compact(NS, before=at(3))
    db = sqlite3.connect(store.path)
    db.execute("INSERT INTO permits VALUES ('compact')")
    (body,) = db.execute("SELECT body FROM trajectories").fetchone()
    with pytest.raises(zlib.error):
        zlib.decompress(body)  # it needs the dictionary
    db.execute("UPDATE trajectories SET body = ?", (body[:-20],))
    db.execute("DELETE FROM permits")
    db.commit()
    db.close()
    assert any("cannot be read from trajectories" in line for line in store.check())
    with pytest.raises(StoreError, match="is damaged"):
        store.trajectory(NS, "long")


def test_erasing_after_compaction_leaves_nothing_in_the_dictionary(store):
    planted(store)
    before = {t.id: t for t in store.trajectories(NS)}
    assert store.compact(NS, before=at(5)).trajectories >= 2
    assert MARKER.encode() in raw(store)  # the dictionary is plain text
    assert store.forget(NS, task=TASK, at=at(9)).left == ()
    assert MARKER.encode() not in raw(store) + everything(store)
    assert {t.id: t for t in store.trajectories(NS)} == {id: t for id, t in before.items() if id != "marked"}
    assert store.check() == []
