"""Rules of `SearchesVectors`: a store that finds the nearest procedures itself."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from memp.stores.base import Write
from memp.testing.store_conformance.expect import expect, same
from memp.testing.store_conformance.harness import Harness
from memp.testing.store_conformance.kit import NS, at, put, record, revise, revision
from memp.testing.store_conformance.rule import rule

SPACE, DIMENSIONS, MANY, K = "space", 16, 400, 10
LEAST_FOUND = 0.95
"""Share of what an exact search finds, over many searches."""


def _units(count: int, seed: int) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).normal(size=(count, DIMENSIONS))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def _kept(h: Harness, vectors: NDArray[np.float32], namespace: str = NS) -> Any:
    """Procedures p0, p1, ... with these vectors: every fourth is retired, every other from a success."""
    writes = [
        Write(revision=revision(f"p{n}", status="active" if n % 4 else "retired"), success=n % 2 == 0)
        for n in range(len(vectors))
    ]
    put(h.store, *writes, namespace=namespace)
    store: Any = h.store
    store.keep_near(namespace, SPACE, h.store.heads(namespace, SPACE), vectors)
    store.index_near(namespace, SPACE, DIMENSIONS)
    return store


def _share(store: Any, vectors: NDArray[np.float32], allowed: list[int], status: str, only_success: bool) -> float:
    """Of what an exact search finds among the allowed ones, how much is found."""
    found = 0
    queries = _units(30, 7)
    for query in queries:
        exact = {f"p{n}" for n in sorted(allowed, key=lambda n: -float(vectors[n] @ query))[:K]}
        hits = store.nearest(NS, SPACE, query, K, status=status, only_success=only_success)
        strangers = [id for id, _ in hits if int(id[1:]) not in allowed]
        same(f"hits that are not {status}, success only: {only_success}", strangers, [])
        found += len(exact & {id for id, _ in hits})
    return found / (len(queries) * K)


@rule("similarity")
def the_nearest_are_found(h: Harness) -> None:
    """`nearest` finds at least 95 % of what an exact search finds, best first, with their cosines."""
    vectors = _units(MANY, 0)
    store = _kept(h, vectors)
    share = _share(store, vectors, list(range(MANY)), "any", False)
    expect(share >= LEAST_FOUND, f"{share:.0%} of the {K} nearest were found, at least {LEAST_FOUND:.0%} must be")
    hits = store.nearest(NS, SPACE, vectors[3], K, status="any", only_success=False)
    same("best first", [score for _, score in hits], sorted((score for _, score in hits), reverse=True))
    same("the nearest to itself", hits[0][0], "p3")
    wrong = [id for id, score in hits if abs(score - float(vectors[int(id[1:])] @ vectors[3])) > 1e-3]
    same("hits with another cosine", wrong, [])


@rule("similarity")
def filters_leave_enough(h: Harness) -> None:
    """With filters too: as many as were asked for, of that status or from successes, as good as without."""
    vectors = _units(MANY, 1)
    store = _kept(h, vectors)
    chosen = {
        ("active", False): [n for n in range(MANY) if n % 4],
        ("retired", False): [n for n in range(MANY) if n % 4 == 0],
        ("active", True): [n for n in range(MANY) if n % 4 == 2],
    }
    for (status, only_success), allowed in chosen.items():
        share = _share(store, vectors, allowed, status, only_success)
        expect(share >= LEAST_FOUND, f"{status}, success only {only_success}: {share:.0%} were found")


@rule("similarity")
def nearest_stays_behind_the_wall(h: Harness) -> None:
    """What is near in another namespace is not found, and does not push out what is near in this one."""
    near, far = _units(40, 2), -_units(40, 2)
    store = _kept(h, far)
    _kept(h, near, "elsewhere")
    for n in (0, 7):
        hits = dict(store.nearest(NS, SPACE, near[n], 40, status="any", only_success=False))
        same("found", len(hits), 40)
        expect(hits[f"p{n}"] < -0.99, f"p{n} has the cosine of the other namespace: {hits[f'p{n}']}")


@rule("similarity")
def the_search_keeps_up(h: Harness) -> None:
    """`searched` says what the search knows of: nothing until it is asked for, then up to the last change that was
    kept; a revision changes vector and status, and what is older than what is known changes nothing.
    """
    store: Any = h.store
    same("before", store.searched(NS, SPACE), None)
    vectors = _units(12, 3)
    _kept(h, vectors)
    old = [head for head in h.store.heads(NS, SPACE) if head.id == "p1"]
    seen = max(head.changed for head in h.store.heads(NS, SPACE))
    same("kept up to", store.searched(NS, SPACE), seen)
    revise(h.store, "p1", 2, status="retired")
    heads = h.store.heads(NS, SPACE, seen)
    store.keep_near(NS, SPACE, heads, -vectors[1:2])
    store.keep_near(NS, SPACE, old, vectors[1:2])  # another client that was slower
    same("kept up to", store.searched(NS, SPACE), heads[0].changed)
    hits = dict(store.nearest(NS, SPACE, vectors[1], 12, status="retired", only_success=False))
    same("retired", sorted(hits), ["p0", "p1", "p4", "p8"])
    expect(hits["p1"] < -0.99, "the revised one has its old vector")
    store.forget_near(NS, SPACE)
    same("after `forget_near`", store.searched(NS, SPACE), None)


@rule("similarity")
def what_was_erased_is_not_near(h: Harness) -> None:
    """After `forget` the procedures that are gone are not found."""
    record(h.store, "t")
    vectors = _units(12, 4)
    made = revision("gone").model_copy(update={"evidence": ("t",)})
    put(h.store, Write(revision=made))
    store: Any = h.store
    store.keep_near(NS, SPACE, h.store.heads(NS, SPACE), vectors[:1])
    h.store.forget(NS, trajectories=["t"], at=at(9))
    hits = store.nearest(NS, SPACE, vectors[0], 5, status="any", only_success=False)
    same("found", [id for id, _ in hits], [])


@rule("similarity")
def filters_that_hide_all_are_an_end(h: Harness) -> None:
    """Where a filter hides everything, nothing is found; and all that there is, where less is there than asked for."""
    put(h.store, *(Write(revision=revision(f"p{n}", status="retired")) for n in range(12)))
    store: Any = h.store
    store.keep_near(NS, SPACE, h.store.heads(NS, SPACE), _units(12, 5))
    store.index_near(NS, SPACE, DIMENSIONS)
    asked = _units(1, 6)[0]
    same("active", list(store.nearest(NS, SPACE, asked, 5, status="active", only_success=False)), [])
    same("retired", len(store.nearest(NS, SPACE, asked, 50, status="retired", only_success=False)), 12)


@rule("similarity", "clients")
def clients_search_alike(h: Harness) -> None:
    """Once it was asked for, other clients search too, and find what one of them told the search or the heads say."""
    vectors = _units(12, 8)
    store = _kept(h, vectors)
    other: Any = h.client()
    same("kept up to, says the other client", other.searched(NS, SPACE), store.searched(NS, SPACE))
    hits = other.nearest(NS, SPACE, vectors[3], 12, status="any", only_success=False)
    same("nearest, says the other client", hits[0][0], "p3")
    same("found by the other client", len(hits), 12)
    put(h.store, Write(revision=revision("p12")))
    new = [head for head in h.store.heads(NS, SPACE) if head.id == "p12"]
    store.keep_near(NS, SPACE, new, -vectors[3:4])
    known = other.searched(NS, SPACE)
    late = [head for head in other.heads(NS, SPACE) if head.changed > known]
    other.keep_near(NS, SPACE, late, np.repeat(-vectors[3:4], len(late), axis=0))
    for client in (store, other):
        hits = client.nearest(NS, SPACE, -vectors[3], 1, status="any", only_success=False)
        same("nearest", [id for id, _ in hits], ["p12"])
