"""Curves with 95 % bands over tasks played or over k, drawn like the other charts."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from memp_bench.studies.charts import WIDE, Scale, finite
from memp_bench.studies.results import Interval
from memp_bench.studies.svg import diamond, legend, marker, path, picture, tag, ticks, told, words


class Line(NamedTuple):
    """A series of a chart with curves; `paper` are figures of the paper at the same places."""

    name: str
    look: int
    points: tuple[tuple[float, Interval], ...]
    paper: tuple[tuple[float, float], ...] = ()


def curves(title: str, lines: Sequence[Line], scale: Scale, across: str) -> str:
    """Lines with 95 % bands; `across` names the x axis."""
    lines = [line._replace(points=tuple(p for p in line.points if finite(p[1]))) for line in lines]
    seen = [point for line in lines for point in line.points]
    high_x = max((at for at, _ in seen), default=1.0)
    quoted = [figure for line in lines for _, figure in line.paper]
    highest = max([*(value.high for _, value in seen), *quoted], default=1.0)
    up = scale.marks(highest, min([*(value.low for _, value in seen), *quoted], default=0.0))
    along = [tick for tick in ticks(0.0, high_x, 5) if tick <= high_x * 1.001] or [0.0, 1.0]
    left, right, top, bottom = 34.0, WIDE - 10, 12.0, 212.0

    def x(value: float) -> float:
        return left + (right - left) * value / (high_x or 1.0)

    def y(value: float) -> float:
        return bottom - (bottom - top) * min(1.0, max(0.0, (value - up[0]) / (up[-1] - up[0])))

    parts = [tag("line", x1=left, x2=right, y1=y(tick), y2=y(tick), class_="grid") for tick in up]
    parts += [words(left - 6, y(tick) + 4, scale.tick(tick), at="end", kind="soft") for tick in up]
    parts += [words(x(tick), bottom + 17, f"{tick:g}", at="middle", kind="soft") for tick in along]
    parts.append(words((left + right) / 2, bottom + 36, across, at="middle", kind="soft"))
    parts += [_band(line, x, y) for line in lines]
    parts += [_curve(line, x, y, scale) for line in lines]
    keys, below = legend([(line.name, line.look) for line in lines], left, bottom + 58, WIDE)
    says = "; ".join(
        f"{line.name}: from {scale.text(line.points[0][1].value)} to {scale.text(line.points[-1][1].value)}"
        for line in lines
        if line.points
    )
    return picture(title, f"{scale.name} over {across}. {says}", WIDE, bottom + 50 + below, [*parts, keys])


def _band(line: Line, x: Callable[[float], float], y: Callable[[float], float]) -> str:
    there = [(x(at), y(value.high)) for at, value in line.points]
    back = [(x(at), y(value.low)) for at, value in reversed(line.points)]
    return tag("g", path(there + back, closed=True, kind="band"), class_=f"c{line.look}") if len(there) > 1 else ""


def _curve(line: Line, x: Callable[[float], float], y: Callable[[float], float], scale: Scale) -> str:
    parts = [path([(x(at), y(v.value)) for at, v in line.points], kind="line")] if len(line.points) > 1 else []
    for at, v in line.points:
        says = f"{line.name}, {at:g}: {scale.text(v.value)} ({scale.text(v.low)} to {scale.text(v.high)})"
        parts.append(tag("g", told(says), marker(x(at), y(v.value), line.look, 3.4)))
    for at, figure in line.paper:
        parts.append(tag("g", told(f"paper, {at:g}: {scale.text(figure)}"), diamond(x(at), y(figure))))
    return tag("g", *parts, class_=f"c{line.look}") if parts else ""
