"""Intervals and tests against published figures, against their definitions, and against what they promise: coverage."""

import math
import subprocess
import sys
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memp_bench.studies.statistics import (
    Bootstrap,
    clustered_wilson,
    effective_size,
    mcnemar,
    paired_shares,
    sign_flips,
    spread,
    wilson,
)

TRIALS = 800
"""Samples of a coverage study: 95 % is then met within 2 points, at 2.6 standard errors."""


# -- Wilson --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_as_in_newcombes_table(successes, n, low, high):
    """Newcombe 1998, Statistics in Medicine 17:857, table I, method 3."""
    assert wilson(successes, n) == pytest.approx((low, high), abs=5e-5)
    assert wilson(n - successes, n) == pytest.approx((1 - high, 1 - low), abs=5e-5)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_ends_where_the_score_test_would_just_reject(case):
    successes, n = case
    low, high = wilson(successes, n)
    assert 0 <= low <= successes / n <= high <= 1
    for end in {low, high} - {0.0, 1.0}:
        assert abs(successes / n - end) / math.sqrt(end * (1 - end) / n) == pytest.approx(1.959964, rel=1e-4)


def test_wilson_of_nothing_and_of_nonsense():
    assert wilson(0, 0) == (0, 1)
    assert (wilson(0, 7).low, wilson(7, 7).high) == (0, 1)
    for successes, n in ((3, 2), (-1, 2), (0, -1)):
        with pytest.raises(ValueError, match="successes"):
            wilson(successes, n)


def test_wilson_covers_what_it_promises():
    """Exact, from the binomial distribution: 140 tasks and every rate from 2 to 98 %."""
    n, ends = 140, [wilson(k, 140) for k in range(141)]
    covered = []
    for rate in np.arange(0.02, 0.981, 0.005):
        chances = [math.comb(n, k) * rate**k * (1 - rate) ** (n - k) for k in range(n + 1)]
        covered.append(sum(c for c, (low, high) in zip(chances, ends, strict=True) if low <= rate <= high))
    assert np.mean(covered) == pytest.approx(0.951, abs=0.004)  # Newcombe: .952 over all n and rates
    assert min(covered) > 0.92


# -- clusters ------------------------------------------------------------------------------------------


def test_one_episode_a_task_is_wilson_itself():
    won = [1, 0, 1, 1, 0, 0, 1]
    assert effective_size(won, [1] * 7) == 7
    assert clustered_wilson(won, [1] * 7) == wilson(4, 7)


def test_seeds_that_say_the_same_add_nothing():
    won = np.array([1, 0, 1, 1, 0, 0, 1, 1])
    assert effective_size(3 * won, [3] * 8) == 8
    assert clustered_wilson(3 * won, [3] * 8) == wilson(5, 8)
    assert clustered_wilson([3] * 8, [3] * 8) == wilson(8, 8)  # all won: it cannot be told, so the tasks count
    assert clustered_wilson([2], [3]) == wilson(2 / 3, 1)


def test_seeds_that_differ_as_tasks_do_count_in_full():
    random = np.random.default_rng(3)
    won = random.binomial(3, 0.4, size=2_000)
    assert effective_size(won, [3] * 2_000) == pytest.approx(6_000, rel=0.08)
    assert effective_size([1, 2, 1, 2], [3] * 4) == 12  # more alike than chance: never worth more than n


def test_episodes_of_nothing():
    assert (effective_size([], []), clustered_wilson([], [])) == (0, (0, 1))
    assert effective_size([0, 2], [0, 2]) == 1  # a task without a counted episode is none


def clusters(random, tasks=80, seeds=3):
    """Tasks of their own difficulty (on average 50 %; half of the variance lies between them): won of each."""
    return random.binomial(seeds, random.beta(0.5, 0.5, size=tasks))


def test_clustered_wilson_covers_where_episodes_as_if_independent_do_not():
    random, seeds, hits, naive = np.random.default_rng(1), 3, 0, 0
    for _ in range(TRIALS):
        won = clusters(random)
        low, high = clustered_wilson(won, [seeds] * len(won))
        hits += low <= 0.5 <= high
        low, high = wilson(won.sum(), seeds * len(won))
        naive += low <= 0.5 <= high
    assert hits / TRIALS == pytest.approx(0.95, abs=0.02)
    assert naive / TRIALS < 0.9


# -- McNemar and pairs ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("repairs", "regressions", "p"), [(7, 1, 0.0703), (1, 7, 0.0703), (16, 6, 0.0525)])
def test_mcnemar_as_published(repairs, regressions, p):
    """Fagerland, Lydersen and Laake 2013, BMC Med. Res. Methodol. 13:91: exact conditional test, both examples."""
    assert mcnemar(repairs, regressions) == pytest.approx(p, abs=5e-5)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_binomial_test_of_a_fair_coin(repairs, regressions):
    n, far = repairs + regressions, abs(repairs - regressions)
    as_far = sum(math.comb(n, k) for k in range(n + 1) if abs(n - 2 * k) >= far)
    assert mcnemar(repairs, regressions) == pytest.approx(as_far / 2**n)


