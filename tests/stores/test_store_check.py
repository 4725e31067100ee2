"""`check` finds what was planted."""

import sqlite3

import pytest
from storekit import NS, add, at, counters, play, receipt, revise


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        (
            "UPDATE revisions SET served = 3 WHERE served = 2",
            ["tests/p revision 1: counters 1/3, outcomes say 1/2"],
        ),
        (
            "UPDATE revisions SET succeeded = 2 WHERE served = 2",
            ["tests/p revision 1: counters 2/2, outcomes say 1/2"],
        ),
        ("UPDATE revisions SET served = 1 WHERE number = 2", ["tests/p revision 2: counters 0/1, outcomes say 0/0"]),
        ("UPDATE procedures SET head = 1 WHERE head = 2", ["tests/p: at revision 1, but has 2 revisions up to 2"]),
        ("UPDATE procedures SET changed = 1 WHERE head = 2", ["tests/p: at revision 2, but has 2 revisions up to 2"]),
        ("DELETE FROM procedures_text WHERE rowid = 3", ["tests/p: procedure that cannot be found by text"]),
        (
            "DELETE FROM procedures WHERE head = 2",
            [
                "tests/p: revision of a procedure that is not there",
                "tests/p: revision of a procedure that is not there",
            ],
        ),
        (
            "INSERT INTO outcomes SELECT 99, namespace, 'r', 'x', replace(body, '1]', '9]') FROM outcomes LIMIT 1",
            ["tests/x: outcome of a trajectory that is not there", "tests/x: outcome that credits a revision that"],
        ),
        ("UPDATE receipts SET body = 'x'", ["tests/u: cannot be read from receipts (1 validation error for Receipt"]),
    ],
)
def test_planted_errors_are_found(store, statement, found):
    add(store, "p", "other", namespace="another")
    add(store, "p")
    play(store, "t1", "p")
    play(store, "t2", "p", reward=0.0)
    revise(store, "p", 2)
    store.log_receipt(NS, receipt("u"))
    assert store.check() == []
    raw = sqlite3.connect(store.path)
    raw.execute(statement)
    raw.commit()
    raw.close()
    problems = store.check()
    assert len(problems) == len(found)
    assert all(problem.startswith(start) for problem, start in zip(problems, found, strict=True))


ODD = ("a", "a\0b", "a\0c", "\0", "quote\"'", "back\\slash")
"""Ids that SQLite's JSON functions do not give back as they are: they end a text at its first NUL."""


def test_ids_with_nul_and_quotes_are_no_damage(store):
    add(store, *ODD)
    for number, id in enumerate(ODD):
        play(store, f"t{number}", id, reward=number % 2)
        play(store, f"{id} won", id)
    assert store.check() == []
    raw = sqlite3.connect(store.path)
    raw.execute("UPDATE revisions SET served = 7 WHERE procedure_id = ?", (ODD[1],))
    raw.commit()
    raw.close()
    assert store.check() == ["tests/a\0b revision 1: counters 2/7, outcomes say 2/2"]


def test_an_erasure_leaves_the_counters_of_such_ids(store):
    add(store, *ODD)
    for number, id in enumerate(ODD):
        play(store, f"t{number}", id)
    before = [counters(store, id) for id in ODD]
    play(store, "gone", *ODD)
    store.forget(NS, trajectories=["gone"], at=at(9))
    assert [counters(store, id) for id in ODD] == before == [[(1, 1)]] * len(ODD)
    assert store.check() == []
