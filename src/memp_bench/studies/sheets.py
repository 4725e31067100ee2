"""Tables of a report before they take a form: what the page and the Markdown file both show, figure by figure."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from memp_bench.studies.results import Build, Cell, Comparison, Distribution, Interval

SHARES = {
    "success": "Success, %",
    "delivery": "Delivery, %",
    "commonsense_micro": "#CS, %",
    "commonsense_macro": "#CS macro, %",
    "hard_micro": "#HC, %",
    "hard_macro": "#HC macro, %",
    "final": "Final pass, %",
}
"""Measures that are shares, 0 to 1 in the records, and the heads of their columns; #CS and #HC as in the paper."""

MEANS = {"steps": "Steps", "tokens": "Tokens", "calls": "Calls"}
"""Measures that are means per episode."""

MAIN = ("success", "delivery", "commonsense_micro", "hard_micro", "steps")
"""Measures of the main table, where a place has them."""


class Entry(NamedTuple):
    """One figure of a table: how sure it is and what the paper has stand beside it."""

    text: str
    span: str = ""
    paper: str = ""
    tone: Literal["", "good", "bad"] = ""
    """Whether a difference is for the better; empty where its interval holds zero."""


class Row(NamedTuple):
    """A line of a table."""

    name: str
    entries: tuple[Entry, ...]


class Sheet(NamedTuple):
    """A table: rows in named groups (the backbones), the first column naming the row."""

    title: str
    stub: tuple[str, str]
    """What groups and rows are, `("Backbone", "Arm")`; an empty first says that there is one group only."""
    columns: tuple[str, ...]
    groups: tuple[tuple[str, tuple[Row, ...]], ...]


NOTHING = Entry("–")


def ordered(names: Iterable[str]) -> list[str]:
    """Measures in the order of the paper's tables, others after them by name."""
    known = [*SHARES, *MEANS]
    return sorted(set(names), key=lambda name: (known.index(name) if name in known else len(known), name))


def head(measure: str) -> str:
    """What a measure's column is called."""
    return (SHARES | MEANS).get(measure, measure.replace("_", " "))


def show(measure: str, value: float, *, signed: bool = False) -> str:
    """A figure as people read it: shares in percent, with a real minus sign."""
    if not math.isfinite(value):
        return "–"
    value = 100 * value if measure in SHARES else value
    digits = 0 if abs(value) >= 1000 or measure == "tokens" else 1
    value = round(value, digits)
    return f"{value:{'+' if signed and value else ''},.{digits}f}".replace("-", "−") if value else f"{0:.{digits}f}"


def figure(measure: str, value: Interval | None, paper: float | None = None) -> Entry:
    """A figure with its interval, and the paper's where there is one."""
    beside = "" if paper is None else _paper(measure, paper)
    if value is None or not value.n:
        return Entry("–", paper=beside)
    return Entry(show(measure, value.value), _span(measure, value), beside)


def difference(measure: str, value: Interval, better: Literal[1, -1]) -> Entry:
    """A signed difference; its tone says better or worse only where the interval does not hold zero."""
    if not value.n:
        return NOTHING
    sure = value.low > 0 or value.high < 0
    tone: Literal["", "good", "bad"] = "" if not sure else "good" if (value.value > 0) == (better > 0) else "bad"
    return Entry(show(measure, value.value, signed=True), _span(measure, value, signed=True), tone=tone)


def _span(measure: str, value: Interval, *, signed: bool = False) -> str:
    return f"[{show(measure, value.low, signed=signed)}, {show(measure, value.high, signed=signed)}]"


def _paper(measure: str, value: float) -> str:
    """As precise as it is printed, at most two decimals."""
    text = f"{100 * value if measure in SHARES else value:.2f}"
    return text.rstrip("0").rstrip(".")


def count(value: int | float) -> Entry:
    """A whole number, thousands apart."""
    return Entry(f"{value:,.0f}")


def chance(p: float) -> str:
    """A p-value."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def by_backbone(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    """The cells of each backbone, in the order they come."""
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        found.setdefault(cell.backbone, []).append(cell)
    return found


def sheet_of(
    title: str, cells: Sequence[Cell], columns: Sequence[str], entries: Callable[[Cell], Iterable[Entry]]
) -> Sheet:
    """A table with a row for every cell, grouped by backbone."""
    groups = tuple(
        (backbone, tuple(Row(cell.arm, tuple(entries(cell))) for cell in members))
        for backbone, members in by_backbone(cells).items()
    )
    return Sheet(title, ("Backbone", "Arm"), tuple(columns), groups)


def main_sheet(cells: Sequence[Cell], base: str) -> Sheet:
    """Success, the paper's other measures and steps; and what memory repaired and broke beside every gain."""
    measures = [name for name in MAIN if any(name in cell.measures for cell in cells)]

    def entries(cell: Cell) -> Iterable[Entry]:
        yield count(cell.episodes)
        for name in measures:
            yield figure(name, cell.measures.get(name), cell.paper.get(name))
        yield from _gain(cell.versus)

    gain = (f"Gain over “{base}”", "Repairs", "Regressions", "p")
    return sheet_of("Results", cells, ("Episodes", *map(head, measures), *gain), entries)


def _gain(versus: Comparison | None) -> tuple[Entry, ...]:
    if versus is None or not versus.pairs:
        return (NOTHING,) * 4
    gain = difference("success", versus.success, 1)
    p = Entry(chance(versus.p))
    if versus.p_tasks is not None and chance(versus.p_tasks) != p.text:
        p = Entry(chance(versus.p_tasks), f"McNemar {p.text}")
    return gain, count(versus.repairs), count(versus.regressions), p