def test_mcnemar_without_pairs_that_differ_and_with_very_many():
    assert mcnemar(0, 0) == mcnemar(4, 4) == 1
    assert 0 < mcnemar(1_600, 1_400) < 0.001
    assert mcnemar(3_000, 0) == 0  # less than a float can hold
    with pytest.raises(ValueError, match="regressions"):
        mcnemar(-1, 3)


@given(st.lists(st.sampled_from((-1, 0, 1)), max_size=80))
def test_sign_flips_are_mcnemar_where_each_task_has_one_pair(net):
    assert sign_flips(net) == pytest.approx(mcnemar(net.count(1), net.count(-1)))


@given(st.lists(st.integers(-3, 3), max_size=8))
def test_sign_flips_weigh_every_way_to_turn_the_tasks(net):
    ways = [abs(sum(s * n for s, n in zip(signs, net, strict=True))) for signs in product((1, -1), repeat=len(net))]
    assert sign_flips(net) == pytest.approx(sum(way >= abs(sum(net)) for way in ways) / len(ways))


def test_sign_flips_keep_their_level_where_mcnemar_over_all_pairs_does_not():
    """Tasks each have a leaning of their own towards one arm; on the whole the arms are alike."""
    random, found, naive = np.random.default_rng(6), 0, 0
    for _ in range(TRIALS):
        first, second = (random.binomial(1, random.beta(0.5, 0.5, size=(60, 1)), size=(60, 3)) for _ in range(2))
        change = first - second
        found += sign_flips(change.sum(axis=1).tolist()) < 0.05
        naive += mcnemar(int((change > 0).sum()), int((change < 0).sum())) < 0.05
    assert 0.02 < found / TRIALS < 0.065
    assert naive / TRIALS > 0.1


def test_paired_shares_has_a_width_where_nothing_differs():
    low, high = paired_shares(0, 0, 140)
    assert low == -high
    assert high == pytest.approx(1.96 * math.sqrt(2) / 142, rel=1e-3)
    assert paired_shares(0, 0, 0) == (-1, 1)
    assert paired_shares(5, 0, 5).high <= 1


def test_paired_shares_covers():
    random, hits = np.random.default_rng(2), 0
    for better, worse, _ in random.multinomial(60, (0.15, 0.05, 0.80), size=5 * TRIALS):
        low, high = paired_shares(better, worse, 60)
        hits += low <= 0.1 <= high
    assert hits / (5 * TRIALS) == pytest.approx(0.95, abs=0.015)


# -- bootstrap -----------------------------------------------------------------------------------------


def test_the_bootstrap_agrees_with_theory():
    values = np.random.default_rng(5).normal(20, 6, size=140)
    low, high = Bootstrap().mean(values)
    half = 1.96 * values.std() / math.sqrt(140)
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.1 * half)


def test_it_repeats_in_another_process():
    code = "from memp_bench.studies.statistics import Bootstrap; print(list(Bootstrap().mean([1.0, 5, 2, 8, 3, 9, 4])))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == str(list(Bootstrap().mean([1.0, 5, 2, 8, 3, 9, 4])))
    other = Bootstrap(seed="other").mean([1.0, 5, 2, 8, 3, 9, 4.1])
    assert other != Bootstrap().mean([1.0, 5, 2, 8, 3, 9, 4.1])


def test_it_draws_tasks_not_episodes():
    values = np.random.default_rng(7).normal(0, 1, size=50)
    once, thrice = Bootstrap().mean(values), Bootstrap().ratio(3 * values, [3] * 50)
    assert thrice == pytest.approx(once)


def test_the_bootstrap_at_its_borders():
    bootstrap = Bootstrap(200)
    assert bootstrap.mean([4, 4, 4]) == (4, 4)
    assert bootstrap.mean([7]) == (7, 7)
    assert bootstrap.ratio([3, 9, 0], [1, 1, 0]) == bootstrap.mean([3, 9])
    for nothing in ([], [0, 0]):
        with pytest.raises(ValueError, match="at least one"):
            bootstrap.ratio(nothing, nothing)


def test_the_clustered_bootstrap_covers_where_episodes_as_if_independent_do_not():
    """Steps: tasks of their own length, three seeds each; the mean over all tasks is 20."""
    random, bootstrap, hits, naive = np.random.default_rng(4), Bootstrap(1_000), 0, 0
    for _ in range(TRIALS):
        steps = random.gamma(8, 2.5, size=(80, 1)) + random.normal(0, 3, size=(80, 3))
        low, high = bootstrap.ratio(steps.sum(axis=1), [3] * 80)
        hits += low <= 20 <= high
        half = 1.96 * steps.std() / math.sqrt(240)
        naive += abs(steps.mean() - 20) <= half
    assert hits / TRIALS == pytest.approx(0.945, abs=0.02)
    assert naive / TRIALS < 0.85


def test_the_spread_over_seeds():
    assert spread([0.5]) is spread([]) is None
    assert spread([0.4, 0.5, 0.6]) == pytest.approx(0.1)
