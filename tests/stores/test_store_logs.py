import sqlite3

import numpy as np
from storekit import NS, add, at, outcome, play, recall, receipt, revise, trajectory


def test_a_logged_recall_comes_back_as_it_was_served(store):
    add(store, "p", "q")
    served = recall(store, "r1", "q", "p")
    store.log_recall(served)
    revise(store, "q", 2)
    assert store.recalls(NS, "r1") == [served]
    assert [r.procedure.revision.number for r in store.recalls(NS)[0].ranked] == [1, 1]
    assert store.recalls(NS, "unknown") == []
    assert store.recalls("elsewhere", "r1") == []


def test_logs_are_newest_first_and_bounded(store):
    add(store, "p")
    for n in range(4):
        play(store, f"t{n}", "p")
        store.log_receipt(NS, receipt(f"u{n}"))
    assert [r.id for r in store.recalls(NS)] == ["r-t3", "r-t2", "r-t1", "r-t0"]
    assert [r.id for r in store.recalls(NS, None, 2)] == ["r-t3", "r-t2"]
    assert [o.trajectory_id for o in store.outcomes(NS, 3)] == ["t3", "t2", "t1"]
    assert store.receipts(NS, 1) == [receipt("u3")]
    assert store.outcomes("elsewhere") == store.receipts("elsewhere") == []


def test_a_recall_is_logged_once(store):
    add(store, "p")
    served, played = recall(store, "r", "p"), trajectory("t")
    store.log_recall(served)
    store.log_recall(served)
    store.record(NS, played, served, outcome(served, played), at())
    assert len(store.recalls(NS)) == 1


def test_drafts_live_until_they_are_dropped(store):
    store.record(NS, trajectory("waits"), None, None, at())
    assert store.draft(NS, "k") is None
    store.save_draft(NS, "k", "reply")
    store.save_draft(NS, "k", "another reply")
    assert store.draft(NS, "k") == "another reply"
    assert store.draft("elsewhere", "k") is None
    store.drop_drafts("elsewhere", ["k"])
    store.drop_drafts(NS, [])
    assert store.draft(NS, "k") == "another reply"
    store.drop_drafts(NS, ["k", "unknown"])
    assert store.draft(NS, "k") is None


def test_drafts_that_a_killed_update_left_go_when_nothing_waits(store):
    for namespace in (NS, "elsewhere"):
        store.record(namespace, trajectory("t"), None, None, at())
        store.save_draft(namespace, "left", "reply")
    store.drop_drafts(NS, ["other"])
    assert store.draft(NS, "left") == "reply"
    store.write(NS, [], consume="t", receipt_id="u")
    store.drop_drafts(NS, [])
    assert store.draft(NS, "left") is None
    assert store.draft("elsewhere", "left") == "reply"


def test_vectors_are_kept_by_space_and_text(store):
    texts = [f"text {n}" for n in range(20)]
    rows = np.random.default_rng(0).normal(size=(20, 8)).astype(np.float32)
    store.save_vectors("one", zip(texts, rows, strict=True))
    store.save_vectors("two", [("text 1", rows[0].astype(np.float64))])
    found = store.vectors("one", [*texts[::-1], "unknown"])
    assert list(found) == texts[::-1]
    assert all(np.array_equal(found[text], row) for text, row in zip(texts, rows, strict=True))
    assert found["text 1"].dtype == np.float32
    assert np.array_equal(store.vectors("two", ["text 1"])["text 1"], rows[0])
    store.save_vectors("one", [("text 1", rows[5])])
    assert np.array_equal(store.vectors("one", ["text 1"])["text 1"], rows[5])
    assert store.vectors("three", texts) == {}


def test_vectors_are_a_cache(store):
    add(store, "p")
    store.save_vectors("one", [("task of p", np.ones(2, dtype=np.float32))])
    raw = sqlite3.connect(store.path)
    raw.execute("DELETE FROM vectors")
    raw.commit()
    raw.close()
    assert store.vectors("one", ["task of p"]) == {}
    assert store.check() == []


def test_stats_count_what_is_there(store):
    add(store, "p", "q", "gone")
    revise(store, "gone", 2, status="retired")
    play(store, "t1", "p")
    store.record(NS, trajectory("t2"), None, None, at())
    store.log_receipt(NS, receipt("u"))
    store.write(NS, [], consume="t1", receipt_id="u")
    add(store, "p", namespace="elsewhere")
    found = store.stats(NS)
    assert (found.trajectories, found.waiting, found.revisions) == (2, 1, 4)
    assert dict(found.procedures) == {"active": 2, "retired": 1}
    assert (found.recalls, found.outcomes, found.receipts) == (1, 1, 1)
    assert found.bytes > 0
    assert store.stats("unknown").trajectories == 0


def test_a_namespace_that_holds_only_a_log_is_listed(store):
    store.log_recall(recall(store, "r", namespace="asked"))
    store.log_receipt("updated", receipt("u"))
    assert list(store.namespaces()) == ["asked", "updated"]
