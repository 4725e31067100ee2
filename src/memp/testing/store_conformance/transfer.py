"""Rules of `dump` and `load`: a whole memory out of one store and into another."""

from collections.abc import Callable, Iterator

from memp.errors import Conflict, RecordError
from memp.stores.entries import Entry, OutcomeEntry, ReceiptEntry, RevisionEntry, TrajectoryEntry
from memp.testing.store_conformance.expect import expect, refused, same
from memp.testing.store_conformance.harness import Harness
from memp.testing.store_conformance.kit import (
    NS,
    at,
    counters,
    everything,
    fill,
    heads,
    play,
    put,
    receipt,
    revise,
    trajectory,
    waiting,
)
from memp.testing.store_conformance.rule import rule

TO = "elsewhere"


def _load(h: Harness, *entries: Entry, to: str = TO) -> object:
    return h.store.load([(to, entry) for entry in entries])


@rule()
def a_dump_holds_everything_in_order(h: Harness) -> None:
    """`dump` gives trajectories, revisions, recalls, outcomes and receipts, each kind in the order it was written."""
    fill(h.store)
    found = everything(h.store)
    kinds = ["trajectory"] * 3 + ["revision"] * 3 + ["recall"] * 3 + ["outcome"] * 2 + ["receipt"]
    same("kinds", [entry.kind for entry in found], kinds)
    told = [e for e in found if isinstance(e, TrajectoryEntry)]
    same("trajectories", [e.trajectory.id for e in told], ["t1", "t2", "t3"])
    same(
        "recalls, takers", [(e.recall_id, e.consumed_by) for e in told], [("r-t1", None), ("r-t2", "u1"), (None, None)]
    )
    same("recorded", [e.recorded_at for e in told], [at()] * 3)
    revisions = [e for e in found if isinstance(e, RevisionEntry)]
    same(
        "revisions",
        [(e.revision.procedure_id, e.revision.number, e.served, e.succeeded, e.origin) for e in revisions],
        [("p", 1, 1, 1, b"o-p".hex()), ("q", 1, 2, 1, b"o-q".hex()), ("q", 2, 0, 0, None)],
    )
    same("built from a success", [e.built_from_success for e in revisions], [True, True, None])
    same("recalls", [e.recall.id for e in found if e.kind == "recall"], ["r-t1", "r-t2", "unplayed"])


@rule()
def dump_and_load_lose_nothing(h: Harness) -> None:
    """What was loaded into an empty namespace is the same in every respect: dumped again, read, searched, indexed."""
    fill(h.store)
    entries, s = everything(h.store), h.store
    done = s.load((TO, entry) for entry in entries)
    counted = (done.trajectories, done.revisions, done.recalls, done.outcomes, done.receipts, done.skipped)
    same("loaded", counted, (3, 3, 3, 2, 1, 0))
    same("dumped again", everything(s, TO), entries)
    same("waiting", s.waiting(TO), s.waiting(NS))
    same("outcomes", s.outcomes(TO), s.outcomes(NS))
    same("history", s.history(TO, "q"), s.history(NS, "q"))
    same("built from", s.built_from(TO, b"o-q"), "q")
    same("heads", heads(s, namespace=TO), heads(s))
    same("searched", [p.id for p in s.search(TO, "mug", 9)], [p.id for p in s.search(NS, "mug", 9)])
    same("numbered outcomes", [o for _, o in s.outcomes_since(TO)], [o for _, o in s.outcomes_since(NS)])


@rule()
def loading_again_skips_everything(h: Harness) -> None:
    """Loading what is there already changes nothing, also when it has grown since."""
    fill(h.store)
    entries = everything(h.store)
    play(h.store, "t9", "p", reward=0.0)
    revise(h.store, "q", 3)
    put(h.store, consume="t3", by="u2")
    grown = everything(h.store)
    done = h.store.load((NS, entry) for entry in entries)
    same("skipped, revisions", (done.skipped, done.revisions), (len(entries), 0))
    same("everything", everything(h.store), grown)