def paired_sheet(cells: Sequence[Cell], base: str) -> Sheet:
    """Steps and tokens against the base arm, task by task."""

    def entries(cell: Cell) -> Iterable[Entry]:
        versus = cell.versus
        if versus is None:
            return (NOTHING,) * 3
        steps, tokens = difference("steps", versus.steps, -1), difference("tokens", versus.tokens, -1)
        return count(versus.pairs), steps, tokens

    columns = ("Pairs", "Steps", "Tokens")
    others = [cell for cell in cells if cell.versus is not None]
    return sheet_of(f"Differences from “{base}” per episode, paired by task", others, columns, entries)


def measures_sheet(cells: Sequence[Cell]) -> Sheet:
    """Every measure of every cell, with the spread over seeds; failed episodes are counted here."""
    names = ordered(name for cell in cells for name in cell.measures)

    def entries(cell: Cell) -> Iterable[Entry]:
        for name in names:
            entry, value = figure(name, cell.measures.get(name), cell.paper.get(name)), cell.measures.get(name)
            spread = f" ± {show(name, value.sd)}" if value is not None and value.n and value.sd is not None else ""
            yield entry._replace(span=f"{entry.span}{spread}")
        yield Entry(", ".join(map(str, cell.seeds)) or "–")
        yield count(cell.failed)

    columns = (*map(head, names), "Seeds", "Could not be played")
    return sheet_of("All measures; ± is one standard deviation over seeds", cells, columns, entries)


def family_sheet(cells: Sequence[Cell]) -> Sheet:
    """Success by kind of task."""
    names = families(cells)

    def entries(cell: Cell) -> Iterable[Entry]:
        for name in names:
            entry, value = figure("success", cell.families.get(name)), cell.families.get(name)
            yield entry._replace(span=f"{entry.span} of {value.n}" if value is not None and value.n else "")

    return sheet_of("Success by kind of task, %", cells, [*names], entries)


def families(cells: Sequence[Cell]) -> list[str]:
    """Every kind of task of these cells, by name."""
    return sorted({name for cell in cells for name in cell.families})


SPREADS = {
    "tokens": "Tokens per episode",
    "calls": "Calls per episode",
    "recalled": "Tokens recalled",
    "tokens_per_success": "Tokens per success",
    "tokens_per_success_with_building": "Memory included",
}


def spread_order(cells: Sequence[Cell]) -> list[str]:
    """Quantities with a distribution, the known ones first."""
    names = {name for cell in cells for name in cell.tokens}
    return sorted(names, key=lambda name: (list(SPREADS).index(name) if name in SPREADS else len(SPREADS), name))


def cost_sheet(cells: Sequence[Cell]) -> Sheet:
    """What an episode and a success take: the mean, and the 10th, 50th and 90th percentile."""
    names = spread_order(cells)

    def entries(cell: Cell) -> Iterable[Entry]:
        return (spread(cell.tokens.get(name)) for name in names)

    columns = [SPREADS.get(name, name.replace("_", " ")) for name in names]
    return sheet_of("What it takes: mean [10th, 50th, 90th percentile]", cells, columns, entries)


def spread(of: Distribution | None) -> Entry:
    """A mean with three quantiles; one value alone has none."""
    if of is None or not of.n:
        return NOTHING
    quantiles = f"[{', '.join(_amount(value) for value in (of.p10, of.p50, of.p90))}]"
    return Entry(_amount(of.mean), quantiles if of.n > 1 else "")


def _amount(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"


def making_sheet(cells: Sequence[Cell]) -> Sheet:
    """What making the memories took, learning and updates together, over the seeds."""

    def entries(cell: Cell) -> Iterable[Entry]:
        made = cell.build
        return (NOTHING,) * 9 if made is None else _making(made, cell.simulated)

    columns = (
        "Trajectories",
        "Procedures",
        "Added",
        "Revised",
        "Retired",
        "Calls",
        "Tokens",
        "Tokens each",
        "Cost, USD",
    )
    makers = [cell for cell in cells if cell.build is not None]
    return sheet_of("Making the memory, over all seeds", makers, columns, entries)


def _making(made: Build, simulated: bool) -> Iterable[Entry]:
    for value in (made.trajectories, made.procedures, made.added, made.revised, made.retired, made.calls, made.tokens):
        yield count(value)
    yield count(made.tokens / made.procedures) if made.procedures else NOTHING
    if made.cost is None:
        yield Entry("unknown")
    else:  # a simulated agent may have a real builder: then there is a cost
        yield Entry("none: simulated" if simulated and made.calls and not made.cost else f"{made.cost:,.2f}")


def curve_sheet(
    title: str, across: str, measure: str, groups: Sequence[tuple[str, Mapping[str, Mapping[float, Interval]]]]
) -> Sheet:
    """The points of curves: a row for every x, a column for every line. `groups`: backbone -> line -> x -> figure."""
    names = list(dict.fromkeys(name for _, lines in groups for name in lines))
    tables = []
    for heading, lines in groups:
        places = sorted({x for points in lines.values() for x in points})
        rows = (Row(f"{x:g}", tuple(figure(measure, lines.get(name, {}).get(x)) for name in names)) for x in places)
        tables.append((heading, tuple(rows)))
    return Sheet(
        title, ("Backbone" if any(heading for heading, _ in tables) else "", across), tuple(names), tuple(tables)
    )
