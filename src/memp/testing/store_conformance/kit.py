"""Small, repeatable records for rules."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from memp.recall import LeftOut, Recall, Recalled
from memp.records import Author, Content, Outcome, Receipt, Revision, Script, Step, Trajectory
from memp.stores.base import Store, Write
from memp.stores.entries import Entry
from memp.testing.store_conformance.expect import expect

NS: Final = "conformance"
START: Final = datetime(2026, 1, 1, tzinfo=UTC)

ODD: Final = (
    "tab\tnul\0esc\x1b[31m bell\x07 line\nreturn\r\n \u2028",
    "\ud7ff\ue000\uffff\U0010ffff 🍎 👩‍👩‍👧 e\u0301 \u202e苹果",
    """quotes ' " ` back\\slash \\u0000 \\0 percent % under_score {} $1 :name ?""",
)
"""Texts that stores have stumbled over."""


def at(second: float = 0) -> datetime:
    """A moment of the story."""
    return START + timedelta(seconds=second)


def trajectory(id: str, reward: float = 1.0, **more: Any) -> Trajectory:
    """Something that was done."""
    more.setdefault("task", f"task of {id}")
    more.setdefault("steps", (Step(action="look", observation="a table"), Step(action="take apple 1")))
    return Trajectory(id=id, reward=reward, **more)


def content(task: str, *steps: str, **facts: str) -> Content:
    """What a procedure says."""
    return Content(task=task, facts=facts, script=Script(goal="the goal", steps=steps or ("a step",)))


def revision(id: str, number: int = 1, **more: Any) -> Revision:
    """Revision `number` of procedure `id`."""
    more.setdefault("content", content(f"task of {id}", f"step of {id} at {number}"))
    more.setdefault("reason", f"reason {number}")
    more.setdefault("at", at(number))
    return Revision(
        procedure_id=id,
        number=number,
        parent=number - 1 or None,
        author=Author(policy="person"),
        evidence=(f"t-{id}",),
        tokens=10 * number,
        **more,
    )


def put(store: Store, *writes: Write, namespace: str = NS, consume: str | None = None, by: str = "") -> bool:
    """Write revisions."""
    return store.write(namespace, writes, consume=consume, receipt_id=by)


def add(store: Store, *ids: str, namespace: str = NS, origin: bytes | None = None, **more: Any) -> None:
    """New procedures."""
    for id in ids:
        write = Write(revision=revision(id, **more), origin=b"o-" + id.encode() if origin is None else origin)
        expect(put(store, write, namespace=namespace), "`write` without a trajectory to take returned False")


def revise(store: Store, id: str, number: int, *, namespace: str = NS, **more: Any) -> None:
    """One revision more."""
    put(store, Write(revision=revision(id, number, **more)), namespace=namespace)


def recall(store: Store, id: str, *procedures: str, namespace: str = NS, **more: Any) -> Recall:
    """A recall of these procedures at their current revision."""
    served = store.find(namespace, procedures)
    return Recall(
        id=id,
        namespace=namespace,
        task=f"task of {id}",
        policy="query",
        ranked=tuple(Recalled(procedure=p, score=0.5, why="near") for p in served),
        left_out=(LeftOut(procedure_id="other", score=None, why="far"),),
        facts={"object": "apple"},
        at=at(),
        **more,
    )


def outcome(recall: Recall, trajectory: Trajectory, **more: Any) -> Outcome:
    """How the task went, credited to what was served."""
    more.setdefault("credited", tuple((r.procedure.id, r.procedure.revision.number) for r in recall.ranked))
    return Outcome(
        recall_id=recall.id,
        trajectory_id=trajectory.id,
        reward=trajectory.reward,
        success=trajectory.reward >= 0.5,
        at=at(),
        **more,
    )


def record(store: Store, *ids: str, namespace: str = NS) -> None:
    """Trajectories without a recall."""
    for id in ids:
        store.record(namespace, trajectory(id), None, None, at())


def play(store: Store, id: str, *procedures: str, reward: float = 1.0, namespace: str = NS) -> bool:
    """Record a trajectory with a recall of these procedures."""
    served, played = recall(store, f"r-{id}", *procedures, namespace=namespace), trajectory(id, reward)
    return store.record(namespace, played, served, outcome(served, played), at())


def receipt(id: str, **more: Any) -> Receipt:
    """What an operation did."""
    return Receipt(id=id, operation="update", policy="vanilla", added=("p",), revised=(("q", 2),), at=at(), **more)


def counters(store: Store, id: str, namespace: str = NS) -> list[tuple[int, int]]:
    """(served, succeeded) of every revision."""
    return [(served, succeeded) for _, served, succeeded in store.history(namespace, id)]


def waiting(store: Store, namespace: str = NS) -> list[str]:
    """Ids of the trajectories that wait."""
    return [item.trajectory.id for item in store.waiting(namespace)]


def heads(store: Store, since: int = 0, namespace: str = NS) -> list[str]:
    """Ids of the procedures that changed."""
    return [head.id for head in store.heads(namespace, "", since)]


def everything(store: Store, namespace: str = NS) -> list[Entry]:
    """All that the namespace holds."""
    return list(store.dump(namespace))


def fill(store: Store, namespace: str = NS) -> None:
    """A memory in which everything has happened."""
    add(store, "p", "q", namespace=namespace, content=content("put a mug", "take it", "put it", object="mug"))
    play(store, "t1", "p", "q", namespace=namespace)
    play(store, "t2", "q", reward=0.25, namespace=namespace)
    record(store, "t3", namespace=namespace)
    store.log_recall(recall(store, "unplayed", "p", namespace=namespace))
    revise(store, "q", 2, status="retired", namespace=namespace)
    put(store, namespace=namespace, consume="t2", by="u1")
    store.log_receipt(namespace, receipt("u1"))
