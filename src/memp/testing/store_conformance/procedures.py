"""Rules of `write`, `find`, `at`, `history` and `built_from`."""

from datetime import timedelta, timezone
from typing import get_args

from memp.errors import Conflict, RecordError, StoreError
from memp.records import Author, Content, Revision, Script, Status
from memp.stores.base import Write
from memp.testing.store_conformance.expect import expect, refused, same
from memp.testing.store_conformance.harness import Harness
from memp.testing.store_conformance.kit import (
    NS,
    ODD,
    add,
    at,
    counters,
    everything,
    heads,
    play,
    put,
    receipt,
    record,
    revise,
    revision,
    waiting,
)
from memp.testing.store_conformance.rule import rule


@rule()
def a_procedure_is_found_as_it_was_written(h: Harness) -> None:
    """A procedure has the time of its first revision, no outcomes yet, and says whether it was built from a success."""
    add(h.store, "p")
    put(h.store, Write(revision=revision("failed"), success=False))
    (p, failed) = h.store.find(NS, ["p", "failed"])
    same("revision", p.revision, revision("p"))
    same("id, namespace, time", (p.id, p.namespace, p.created_at), ("p", NS, at(1)))
    same("counters", (p.served, p.succeeded), (0, 0))
    same("built from a success", (p.built_from_success, failed.built_from_success), (True, False))


@rule()
def every_field_of_a_revision_is_kept(h: Harness) -> None:
    """Every field of a revision comes back, with odd texts and exact times."""
    for n, odd in enumerate(ODD):
        script = Script(goal=odd, applies_when=(odd,), does_not_apply_when=(odd,), steps=(odd,), pitfalls=(odd, odd))
        full = Revision(
            procedure_id=odd,
            number=1,
            content=Content(task=odd, facts={odd: odd, "empty": ""}, trajectory_id=odd, script=script),
            status="probation",
            reason=odd,
            evidence=(odd, "t"),
            author=Author(policy=odd, model=odd, prompt=odd),
            at=at(n + 0.000001).astimezone(timezone(timedelta(hours=-9, minutes=-30))),
            tokens=2**31,
            stands=7,
            pinned=True,
            tainted=(odd,),
        )
        put(h.store, Write(revision=full, origin=bytes(range(n, 256))))
        same("revision", [p.revision for p in h.store.find(NS, [odd])], [full])
        same("history", [r for r, _, _ in h.store.history(NS, odd)], [full])
        same("built from", h.store.built_from(NS, bytes(range(n, 256))), odd)


@rule()
def every_status_is_kept(h: Harness) -> None:
    """Procedures of every status are found and have heads: what is served is not the store's affair."""
    statuses = get_args(Status)
    for status in statuses:
        add(h.store, f"p-{status}", status=status)
    same("found", [p.status for p in h.store.find(NS, [f"p-{s}" for s in statuses])], list(statuses))
    same("heads", [head.status for head in h.store.heads(NS, "")], list(statuses))


@rule()
def find_keeps_the_order_asked_for(h: Harness) -> None:
    """`find` answers in the order of the ids, leaves unknown ones out, and takes more than a thousand at once."""
    names = [f"p{n}" for n in range(1_200)]
    put(h.store, *(Write(revision=revision(name)) for name in names))
    same("found", [p.id for p in h.store.find(NS, [*names[::-1], "unknown"])], names[::-1])
    same("nothing asked for", list(h.store.find(NS, [])), [])


@rule()
def counters_are_those_of_the_current_revision(h: Harness) -> None:
    """A new revision starts with counters of its own, and the procedure shows those; its time of creation stays."""
    add(h.store, "p")
    play(h.store, "t", "p")
    revise(h.store, "p", 2, status="retired")
    (p,) = h.store.find(NS, ["p"])
    same("current", (p.revision.number, p.status, p.served, p.succeeded), (2, "retired", 0, 0))
    same("created", p.created_at, at(1))


@rule()
def history_is_whole(h: Harness) -> None:
    """`history` gives every revision with its counters, oldest first; of an unknown procedure nothing."""
    add(h.store, "p")
    play(h.store, "t1", "p")
    for number in range(2, 13):
        revise(h.store, "p", number)
    play(h.store, "t2", "p", reward=0.0)
    same("numbers", [r.number for r, _, _ in h.store.history(NS, "p")], list(range(1, 13)))
    same("counters", counters(h.store, "p"), [(1, 1), *[(0, 0)] * 10, (1, 0)])
    same("unknown", list(h.store.history(NS, "unknown")), [])


