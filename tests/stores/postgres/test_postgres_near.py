"""Similarity in the database: what it finds, and that it keeps up."""

import asyncio
import re

import numpy as np
import psycopg
import pytest
from storekit import NS, content, revision, trajectory

from memp import ProceduralMemory
from memp.errors import StoreError
from memp.models.static import StaticEmbedder
from memp.retrieve import ByQuery, Index, Query
from memp.retrieve.far import FarIndex, index_of, search_in_store
from memp.stores.base import SearchesVectors, Write
from memp.stores.postgres import statements as sql
from memp.testing.chat import CharEmbedder
from memp.testing.store import MemoryStore

WORDS = re.findall(r"\w+", "put clean heat cool find take mug plate apple egg knife lamp desk shelf fridge table")


def tasks(count, seed=0):
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, size=random.integers(3, 8))) for _ in range(count)]


def fill(store, count, seed=0):
    """Procedures, every fifth retired, every seventh built from a failure."""
    writes = [
        Write(
            revision=revision(f"p{n:05}", content=content(task, "a step"), status="active" if n % 5 else "retired"),
            success=bool(n % 7),
        )
        for n, task in enumerate(tasks(count, seed))
    ]
    for start in range(0, count, 500):
        store.write(NS, writes[start : start + 500], consume=None, receipt_id="")


async def ranked(store, embedder, task, *, far, k=10, index=None, **hidden):
    index = index or index_of(store, NS, embedder, far=far)
    assert isinstance(index, FarIndex) == far
    await index.refresh()
    return await ByQuery().rank(Query(task=task, facts={}, k=k), index, index.hidden(**hidden))


@pytest.fixture
def embedder():
    return StaticEmbedder()


async def test_until_it_is_asked_for_every_process_searches_exactly(store, embedder):
    fill(store, 20)
    assert isinstance(store, SearchesVectors)
    assert store.searched(NS, embedder.fingerprint) is None
    assert not isinstance(index_of(store, NS, embedder, far=True), FarIndex)
    with pytest.raises(StoreError, match="memp memory index"):
        store.nearest(NS, embedder.fingerprint, np.ones(128), 5, status="any", only_success=False)


class Exact:
    """A store that searches nothing itself."""

    def __init__(self, store):
        self._store = store

    def __getattr__(self, name):
        if hasattr(SearchesVectors, name):
            raise AttributeError(name)
        return getattr(self._store, name)


async def test_a_store_need_not_offer_it(embedder):
    store = Exact(MemoryStore())
    assert not isinstance(index_of(store, NS, embedder, far=True), FarIndex)
    with pytest.raises(StoreError, match="searches nothing itself"):
        await search_in_store(store, NS, embedder)


@pytest.mark.parametrize(
    "hidden",
    [{}, {"status": "retired"}, {"status": "any"}, {"only_success": True}, {"status": "any", "only_success": True}],
    ids=str,
)
async def test_it_finds_what_an_exact_search_finds(store, embedder, hidden):
    fill(store, 300)
    assert await search_in_store(store, NS, embedder) == 300
    for task in tasks(10, seed=1):
        near = await ranked(store, embedder, task, far=True, **hidden)
        exact = await ranked(store, embedder, task, far=False, k=30, **hidden)
        assert len(near) == 10
        assert near[0].score == pytest.approx(exact[0].score, abs=2e-6)
        scores = {hit.id: hit.score for hit in exact}
        assert sum(hit.id in scores and abs(scores[hit.id] - hit.score) < 2e-6 for hit in near) >= 9
        assert [hit.score for hit in near] == sorted((hit.score for hit in near), reverse=True)


async def test_the_index_is_used_and_finds_nearly_all_among_many(store, embedder, url):
    fill(store, 3_000)
    stranger = Write(revision=revision("stranger", content=content(tasks(1, seed=1)[0], "s")))
    store.write("elsewhere", [stranger], consume=None, receipt_id="")
    await search_in_store(store, NS, embedder)
    exactly, found = index_of(store, NS, embedder, far=False), []
    for task in tasks(30, seed=1):
        near = {hit.id for hit in await ranked(store, embedder, task, far=True)}
        exact = await ranked(store, embedder, task, far=False, k=200, index=exactly)
        good = {hit.id for hit in exact if hit.score >= exact[9].score - 2e-6}  # equally near ones are as good
        found.append(len(near & good) / 10)
        assert "stranger" not in near
    assert np.mean(found) >= 0.95
    kind = f"halfvec({embedder.dimensions})"
    asked = sql.NEAREST.format(kind=kind, filter="AND servable")
    values = {"ns": NS, "fingerprint": embedder.fingerprint, "vector": str([0.1] * embedder.dimensions), "n": 16}
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("ANALYZE memp.near")
        plan = " ".join(line for (line,) in db.execute(f"EXPLAIN {asked}", values))
    assert "Index Scan using near_" in plan


async def test_it_keeps_up_with_what_is_written(store, open_store, embedder):
    fill(store, 50)
    await search_in_store(store, NS, embedder)
    other = open_store()
    new = content("polish the silver teapot", "s")
    other.write(NS, [Write(revision=revision("new", content=new))], consume=None, receipt_id="")
    (best, *_) = await ranked(store, embedder, "polish the silver teapot", far=True)
    assert (best.id, best.score) == ("new", pytest.approx(1.0, abs=1e-5))
    gone = revision("new", 2, content=new, status="retired")
    other.write(NS, [Write(revision=gone)], consume=None, receipt_id="")
    assert "new" not in {hit.id for hit in await ranked(store, embedder, "polish the silver teapot", far=True)}
    retired = await ranked(store, embedder, "polish the silver teapot", far=True, status="retired")
    assert retired[0].id == "new"
    store.forget_near(NS, embedder.fingerprint)
    assert isinstance(index_of(store, NS, embedder, far=True), Index)
    assert not isinstance(index_of(store, NS, embedder, far=True), FarIndex)


async def test_long_vectors(store):
    embedder = CharEmbedder(dimensions=2_100)
    fill(store, 60)
    await search_in_store(store, NS, embedder)
    near = await ranked(store, embedder, tasks(1)[0], far=True)
    exact = await ranked(store, embedder, tasks(1)[0], far=False)
    assert near[0].score == pytest.approx(exact[0].score, abs=2e-6)


def test_a_memory_on_it_recalls_the_same_and_forgets(store, url, embedder):
    recalled = []
    for far in (False, True):
        with ProceduralMemory(url, namespace=f"far-{far}") as memory:
            for n, task in enumerate(tasks(25)):
                memory.record(trajectory(f"t{n}", task=task))
            memory.update()
        if far:
            asyncio.run(search_in_store(store, "far-True", embedder))
        with ProceduralMemory(url, namespace=f"far-{far}") as memory:
            memory.record(trajectory("later", task="polish the silver teapot"))
            memory.update()
            told = [memory.retrieve(task, k=3) for task in [*tasks(5, seed=2), "polish the silver teapot"]]
            recalled.append([[(r.procedure.task, round(r.score, 4)) for r in recall.ranked] for recall in told])
            assert told[-1].ranked[0].procedure.task == "polish the silver teapot"
            memory.forget(task="polish the silver teapot", hard=True)
            tasks_left = {r.procedure.task for r in memory.retrieve("polish the silver teapot").ranked}
            assert "polish the silver teapot" not in tasks_left
    assert recalled[0] == recalled[1]
