"""Records for tests of the store, small and repeatable: those of the conformance suite, in a namespace of the tests."""

from typing import Any

from memp.recall import Recall
from memp.stores.base import Store
from memp.testing.store_conformance import kit
from memp.testing.store_conformance.kit import START, at, content, outcome, receipt, revision, trajectory

NS = "tests"


def add(store: Store, *ids: str, namespace: str = NS, **more: Any) -> None:
    kit.add(store, *ids, namespace=namespace, **more)


def revise(store: Store, id: str, number: int, *, namespace: str = NS, **more: Any) -> None:
    kit.revise(store, id, number, namespace=namespace, **more)


def recall(store: Store, id: str, *procedures: str, namespace: str = NS) -> Recall:
    return kit.recall(store, id, *procedures, namespace=namespace)


def play(store: Store, id: str, *procedures: str, reward: float = 1.0, namespace: str = NS) -> None:
    """Record a trajectory with a recall of these procedures."""
    assert kit.play(store, id, *procedures, reward=reward, namespace=namespace)


def counters(store: Store, id: str, namespace: str = NS) -> list[tuple[int, int]]:
    """(served, succeeded) of every revision."""
    return kit.counters(store, id, namespace)


__all__ = [
    "NS",
    "START",
    "add",
    "at",
    "content",
    "counters",
    "outcome",
    "play",
    "recall",
    "receipt",
    "revise",
    "revision",
    "trajectory",
]
