"""Tables, column by column, and as text exactly as `pandas.DataFrame.to_string` prints them.

The benchmark shows its tables to agents in that form, so token counts and masked texts depend on every blank. Only what
the benchmark's tables need is here: strings, whole numbers, and floats below a million with at most 6 decimals.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

Cell = str | int | float
"""One value of a table."""

_ESCAPES = str.maketrans({"\t": "\\t", "\r": "\\r", "\n": "\\n"})
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Table:
    """Some rows, column by column, in file order. False when empty."""

    columns: Mapping[str, Sequence[Cell]]
    labels: Sequence[int] = ()
    """The rows' numbers in the file (from 0), which pandas prints in front unless told otherwise."""

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, column: str) -> Sequence[Cell]:
        return self.columns[column]

    def rows(self, numbers: Iterable[int]) -> "Table":
        """The rows at these places of this table."""
        places = list(numbers)
        return Table(
            {name: [values[n] for n in places] for name, values in self.columns.items()},
            [self.labels[n] for n in places],
        )

    def row(self, number: int) -> dict[str, Cell]:
        """One row, column name -> value."""
        return {name: values[number] for name, values in self.columns.items()}

    def to_string(self, *, labels: bool = False) -> str:
        """The rows, one a line under a header; with `labels`, their numbers in front.

        Equal to pandas' `to_string(index=labels)`.
        """
        return to_string(self.columns, self.labels if labels else None)


def to_string(columns: Mapping[str, Sequence[Cell]], labels: Sequence[int] | None = None) -> str:
    """The rows of `columns`, one a line under a header, columns to the right and one blank apart.

    With `labels` (the row numbers) in front, as `to_string()`; without, as `to_string(index=False)`.
    """
    blank = "" if labels is None else " "  # pandas sets values apart by a leading blank only beside row numbers
    blocks = [_block(name, values, blank) for name, values in columns.items()]
    if labels is not None:
        texts = [str(label) for label in labels]
        width = max(map(len, texts), default=0)
        blocks.insert(0, [text.ljust(width) for text in ("", *texts)])
    return "\n".join(" ".join(line) for line in zip(*blocks, strict=True))


def _block(name: str, values: Sequence[Cell], blank: str) -> list[str]:
    numeric = bool(values) and not isinstance(values[0], str)
    texts = [f" {name}" if numeric else name]
    if not numeric:
        texts += [f"{blank}{value}".translate(_ESCAPES) for value in values]
    elif any(isinstance(value, float) for value in values):
        texts += _floats([float(value) for value in values], blank)
    else:
        texts += [f"{value}" if int(value) < 0 else f"{blank}{value}" for value in values]
    width = max(map(len, texts))
    return [text.rjust(width) for text in texts]


def _floats(values: list[float], blank: str) -> list[str]:
    """Fixed decimals, as many as the longest needs, at least one and at most 6."""
    texts = [f"{value:.{_DIGITS}f}" for value in values]
    spare = min(len(text) - len(text.rstrip("0")) for text in texts)
    drop = min(spare, _DIGITS - 1)
    return [("" if text.startswith("-") else blank) + text[: len(text) - drop] for text in texts]
