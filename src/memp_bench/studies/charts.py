"""Charts of a study as SVG inside the page: no script, colours from the page's light or dark theme, labels as text.

Drawn by ourselves because a picture of matplotlib's cannot follow the reader's theme, nor be searched or read aloud.
Every series differs by marker as well as by colour, and every figure drawn stands in a table too.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from memp_bench.studies.results import Distribution, Interval
from memp_bench.studies.svg import (
    LETTER,
    diamond,
    label,
    legend,
    marker,
    picture,
    plain,
    shorten,
    tag,
    ticks,
    told,
    words,
)

WIDE = 400.0
ROW = 25.0


class Scale(NamedTuple):
    """How an axis reads: `share` from 0 to 100 %, else from 0 up to what there is."""

    name: str
    share: bool = False
    unit: float = 1.0
    """Values are divided by it: 1000 for thousands."""
    digits: int = 1
    top: float | None = None
    """Where the axis ends; None ends it above what there is."""

    def text(self, value: float) -> str:
        """A figure as a mark says it."""
        if self.share:
            return f"{100 * value:.0f}"
        value /= self.unit
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{self.digits}f}"

    def tick(self, value: float) -> str:
        """A value as the axis says it: no more digits than it has."""
        return self.text(value) if self.share else f"{value / self.unit:,.4g}"

    def marks(self, highest: float, lowest: float = 0.0) -> tuple[float, ...]:
        """Where the axis is labelled."""
        if self.share or self.top:
            return tuple(n / 4 * (self.top or 1.0) for n in range(5))
        return ticks(lowest, highest or 1.0)


class Mark(NamedTuple):
    """A figure of a row."""

    name: str
    look: int
    value: Interval | None


class Row(NamedTuple):
    """One line of a chart: its figures, and the paper's."""

    name: str
    marks: tuple[Mark, ...]
    paper: float | None = None


class Side(NamedTuple):
    """What memory repaired and what it broke."""

    name: str
    look: int
    repairs: int
    regressions: int


class Spread(NamedTuple):
    """How a quantity is spread over episodes."""

    name: str
    look: int
    of: Distribution | None


def finite(value: Interval | None) -> Interval | None:
    """A figure that can be drawn, or None."""
    return value if value and all(map(math.isfinite, (value.value, value.low, value.high))) else None


def _rail(names: Sequence[str], most: float = 150.0) -> float:
    """How much room the names on the left take."""
    return min(most, max((len(plain(name)) for name in names), default=0) * LETTER + 10)


def _axis(x: Callable[[float], float], scale: Scale, marks: Sequence[float], top: float, bottom: float) -> list[str]:
    """Upright grid lines with their values below, and what they mean."""
    parts = [tag("line", x1=x(m), x2=x(m), y1=top, y2=bottom, class_="grid") for m in marks]
    parts += [words(x(m), bottom + 16, scale.tick(m), at="middle", kind="soft") for m in marks]
    middle = (x(marks[0]) + x(marks[-1])) / 2
    return [*parts, words(middle, bottom + 34, scale.name, at="middle", kind="soft")]


def forest(title: str, groups: Sequence[tuple[str, Sequence[Row]]], scale: Scale) -> str:
    """A dot with its 95 % interval a row; the paper's figure as a hollow diamond."""
    rows = [row for _, members in groups for row in members]
    found = [value for row in rows for mark in row.marks if (value := finite(mark.value))]
    highest = max([v.high for v in found] + [row.paper for row in rows if row.paper is not None], default=1.0)
    marks = scale.marks(highest)
    single = all(len(row.marks) == 1 for row in rows)
    left, right = _rail([row.name for row in rows]), WIDE - (40 if single else 14)

    def x(value: float) -> float:
        return left + (right - left) * min(1.0, max(0.0, value / marks[-1]))

    y, parts = 6.0, []
    for heading, members in groups:
        if heading:
            y += ROW
            parts.append(label(0, y - 7, heading, WIDE, kind="head"))
        for row in members:
            tall = ROW if single else max(ROW, 9.0 * len(row.marks) + 12)
            parts.append(_forest_row(row, y, tall, x, scale, single=single))
            y += tall
    names = [] if single or not rows else [(mark.name, mark.look) for mark in rows[0].marks]
    keys, below = legend(names, left, y + 52, WIDE) if names else ("", 0.0)
    says = "; ".join(f"{row.name}: {_told(row, scale)}" for row in rows)
    return picture(title, says, WIDE, y + 40 + below, [*_axis(x, scale, marks, 6.0, y), *parts, keys])


