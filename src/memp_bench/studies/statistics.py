"""How sure a figure is: intervals, a paired test, a bootstrap over tasks. Plain numbers in, plain numbers out.

The task is the unit everywhere. Episodes of one task under several seeds resemble each other, so a task's episodes
are counted together (its *cluster*): never n = tasks x seeds as if every episode were a task of its own. An interval
says what other tasks of the same kind might have given. It takes the seeds as they are; what another seed might have
given is the standard deviation over seeds, which stands beside it.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import NormalDist, stdev
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

CONFIDENCE = 0.95
_Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)

Numbers = Sequence[float] | npt.NDArray[np.float64]
"""One number a task."""


class Bounds(NamedTuple):
    """The two ends of a 95 % interval."""

    low: float
    high: float


def wilson(successes: float, n: float) -> Bounds:
    """Wilson's score interval (1927, without continuity correction) for a share of `n` independent trials.

    `n` need not be whole: an effective sample size will do. Of no trials at all nothing is known: 0 to 1.

    Raises:
        ValueError: `successes` are not between 0 and `n`.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n} trials")
    if n == 0:
        return Bounds(0.0, 1.0)
    share, z2 = successes / n, _Z**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    # At the borders the formula gives 0 and 1 but for rounding.
    return Bounds(0.0 if successes == 0 else middle - half, 1.0 if successes == n else middle + half)


def effective_size(successes: Numbers, sizes: Numbers) -> float:
    """How many independent episodes the episodes of all tasks are worth: n over the design effect (Kish 1965).

    `successes` and `sizes` are, task by task, episodes won and played. The design effect is the variance of the share
    as a ratio of sums over tasks, beside what n independent episodes would have. It is taken to be at least 1 (seeds
    of one task are never better than tasks of their own: less is noise) and at most n / tasks (no worse than having
    played each task once). Where all episodes ended alike it cannot be told, and the cautious end is taken: the number
    of tasks.
    """
    won, played = np.asarray(successes, float), np.asarray(sizes, float)
    n, tasks = float(played.sum()), int(np.count_nonzero(played))
    if n <= tasks:  # one episode a task
        return n
    share = float(won.sum()) / n
    if tasks < 2 or share in (0.0, 1.0):
        return float(tasks)
    clustered = tasks / (tasks - 1) * float(((won - share * played) ** 2).sum()) / n**2
    effect = clustered / (share * (1 - share) / n)
    return n / min(max(effect, 1.0), n / tasks)


def clustered_wilson(successes: Numbers, sizes: Numbers) -> Bounds:
    """Wilson's interval for the share of episodes won, where tasks were played under several seeds.

    The score interval at the effective sample size: with one episode a task it is `wilson` itself, and with several it
    stays within 0 to 1 and keeps a width when everything was won, which a bootstrap does not. Comparisons of intervals
    for shares under clustering recommend it: Dean and Pagano 2015, Franco et al. 2019 (J. Surv. Stat. Methodol.).
    """
    n = float(np.asarray(sizes, float).sum())
    if n == 0:
        return wilson(0, 0)
    worth, share = effective_size(successes, sizes), float(np.asarray(successes, float).sum()) / n
    return wilson(min(share * worth, worth), worth)


def mcnemar(repairs: int, regressions: int) -> float:
    """McNemar's exact test (1947; two-sided binomial over the pairs that differ): the p-value.

    Pairs are taken as independent. Where tasks were played under several seeds they are not, and p is too small:
    `sign_flips` and the bootstrap interval of the difference are not misled.

    Raises:
        ValueError: a number is negative.
    """
    if min(repairs, regressions) < 0:
        raise ValueError(f"{repairs} repairs and {regressions} regressions")
    n = repairs + regressions
    tail = sum(math.comb(n, k) for k in range(min(repairs, regressions) + 1))
    p: float = 2 * tail / 2**n  # whole numbers of any length: nothing overflows or is rounded before the end
    return min(1.0, p)


def sign_flips(net: Sequence[int]) -> float:
    """McNemar's exact test for tasks with several pairs each: the p-value of `net`, repairs less regressions by task.

    A task's pairs are turned together: had the arms been alike, each task might as well have come out the other way
    round, so all 2^tasks such outcomes are weighed (exactly, by their sums). With one pair a task it is `mcnemar`.
    """
    ways = Counter({0: 1})  # sum -> in how many of the outcomes
    for size in filter(None, net):
        turned: Counter[int] = Counter()
        for total, count in ways.items():
            turned[total + size] += count
            turned[total - size] += count
        ways = turned
    far = sum(count for total, count in ways.items() if abs(total) >= abs(sum(net)))
    p: float = far / ways.total()
    return p


def paired_shares(repairs: float, regressions: float, n: float) -> Bounds:
    """Bonett and Price's interval (2012) for the difference of two shares over `n` pairs.

    A Wald interval after one repair and one regression are added, so that it has a width where no pair differs.
    """
    up, down, n = (repairs + 1) / (n + 2), (regressions + 1) / (n + 2), n + 2
    half = _Z * math.sqrt((up + down - (up - down) ** 2) / n)
    return Bounds(max(-1.0, up - down - half), min(1.0, up - down + half))


class Bootstrap:
    """Percentile intervals from tasks drawn with replacement, all episodes of a task together.

    The draws depend on `seed` and on the number of tasks alone, so the same data give the same interval in every
    process. Sums of whole numbers (successes, steps, tokens) are exact, in whatever order they are added up.

    The interval is somewhat narrow for fewer than about 30 tasks, and has no width where all tasks gave the same.
    """

    def __init__(self, resamples: int = 2_000, seed: str = "memp") -> None:
        self.resamples = resamples
        self._seed = seed
        self._draws: dict[int, npt.NDArray[np.int16]] = {}  # a quarter of the room of floats

    def ratio(self, numerators: Numbers, denominators: Numbers) -> Bounds:
        """For sum(numerators) / sum(denominators), task by task. Tasks whose denominator is 0 take no part.

        Raises:
            ValueError: there is no task with a denominator.
        """
        above, below = np.asarray(numerators, float), np.asarray(denominators, float)
        there = below > 0
        if not there.any():
            raise ValueError("a bootstrap needs at least one task")
        draws = self._counts(int(there.sum()))
        means = (draws @ above[there]) / (draws @ below[there])
        low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
        return Bounds(float(low), float(high))

    def mean(self, values: Numbers) -> Bounds:
        """For the mean of one value a task."""
        return self.ratio(values, np.ones(len(values)))

    def _counts(self, tasks: int) -> npt.NDArray[np.float64]:
        """How often each task is drawn in each resample: (resamples, tasks)."""
        if tasks not in self._draws:
            digest = hashlib.sha256(f"{self._seed} {tasks}".encode()).digest()
            random = np.random.Generator(np.random.PCG64(int.from_bytes(digest)))
            drawn = random.integers(tasks, size=(self.resamples, tasks))
            drawn += tasks * np.arange(self.resamples)[:, np.newaxis]  # a row of bins for each resample
            counts = np.bincount(drawn.ravel(), minlength=self.resamples * tasks)
            self._draws[tasks] = counts.reshape(self.resamples, tasks).astype(np.int16)
        return self._draws[tasks].astype(float)


def spread(values: Iterable[float]) -> float | None:
    """The standard deviation over seeds (n - 1 below the line); None with fewer than two."""
    seeds = list(values)
    return stdev(seeds) if len(seeds) > 1 else None
