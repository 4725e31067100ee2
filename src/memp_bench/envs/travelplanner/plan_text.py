"""Free text becomes a plan: the usual layout of days and `Label: value` lines, or JSON.

    read_plan("Day 1:\\nCurrent City: from Boston to Erie\\nTransportation: Taxi, from Boston to Erie\\n...")

The original lets a model do this; the rules here are the deterministic counterpart. They copy what stands there, cut
what the plan format has no place for (costs, cuisines, remarks in parentheses), and invent nothing: what is not written
is `-`.
"""

import ast
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from re import IGNORECASE
from re import compile as pattern
from typing import Any, Final

FIELDS: Final = ("current_city", "transportation", "breakfast", "attraction", "lunch", "dinner", "accommodation")
"""What a day says besides its number, in the order of the format."""

Day = dict[str, int | str]
"""`days` (the number) and every one of `FIELDS`; `-` where nothing is planned."""

MAX_DAYS: Final = 100
"""More days than this is no plan."""

_MAX_LINE: Final = 2_000  # characters of a line that are read

_DAY = pattern(r"^days?\s*:?\s*(\d{1,3})\b\s*[:,.)\-–]*\s*(.*)$", IGNORECASE)
_LABEL = pattern(
    r"^(current city|city|transportation|transport|flight|breakfast|attractions?|lunch|dinner|accommodations?)"
    r"(?:\s*\([^)]*\))?\s*:\s*(.*)$",
    IGNORECASE,
)
_MARKS = "*_#>`•- \t"
_NAMES: Final = {"city": "current_city", "transport": "transportation", "flight": "transportation"}
_EXTRA = pattern(
    r"[\s,;.:(\-–]*(?:\$\s?\d|\bfree\b\s*$|\b(?:total |average )?(?:costs?|price|cuisines?|room type|house rules?"
    r"|address|min(?:imum)? nights?"
    r"|max(?:imum)? occupancy|rating|review rate number|phone|website)\b\s*(?:[:=]|\$|\d)).*$",
    IGNORECASE,
)
_REMARK = pattern(r"\s*\([^()]*\)")
_LAST_REMARK = pattern(r"\s*(?:\([^()]*\)|\[[^\[\]]*\])[\s.,;]*$")
_NOTHING = pattern(
    r"^(?:[-–\s]*|n/?a|none|nothing|not (?:applicable|needed|required|listed|specified|included)\b.*)$", IGNORECASE
)
_STATE = pattern(r",\s*[A-Z]{2}$")
_NUMBER = pattern(r"\bF\d{7}\b")
_LEG = pattern(r"(?:\bfrom\s+)?([^,:]+?)\s+to\s+([^,:]+)", IGNORECASE)
_PRICE = pattern(r"[\s,;]*\b(?:price|costs?)\b\s*[:=]?\s*\$?\d[\d.]*(?:,\d{3})*[^,]*(?:,\d{3}\b[^,]*)*", IGNORECASE)
_TIMES = pattern(r"(\d{1,2}:\d{2})\s*[-–]\s*(\d{1,2}:\d{2})")


@dataclass(slots=True)
class _Block:
    """The lines of one day."""

    number: int
    title: str
    values: dict[str, list[str]] = field(default_factory=dict)
    closed: bool = False


def read_plan(text: str) -> list[Day] | None:
    """The plan in `text`; None where there is none. Of several (a draft, a revision) the last complete one counts."""
    return plan_from_json(text) or _longest(list(_blocks(text))) or None


def plan_from_json(text: str) -> list[Day] | None:
    """The plan written in `text` as a JSON list (or Python literal) of days, with or without words around it."""
    first, last = text.find("["), text.rfind("]")
    found = literal(text[first : last + 1]) if 0 <= first < last else None
    try:
        return checked(found) if isinstance(found, list) and found else None
    except ValueError:
        return None


