"""The policy `value`: similarity gates, evidence ranks, exploration finds what similarity alone never would."""

import random

import pytest

from loopkit import OnlyWithoutRecall, trajectory
from memp import ProceduralMemory

KINDS = ("wash the dishes", "repair an engine", "translate a letter", "plan a journey")
EACH = 5


def bandit(retrieve, *, seed, tasks=200, file=":memory:"):
    """Share of tasks won when every procedure of a kind reads alike, and one in five is any good."""
    draw = random.Random(seed)
    rates = {}
    with ProceduralMemory(file, retrieve=retrieve, seed=seed, k=1, update=OnlyWithoutRecall(), holdout=0.05) as memory:
        for kind in KINDS:
            good = draw.randrange(EACH)
            for way in range(EACH):
                memory.record(trajectory(f"{kind}, way {way}", (f"do it the way {way}",)))
                rates[f"{kind}, way {way}"] = 0.9 if way == good else 0.2
        memory.update()
        won = []
        for number in range(tasks):
            task = f"{draw.choice(KINDS)}, number {number}"
            recall = memory.retrieve(task)
            rate = rates[recall.ranked[0].procedure.task] if recall.ranked else 0.4
            won.append(float(draw.random() < rate))
            done = trajectory(task, (f"act {number}",), reward=won[-1], tags={"family": task.split(",", maxsplit=1)[0]})
            memory.record(done, recall)
        return sum(won[tasks // 2 :]) / (tasks - tasks // 2)


def test_regret_is_below_that_of_similarity_alone():
    seeds = range(6)
    value = [bandit("value", seed=seed) for seed in seeds]
    similarity = [bandit("query", seed=seed) for seed in seeds]
    regret = [0.9 - sum(rates) / len(rates) for rates in (value, similarity)]
    assert regret[0] < 0.6 * regret[1]
    assert sum(a > b for a, b in zip(value, similarity, strict=True)) >= 5


def served(memory, task="wash the dishes"):
    return [(item.procedure.task, item.score, item.why) for item in memory.retrieve(task, log=False).ranked]


@pytest.fixture
def memory(tmp_path):
    with ProceduralMemory(tmp_path / "m.db", retrieve="value", k=2) as made:
        for kind in KINDS:
            made.record(trajectory(kind, (f"do {kind}",)))
        made.update()
        yield made


def test_what_is_not_similar_is_not_served_however_good(memory):
    assert [task for task, _, _ in served(memory)] == ["wash the dishes"]


def test_the_score_stays_the_similarity_and_the_reason_tells_the_lift(memory):
    (_, score, why) = served(memory)[0]
    assert score == pytest.approx(1.0, abs=1e-3)
    assert "cosine 1.000" in why
    assert "points after 0 tasks" in why


def test_the_same_question_has_the_same_answer(memory):
    assert served(memory) == served(memory)


def test_an_empty_memory_serves_nothing(tmp_path):
    with ProceduralMemory(tmp_path / "e.db", retrieve="value") as empty:
        assert served(empty) == []
