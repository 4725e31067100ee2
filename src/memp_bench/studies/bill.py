"""What a study is expected to take, as records, and as a table for people."""

from typing import Final, Literal

from memp.records import Record

Basis = Literal["measured", "assumed"]


class Part(Record):
    """Calls of one purpose to one model."""

    purpose: str
    """act, script, facts, adjust or embed."""
    model: str
    calls: float
    input_tokens: float
    output_tokens: float
    cost: float | None
    """US dollars; None when nobody knows the price."""
    seconds: float
    """Spent waiting, one call after the other."""
    basis: Basis
    source: str
    """Which episodes, where they were measured."""


class Total(Record):
    """Parts added up."""

    episodes: int
    calls: float
    input_tokens: float
    output_tokens: float
    tokens_sd: float | None = None
    """How far the tokens of the episodes may be off, one standard deviation; None where nothing was measured."""
    cost: float | None
    """None when the price of any part is unknown."""
    known_cost: float
    """Of the parts whose price is known."""
    hours: float
    basis: Basis
    """`measured` if everything is."""


class Line(Record):
    """A cell over its seeds, or a memory that has to be learned before."""

    kind: Literal["cell", "memory"]
    label: str
    parts: tuple[Part, ...]
    total: Total


class Estimate(Record):
    """What a study will take. Nothing is asked of any model or benchmark to know it."""

    study: str
    lines: tuple[Line, ...]
    total: Total
    assumptions: tuple[str, ...]
    """Behind what is marked assumed; empty if nothing is."""
    notes: tuple[str, ...]

    def __str__(self) -> str:
        """A table and what has to be said about it, for people."""
        return as_text(self)


COLUMNS: Final = ("what", "episodes", "calls", "tokens in", "tokens out", "US $", "hours", "basis")


def rows(found: Estimate) -> list[tuple[str, ...]]:
    """The estimate as the rows of a table, the sum last; see `COLUMNS`."""
    listed = [(line.label, line.total) for line in found.lines]
    return [_row(*item) for item in [*listed, ("all", found.total)]]


def as_text(found: Estimate) -> str:
    """The table, how far it may be off, and what was assumed."""
    table = [COLUMNS, *rows(found)] if found.lines else []
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        "  ".join(cell.rjust(width) if 0 < n < 7 else cell.ljust(width) for n, (cell, width) in enumerate(cells))
        for cells in (list(zip(row, widths, strict=True)) for row in table)
    ]
    if found.total.tokens_sd is not None:
        lines.append(f"Tokens of the episodes may be off by {found.total.tokens_sd:,.0f} (one standard deviation).")
    if found.total.cost is None:
        lines.append("The price of a model is unknown, so the sum lacks it; give it with --price.")
    lines += [note[0].upper() + note[1:] + "." for note in found.notes]
    if found.assumptions:
        lines += ["Assumed, where it says so:", *(f"- {source}" for source in found.assumptions)]
    return "\n".join(line.rstrip() for line in lines)


def _row(label: str, total: Total) -> tuple[str, ...]:
    if total.cost is not None:
        cost = f"{total.cost:,.2f}"
    else:
        cost = f"{total.known_cost:,.2f} + unknown" if total.known_cost >= 0.005 else "unknown"
    numbers = [f"{value:,.0f}" for value in (total.episodes, total.calls, total.input_tokens, total.output_tokens)]
    return (label, *numbers, cost, f"{total.hours:.2f}", total.basis if total.calls else "-")
