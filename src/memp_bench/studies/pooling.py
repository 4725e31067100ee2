"""Figures of many episodes put together: one record with value, interval and spread over seeds."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from memp_bench.studies.results import Distribution, Interval
from memp_bench.studies.statistics import Bootstrap, Bounds, clustered_wilson, paired_shares, spread

DIGITS = 10
"""Decimals that are kept: more than anyone reads, fewer than two machines may differ in."""


class Score(NamedTuple):
    """What one episode adds to a figure: `part` of `whole` (won of 1, steps of 1 episode, kept of 8 constraints)."""

    task: str
    part: float
    whole: float = 1.0


Kind = Literal["share", "mean", "difference"]
"""`share`: part <= whole. `mean`: any numbers. `difference`: of two shares, each part -1, 0 or 1."""


def interval(by_seed: Mapping[int, Sequence[Score]], kind: Kind, bootstrap: Bootstrap) -> Interval:
    """The figure over all seeds: the sum of parts by the sum of wholes.

    A share of tasks gets Wilson's interval, clustered by task where there are several seeds. Means, differences and
    ratios of sums (micro metrics) get a bootstrap over tasks. Where that would have no width and yet nothing is
    certain (a ratio of 0 or 1, a difference without a pair that differs), an interval for such cases stands in.

    Raises:
        ValueError: there is no score at all.
    """
    scores = [score for seed in by_seed.values() for score in seed]
    parts, wholes = by_task(scores)
    value = float(parts.sum() / wholes.sum())
    bounds = _bounds(scores, parts, wholes, kind, bootstrap)
    sd = spread(share for seed in by_seed.values() if (share := _ratio(seed)) is not None)
    return Interval(
        value=exact(value),
        low=exact(bounds.low),
        high=exact(bounds.high),
        n=len(scores),
        sd=None if sd is None else exact(sd),
    )


def _bounds(scores: Sequence[Score], parts: np.ndarray, wholes: np.ndarray, kind: Kind, bootstrap: Bootstrap) -> Bounds:
    if kind == "share" and (parts.sum() in (0, wholes.sum()) or all(score.whole == 1 for score in scores)):
        return clustered_wilson(parts, wholes)
    if kind == "difference" and not np.ptp(parts / wholes):
        better = sum(score.part > 0 for score in scores) / len(scores)
        worse = sum(score.part < 0 for score in scores) / len(scores)
        return paired_shares(better * len(parts), worse * len(parts), len(parts))
    return bootstrap.ratio(parts, wholes)


def by_task(scores: Iterable[Score]) -> tuple[np.ndarray, np.ndarray]:
    """Sums of parts and of wholes, task by task, in the order of their names: so it never matters who came first.

    Raises:
        ValueError: there is no score.
    """
    sums: dict[str, tuple[float, float]] = {}
    for task, part, whole in scores:
        before = sums.get(task, (0.0, 0.0))
        sums[task] = (before[0] + part, before[1] + whole)
    if not sums:
        raise ValueError("there is nothing to put together")
    parts, wholes = zip(*(sums[task] for task in sorted(sums)), strict=True)
    return np.array(parts), np.array(wholes)


def _ratio(scores: Sequence[Score]) -> float | None:
    whole = sum(score.whole for score in scores)
    return sum(score.part for score in scores) / whole if whole else None


def distribution(values: Sequence[float]) -> Distribution:
    """Mean and quantiles (between two values, in proportion).

    Raises:
        ValueError: there is no value.
    """
    if not values:
        raise ValueError("there is nothing to put together")
    low, middle, high = (exact(float(q)) for q in np.quantile(values, (0.1, 0.5, 0.9)))
    mean = exact(float(np.mean(np.sort(values))))
    return Distribution(mean=mean, p10=low, p50=middle, p90=high, n=len(values))


def exact(number: float) -> float:
    """`number` at the decimals that are kept, and never -0."""
    return round(number, DIGITS) + 0.0
