"""The few shapes charts are drawn with: plain SVG text, sizes in user units, colours left to the page's style sheet."""

import math
from collections.abc import Iterable, Sequence
from html import escape

from memp.render import clean

FONT = 12.5
"""Size of the text. A chart 400 units wide is readable on a phone (11 px) and in a third of a desktop page."""

LETTER = 0.56 * FONT
"""Mean width of a letter, for planning; nothing breaks when it is a little off."""

LOOKS = 8
"""How many series are told apart by colour and marker; `look` 0 is the plain grey one, kept for the base arm."""


def tag(name: str, *content: str, **attributes: object) -> str:
    """An element; `content` is markup already, attribute values are escaped (`text_anchor` is text-anchor)."""
    head = "".join(
        f' {key.strip("_").replace("_", "-")}="{escape(number(value) if isinstance(value, float) else str(value))}"'
        for key, value in attributes.items()
    )
    return f"<{name}{head}>{''.join(content)}</{name}>" if content else f"<{name}{head}/>"


def number(value: float) -> str:
    """A coordinate, to a tenth: short, and the same on every machine."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def words(x: float, y: float, text: str, *, at: str = "start", kind: str = "") -> str:
    """A line of text with its baseline at `y`; `at` is start, middle or end. Escaped here."""
    return tag("text", escape(plain(text)), x=x, y=y, text_anchor=at, class_=f"t {kind}".strip())


def plain(text: str) -> str:
    """`text` on one line, without control characters."""
    return " ".join(clean(text).split())


def shorten(text: str, width: float) -> str:
    """`text`, cut with an ellipsis so that it takes about `width` units."""
    text = plain(text)
    letters = max(2, int(width / LETTER))
    return text if len(text) <= letters else text[: letters - 1].rstrip() + "…"


def label(x: float, y: float, text: str, width: float, *, at: str = "start", kind: str = "") -> str:
    """Text cut to `width`; the whole of it shows when pointed at."""
    short = shorten(text, width)
    if short == plain(text):
        return words(x, y, short, at=at, kind=kind)
    return tag("g", told(text), words(x, y, short, at=at, kind=kind))


def told(text: str) -> str:
    """What a mark says when it is pointed at or read aloud."""
    return tag("title", escape(plain(text)))


def marker(x: float, y: float, look: int, size: float = 4.0) -> str:
    """The mark of a series: its shape differs as well as its colour."""
    shapes = (
        ((0.0, -1.15), (1.15, 0.0), (0.0, 1.15), (-1.15, 0.0)),
        (),
        ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
        ((0.0, -1.2), (1.1, 0.9), (-1.1, 0.9)),
        ((0.0, 1.2), (1.1, -0.9), (-1.1, -0.9)),
        ((-0.5, -1.1), (0.5, -1.1), (1.1, 0.0), (0.5, 1.1), (-0.5, 1.1), (-1.1, 0.0)),
    )
    corners = shapes[look % len(shapes)]
    if not corners:
        return tag("circle", cx=x, cy=y, r=size, class_="mark")
    points = " ".join(f"{number(x + size * dx)},{number(y + size * dy)}" for dx, dy in corners)
    return tag("polygon", points=points, class_="mark")


def path(points: Iterable[tuple[float, float]], *, closed: bool = False, kind: str) -> str:
    """A line through points."""
    steps = " L".join(f"{number(x)} {number(y)}" for x, y in points)
    return tag("path", d=f"M{steps}{' Z' if closed else ''}", class_=kind)


def diamond(x: float, y: float) -> str:
    """A hollow mark: a figure of the paper."""
    return path([(x, y - 6), (x + 6, y), (x, y + 6), (x - 6, y)], closed=True, kind="paper")


def ticks(low: float, high: float, about: int = 4) -> tuple[float, ...]:
    """Round values from `low` on that cover `high`: steps of 1, 2, 2.5 or 5 times a power of ten."""
    span = high - low
    if not math.isfinite(span) or span <= 0:
        return (low, low + 1.0)
    power = 10.0 ** math.floor(math.log10(span / about))
    step = next(power * n for n in (1, 2, 2.5, 5, 10) if power * n * about >= span * 0.999)
    first = math.floor(low / step + 1e-9)
    return tuple((first + n) * step for n in range(math.ceil(high / step - 1e-9) - first + 1))


def legend(entries: Sequence[tuple[str, int]], left: float, top: float, right: float) -> tuple[str, float]:
    """Names of the series in rows that fit; returns the markup and the height it takes."""
    x, y, parts = left, top, []
    for name, look in entries:
        wide = min(right - left, 24 + len(shorten(name, right - left - 20)) * LETTER)
        if x > left and x + wide > right:
            x, y = left, y + 19
        text = label(x + 15, y + 4, name, right - left - 20)
        parts.append(tag("g", marker(x + 6, y, look), text, class_=f"c{look}"))
        x += wide + 8
    return "".join(parts), y - top + 19


def picture(title: str, says: str, width: float, height: float, parts: Iterable[str]) -> str:
    """A whole chart: as wide as its place allows, named and described for those who do not see it."""
    return tag(
        "svg",
        told(title),
        tag("desc", escape(plain(says))),
        *parts,
        viewBox=f"0 0 {number(width)} {number(height)}",
        role="img",
        class_="chart",
        font_size=FONT,
    )
