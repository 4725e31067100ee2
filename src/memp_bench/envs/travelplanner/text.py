"""How the official evaluator reads the texts of a plan. Matching is case-sensitive unless said otherwise.

Every function raises `TypeError` for what is not a text, as the official code does.
"""

from re import compile as pattern
from typing import Any

from memp_bench.envs.travelplanner.tables import before_parenthesis

__all__ = ["before_parenthesis", "from_to", "mode", "name_city", "pieces", "present"]

_FROM_TO = pattern(r"from\s+(.+?)\s+to\s+([^,]+)")
_TO = pattern(r"\sto\s")


def present(day: Any, field: str) -> bool:
    """Whether a day has something in that field: it is there, not empty and not `-`."""
    return bool(field in day and day[field] and day[field] != "-")


def from_to(text: str) -> tuple[str, str] | tuple[None, None]:
    """A and B of the first `from A to B`: A as short as can be, B up to a comma or the end; else two None.

    `from A to B to C, x` gives A and `B to C`. `From A to B` has no match.
    """
    if _TO.search(text) is None:  # spares long texts without it a long search
        return None, None
    found = _FROM_TO.search(text)
    return (found[1], found[2]) if found else (None, None)


def name_city(text: str) -> tuple[str, str]:
    """Name and city of `Name, City`: the city is what follows the last comma, up to a parenthesis.

    Whatever else follows the city stays with it; of several lines the last one's name counts. Without a comma, or
    without anything behind it, both are `-`.
    """
    if not isinstance(text, str):
        raise TypeError(f"expected string or bytes-like object, got {type(text).__name__!r}")
    name, _, city = text.rpartition(",")
    if not city or len(city) == len(text):
        return "-", "-"
    return name.rpartition("\n")[2].strip(), before_parenthesis(city.strip()).strip()


def mode(text: str) -> str | None:
    """Taxi, Self-driving or Flight: the first of these, in this order, that the text names in any case."""
    lower = text.lower()
    return next((name for name in ("Taxi", "Self-driving", "Flight") if name.lower() in lower), None)


def pieces(attractions: str) -> list[str]:
    """The attractions of a field: what stands before each `;`. What follows the last one is not looked at."""
    return attractions.split(";")[:-1]
