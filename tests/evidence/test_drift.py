"""A change of the world is noticed soon, and hardly ever without one."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from memp.evidence import Drift, Watches
from memp.records import Outcome

START = datetime(2026, 1, 1, tzinfo=UTC)


def outcomes(rates, *, seed, families=("a", "b", "c")):
    """One outcome for each rate, with memory, families in turn."""
    source = random.Random(seed)
    for number, rate in enumerate(rates):
        won = source.random() < rate
        yield Outcome(
            recall_id=f"r{number}",
            trajectory_id=f"t{number}",
            reward=float(won),
            success=won,
            credited=(("p", 1),),
            family=families[number % len(families)],
            at=START + timedelta(seconds=number),
        )


def changes(rates, *, seed, drift=None):
    """(after how many tasks, change) of everything that was noticed."""
    watches = Watches(drift or Drift())
    return [(n, change) for n, o in enumerate(outcomes(rates, seed=seed), 1) for change in watches.add(o)]


@pytest.mark.parametrize("rate", [0.9, 0.7, 0.4])
def test_without_a_change_there_is_hardly_an_alarm(rate):
    alarms = sum(len(changes([rate] * 2_000, seed=seed)) for seed in range(20))
    assert alarms <= 5  # in 40,000 tasks, each watched twice


def test_a_memory_that_grows_better_is_no_change():
    growing = [0.3 + 0.6 * min(1, n / 500) for n in range(1_500)]
    assert sum(len(changes(growing, seed=seed)) for seed in range(10)) <= 1


@pytest.mark.parametrize(("before", "after", "within"), [(0.85, 0.25, 40), (0.9, 0.5, 80), (0.7, 0.2, 60)])
def test_a_fall_is_noticed_within_so_many_tasks(before, after, within):
    for seed in range(20):
        found = changes([before] * 400 + [after] * 300, seed=seed)
        n, change = next((n, change) for n, change in found if n > 400 and change.family is None)
        assert n <= 400 + within
        assert abs((change.at - START).total_seconds() - 400) <= 25
        assert change.level == pytest.approx(before, abs=0.08)


def test_a_fall_of_one_family_is_named():
    """The others go on as they are, so that all together hardly fall."""
    found = []
    for seed in range(10):
        families = tuple("abcdef")
        rates = [0.85 if n < 600 or n % 6 else 0.1 for n in range(1_200)]
        watches = Watches(Drift())
        found += [c.family for o in outcomes(rates, seed=seed, families=families) for c in watches.add(o)]
    assert found.count("a") == 10
    assert len(found) - found.count("a") <= 4  # of all together, which then finds that only `a` is worse


def test_it_says_what_it_saw():
    _, change = changes([1.0] * 100 + [0.0] * 50, seed=0)[0]
    assert str(change).startswith("the world seems to have changed at 2026-01-01T00:01:40+00:00: of the tasks with")
    assert change.since == 0.0