def _told(row: Row, scale: Scale) -> str:
    parts = []
    for mark in row.marks:
        value = finite(mark.value)
        name = f"{mark.name} " if len(row.marks) > 1 else ""
        span = (
            f"{scale.text(value.value)} ({scale.text(value.low)} to {scale.text(value.high)})" if value else "nothing"
        )
        parts.append(name + span)
    return ", ".join(parts) + ("" if row.paper is None else f", paper {scale.text(row.paper)}")


def _forest_row(row: Row, top: float, tall: float, x: Callable[[float], float], scale: Scale, *, single: bool) -> str:
    middle = top + tall / 2
    parts = [told(f"{row.name}: {_told(row, scale)}"), label(0, middle + 4, row.name, x(0.0) - 8)]
    for n, mark in enumerate(row.marks):
        value = finite(mark.value)
        y = middle + 9.0 * (n - (len(row.marks) - 1) / 2)
        if value is None:
            parts.append(words(x(0.0) + 4, y + 4, "none counted", kind="soft") if single else "")
            continue
        bar = tag("line", x1=x(value.low), x2=x(value.high), y1=y, y2=y, class_="whisker")
        parts.append(tag("g", bar, marker(x(value.value), y, mark.look), class_=f"c{mark.look}"))
        if single:
            parts.append(words(WIDE, y + 4, scale.text(value.value), at="end", kind="num"))
    if row.paper is not None:
        parts.append(diamond(x(row.paper), middle))
    return tag("g", *parts)


def balance(title: str, groups: Sequence[tuple[str, Sequence[Side]]]) -> str:
    """Regressions to the left, repairs to the right of a line."""
    sides = [side for _, members in groups for side in members]
    most = max([1, *(max(side.repairs, side.regressions) for side in sides)])
    left = _rail([side.name for side in sides])
    middle, reach = (left + WIDE) / 2, (WIDE - left) / 2 - 34
    parts = [
        words(middle - 8, 14, "regressions", at="end", kind="soft"),
        words(middle + 8, 14, "repairs", kind="soft"),
    ]
    y = 22.0
    for heading, members in groups:
        if heading:
            y += ROW
            parts.append(label(0, y - 7, heading, WIDE, kind="head"))
        for side in members:
            lost, won = reach * side.regressions / most, reach * side.repairs / most
            row = [
                told(f"{side.name}: {side.repairs} repairs, {side.regressions} regressions"),
                label(0, y + ROW / 2 + 4, side.name, left - 8),
                tag("rect", x=middle - lost, y=y + 5, width=lost, height=ROW - 10, class_="lost"),
                tag("rect", x=middle, y=y + 5, width=won, height=ROW - 10, class_="won"),
                words(middle - lost - 5, y + ROW / 2 + 4, str(side.regressions), at="end", kind="num"),
                words(middle + won + 5, y + ROW / 2 + 4, str(side.repairs), kind="num"),
            ]
            parts.append(tag("g", *row))
            y += ROW
    parts.append(tag("line", x1=middle, x2=middle, y1=20.0, y2=y, class_="zero"))
    says = "; ".join(f"{side.name}: {side.repairs} repairs, {side.regressions} regressions" for side in sides)
    return picture(title, says, WIDE, y + 6, parts)


