"""Rules of `record`, `trajectory`, `trajectories`, `waiting` and `requeue`."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import islice

from memp.errors import RecordError
from memp.records import Step, Usage
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

FIRST = datetime(1, 1, 1, tzinfo=UTC)
LAST = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)


@rule()
def a_trajectory_comes_back_whole(h: Harness) -> None:
    """Every field of a trajectory comes back as it was recorded; an unknown id gives None."""
    full = trajectory(
        "t",
        0.1 + 0.2,
        start="you are here",
        steps=(
            Step(action="a", observation="o", thought="c", reward=-1.5, error="agent", feedback="f", origin="mail"),
        ),
        agent="model",
        source="file",
        feedback="so so",
        facts={"b": "1", "a": ""},
        tags={"family": "put"},
        usage={"act": Usage(calls=2, input_tokens=2**70, cost=0.1)},
        started_at=at(1.000001),
        finished_at=at(2),
    )
    expect(h.store.record(NS, full, None, None, at()), "recording a new trajectory returned False")
    same("trajectory", h.store.trajectory(NS, "t"), full)
    same("unknown trajectory", h.store.trajectory(NS, "other"), None)


@rule()
def trajectories_keep_their_order(h: Harness) -> None:
    """`trajectories` and `waiting` give everything in the order in which it was recorded, however much there is."""
    ids = [f"t{n * 7919 % 500:03d}" for n in range(230)]
    record(h.store, *ids)
    same("trajectories", [t.id for t in h.store.trajectories(NS)], ids)
    same("waiting", waiting(h.store), ids)


@rule()
def trajectories_may_be_read_while_writing(h: Harness) -> None:
    """Who goes through `trajectories` may write meanwhile, and sees each of those that were there, once, in order."""
    ids = [f"t{n:03d}" for n in range(230)]
    record(h.store, *ids)
    found = []
    for told in islice(h.store.trajectories(NS), 300):
        found.append(told.id)
        if len(found) <= 3:
            record(h.store, f"new-{len(found)}")
    same("those that were there", [id for id in found if not id.startswith("new")], ids)
    same("each once", len(set(found)), len(found))


@rule()
def times_are_exact(h: Harness) -> None:
    """Times come back to the microsecond, as the same moment, whatever their zone, from the first year to the last."""
    zone = timezone(timedelta(hours=-9, minutes=-30))
    for n, when in enumerate((at(0.000001).astimezone(zone), FIRST, LAST)):
        told = trajectory(f"t{n}", started_at=when, finished_at=when)
        h.store.record(NS, told, None, None, when)
        add(h.store, f"p{n}", at=when)
        same("of a trajectory", h.store.trajectory(NS, f"t{n}"), told)
        same("of a procedure", [p.created_at for p in h.store.find(NS, [f"p{n}"])], [when])
        said = [e.recorded_at for e in everything(h.store) if e.kind == "trajectory" and e.trajectory.id == f"t{n}"]
        same("of recording", said, [when])


@rule()
def recording_again_does_nothing(h: Harness) -> None:
    """Recording the same trajectory with the same recall again returns False and credits nobody twice."""
    add(h.store, "p")
    play(h.store, "t", "p")
    expect(not play(h.store, "t", "p"), "the second `record` returned True")
    same("counters", counters(h.store, "p"), [(1, 1)])
    same("outcomes", len(h.store.outcomes(NS)), 1)
    same("waiting", waiting(h.store), ["t"])


@rule()
def equal_records_are_the_same(h: Harness) -> None:
    """A trajectory whose mappings are in another order is the same trajectory."""
    h.store.record(NS, trajectory("t", facts={"a": "1", "b": "2"}), None, None, at())
    new = h.store.record(NS, trajectory("t", facts={"b": "2", "a": "1"}), None, None, at())
    expect(not new, "the same facts in another order were recorded as another trajectory")


@rule()
def an_id_stands_for_one_trajectory(h: Harness) -> None:
    """Another trajectory under an id that is taken is a RecordError, and the first stays."""
    record(h.store, "t")
    other = trajectory("t", 0.0)
    refused(RecordError, "another trajectory of the same id", lambda: h.store.record(NS, other, None, None, at()))
    same("trajectory", h.store.trajectory(NS, "t"), trajectory("t"))


@rule()
def a_trajectory_has_one_recall(h: Harness) -> None:
    """Recording a trajectory again with another recall, or with none, is a RecordError and credits nobody."""
    add(h.store, "p")
    play(h.store, "t", "p")
    served, played = recall(h.store, "another", "p"), trajectory("t")
    credit = outcome(served, played)
    refused(RecordError, "another recall", lambda: h.store.record(NS, played, served, credit, at()))
    refused(RecordError, "no recall", lambda: h.store.record(NS, played, None, None, at()))
    same("counters", counters(h.store, "p"), [(1, 1)])
    same("recalls", [r.id for r in h.store.recalls(NS)], ["r-t"])


@rule()
def credit_goes_to_what_was_served(h: Harness) -> None:
    """An outcome is counted for every procedure that was served, at the revision that was served, and for no other."""
    add(h.store, "p", "q", "unserved")
    served, played = recall(h.store, "r", "p", "q"), trajectory("t1")
    revise(h.store, "q", 2)
    h.store.record(NS, played, served, outcome(served, played), at())
    play(h.store, "t2", "q", reward=0.0)
    same("counters of p", counters(h.store, "p"), [(1, 1)])
    same("counters of q", counters(h.store, "q"), [(1, 1), (1, 0)])
    same("counters of what was not served", counters(h.store, "unserved"), [(0, 0)])


@rule()
def what_was_withheld_is_not_credited(h: Harness) -> None:
    """Procedures that an outcome names as withheld get no credit, and the outcome keeps their names."""
    add(h.store, "p")
    served, played = recall(h.store, "r"), trajectory("t")
    kept = outcome(served, played, withheld=(("p", 1),), agent="m", family="f", task_key="k", steps=2, tokens=7)
    h.store.record(NS, played, served, kept, at())
    same("counters", counters(h.store, "p"), [(0, 0)])
    same("outcomes", list(h.store.outcomes(NS)), [kept])


@rule()
def record_is_all_or_nothing(h: Harness) -> None:
    """A recall that served what the namespace does not hold is a RecordError, and nothing of it is kept."""
    add(h.store, "p")
    before = everything(h.store)
    served, played = recall(h.store, "r", "p"), trajectory("t")
    credit = outcome(served, played, credited=(("p", 1), ("stranger", 1)))
    refused(RecordError, "credit to a stranger", lambda: h.store.record(NS, played, served, credit, at()))
    missing = outcome(served, played, credited=(("p", 1), ("p", 2)))
    refused(RecordError, "credit to a missing revision", lambda: h.store.record(NS, played, served, missing, at()))
    same("trajectory", h.store.trajectory(NS, "t"), None)
    same("counters", counters(h.store, "p"), [(0, 0)])
    same("everything", everything(h.store), before)
    expect(h.store.record(NS, played, served, outcome(served, played), at()), "the id is spoilt for the right record")


@rule()
def waiting_comes_with_its_outcome(h: Harness) -> None:
    """What waits has the outcome that was recorded with it, or None."""
    add(h.store, "p")
    record(h.store, "t1")
    play(h.store, "t2", "p", reward=0.25)
    found = h.store.waiting(NS)
    same("trajectories", [item.trajectory for item in found], [trajectory("t1"), trajectory("t2", 0.25)])
    same("outcomes", [item.outcome and item.outcome.credited for item in found], [None, (("p", 1),)])


@rule()
def a_trajectory_is_taken_once(h: Harness) -> None:
    """`write` takes a waiting trajectory; when another update took it, or there is none, it returns False and writes
    nothing.
    """
    record(h.store, "t", "later")
    expect(put(h.store, consume="t", by="u1"), "taking what waits returned False")
    same("waiting", waiting(h.store), ["later"])
    for gone in ("t", "unknown"):
        new = [Write(revision=revision("p"))]
        taken = h.store.write(NS, new, consume=gone, receipt_id="u2", receipt=receipt("u2/1"))
        expect(not taken, f"taking {gone!r} returned True")
    same("procedures", list(h.store.find(NS, ["p"])), [])
    same("receipts", list(h.store.receipts(NS)), [])


@rule()
def requeue_lets_it_be_taken_again(h: Harness) -> None:
    """After `requeue` a trajectory waits at its old place; of an unknown one it returns False."""
    record(h.store, "t1", "t2")
    put(h.store, consume="t1", by="u1")
    expect(not h.store.requeue(NS, "unknown"), "an unknown trajectory was requeued")
    expect(h.store.requeue(NS, "t1"), "requeue returned False")
    same("waiting", waiting(h.store), ["t1", "t2"])
    expect(put(h.store, consume="t1", by="u2"), "what was requeued could not be taken")


@rule()
def odd_texts_are_kept(h: Harness) -> None:
    """NUL, control characters, quotes, every plane of Unicode come back from every text; equal-looking is not equal."""
    for n, odd in enumerate(ODD):
        step = Step(action=odd, observation=odd)
        told = trajectory(odd, task=odd, steps=(step,), facts={odd: odd}, tags={odd: odd}, usage={odd: Usage()})
        h.store.record(NS, told, None, None, at(n))
        same("trajectory", h.store.trajectory(NS, odd), told)
    same("waiting", waiting(h.store), list(ODD))
    record(h.store, "e\u0301", "\u00e9", "E", "e", "e ", " e")
    same("ids that look alike", len(waiting(h.store)), len(ODD) + 6)
    expect(put(h.store, consume=ODD[0], by=ODD[0]), "an odd id could not be taken")


@rule()
def long_texts_are_kept(h: Harness) -> None:
    """A million characters in an observation and in a task, and ids of 200, come back whole."""
    long = trajectory(
        "i" * 200, task="task " * 200_000, steps=(Step(action="cat", observation="0123456789\n" * 90_000),)
    )
    h.store.record(NS, long, None, None, at())
    same("trajectory", h.store.trajectory(NS, "i" * 200), long)


@rule()
def what_is_not_text_is_refused(h: Harness) -> None:
    """Half of a surrogate pair in a namespace, a key or a draft is a RecordError, and nothing is kept."""
    half = "half \ud83c"
    refused(RecordError, "namespace", lambda: h.store.record(half, trajectory("t"), None, None, at()))
    refused(RecordError, "draft", lambda: h.store.save_draft(NS, "k", half))
    refused(RecordError, "namespace of a search", lambda: h.store.search(half, "words", 5))
    refused(RecordError, "key", lambda: h.store.draft(NS, half))
    same("namespaces", list(h.store.namespaces()), [])