@rule()
def any_revision_can_be_read(h: Harness) -> None:
    """`at` gives procedures as they were at a revision, with its counters, as asked for; unknown ones are left out."""
    add(h.store, "p", "q")
    play(h.store, "t", "p")
    revise(h.store, "p", 2, status="retired")
    found = h.store.at(NS, [("q", 1), ("p", 2), ("p", 3), ("unknown", 1), ("p", 1)])
    same(
        "id, revision, served, status",
        [(p.id, p.revision.number, p.served, p.status) for p in found],
        [("q", 1, 0, "active"), ("p", 2, 0, "retired"), ("p", 1, 1, "active")],
    )
    same("created", [p.created_at for p in found], [at(1)] * 3)
    same("nothing asked for", list(h.store.at(NS, [])), [])


@rule()
def built_from_finds_the_oldest(h: Harness) -> None:
    """`built_from` gives the procedure of that origin that was created first, whatever became of it since."""
    add(h.store, "z", "a", origin=b"\0same")
    revise(h.store, "z", 2, status="retired")
    same("oldest", h.store.built_from(NS, b"\0same"), "z")
    same("unknown", h.store.built_from(NS, b"\0"), None)


@rule()
def a_stale_parent_is_a_conflict(h: Harness) -> None:
    """A revision whose parent is not the current one is a Conflict, a StoreError that names the procedure: a number
    that is taken, a procedure that is there already, one that is not there.
    """
    add(h.store, "p")
    revise(h.store, "p", 2)
    for what, stale in {
        "number taken": revision("p", 2),
        "there already": revision("p"),
        "not there": revision("absent", 2),
    }.items():
        error = refused(Conflict, what, lambda stale=stale: put(h.store, Write(revision=stale)))  # type: ignore[misc]
        expect(isinstance(error, StoreError) and stale.procedure_id in str(error), f"{what}: says only {error}")
    same("history", [r.number for r, _, _ in h.store.history(NS, "p")], [1, 2])


@rule()
def numbers_follow_their_parents(h: Harness) -> None:
    """A revision whose number does not follow its parent's is a RecordError."""
    add(h.store, "p")
    skipping = revision("p", 2).model_copy(update={"number": 5})
    refused(RecordError, "number 5 after 1", lambda: put(h.store, Write(revision=skipping)))
    orphan = revision("q").model_copy(update={"number": 2})
    refused(RecordError, "number 2 without a parent", lambda: put(h.store, Write(revision=orphan)))


@rule()
def write_is_all_or_nothing(h: Harness) -> None:
    """When one of several revisions conflicts, none is written, the trajectory still waits and no receipt is logged."""
    add(h.store, "p")
    revise(h.store, "p", 2)
    record(h.store, "t")
    before, seen = everything(h.store), heads(h.store)
    stale = [Write(revision=revision("fresh"), origin=b"fresh"), Write(revision=revision("p", 2))]
    part = receipt("u/1")
    refused(Conflict, "a stale one", lambda: h.store.write(NS, stale, consume="t", receipt_id="u", receipt=part))
    same("everything", everything(h.store), before)
    same("waiting", waiting(h.store), ["t"])
    same("heads", heads(h.store), seen)
    same("text search", list(h.store.search(NS, "fresh", 5)), [])
    same("built from", h.store.built_from(NS, b"fresh"), None)


@rule()
def one_write_may_revise_twice(h: Harness) -> None:
    """Several revisions of one procedure may come in one write, each the parent of the next."""
    put(h.store, Write(revision=revision("p")), Write(revision=revision("q")), Write(revision=revision("p", 2)))
    same("current", [p.revision.number for p in h.store.find(NS, ["p", "q"])], [2, 1])


@rule()
def writing_nothing_is_fine(h: Harness) -> None:
    """A write without revisions, and one without a trajectory to take, return True."""
    expect(put(h.store), "an empty write returned False")
    expect(put(h.store, Write(revision=revision("p"))), "a write without a trajectory returned False")


@rule()
def an_update_and_its_receipt_are_one(h: Harness) -> None:
    """The receipt that comes with a write is logged with it, and the trajectory says which update took it."""
    record(h.store, "t")
    part = receipt("u/1")
    h.store.write(NS, [Write(revision=revision("p"))], consume="t", receipt_id="u", receipt=part)
    same("receipts", list(h.store.receipts(NS)), [part])
    taken = [entry.consumed_by for entry in everything(h.store) if entry.kind == "trajectory"]
    same("taken by", taken, ["u"])
