"""Records for tests of the store, small and repeatable."""

from datetime import UTC, datetime, timedelta
from typing import Any

from memp.recall import LeftOut, Recall, Recalled
from memp.records import Author, Content, Outcome, Receipt, Revision, Script, Step, Trajectory
from memp.stores.base import Store, Write

START = datetime(2026, 1, 1, tzinfo=UTC)
NS = "tests"


def at(second: int = 0) -> datetime:
    return START + timedelta(seconds=second)


def trajectory(id: str, reward: float = 1.0, **more: Any) -> Trajectory:
    more.setdefault("task", f"task of {id}")
    more.setdefault("steps", (Step(action="look", observation="a table"), Step(action="take apple 1")))
    return Trajectory(id=id, reward=reward, **more)


def revision(id: str, number: int = 1, **more: Any) -> Revision:
    more.setdefault("content", content(f"task of {id}", f"step of {id} at {number}"))
    more.setdefault("reason", f"reason {number}")
    return Revision(
        procedure_id=id,
        number=number,
        parent=number - 1 or None,
        author=Author(policy="person"),
        at=at(number),
        evidence=(f"t-{id}",),
        tokens=10 * number,
        **more,
    )


def content(task: str, *steps: str, **facts: str) -> Content:
    return Content(task=task, facts=facts, script=Script(goal="the goal", steps=steps))


def add(store: Store, *ids: str, namespace: str = NS, **more: Any) -> None:
    for id in ids:
        write = Write(revision=revision(id, **more), origin=b"o-" + id.encode())
        assert store.write(namespace, [write], consume=None, receipt_id="")


def revise(store: Store, id: str, number: int, *, namespace: str = NS, **more: Any) -> None:
    store.write(namespace, [Write(revision=revision(id, number, **more))], consume=None, receipt_id="")


def recall(store: Store, id: str, *procedures: str, namespace: str = NS) -> Recall:
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
    )


def outcome(recall: Recall, trajectory: Trajectory) -> Outcome:
    return Outcome(
        recall_id=recall.id,
        trajectory_id=trajectory.id,
        reward=trajectory.reward,
        success=trajectory.reward >= 0.5,
        credited=tuple((r.procedure.id, r.procedure.revision.number) for r in recall.ranked),
        at=at(),
    )


def play(store: Store, id: str, *procedures: str, reward: float = 1.0, namespace: str = NS) -> None:
    """Record a trajectory with a recall of these procedures."""
    served, played = recall(store, f"r-{id}", *procedures, namespace=namespace), trajectory(id, reward)
    assert store.record(namespace, played, served, outcome(served, played), at())


def receipt(id: str) -> Receipt:
    return Receipt(id=id, operation="update", policy="vanilla", added=("p",), revised=(("q", 2),), at=at())


def counters(store: Store, id: str, namespace: str = NS) -> list[tuple[int, int]]:
    """(served, succeeded) of every revision."""
    return [(served, succeeded) for _, served, succeeded in store.history(namespace, id)]
