"""A share of recalls is withheld: logged with what would have been served, credited to nobody, balanced."""

import random

import pytest

from loopkit import trajectory
from memp import ProceduralMemory
from memp.evidence import Holdout, Ledger


def stream(holdout, *, tasks=400, strata=5, seed=0):
    """(served, withheld) in all and per stratum after a stream of tasks with random strata."""
    source, counts = random.Random(seed), {"all": (0, 0)}
    for number in range(tasks):
        stratum = f"p{source.randrange(strata)}"
        margins = counts["all"], counts.get(stratum, (0, 0))
        drawn = holdout.withholds(f"task {number}", stratum, *margins)
        for name, (served, withheld) in zip(("all", stratum), margins, strict=True):
            counts[name] = (served + (not drawn), withheld + drawn)
    return counts


@pytest.mark.parametrize("share", [0.1, 0.25])
def test_each_stratum_gets_its_share(share):
    for seed in range(10):
        for served, withheld in stream(Holdout(share, seed), seed=seed).values():
            assert abs(withheld - share * (served + withheld)) <= 4


def test_few_tasks_of_many_kinds_get_their_share_too():
    for seed in range(20):
        served, withheld = stream(Holdout(0.1, seed), tasks=40, strata=30, seed=seed)["all"]
        assert 1 <= withheld <= 8
        assert served + withheld == 40


def test_nothing_is_withheld_by_default():
    assert not any(withheld for _, withheld in stream(Holdout(0.0)).values())


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ValueError, match="holdout is"):
        Holdout(share)


def test_it_is_refused_before_a_file_is_made(tmp_path):
    with pytest.raises(ValueError, match="holdout is"):
        ProceduralMemory(tmp_path / "m.db", holdout=2.0)
    assert not list(tmp_path.iterdir())


def test_the_order_of_a_group_does_not_matter():
    tasks = [f"task {number}" for number in range(50)]
    holdout = Holdout(0.3, 1)
    drawn = {task: holdout.withholds(task, "p", (7, 2)) for task in tasks}
    assert drawn == {task: Holdout(0.3, 1).withholds(task, "p", (7, 2)) for task in reversed(tasks)}


def test_a_withheld_recall_says_so_and_credits_nobody(tmp_path):
    with ProceduralMemory(tmp_path / "m.db", holdout=0.5, agent="m1") as memory:
        memory.record(trajectory())
        memory.update()
        recalls = [memory.retrieve(f"put a clean mug on the shelf, number {number}") for number in range(20)]
        kept_back = [recall for recall in recalls if recall.withheld]
        assert 3 <= len(kept_back) <= 17
        for number, recall in enumerate(recalls):
            assert bool(recall.ranked) != bool(recall.withheld)
            assert bool(recall.render()) == bool(recall.ranked)
            done = trajectory(f"task {number}", tags={"family": "clean"})
            outcome = memory.record(done, recall).outcome
            assert bool(outcome.credited) != bool(outcome.withheld)
            assert (outcome.agent, outcome.family, outcome.steps) == ("m1", "clean", 4)
        procedure = next(memory.procedures())
        assert procedure.served == len(recalls) - len(kept_back)
        ledger = Ledger(memory.store, "default")
        assert ledger.refresh()
        assert not ledger.refresh()
        assert ledger.under(procedure.id) == (procedure.served, len(kept_back))
        logged = memory.recall(kept_back[0].id)
        assert logged.withheld[0].procedure.id == procedure.id
        assert logged.note.startswith("withheld")
        assert memory.store.check() == []
