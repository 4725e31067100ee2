"""Lift: intervals against published values, pooling, what follows from harm, evidence per agent."""

import json
import math
import random
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from click.testing import CliRunner

from loopkit import OnlyWithoutRecall, trajectory
from memp import ProceduralMemory
from memp.evidence import Quarantine, Worth
from memp.evidence.lift import below, mean_difference, newcombe, wilson
from memp_bench.cli import main


def test_newcombes_own_example():
    """Newcombe 1998, table II, method 10: 56/70 against 48/80."""
    low, high = newcombe(56, 70, 48, 80)
    assert (round(low, 4), round(high, 4)) == (0.0524, 0.3339)


def test_wilson_of_nothing_and_of_all():
    assert wilson(0, 0) == (0.0, 1.0)
    low, high = wilson(10, 10)
    assert (round(low, 3), round(high, 9)) == (0.722, 1.0)


def test_the_chance_to_be_below_is_that_of_a_simulation():
    draw = random.Random(0)
    for a, b in [((2.5, 7.5), (6.5, 3.5)), ((1.0, 1.0), (1.0, 1.0)), ((0.5, 8.0), (4.0, 4.0))]:
        drawn = sum(draw.betavariate(*a) < draw.betavariate(*b) for _ in range(20_000)) / 20_000
        assert below(a, b) == pytest.approx(drawn, abs=0.012)


def test_welch():
    a, b = [10.0, 12.0, 14.0], [20.0, 22.0]
    got = mean_difference(*((len(x), sum(x), sum(v * v for v in x)) for x in (a, b)))
    error = 1.96 * math.sqrt(4 / 3 + 2 / 2)
    assert got == pytest.approx((-9.0, -9 - error, -9 + error), abs=1e-3)


TASKS = {"good": "wash the dishes", "bad": "repair an engine"}


class World:
    """A memory of two procedures, one of which is followed to success and the other to failure."""

    def __init__(self, file, *, holdout=0.3, seed=0, without=0.5, agent="m1", good=0.9, bad=0.1):
        self.memory = ProceduralMemory(file, holdout=holdout, seed=seed, agent=agent, k=1, update=OnlyWithoutRecall())
        self.rates = {"good": good, "bad": bad, "": without}
        self.draw = random.Random(seed)
        self.number = 0
        for kind, task in TASKS.items():
            self.memory.record(trajectory(task, (f"do {kind}",)))
        self.memory.update()
        self.ids = dict(zip(TASKS, (p.id for p in self.memory.procedures()), strict=True))

    def play(self, kind, agent=None):
        self.number += 1
        task = f"{TASKS[kind]}, number {self.number}"
        recall = self.memory.retrieve(task, agent=agent)
        rate = self.rates[kind] if recall.ranked else self.rates[""]
        won = float(self.draw.random() < rate)
        done = trajectory(task, (f"act {self.number}",), reward=won, tags={"family": kind}, agent=agent or "m1")
        self.memory.record(done, recall)
        return recall


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path / "m.db")
    yield made
    made.memory.close()


def test_harm_is_found_and_quarantined_and_help_is_not(world):
    for _ in range(60):
        world.play("good")
        world.play("bad")
        receipt = world.memory.update()
        if receipt.quarantined:
            break
    assert receipt.quarantined == (world.ids["bad"],)
    assert world.number <= 60
    kept = world.memory.get(world.ids["bad"])
    assert kept.status == "quarantined"
    assert "does harm with probability" in kept.revision.reason
    assert world.memory.get(world.ids["good"]).status == "active"
    assert all(r.procedure.id != kept.id for r in world.memory.retrieve("repair an engine").ranked)
    world.memory.restore(kept.id)  # a person may


def test_a_pinned_procedure_is_not_quarantined(world):
    world.memory.pin(world.ids["bad"])
    for _ in range(40):
        world.play("bad")
    assert world.memory.update().quarantined == ()


def test_three_trials_make_no_hero(world):
    for _ in range(40):
        world.play("good" if world.number % 2 else "bad")
    world.memory.update()
    world.memory.record(trajectory("a good thing that is new", ("do it",)))
    world.memory.update()
    world.memory.evidence()
    worth = Worth(world.memory._memory._ledger, "m1")
    seen, new = (worth.procedure(id, 1) for id in (world.ids["good"], "never served"))
    assert seen.success > 0.15
    assert new.low < 0 < new.high


def test_a_memory_that_does_harm_abstains_for_that_agent_only(tmp_path):
    world = World(tmp_path / "m.db", good=0.05, bad=0.05, without=0.9, holdout=0.3)
    world.memory._memory.quarantining = Quarantine(sure=0.95, least=10_000)  # not one by one, for this test
    for _ in range(60):
        world.play("good")
    notes = [world.play("good").note for _ in range(20)]
    assert any(note.startswith("abstains: with memory") for note in notes)
    assert any(not note for note in notes)  # a share is served still, to notice when it gets better
    assert not any(world.play("good", agent="m2").note.startswith("abstains") for _ in range(20))
    assert world.memory.evidence("m1").abstains
    assert world.memory.evidence("m2").abstains is None
    world.memory.close()