@rule()
def a_grown_memory_is_taken_over(h: Harness) -> None:
    """Loading a memory that grew adds what is new: revisions, credit, and what was taken is taken."""
    fill(h.store)
    _load(h, *everything(h.store))
    play(h.store, "t9", "p", reward=0.0)
    revise(h.store, "q", 3)
    put(h.store, consume="t3", by="u2")
    done = h.store.load((TO, entry) for entry in everything(h.store))
    same("new", (done.trajectories, done.revisions, done.recalls, done.outcomes), (1, 1, 1, 1))
    same("counters", counters(h.store, "p", TO), [(2, 1)])
    same("waiting", waiting(h.store, TO), ["t1", "t9"])
    same("current", [p.revision.number for p in h.store.find(TO, ["q"])], [3])


class _Stopped(Exception):
    """Raised by a source of entries."""


@rule()
def load_is_all_or_nothing(h: Harness) -> None:
    """When an entry is refused, or their source fails, nothing was loaded; the source's own error comes through."""
    fill(h.store)
    entries = everything(h.store)

    def stops() -> Iterator[tuple[str, Entry]]:
        yield from ((TO, entry) for entry in entries)
        raise _Stopped

    refused(_Stopped, "a source that fails", lambda: h.store.load(stops()))
    same("namespaces", list(h.store.namespaces()), [NS])
    refused(RecordError, "the last entry is bad", lambda: _load(h, *entries, *_forged(entries, "receipt")))
    same("namespaces", list(h.store.namespaces()), [NS])
    same("heads", heads(h.store, namespace=TO), [])
    same("dump", everything(h.store, TO), [])


def _forged(entries: list[Entry], kind: str) -> Iterator[Entry]:
    """The first entry of that kind with another content."""
    entry = next(entry for entry in entries if entry.kind == kind)
    match entry:
        case TrajectoryEntry():
            yield entry.model_copy(update={"trajectory": trajectory(entry.trajectory.id, 0.9)})
            yield entry.model_copy(update={"recall_id": "another"})
        case RevisionEntry():
            yield entry.model_copy(update={"revision": entry.revision.model_copy(update={"reason": "another"})})
            yield entry.model_copy(update={"origin": "00"})
            yield entry.model_copy(update={"built_from_success": False})
        case OutcomeEntry():
            yield entry.model_copy(update={"outcome": entry.outcome.model_copy(update={"reward": 0.9})})
        case ReceiptEntry():
            yield entry.model_copy(update={"receipt": receipt(entry.receipt.id, queue=9)})
        case _:
            yield entry.model_copy(update={"recall": entry.recall.model_copy(update={"task": "another"})})


@rule()
def a_contradiction_is_refused(h: Harness) -> None:
    """An entry that says something else than what is there under its id is a RecordError; so is a revision that comes
    twice in one load.
    """
    fill(h.store)
    entries = everything(h.store)
    for kind in ("trajectory", "revision", "recall", "outcome", "receipt"):
        for forged in _forged(entries, kind):
            refused(RecordError, f"another {kind}", lambda forged=forged: _load(h, forged, to=NS))  # type: ignore[misc]
    (first, *_) = [entry for entry in entries if entry.kind == "revision" and entry.served == 0]
    refused(RecordError, "a revision twice", lambda: _load(h, first, first, to=NS))
    same("everything", everything(h.store), entries)


@rule()
def what_is_missing_is_noticed(h: Harness) -> None:
    """An outcome without its recall, trajectory or revision is a RecordError; a revision without its parent is a
    Conflict.
    """
    fill(h.store)
    entries = everything(h.store)

    def without(dropped: Callable[[Entry], bool]) -> Callable[[], object]:
        return lambda: _load(h, *(entry for entry in entries if not dropped(entry)))

    refused(RecordError, "no recall", without(lambda e: e.kind == "recall" and e.recall.id == "r-t1"))
    refused(RecordError, "no trajectory", without(lambda e: e.kind == "trajectory" and e.trajectory.id == "t1"))
    refused(RecordError, "no procedure", without(lambda e: e.kind == "revision" and e.revision.procedure_id == "p"))
    first_of_q = ("q", 1)
    refused(
        Conflict,
        "no parent",
        without(lambda e: e.kind == "revision" and (e.revision.procedure_id, e.revision.number) == first_of_q),
    )
    same("namespaces", list(h.store.namespaces()), [NS])


