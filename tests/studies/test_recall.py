"""Retrieval scored without an agent: the same figures every time, better than chance, and told apart by wording."""

import pytest

from memp.errors import UnknownName
from memp.retrieve import Index, Query
from memp.stores.sqlite import SqliteStore
from memp.testing.chat import CharEmbedder
from memp_bench.studies.homes import Home
from memp_bench.studies.lexical import BENCH_ONLY, policy_to_score
from memp_bench.studies.recall import score_recall
from memp_bench.studies.spec import Learned, Place, Size, Study

PLACES = (
    Place(label="houses", benchmark="household", split="seen", games=3),
    Place(label="country", benchmark="travelplanner", split="validation", games=6, generated=True),
)
SIZE = Size(
    places=PLACES,
    learned={
        "household": Learned(source="expert", games=6),
        "travelplanner": Learned(source="gold"),
    },
    policies=("random", "query", "bm25", "rrf"),
    embedders=("static", "openai:text-embedding-3-small"),
    wordings=("plain", "judge"),
)
STUDY = Study(name="recall", kind="recall", title="t", question="q", full=SIZE, smoke=SIZE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("recall")


async def scored(folder, size=SIZE, advance=lambda note: None, home=None):
    home = home or Home(folder)
    return await score_recall(STUDY, size, smoke=True, workers=2, advance=advance, home=home, cache=folder / "cache")


async def test_every_policy_and_wording_is_scored(folder, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    noted: list[str] = []
    results = await scored(folder, advance=noted.append)
    assert results.memories["houses"] == 6
    assert "rrf judge" in noted
    assert {(s.place, s.policy, s.embedder, s.wording) for s in results.scores} == {
        (place.label, policy, "none" if policy in {"random", "bm25"} else "static", wording)
        for place in PLACES
        for policy in SIZE.policies
        for wording in SIZE.wordings
    }
    assert len(results.notes) == 1
    assert "openai:text-embedding-3-small was left out" in results.notes[0]
    by = {(s.place, s.policy, s.wording): s for s in results.scores}
    for place, tasks in (("houses", 3), ("country", 6)):
        chance, words = by[place, "random", "plain"], by[place, "bm25", "plain"]
        assert words.ndcg["@5"].value > chance.ndcg["@5"].value
        assert set(words.precision) == {"@1", "@5", "@10"}
        for interval in words.ndcg.values():
            assert 0 <= interval.low <= interval.value <= interval.high <= 1
            assert interval.n == words.tasks == tasks
    assert by["houses", "bm25", "judge"].ndcg["@5"].value <= by["houses", "bm25", "plain"].ndcg["@5"].value
    assert by["country", "query", "judge"].ndcg != by["country", "query", "plain"].ndcg
    assert by["houses", "bm25", "plain"].by_grade["family"] == by["houses", "bm25", "plain"].precision["@10"]
    assert "days" in by["country", "bm25", "plain"].by_grade
    assert await scored(folder) == results  # from the memories that are there


async def test_with_memories_in_a_database_the_scores_are_the_same(folder, server, tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    size = SIZE.model_copy(update={"places": PLACES[1:]})
    home = Home(tmp_path, server.create_database(), "recall")
    assert await scored(folder, size, home=home) == await scored(folder, size)
    assert not list(tmp_path.rglob("*.db"))
    server.drop_database(home.address)


async def test_an_unknown_policy_is_named(folder):
    with pytest.raises(UnknownName, match="rrf"):
        await scored(folder, SIZE.model_copy(update={"policies": ("rrff",), "places": PLACES[1:]}))


async def test_words_alone_and_fused(open_memory, tmp_path):
    from memp.records import Step, Trajectory

    memory = open_memory(build="trajectory", model=None)
    said = [
        "heat some egg and put it in fridge",
        "heat some mug and put it in bin",
        "examine the pen with the desklamp",
    ]
    for number, task in enumerate(said):
        await memory.record(Trajectory(id=f"t{number}", task=task, steps=(Step(action="go"),), reward=1.0))
    await memory.update()
    for name in BENCH_ONLY:
        memory.retrieving = policy_to_score(name)
        found = await memory.retrieve("heat an egg", k=2)
        assert [item.procedure.task for item in found.ranked] == said[:2]
        assert found.ranked[0].score > found.ranked[1].score > 0


async def test_bm25_leaves_out_what_is_hidden(open_memory):
    import numpy as np

    from memp.records import Step, Trajectory

    memory = open_memory(build="trajectory")
    for number in range(3):
        await memory.record(Trajectory(id=f"t{number}", task=f"mug {number}", steps=(Step(action="go"),), reward=1.0))
    await memory.update()
    index = Index(memory.store, memory.namespace, CharEmbedder())
    await index.refresh()
    hits = await policy_to_score("bm25").rank(Query(task="mug 1", facts={}, k=3), index, np.array([False, True, False]))
    assert [hit.id for hit in hits] == [index.ids[0], index.ids[2]]
    assert isinstance(memory.store, SqliteStore)