def test_evidence_goes_by_the_memorys_own_bounds(tmp_path):
    bounds = Quarantine(sure=0.8, abstain_after=3)
    with ProceduralMemory(
        tmp_path / "m.db", update=OnlyWithoutRecall(), holdout=0.5, quarantine=bounds, agent="m"
    ) as memory:
        memory.record(trajectory("wash the dishes"))
        memory.update()
        overall = memory.evidence().overall
        while min(overall.served, overall.withheld) < 3:
            recall = memory.retrieve(f"wash dish {overall.served + overall.withheld}")
            done = trajectory(recall.task, (f"act {recall.task}",), reward=float(bool(recall.withheld)))
            memory.record(done, recall)
            overall = memory.evidence().overall
        assert max(overall.served, overall.withheld) < Quarantine().abstain_after
        assert memory.evidence().abstains.startswith("abstains: with memory 0 of 3 tasks were won")


def test_another_agents_evidence_is_a_weak_prior(world):
    for _ in range(60):
        world.play("bad", agent="m1")
    world.memory.evidence()
    ledger = world.memory._memory._ledger
    old, new, unknown = (
        Worth(ledger, agent).procedure(id, 1)
        for agent, id in [("m1", world.ids["bad"]), ("m2", world.ids["bad"]), ("m2", "nothing")]
    )
    assert old.harm > 0.95
    assert 0.5 < new.harm < old.harm
    assert new.served == 0
    assert abs(unknown.harm - 0.5) < new.harm - 0.5 + 0.3


def test_what_another_agent_won_with_memory_repairs_nothing(tmp_path):
    """The weak agent loses a task without memory, the strong one wins it with memory."""
    with ProceduralMemory(tmp_path / "m.db", update=OnlyWithoutRecall(), holdout=0.5, agent="weak") as memory:
        memory.record(trajectory("wash the dishes"))
        memory.update()
        seen = set()
        for number in range(60):
            agent = ("weak", "strong")[number % 2]
            recall = memory.retrieve("wash the dishes again", agent=agent)
            if (agent == "weak") == bool(recall.withheld):
                seen.add(agent)
                done = trajectory("wash the dishes again", (f"act {number}",), reward=float(agent == "strong"))
                memory.record(done, recall)
        assert seen == {"weak", "strong"}
        for agent in seen:
            found = memory.evidence(agent)
            assert (found.both, found.repairs, found.regressions) == (0, 0, 0)


def test_revisions_that_say_the_same_share_their_evidence(world):
    for _ in range(10):
        world.play("good")
    id = world.ids["good"]
    served = world.memory.evidence().procedures
    world.memory.pin(id)
    assert world.memory.get(id).revision.number == 2
    assert world.memory.get(id).served == 0
    again = world.memory.evidence().procedures
    assert {lift.name: lift.served for lift in again} == {lift.name: lift.served for lift in served}


def test_threads_that_ask_together_all_see_everything(world):
    for number in range(120):
        world.play("good" if number % 2 else "bad")
    with ProceduralMemory(world.memory.store, agent="m1") as memory:
        began, often = threading.Barrier(6), sys.getswitchinterval()

        def ask(_):
            began.wait(timeout=60)
            return memory.evidence()

        sys.setswitchinterval(1e-6)
        try:
            with ThreadPoolExecutor(6) as pool:
                found = list(pool.map(ask, range(6)))
        finally:
            sys.setswitchinterval(often)
        assert found == [memory.evidence()] * 6
        assert found[0].overall.served + found[0].overall.withheld == 120


def test_the_command(world, tmp_path):
    for _ in range(30):
        world.play("good")
        world.play("bad")
    file = str(tmp_path / "m.db")
    shown = CliRunner().invoke(main, ["evidence", "--memory", file])
    assert shown.exit_code == 0, shown.output
    assert "lift, points" in shown.output
    assert world.ids["bad"][:8] in shown.output
    answered = json.loads(CliRunner().invoke(main, ["evidence", "--json", "--memory", file]).output)
    assert answered["overall"]["served"] + answered["overall"]["withheld"] == 60
    assert {lift["name"] for lift in answered["families"]} == {"good", "bad"}


def test_without_a_holdout_it_says_so(tmp_path):
    with ProceduralMemory(tmp_path / "m.db") as memory:
        memory.record(trajectory())
        memory.update()
        memory.record(trajectory("another"), memory.retrieve("put a clean mug on the shelf"))
    shown = CliRunner().invoke(main, ["evidence", "--memory", str(tmp_path / "m.db")])
    assert "No recall was withheld" in shown.output
