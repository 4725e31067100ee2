import json
import sqlite3

import numpy as np
import pytest
from storekit import NS, add, at, content, counters, play, revise, revision, trajectory

from memp.errors import Conflict, RecordError
from memp.records import Content
from memp.stores.base import Write, text_key


def ids(procedures):
    return [p.id for p in procedures]


def test_a_new_procedure_is_found_as_it_was_written(store):
    add(store, "p")
    (p,) = store.find(NS, ["p"])
    assert (p.id, p.namespace, p.created_at) == ("p", NS, at(1))
    assert p.revision == revision("p")
    assert (p.served, p.succeeded, p.built_from_success) == (0, 0, True)


def test_find_keeps_the_order_asked_for(store):
    names = [f"p{n}" for n in range(1200)]  # more than one chunk of the query
    store.write(NS, [Write(revision=revision(name)) for name in names], consume=None, receipt_id="")
    assert ids(store.find(NS, [*names[::-1], "unknown"])) == names[::-1]
    assert store.find(NS, []) == []
    assert store.find("elsewhere", names) == []


def test_a_revision_moves_the_head_and_starts_counters_afresh(store):
    add(store, "p")
    play(store, "t1", "p")
    revise(store, "p", 2, status="retired")
    (p,) = store.find(NS, ["p"])
    assert (p.revision.number, p.status, p.served) == (2, "retired", 0)
    assert p.created_at == at(1)
    assert [r.number for r, _, _ in store.history(NS, "p")] == [1, 2]
    assert counters(store, "p") == [(1, 1), (0, 0)]
    assert store.history(NS, "unknown") == []


def test_a_stale_parent_is_a_conflict_and_nothing_is_written(store):
    add(store, "p")
    revise(store, "p", 2)
    store.record(NS, trajectory("t"), None, None, at())
    stale = [Write(revision=revision("fresh")), Write(revision=revision("p", 2))]
    with pytest.raises(Conflict, match=r"procedure p is at revision 2, not at 1; .*read it again"):
        store.write(NS, stale, consume="t", receipt_id="u")
    assert store.find(NS, ["fresh"]) == []
    assert [w.trajectory.id for w in store.waiting(NS)] == ["t"]
    with pytest.raises(Conflict, match="not at None"):
        add(store, "p")


def test_numbers_follow_their_parents(store):
    add(store, "p")
    skipping = revision("p", 2).model_copy(update={"number": 5})
    with pytest.raises(RecordError, match="revision 5 of procedure p cannot follow 1"):
        store.write(NS, [Write(revision=skipping)], consume=None, receipt_id="")


def test_several_revisions_of_one_procedure_in_one_write(store):
    store.write(NS, [Write(revision=revision("p")), Write(revision=revision("p", 2))], consume=None, receipt_id="")
    assert store.find(NS, ["p"])[0].revision.number == 2


def test_heads_are_in_order_of_creation_and_say_what_changed_since(store):
    add(store, "b", "a", "c")
    heads = store.heads(NS, "space")
    assert [h.id for h in heads] == ["b", "a", "c"]
    seen = max(h.changed for h in heads)
    assert store.heads(NS, "space", seen) == []
    revise(store, "b", 2, content=content("another task", "s", object="apple"), status="retired")
    (changed,) = store.heads(NS, "space", seen)
    assert (changed.id, changed.task, changed.status) == ("b", "another task", "retired")
    assert json.loads(changed.facts) == {"object": "apple"}
    assert changed.changed > seen
    assert [h.id for h in store.heads(NS, "space")] == ["b", "a", "c"]


def test_heads_carry_the_vectors_of_their_space(store):
    add(store, "p", "q")
    vector = np.arange(3, dtype=np.float32)
    store.save_vectors("one", [("task of p", vector)])
    assert [h.vector for h in store.heads(NS, "one")] == [vector.tobytes(), None]
    assert [h.vector for h in store.heads(NS, "two")] == [None, None]


def test_built_from_finds_the_oldest(store):
    for id in ("p", "q"):
        store.write(NS, [Write(revision=revision(id), origin=b"same", success=False)], consume=None, receipt_id="")
    assert store.built_from(NS, b"same") == "p"
    assert store.built_from(NS, b"other") is None
    assert store.built_from("elsewhere", b"same") is None
    assert not store.find(NS, ["p"])[0].built_from_success


# -- search ----------------------------------------------------------------------------------------


