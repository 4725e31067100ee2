"""Episodes put together to one figure."""

import random
from math import copysign

import pytest

from memp_bench.studies.pooling import Score, by_task, distribution, exact, interval
from memp_bench.studies.statistics import Bootstrap

SCORES = [Score(f"t{n % 12}", (7 * n) % 5, 1 + n % 3) for n in range(40)]


@pytest.mark.parametrize("kind", ["share", "mean"])
def test_who_came_first_does_not_matter(kind):
    shuffled = random.Random(3).sample(SCORES, len(SCORES))
    first, other = (interval({0: some}, kind, Bootstrap()) for some in (SCORES, shuffled))
    assert first == other
    assert first.low < first.value < first.high


def test_tasks_are_summed_up_by_name():
    parts, wholes = by_task([Score("b", 1), Score("a", 3, 4), Score("b", 2)])
    assert (parts.tolist(), wholes.tolist()) == ([3, 3], [4, 2])


def test_of_nothing_there_is_no_figure():
    for make in (lambda: by_task([]), lambda: interval({0: []}, "mean", Bootstrap()), lambda: distribution([])):
        with pytest.raises(ValueError, match="nothing"):
            make()


def test_a_seed_without_episodes_has_no_part_in_the_spread():
    scores = {0: [Score("a", 1)], 1: [], 2: [Score("a", 3)]}
    found = interval(scores, "mean", Bootstrap())
    assert (found.value, found.sd) == (2, exact(2**0.5))


def test_quantiles():
    found = distribution([10, 0, 5])
    assert (found.p10, found.p50, found.p90, found.mean, found.n) == (1, 5, 9, 5, 3)


def test_numbers_are_written_alike_everywhere():
    assert exact(2 / 3) == 0.6666666667
    assert copysign(1, exact(-1e-12)) == 1  # never -0.0
