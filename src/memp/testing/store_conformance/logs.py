"""Rules of recalls, outcomes, receipts, drafts, vectors and counts."""

import math

import numpy as np

from memp.errors import StoreError
from memp.recall import LeftOut, Recalled
from memp.records import Skipped, Usage
from memp.stores.base import Write
from memp.testing.store_conformance.expect import expect, refused, same
from memp.testing.store_conformance.harness import Harness
from memp.testing.store_conformance.kit import (
    NS,
    ODD,
    add,
    at,
    outcome,
    play,
    put,
    recall,
    receipt,
    record,
    revise,
    revision,
    trajectory,
)
from memp.testing.store_conformance.rule import rule


@rule()
def a_recall_comes_back_as_it_was_served(h: Harness) -> None:
    """A logged recall has every field, and its procedures at the revisions that were served, whatever came later."""
    add(h.store, "p", "q")
    kept = recall(h.store, "r2", "p").ranked
    for n, odd in enumerate(ODD):
        served = recall(h.store, odd, "q", "p", agent=odd, note=odd).model_copy(
            update={"withheld": kept, "facts": {odd: odd}, "task": odd, "policy": odd, "at": at(n + 0.5)}
        )
        h.store.log_recall(served)
        same("recall", list(h.store.recalls(NS, odd)), [served])
    revise(h.store, "q", 2)
    (found,) = h.store.recalls(NS, ODD[0])
    same("revisions", [r.procedure.revision.number for r in found.ranked], [1, 1])
    same("unknown", list(h.store.recalls(NS, "unknown")), [])


@rule()
def odd_scores_are_kept(h: Harness) -> None:
    """Scores come back to the bit; infinite ones and what is not a number too."""
    add(h.store, "p")
    (p,) = h.store.find(NS, ["p"])
    scores = (0.1 + 0.2, 5e-324, -1.7976931348623157e308, math.inf, -math.inf, -0.0, math.nan)
    served = recall(h.store, "r").model_copy(
        update={
            "ranked": tuple(Recalled(procedure=p, score=score, why="") for score in scores),
            "left_out": tuple(LeftOut(procedure_id="x", score=score, why="") for score in scores),
        }
    )
    h.store.log_recall(served)
    (found,) = h.store.recalls(NS, "r")
    same("served", [repr(item.score) for item in found.ranked], [repr(score) for score in scores])
    same("left out", [repr(item.score) for item in found.left_out], [repr(score) for score in scores])


@rule()
def logs_are_newest_first(h: Harness) -> None:
    """`recalls`, `outcomes` and `receipts` give the newest first, as many as asked for."""
    add(h.store, "p")
    for n in (2, 0, 3, 1):
        play(h.store, f"t{n}", "p")
        h.store.log_receipt(NS, receipt(f"u{n}"))
    same("recalls", [r.id for r in h.store.recalls(NS)], ["r-t1", "r-t3", "r-t0", "r-t2"])
    same("two recalls", [r.id for r in h.store.recalls(NS, None, 2)], ["r-t1", "r-t3"])
    same("three outcomes", [o.trajectory_id for o in h.store.outcomes(NS, 3)], ["t1", "t3", "t0"])
    same("receipts", [r.id for r in h.store.receipts(NS)], ["u1", "u3", "u0", "u2"])
    same("one receipt", [r.id for r in h.store.receipts(NS, 1)], ["u1"])


@rule()
def a_recall_is_logged_once(h: Harness) -> None:
    """Logging a recall again does nothing: when it was made, again, and when its trajectory is recorded."""
    add(h.store, "p")
    served, played = recall(h.store, "r", "p"), trajectory("t")
    h.store.log_recall(served)
    h.store.log_recall(served)
    h.store.record(NS, played, served, outcome(served, played), at())
    same("recalls", [r.id for r in h.store.recalls(NS)], ["r"])


@rule()
def recording_logs_the_recall(h: Harness) -> None:
    """A recall that was not logged when it was made is logged with the trajectory it was played with."""
    add(h.store, "p")
    served = recall(h.store, "r-t", "p")
    play(h.store, "t", "p")
    (found,) = h.store.recalls(NS)
    same("recall", [r.procedure.id for r in found.ranked], [r.procedure.id for r in served.ranked])
    same("id", found.id, "r-t")


@rule()
def a_receipt_comes_back_whole(h: Harness) -> None:
    """Every field of a receipt is kept."""
    for n, odd in enumerate(ODD):
        full = receipt(
            f"u{n}",
            retired=(odd,),
            skipped=(Skipped(subject=odd, reason=odd),),
            usage={odd: Usage(calls=1, cost=0.1)},
            quarantined=(odd,),
            redacted={odd: 2**40},
            queue=3,
        )
        h.store.log_receipt(NS, full)
        same("receipt", list(h.store.receipts(NS, limit=1)), [full])


@rule()
def a_receipt_takes_the_place_of_its_parts(h: Harness) -> None:
    """The receipt of an operation takes the place of its parts' (`id/1`, `id/2`), and of no other receipt."""
    others = ["u", "a_b%", "a_b%1", "a_b%0", "axb%/1", "a_bc/1", "A_B%/1", "x/a_b%/1", "a_b%-/1"]
    for id in others[:1] + others[2:]:
        h.store.log_receipt(NS, receipt(id))
    for part in ("a_b%/1", "a_b%/2", "a_b%/10"):
        h.store.write(NS, [], consume=None, receipt_id="a_b%", receipt=receipt(part))
    same("with parts", len(h.store.receipts(NS)), len(others) - 1 + 3)
    h.store.log_receipt(NS, receipt("a_b%"))
    same("receipts", sorted(r.id for r in h.store.receipts(NS)), sorted(others))