def test_search_looks_into_task_and_script(store):
    add(store, "p", content=content("put a mug on the desk", "open the fridge"))
    add(store, "q", content=content("heat an egg", "go to the microwave"))
    add(store, "r", content=content("another", "fridge", "fridge", "fridge"))
    assert ids(store.search(NS, "mugs", 5)) == ["p"]  # words are stemmed
    assert ids(store.search(NS, "fridge", 5)) == ["r", "p"]  # best first
    assert ids(store.search(NS, "FRIDGE desk", 5)) == ["p"]  # every word
    assert ids(store.search(NS, "fridge", 1)) == ["r"]
    assert store.search("elsewhere", "fridge", 5) == []
    assert store.search(NS, "nothing", 5) == []


def test_search_sees_the_current_revision_only(store):
    add(store, "p", content=content("put a mug on the desk", "s"))
    revise(store, "p", 2, content=content("put a plate on the desk", "s"))
    assert store.search(NS, "mug", 5) == []
    assert ids(store.search(NS, "plate", 5)) == ["p"]


@pytest.mark.parametrize(
    "words",
    ['"', '""', "'", "mug' OR 1=1 --", "NEAR(", "mug*", "-mug", "task:mug", "(((", "AND", "mug AND", "^", "\0", "a\0b",
     "!!!", "%", "\x1b[31m", "🍎", "x" * 100_000, "\\", "{}", "+", ";", "col : x", "\u202e"],
)  # fmt: skip
def test_search_takes_anything(store, words):
    add(store, "p", content=content("unrelated", "nothing of it"))
    assert store.search(NS, words, 5) == []


@pytest.mark.parametrize("words", ["", "   ", "\0", "\n"])
def test_search_for_nothing_finds_nothing(store, words):
    add(store, "p")
    assert store.search(NS, words, 5) == []


def test_search_finds_odd_words(store):
    odd = 'say "hello" to O\'Neil naïve 苹果 col:x'
    add(store, "p", content=content(odd, "s"))
    for word in ('"hello"', "O'Neil", "naive", "NAÏVE", "苹果", "col:x", "!!! hello"):
        assert ids(store.search(NS, word, 5)) == ["p"], word


def test_control_characters_are_kept(store):
    odd = "tab\tnul\0esc\x1b[31m bell\x07"
    add(store, "p", content=Content(task=odd, facts={odd: odd}, trajectory_id="t"))
    (p,) = store.find(NS, ["p"])
    assert p.task == odd
    (head,) = store.heads(NS, "space")
    assert (head.task, json.loads(head.facts)) == (odd, {odd: odd})
    assert store.check() == []


# -- namespaces ------------------------------------------------------------------------------------


def test_namespaces_never_meet(store):
    for namespace in ("one", "two"):
        add(store, "p", namespace=namespace, content=content(f"task in {namespace}", "s"))
        play(store, "t", "p", namespace=namespace)
    play(store, "t2", "p", namespace="two", reward=0.0)
    revise(store, "p", 2, namespace="one")
    store.write("one", [], consume="t", receipt_id="u")
    assert counters(store, "p", "one") == [(1, 1), (0, 0)]
    assert counters(store, "p", "two") == [(2, 1)]
    assert store.find("two", ["p"])[0].task == "task in two"
    assert ids(store.search("two", "task", 5)) == ["p"]
    assert store.waiting("one") == []
    assert len(store.waiting("two")) == 2
    assert list(store.namespaces()) == ["one", "two"]
    assert [h.task for h in store.heads("two", "")] == ["task in two"]
    assert store.check() == []


def test_the_index_of_waiting_and_of_changes_is_used(store):
    add(store, "p")
    raw = sqlite3.connect(store.path)
    for query, index in (
        ("SELECT body FROM trajectories WHERE namespace = 'x' AND consumed_by IS NULL ORDER BY seq", "waiting"),
        ("SELECT id FROM procedures p WHERE namespace = 'x' AND changed > 7", "procedures_changed"),
        ("SELECT id FROM procedures WHERE namespace = 'x' AND origin = x'00'", "procedures_origin"),
    ):
        plan = " ".join(row[3] for row in raw.execute(f"EXPLAIN QUERY PLAN {query}"))
        assert index in plan
        assert "SCAN" not in plan
    raw.close()


def test_texts_have_keys_of_their_own():
    assert text_key("a") == text_key("a") != text_key("b")
    assert len(text_key("")) == 16
