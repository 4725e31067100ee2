"""How much better tasks go with memory than without, and how sure that is. Pure functions of counts."""

import math
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from memp.records import Record

Z: Final = 1.959963984540054
"""95 %, two-sided."""
_GRID: Final = 1_000


class Lift(Record):
    """Tasks with memory beside tasks from which it was withheld."""

    name: str
    """`all`, a family, or the id of a procedure."""
    served: int
    served_won: int
    withheld: int
    withheld_won: int
    success: float | None
    """Difference of the success rates, -1 to 1; None when one side is empty. Of a procedure: the posterior mean."""
    low: float | None
    high: float | None
    """Ends of its 95 % interval (Newcombe's; of a procedure: the posterior's)."""
    harm: float
    """Probability that the lift is below 0; 0.5 knows nothing."""
    steps: float | None = None
    """Difference of the mean number of steps: below 0 saves."""
    steps_low: float | None = None
    steps_high: float | None = None
    tokens: float | None = None
    """Difference of the mean tokens of a task."""

    @property
    def help(self) -> float:
        """Probability that the lift is above 0."""
        return 1.0 - self.harm


def wilson(won: float, n: float) -> tuple[float, float]:
    """The Wilson score interval of a rate; (0, 1) of nothing."""
    if n <= 0:
        return 0.0, 1.0
    rate = won / n
    centre = (rate + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z * math.sqrt(rate * (1 - rate) / n + Z * Z / (4 * n * n)) / (1 + Z * Z / n)
    return max(0.0, centre - half), min(1.0, centre + half)


def newcombe(won_a: float, n_a: float, won_b: float, n_b: float) -> tuple[float, float]:
    """The interval of rate a - rate b from their Wilson intervals (Newcombe 1998, method 10)."""
    a, b = won_a / n_a, won_b / n_b
    (low_a, high_a), (low_b, high_b) = wilson(won_a, n_a), wilson(won_b, n_b)
    low = a - b - math.hypot(a - low_a, high_b - b)
    high = a - b + math.hypot(high_a - a, b - low_b)
    return low, high


def below(a: tuple[float, float], b: tuple[float, float]) -> float:
    """The probability that a rate with posterior Beta(*a) is below one with posterior Beta(*b)."""
    density, mass = _beta(*a), _beta(*b)
    # P(A < B) = sum over x of P(A = x) P(B > x), ties shared.
    above = 1.0 - np.cumsum(mass) + mass / 2
    return float(np.clip(density @ above, 0.0, 1.0))


def beta_interval(a: tuple[float, float], b: tuple[float, float]) -> tuple[float, float, float]:
    """Mean and central 95 % of rate a - rate b, by matching the moments of the two posteriors."""
    mean = a[0] / sum(a) - b[0] / sum(b)
    sd = math.sqrt(_variance(*a) + _variance(*b))
    return mean, max(-1.0, mean - Z * sd), min(1.0, mean + Z * sd)


def _variance(a: float, b: float) -> float:
    return a * b / ((a + b) ** 2 * (a + b + 1))


@lru_cache(maxsize=512)
def _beta(a: float, b: float) -> NDArray[np.float64]:
    """Beta(a, b) as probabilities on a grid of midpoints."""
    x = (np.arange(_GRID) + 0.5) / _GRID
    log = (a - 1) * np.log(x) + (b - 1) * np.log1p(-x)
    weights = np.exp(log - log.max())
    made: NDArray[np.float64] = weights / weights.sum()
    return made


def mean_difference(
    a: tuple[float, float, float], b: tuple[float, float, float]
) -> tuple[float | None, float | None, float | None]:
    """Difference of two means with its 95 % interval (Welch), each from (count, sum, sum of squares)."""
    if not a[0] or not b[0]:
        return None, None, None
    difference = a[1] / a[0] - b[1] / b[0]
    if a[0] < 2 or b[0] < 2:
        return difference, None, None
    error = Z * math.sqrt(_error(*a) + _error(*b))
    return difference, difference - error, difference + error


def _error(n: float, total: float, squares: float) -> float:
    return max(0.0, squares - total * total / n) / (n - 1) / n
