"""Rules of `forget`, `erasures` and `compact`: what is erased leaves no trace, and what stays still adds up."""

import numpy as np

from memp.records import Author, Skipped, Step
from memp.stores.base import Erased, Store, Write
from memp.testing.store_conformance.expect import expect, same
from memp.testing.store_conformance.harness import Harness
from memp.testing.store_conformance.kit import (
    NS,
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
    revision,
    trajectory,
    waiting,
)
from memp.testing.store_conformance.rule import rule

MARK = "xyzzyplugh"
TASK = f"hide the {MARK} task in the safe."


def _planted(store: Store) -> None:
    """A memory in which a task with a mark left traces wherever there can be any."""
    add(store, "other", "beside")
    step = Step(action=f"take {MARK} 1", observation=f"seen {MARK}")
    marked = trajectory("marked", task=TASK, steps=(step,), facts={"object": f"{MARK} fact"})
    asked = recall(store, "r-marked", "other", "beside").model_copy(update={"task": TASK, "facts": {"o": MARK}})
    store.record(NS, marked, asked, outcome(asked, marked), at())
    made = revision("built", content=content(TASK, f"step {MARK}"), reason="new")
    made = made.model_copy(update={"evidence": ("marked",)})
    part = receipt("u/1", skipped=(Skipped(subject="marked", reason=f"because {MARK}"),))
    part = part.model_copy(update={"added": ("built",)})
    store.write(NS, [Write(revision=made, origin=b"o")], consume="marked", receipt_id="u", receipt=part)
    revise(store, "other", 2)
    led = revision("other", 3, content=content("task of other", f"beware of {MARK}"), reason=f'failed: "{TASK}"')
    put(store, Write(revision=led.model_copy(update={"evidence": ("marked",)})))
    revise(store, "other", 4)
    store.save_vectors("f", [(TASK, np.ones(4, np.float32)), (f"{MARK} fact", np.zeros(4, np.float32))], NS)
    store.save_draft(NS, "key", f"reply with {MARK}")
    play(store, "later", "built", "other")
    play(store, "last", "other", "beside")
    store.log_recall(recall(store, "r-seen", "built").model_copy(update={"task": TASK}))


def _counts(erased: Erased) -> tuple[int, ...]:
    return (erased.trajectories, erased.procedures, erased.revisions, erased.recalls, erased.outcomes)


@rule()
def what_is_erased_leaves_no_trace(h: Harness) -> None:
    """After `forget` nothing that can be read says anything of the task: no log, index, search, draft or vector."""
    _planted(h.store)
    erased = h.store.forget(NS, task=TASK, at=at(9))
    same("trajectories, procedures, revisions, recalls, outcomes", _counts(erased), (1, 1, 3, 2, 1))
    same("receipts, vectors, drafts", (erased.receipts, erased.vectors, erased.drafts), (1, 2, 1))
    same("found in raw bytes", list(erased.left), [])
    told = [entry.model_dump_json() for entry in everything(h.store)]
    same("entries with the mark", [text for text in told if MARK in text or '"marked"' in text], [])
    same("found by text", [p.id for p in h.store.search(NS, MARK, 5)], [])
    same("procedures", sorted(heads(h.store)), ["beside", "other"])
    same("trajectory", h.store.trajectory(NS, "marked"), None)
    same("recall", list(h.store.recalls(NS, "r-marked")), [])
    same("built from", h.store.built_from(NS, b"o"), None)
    same("draft", h.store.draft(NS, "key"), None)
    same("vectors", h.store.vectors("f", [TASK, f"{MARK} fact"], NS), {})


@rule()
def procedures_go_on_from_the_last_clean_revision(h: Harness) -> None:
    """A procedure that what is erased had led to revise loses those revisions, and says again, by a new one, what it
    said before.
    """
    _planted(h.store)
    erased = h.store.forget(NS, task=TASK, at=at(9))
    same("returned", list(erased.returned), [("other", 3)])
    found = [r for r, _, _ in h.store.history(NS, "other")]
    same("numbers", [r.number for r in found], [1, 2, 3])
    same("content", found[2].content, found[1].content)
    same(
        "status, time, author",
        (found[2].status, found[2].at, found[2].author),
        ("active", at(9), Author(policy="forget")),
    )
    same("current", [p.revision for p in h.store.find(NS, ["other"])], [found[2]])
    same("found by text", [p.id for p in h.store.search(NS, "step of other at 2", 5)], ["other"])


@rule()
def counters_stay_those_of_outcomes(h: Harness) -> None:
    """After `forget` counters are those of the outcomes that are left, which credit nothing that is gone."""
    _planted(h.store)
    h.store.forget(NS, task=TASK, at=at(9))
    same("counters of other", counters(h.store, "other"), [(0, 0)] * 3)
    same("counters of beside", counters(h.store, "beside"), [(1, 1)])
    same(
        "credited", {o.trajectory_id: o.credited for o in h.store.outcomes(NS)}, {"later": (), "last": (("beside", 1),)}
    )
    served = {r.id: [item.procedure.id for item in r.ranked] for r in h.store.recalls(NS)}
    same("served", served, {"r-later": [], "r-last": ["beside"]})


