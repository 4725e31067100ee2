"""A correction on trial that is erased for good, on any store."""

from datetime import timedelta

from memp.evidence import Ledger
from memp.records import Author, Content, Outcome, Revision, Script
from memp.stores.base import Store, Write
from memp.testing.store_conformance.kit import at, recall, trajectory
from memp.trials import Trials
from memp.update import Guard

NS = "trials"
SAYS = ("switch the stove on", "switch the kiln on", "light a fire")
"""What revisions 1, 2 and 3 say to do."""


def _revise(store: Store, number: int, **more: object) -> None:
    revision = Revision(
        procedure_id="p",
        number=number,
        parent=number - 1 or None,
        content=Content(task="heat a pan", script=Script(goal="A hot pan.", steps=(SAYS[number - 1],))),
        reason="for the test",
        evidence=(f"cause {number}",),
        author=Author(policy="person"),
        at=at(number),
        **more,
    )
    store.write(NS, [Write(revision=revision)], consume=None, receipt_id="")


def _won(store: Store, id: str, second: float) -> None:
    """A task that is won with what `p` says now."""
    served = recall(store, f"r {id}", "p", namespace=NS).model_copy(update={"at": at(second)})
    done = trajectory(id)
    outcome = Outcome(
        recall_id=served.id,
        trajectory_id=id,
        reward=1.0,
        success=True,
        credited=tuple((r.procedure.id, r.procedure.revision.number) for r in served.ranked),
        at=at(second) + timedelta(milliseconds=1),
    )
    store.record(NS, done, served, outcome, at(second))


def promoted_by_what_was_erased(store: Store) -> list[bool]:
    """Two tasks are won with a candidate, which is then erased for good; the one before it, which is on trial again
    under the same number, wins one task, then two more. Whether it is promoted after each of them.

    A candidate must have been served three times before anything is decided.
    """
    for number in (1, 2, 3):
        store.record(NS, trajectory(f"cause {number}"), None, None, at(number))
        _revise(store, number, **({"status": "probation", "stands": 1} if number > 1 else {}))
    trials, found = Trials(store, NS, Ledger(store, NS)), []

    def promoted() -> bool:
        (procedure,) = store.find(NS, ["p"])
        assert (procedure.revision.number, procedure.status) == (3, "probation")
        decided = trials.decide(procedure, Guard(least=3))
        return decided is not None and decided.promoted

    for number, second in enumerate((4, 5, 10, 11, 12)):
        if second == 10:
            assert store.find(NS, ["p"])[0].script.steps == (SAYS[2],)
            assert store.forget(NS, trajectories=["cause 3"], at=at(6)).returned == (("p", 3),)
            assert store.find(NS, ["p"])[0].script.steps == (SAYS[1],)
        _won(store, f"task {number}", second)
        found.append(promoted())
    return found
