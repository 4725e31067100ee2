"""Rules of namespaces: walls that nothing passes."""

from memp.errors import RecordError
from memp.testing.store_conformance.expect import expect, refused, same
from memp.testing.store_conformance.harness import Harness
from memp.testing.store_conformance.kit import (
    NS,
    ODD,
    add,
    at,
    content,
    counters,
    everything,
    fill,
    heads,
    outcome,
    play,
    put,
    recall,
    receipt,
    record,
    revise,
    trajectory,
    waiting,
)
from memp.testing.store_conformance.rule import rule


@rule()
def nothing_is_read_through_the_wall(h: Harness) -> None:
    """No method shows anything of another namespace."""
    fill(h.store)
    h.store.save_draft(NS, "k", "reply")
    there, s = "elsewhere", h.store
    found = {
        "trajectory": s.trajectory(there, "t1"),
        "trajectories": list(s.trajectories(there)),
        "waiting": list(s.waiting(there)),
        "heads": list(s.heads(there, "")),
        "find": list(s.find(there, ["p", "q"])),
        "at": list(s.at(there, [("p", 1), ("q", 2)])),
        "built_from": s.built_from(there, b"o-p"),
        "history": list(s.history(there, "p")),
        "search": list(s.search(there, "mug", 5)),
        "recalls": list(s.recalls(there)),
        "recall": list(s.recalls(there, "r-t1")),
        "outcomes": list(s.outcomes(there)),
        "outcomes_since": list(s.outcomes_since(there)),
        "receipts": list(s.receipts(there)),
        "draft": s.draft(there, "k"),
        "dump": everything(s, there),
    }
    same("seen from another namespace", {name: value for name, value in found.items() if value}, {})


@rule()
def nothing_is_changed_through_the_wall(h: Harness) -> None:
    """Two namespaces with the same ids live their own lives: revisions, credit, taking, receipts, drafts."""
    fill(h.store)
    h.store.save_draft(NS, "k", "reply")
    before, there = everything(h.store), "elsewhere"
    fill(h.store, there)
    play(h.store, "t9", "p", reward=0.0, namespace=there)
    revise(h.store, "p", 2, namespace=there)
    put(h.store, namespace=there, consume="t1", by="u2")
    h.store.requeue(there, "t2")
    h.store.log_receipt(there, receipt("u"))
    h.store.save_draft(there, "k", "another reply")
    h.store.drop_drafts(there, ["k"])
    same("everything", everything(h.store), before)
    same("draft", h.store.draft(NS, "k"), "reply")
    same("counters", counters(h.store, "p", there), [(2, 1), (0, 0)])


@rule()
def walls_stand_against_strangers(h: Harness) -> None:
    """Taking, requeueing, revising and crediting what only another namespace holds is refused."""
    record(h.store, "t", namespace="elsewhere")
    add(h.store, "p", namespace="elsewhere")
    before = everything(h.store, "elsewhere")
    expect(not put(h.store, consume="t", by="u"), "a trajectory of another namespace was taken")
    expect(not h.store.requeue(NS, "t"), "a trajectory of another namespace was requeued")
    served = recall(h.store, "r", "p", namespace="elsewhere")
    credit = outcome(served, trajectory("t2"))
    refused(RecordError, "credit", lambda: h.store.record(NS, trajectory("t2"), served, credit, at()))
    add(h.store, "p")  # the same id is free here
    same("everything elsewhere", everything(h.store, "elsewhere"), before)


@rule()
def odd_names_are_names(h: Harness) -> None:
    """Any text of 1 to 200 characters names a namespace, and names that look alike are different ones."""
    names = [*ODD, "\0", "a", "A", "a ", "a%", "a_", "e\u0301", "\u00e9", "public", "x" * 200, "../a", "a/b"]
    for name in names:
        add(h.store, "p", namespace=name, content=content(f"task in {name}"))
        record(h.store, f"t {name}"[:200], namespace=name)
    same("namespaces", set(h.store.namespaces()), set(names))
    for name in names:
        same(f"task in {name!r}", [p.task for p in h.store.find(name, ["p"])], [f"task in {name}"])
        same(f"procedures of {name!r}", heads(h.store, namespace=name), ["p"])
        same(f"waiting in {name!r}", waiting(h.store, name), [f"t {name}"[:200]])


@rule()
def names_have_a_length(h: Harness) -> None:
    """Writing into a namespace without a name, or of more than 200 characters, is a RecordError; nothing is kept."""
    for name in ("", "x" * 201):
        refused(RecordError, "record", lambda name=name: record(h.store, "t", namespace=name))  # type: ignore[misc]
        refused(RecordError, "write", lambda name=name: add(h.store, "p", namespace=name))  # type: ignore[misc]
        refused(RecordError, "receipt", lambda name=name: h.store.log_receipt(name, receipt("u")))  # type: ignore[misc]
    same("namespaces", list(h.store.namespaces()), [])


@rule()
def namespaces_are_listed(h: Harness) -> None:
    """`namespaces` lists, sorted, every namespace that holds a trajectory, a procedure, a recall or a receipt."""
    same("of an empty store", list(h.store.namespaces()), [])
    record(h.store, "t", namespace="d")
    add(h.store, "p", namespace="c")
    h.store.log_recall(recall(h.store, "r", namespace="b"))
    h.store.log_receipt("a", receipt("u"))
    same("namespaces", list(h.store.namespaces()), ["a", "b", "c", "d"])