def heat(title: str, rows: Sequence[str], columns: Sequence[str], cells: Sequence[Sequence[Interval | None]]) -> str:
    """Shares as shades with their number inside: one row a kind of task, one column an arm."""
    left, tall = _rail(rows, max(110.0, min(210.0, WIDE - 40.0 * len(columns)))), 28.0
    step = max(34.0, (WIDE - left) / max(1, len(columns)))
    upright = step < max((len(plain(column)) for column in columns), default=0) * LETTER
    top = 20.0 if not upright else min(110.0, 14 + max(len(plain(column)) for column in columns) * LETTER * 0.78)
    width = left + step * len(columns)
    parts = []
    for n, column in enumerate(columns):
        at = left + step * (n + 0.5)
        if upright:
            turn = f"rotate(-52 {at:.1f} {top - 6:.1f})"
            parts.append(tag("g", label(at, top - 6, column, 128.0), transform=turn))
        else:
            parts.append(label(at, top - 6, column, step, at="middle"))
    for m, (name, values) in enumerate(zip(rows, cells, strict=True)):
        y = top + tall * m
        parts.append(label(0, y + tall / 2 + 4, name, left - 8))
        for n, (column, value) in enumerate(zip(columns, values, strict=True)):
            parts.append(_tile(f"{name}, {column}", finite(value), left + step * n, y, step, tall))
    # room for the last slanting name, which leans over the right edge
    slack = max(0.0, len(shorten(columns[-1], 128.0)) * LETTER * 0.62 - step / 2) if upright and columns else 0.0
    says = "; ".join(
        f"{name}: {', '.join(_share(v) for v in values)}" for name, values in zip(rows, cells, strict=True)
    )
    return picture(title, f"Columns: {', '.join(columns)}. {says}", width + slack, top + tall * len(rows) + 4, parts)


def _share(value: Interval | None) -> str:
    value = finite(value)
    return f"{100 * value.value:.0f}" if value else "–"


def _tile(name: str, value: Interval | None, x: float, y: float, wide: float, tall: float) -> str:
    says = f"{name}: {_share(value)} %, {value.n} episodes" if value else f"{name}: nothing counted"
    shade = f"fill-opacity:{0.04 + 0.6 * value.value:.2f}" if value else "fill-opacity:0"
    box = tag("rect", x=x + 1, y=y + 1, width=wide - 2, height=tall - 2, rx=3, class_="tile", style=shade)
    return tag("g", told(says), box, words(x + wide / 2, y + tall / 2 + 4, _share(value), at="middle", kind="num"))


def strips(title: str, groups: Sequence[tuple[str, Sequence[Spread]]], scale: Scale) -> str:
    """Spread over episodes: a bar from the 10th to the 90th percentile, the median, the mean as an upright line."""
    spreads = [spread for _, members in groups for spread in members]
    marks = scale.marks(max((max(s.of.p90, s.of.mean) for s in spreads if s.of), default=1.0))
    left, right = _rail([spread.name for spread in spreads]), WIDE - 44

    def x(value: float) -> float:
        return left + (right - left) * min(1.0, max(0.0, value / marks[-1]))

    y, parts = 6.0, []
    for heading, members in groups:
        if heading:
            y += ROW
            parts.append(label(0, y - 7, heading, WIDE, kind="head"))
        for spread in members:
            parts.append(_strip(spread, y + ROW / 2, x, scale))
            y += ROW
    says = "; ".join(f"{s.name}: {_spread(s.of, scale)}" for s in spreads)
    return picture(title, says, WIDE, y + 40, [*_axis(x, scale, marks, 6.0, y), *parts])


def _spread(of: Distribution | None, scale: Scale) -> str:
    if of is None:
        return "nothing"
    return f"median {scale.text(of.p50)}, {scale.text(of.p10)} to {scale.text(of.p90)}, mean {scale.text(of.mean)}"


def _strip(spread: Spread, y: float, x: Callable[[float], float], scale: Scale) -> str:
    name = label(0, y + 4, spread.name, x(0.0) - 8)
    if spread.of is None:
        return tag("g", name, words(x(0.0) + 4, y + 4, "none counted", kind="soft"))
    of = spread.of
    parts = [
        tag("rect", x=x(of.p10), y=y - 5, width=max(1.0, x(of.p90) - x(of.p10)), height=10, rx=5, class_="strip"),
        tag("line", x1=x(of.mean), x2=x(of.mean), y1=y - 8, y2=y + 8, class_="mean"),
        marker(x(of.p50), y, spread.look),
    ]
    says = told(f"{spread.name}: {_spread(of, scale)}")
    value = words(WIDE, y + 4, scale.text(of.p50), at="end", kind="num")
    return tag("g", says, name, tag("g", *parts, class_=f"c{spread.look}"), value)