@rule()
def erasing_by_id_spares_the_task(h: Harness) -> None:
    """Erased by id, other trajectories of the same task stay with theirs, and an id within a longer id is another."""
    add(h.store, "p1", "p10")
    play(h.store, "t1", "p10")
    for id in ("t10", "t2"):
        h.store.record(NS, trajectory(id, task="task of t1"), None, None, at())
    made = revision("p1", 2, reason="after t10").model_copy(update={"evidence": ("t10",)})
    put(h.store, Write(revision=made))
    erased = h.store.forget(NS, trajectories=["t1"], at=at(9))
    same("trajectories, procedures, revisions, recalls, outcomes", _counts(erased), (1, 0, 0, 1, 1))
    same("waiting", waiting(h.store), ["t10", "t2"])
    same("counters", counters(h.store, "p10"), [(0, 0)])
    same("revisions led to", list(h.store.forget(NS, trajectories=["t10"], at=at(9)).returned), [("p1", 2)])
    same("waiting", waiting(h.store), ["t2"])
    record(h.store, "t1")
    same("the id is free again", waiting(h.store), ["t2", "t1"])


@rule()
def erasing_keeps_out_what_was_out(h: Harness) -> None:
    """A procedure that was retired or quarantined stays so when it loses revisions; pinned ones stay pinned."""
    for status in ("retired", "quarantined"):
        add(h.store, status)
        out = revision(status, 2, status=status, pinned=True).model_copy(update={"evidence": ("t",)})
        put(h.store, Write(revision=out))
    record(h.store, "t")
    h.store.forget(NS, trajectories=["t"], at=at(9))
    found = h.store.find(NS, ["retired", "quarantined"])
    same("statuses", [p.status for p in found], ["retired", "quarantined"])
    same("pinned, number", [(p.revision.pinned, p.revision.number) for p in found], [(True, 2)] * 2)


@rule()
def erasing_stays_behind_the_wall(h: Harness) -> None:
    """Erasing in one namespace takes nothing from another, whatever it has in common."""
    _planted(h.store)
    h.store.load([("theirs", entry) for entry in everything(h.store)])
    h.store.save_draft("theirs", "key", "reply")
    before = everything(h.store, "theirs")
    h.store.forget(NS, task=TASK, at=at(9))
    same("everything", everything(h.store, "theirs"), before)
    same("draft", h.store.draft("theirs", "key"), "reply")
    same("found by text", [p.id for p in h.store.search("theirs", MARK, 5)], ["built"])


@rule()
def views_notice_that_something_was_erased(h: Harness) -> None:
    """`erasures` grows when something was erased and rests otherwise, `version` changes, and a returned procedure is
    among the heads that changed.
    """
    _planted(h.store)
    erasures, version = h.store.erasures(NS), h.store.version(NS)
    seen = max(head.changed for head in h.store.heads(NS, ""))
    add(h.store, "new")
    h.store.forget(NS, trajectories=["unknown"], at=at(8))
    same("erasures where nothing was erased", h.store.erasures(NS), erasures)
    h.store.forget(NS, task=TASK, at=at(9))
    expect(h.store.erasures(NS) > erasures, "`erasures` did not grow")
    expect(h.store.version(NS) != version, "`version` did not change")
    same("changed", sorted(heads(h.store, seen)), ["new", "other"])


@rule()
def what_is_left_can_be_moved(h: Harness) -> None:
    """What is left after `forget` can be dumped and loaded, and is the same there."""
    _planted(h.store)
    h.store.forget(NS, task=TASK, at=at(9))
    entries = everything(h.store)
    h.store.load([("elsewhere", entry) for entry in entries])
    same("dumped again", everything(h.store, "elsewhere"), entries)


@rule()
def what_was_erased_meanwhile_gets_no_credit(h: Harness) -> None:
    """A task may be recorded with a recall of procedures that were erased while it was played: the others get credit,
    a new revision under the number of an erased one does not, and nothing names what is gone.
    """
    record(h.store, "t")
    add(h.store, "beside", "other")
    for gone in (revision("built"), revision("other", 2)):
        put(h.store, Write(revision=gone.model_copy(update={"evidence": ("t",)})))
    served = recall(h.store, "r", "built", "other", "beside").model_copy(update={"at": at(5)})
    h.store.forget(NS, trajectories=["t"], at=at(9))
    played = trajectory("played")
    expect(h.store.record(NS, played, served, outcome(served, played), at(10)), "`record` returned False")
    same("credited", [o.credited for o in h.store.outcomes(NS)], [(("beside", 1),)])
    same("counters", [counters(h.store, id) for id in ("beside", "other", "built")], [[(1, 1)], [(0, 0)] * 2, []])
    same("recall", [[item.procedure.id for item in r.ranked] for r in h.store.recalls(NS)], [["beside"]])


@rule()
def erasing_nothing_changes_nothing(h: Harness) -> None:
    """Where there is nothing of what is to be erased, nothing that is logged changes."""
    fill(h.store)
    before = everything(h.store)
    erased = h.store.forget(NS, task="no such task", trajectories=["nor such an id"], at=at(9))
    same("trajectories, procedures, revisions, recalls, outcomes", _counts(erased), (0, 0, 0, 0, 0))
    same("everything", everything(h.store), before)


@rule()
def compacted_trajectories_read_the_same(h: Harness) -> None:
    """`compact` changes nothing that can be read, and what was recorded before is still known."""
    steps = tuple(Step(action=f"go to place {n}", observation=f"You see a thing {n * n}.") for n in range(60))
    for n in range(4):
        h.store.record(NS, trajectory(f"long-{n}", steps=steps), None, None, at(n))
    before = everything(h.store)
    done = h.store.compact(NS, before=at(2))
    expect(done.trajectories in (0, 2), f"two trajectories were recorded before, {done.trajectories} were compacted")
    expect(done.after <= done.before, f"from {done.before} to {done.after} bytes")
    same("everything", everything(h.store), before)
    same("trajectories", [t.id for t in h.store.trajectories(NS)], [f"long-{n}" for n in range(4)])
    new = h.store.record(NS, trajectory("long-0", steps=steps), None, None, at())
    expect(not new, "a compacted trajectory was recorded again")