def literal(text: str) -> Any:
    """The JSON value or Python literal that `text` is; None where it is neither. Runs no code."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return None


def checked(value: object) -> list[Day]:
    """`value` as a plan: missing parts become `-`, days without a number are counted.

    Raises:
        ValueError: it is no list of days; says which day and part is wrong.
    """
    if not isinstance(value, list) or len(value) > MAX_DAYS:
        raise ValueError(f"a plan is a list of up to {MAX_DAYS} days, this is {type(value).__name__}")
    days: list[Day] = []
    for number, day in enumerate(value, 1):
        if not isinstance(day, dict):
            raise ValueError(f"day {number} must be an object, it is {type(day).__name__}")
        if day:  # the gold plans are padded with empty days
            days.append(_checked_day(day, number))
    return days


def _checked_day(day: Mapping[str, Any], number: int) -> Day:
    said = day.get("days", day.get("day", number))
    made: Day = {"days": said if isinstance(said, int) else number}
    for name in FIELDS:
        value = day.get(name)
        if value is not None and not isinstance(value, str):
            raise ValueError(f"day {number}: {name!r} must be a string, it is {type(value).__name__}")
        made[name] = value or "-"
    return made


def _blocks(text: str) -> Iterator[_Block]:
    block: _Block | None = None
    last = ""
    for raw in text.splitlines():
        line = raw[:_MAX_LINE].strip().lstrip(_MARKS).replace("**", "").rstrip("*_ \t")
        day, label = _DAY.match(line), _LABEL.match(line)
        if day:
            if block:
                yield block
            block, last = _Block(int(day[1]), day[2]), ""
        elif label and block:
            last = label[1].lower().replace(" ", "_").rstrip("s")
            last = _NAMES.get(last, last)
            value = f"Flight Number: {label[2]}" if label[1].lower() == "flight" else label[2]
            if block.closed and last in block.values:
                last = ""
            else:
                block.values.setdefault(last, []).append(value)
        elif last == "attraction" and block and raw.lstrip().startswith(("-", "*", "•")) and line:
            block.values[last].append(line)  # a list under `Attraction:`
        else:
            last = ""
            if block and line and block.values:
                block.closed = True  # sums and notes: what they say of attractions is no second entry
    if block:
        yield block


def _longest(blocks: list[_Block]) -> list[Day]:
    plans: list[list[_Block]] = []
    for block in blocks:
        if not block.values:
            continue
        if not plans or block.number <= plans[-1][-1].number:
            plans.append([])
        plans[-1].append(block)
    # A revision comes later; a list of costs by day comes later too, but says less.
    best = max(reversed(plans), key=lambda plan: (len(plan), sum(len(block.values) for block in plan)), default=[])
    return [_day(block) for block in best]


def _day(block: _Block) -> Day:
    values = {name: block.values.get(name, ["-"]) for name in FIELDS}
    city = values["current_city"][0] if "current_city" in block.values else _title_city(block.title)
    made: Day = {"days": block.number, "current_city": _city(city)}
    made["transportation"] = transport(values["transportation"][0])
    for name in FIELDS[2:]:
        made[name] = attractions(";".join(values[name])) if name == "attraction" else clipped(values[name][0])
    return made


def clipped(text: str) -> str:
    """`Name, City` without what follows it: a cost, cuisines, a remark; `-` for nothing."""
    kept = _EXTRA.sub("", text.strip()).strip(" ,;")
    while kept != (shorter := _LAST_REMARK.sub("", kept)):
        kept = shorter
    kept = kept.rstrip(" ,;.")
    return "-" if _NOTHING.match(kept) else kept


def attractions(text: str) -> str:
    """`A, City;B, City;`, with the semicolon at the end that the evaluator's rules count on."""
    pieces = [clipped(piece) for piece in text.split(";")]
    return "".join(f"{piece};" for piece in pieces if piece != "-") or "-"


def transport(text: str) -> str:
    """A leg without its cost; flights in the form the evaluator reads, whatever the order they are told in."""
    kept = clipped(_PRICE.sub("", _REMARK.sub("", text)))
    kept = kept.replace("DepTime:", "Departure Time:").replace("ArrTime:", "Arrival Time:")
    number, leg = _NUMBER.search(kept), _LEG.search(kept)
    if number and leg and "from " not in kept:
        kept = f"Flight Number: {number[0]}, from {leg[1].strip()} to {leg[2].strip()}{kept[leg.end() :]}"
    return _TIMES.sub(r"Departure Time: \1, Arrival Time: \2", kept)


def _city(text: str) -> str:
    kept = _STATE.sub("", clipped(_REMARK.sub("", text)))
    leg = _LEG.search(kept)
    return f"from {leg[1].strip()} to {leg[2].strip()}" if leg and " to " in f" {kept} " else kept


def _title_city(title: str) -> str:
    return "-" if any(mark.isdigit() for mark in title) else title