@rule()
def counters_follow_from_outcomes(h: Harness) -> None:
    """Counters that are not those of the outcomes that come with them are a RecordError."""
    fill(h.store)
    entries = everything(h.store)
    for change in ({"served": 5}, {"succeeded": 0}):
        (first, *_) = [e for e in entries if e.kind == "revision"]
        forged = [first.model_copy(update=change) if entry is first else entry for entry in entries]
        refused(RecordError, f"forged {change}", lambda forged=forged: _load(h, *forged))  # type: ignore[misc]
    refused(RecordError, "outcomes left out", lambda: _load(h, *(e for e in entries if e.kind != "outcome")))
    _load(h, *entries)
    same("counters", counters(h.store, "q", TO), [(2, 1), (0, 0)])


@rule()
def first_revisions_say_where_they_come_from(h: Harness) -> None:
    """`built_from_success` and `origin` belong to revision 1, always and only: otherwise a RecordError."""
    fill(h.store)
    entries = [entry for entry in everything(h.store) if entry.kind == "revision"]
    bare = [entry.model_copy(update={"served": 0, "succeeded": 0}) for entry in entries]
    without = [bare[1].model_copy(update={"origin": None, "built_from_success": None}), bare[2]]
    refused(RecordError, "revision 1 without", lambda: _load(h, *without))
    more = [bare[1], bare[2].model_copy(update={"origin": "00", "built_from_success": True})]
    refused(RecordError, "revision 2 with", lambda: _load(h, *more))
    _load(h, *bare)
    same("heads", heads(h.store, namespace=TO), ["p", "q"])


@rule()
def parts_do_not_come_back(h: Harness) -> None:
    """A part's receipt that is loaded when that of the whole operation is there is skipped."""
    put(h.store)
    h.store.write(NS, [], consume=None, receipt_id="u", receipt=receipt("u/1"))
    parts = everything(h.store)
    h.store.log_receipt(NS, receipt("u"))
    same("skipped", h.store.load((NS, entry) for entry in parts).skipped, 1)
    same("receipts", [r.id for r in h.store.receipts(NS)], ["u"])
    _load(h, *parts)
    same("parts where the whole is not", [r.id for r in h.store.receipts(TO)], ["u/1"])
    _load(h, *everything(h.store))
    same("the whole takes their place", [r.id for r in h.store.receipts(TO)], ["u"])


@rule()
def what_was_taken_stays_taken(h: Harness) -> None:
    """What was taken here stays taken by the update that took it; what was taken there does not wait here."""
    fill(h.store)
    entries = everything(h.store)
    told = [e.model_copy(update={"consumed_by": "u9"}) for e in entries if e.kind == "trajectory"]
    same("skipped", h.store.load((NS, entry) for entry in told).skipped, 3)
    takers = [e.consumed_by for e in everything(h.store) if e.kind == "trajectory"]
    same("takers", takers, ["u9", "u1", "u9"])


@rule("clients")
def a_dump_is_of_one_moment(h: Harness) -> None:
    """A dump that was begun shows the memory as it was then, whatever others write meanwhile."""
    fill(h.store)
    before = everything(h.store)
    one, two = h.client(), h.client()
    dump = one.dump(NS)
    found = [next(dump)]
    play(two, "late", "p")
    put(two, consume="t3", by="u9")
    revise(two, "p", 2)
    two.log_receipt(NS, receipt("late"))
    found += dump
    same("dump", found, before)
    expect(len(everything(one)) > len(before), "what was written meanwhile is not in the next dump")


@rule()
def an_abandoned_dump_holds_nothing(h: Harness) -> None:
    """A dump that was begun and given up leaves nothing behind that others would wait for, however often it happens."""
    fill(h.store)
    for _ in range(40):
        dump = h.store.dump(NS)
        same("first entry", next(dump).kind, "trajectory")
        dump.close()
    play(h.store, "later", "p")
    same("waiting", waiting(h.store), ["t1", "t3", "later"])