@rule()
def a_receipt_is_not_overwritten(h: Harness) -> None:
    """Another receipt under an id that is taken is a StoreError, and the first one stays."""
    h.store.log_receipt(NS, receipt("u"))
    refused(StoreError, "another receipt", lambda: h.store.log_receipt(NS, receipt("u", queue=7)))
    same("receipts", list(h.store.receipts(NS)), [receipt("u")])


@rule()
def drafts_live_until_they_are_dropped(h: Harness) -> None:
    """A draft is read as it was saved last, while anything waits, until its key is dropped."""
    record(h.store, "waits")
    same("unknown", h.store.draft(NS, "k"), None)
    for text in ("reply", "", *ODD, "long " * 100_000):
        h.store.save_draft(NS, "k", text)
        same("draft", h.store.draft(NS, "k"), text)
    h.store.save_draft(NS, ODD[0], "odd")
    h.store.drop_drafts(NS, [])
    h.store.drop_drafts(NS, ["k", "unknown"])
    same("dropped", h.store.draft(NS, "k"), None)
    same("another", h.store.draft(NS, ODD[0]), "odd")


@rule()
def drafts_go_when_nothing_waits(h: Harness) -> None:
    """`drop_drafts` takes every draft of the namespace away when nothing waits there any more."""
    for namespace in (NS, "another"):
        record(h.store, "t", namespace=namespace)
        h.store.save_draft(namespace, "left", "reply")
    put(h.store, consume="t", by="u")
    same("before", h.store.draft(NS, "left"), "reply")
    h.store.drop_drafts(NS, [])
    same("left behind", h.store.draft(NS, "left"), None)
    same("of another namespace", h.store.draft("another", "left"), "reply")


@rule()
def vectors_are_exact(h: Harness) -> None:
    """Vectors come back as float32, to the bit, by fingerprint and text; what was not saved is not there."""
    texts = [*ODD, "", "e\u0301", "\u00e9", "x" * 100_000, *(f"text {n}" for n in range(2_000))]
    rows = np.random.default_rng(0).normal(size=(len(texts), 8)).astype(np.float32)
    rows[0] = [np.nan, np.inf, -np.inf, -0.0, 1e-45, 3.4028235e38, 1 / 3, 0]
    h.store.save_vectors("one", zip(texts, rows, strict=True), NS)
    found = h.store.vectors("one", [*texts, "unknown"], NS)
    same("texts", set(found), set(texts))
    wrong = [text for text, row in zip(texts, rows, strict=True) if found[text].tobytes() != row.tobytes()]
    same("texts with another vector", wrong, [])
    same("types", {vector.dtype.name for vector in found.values()}, {"float32"})
    same("nothing asked for", h.store.vectors("one", [], NS), {})


@rule()
def vectors_are_of_a_space(h: Harness) -> None:
    """Each fingerprint has vectors of its own, of its own length; saving again replaces; float64 becomes float32."""
    h.store.save_vectors("one", [("text", np.ones(3, dtype=np.float32))], NS)
    h.store.save_vectors("two", [("text", np.array([1 / 3, 2.0]))], NS)
    same("of one", h.store.vectors("one", ["text"], NS)["text"].tolist(), [1, 1, 1])
    same("of two", h.store.vectors("two", ["text"], NS)["text"].tolist(), np.array([1 / 3, 2.0], np.float32).tolist())
    same("of three", h.store.vectors("three", ["text"], NS), {})
    h.store.save_vectors("one", [("text", np.zeros(3, dtype=np.float32))], NS)
    same("replaced", h.store.vectors("one", ["text"], NS)["text"].tolist(), [0, 0, 0])
    h.store.save_vectors("one", [("common", np.ones(1, dtype=np.float32))])
    same("saved for all", h.store.vectors("one", ["common"], NS)["common"].tolist(), [1])


@rule()
def stats_count_what_is_there(h: Harness) -> None:
    """`stats` counts what the namespace holds, procedures by their current status; of an unknown one nothing."""
    add(h.store, "p", "q", "gone")
    revise(h.store, "gone", 2, status="retired")
    play(h.store, "t1", "p")
    record(h.store, "t2")
    h.store.log_recall(recall(h.store, "unplayed"))
    h.store.log_receipt(NS, receipt("u"))
    put(h.store, consume="t1", by="u")
    put(h.store, Write(revision=revision("p")), namespace="another")
    found = h.store.stats(NS)
    same("trajectories, waiting, revisions", (found.trajectories, found.waiting, found.revisions), (2, 1, 4))
    same("procedures", dict(found.procedures), {"active": 2, "retired": 1})
    same("recalls, outcomes, receipts", (found.recalls, found.outcomes, found.receipts), (2, 1, 1))
    expect(found.bytes > 0, "a store that holds something has a size")
    empty = h.store.stats("unknown")
    same("unknown", (empty.trajectories, empty.revisions, dict(empty.procedures), empty.receipts), (0, 0, {}, 0))
