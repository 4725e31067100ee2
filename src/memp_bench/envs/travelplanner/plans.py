"""Submissions: files of plans, and what is wrong with a plan's form."""

import ast
import gzip
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memp.errors import MempError
from memp_bench.envs.travelplanner.commonsense import FIELDS
from memp_bench.envs.travelplanner.tasks import TravelTask

_TEXTS = ("current_city", *FIELDS)


@dataclass(frozen=True, slots=True)
class Submission:
    """One line of a file of plans."""

    line: int
    """From 1."""
    plan: Any = None
    """A list of days where it is well-formed; empty or None: not delivered."""
    idx: int | None = None
    """The task it says it is for."""
    query: str = ""
    problem: str = ""
    """Why the line could not be read; it then counts as not delivered."""


def read_plans(path: Path) -> list[Submission]:
    """The lines of a JSON Lines file (also gzipped) in the official format `{"idx", "query", "plan"}`.

    Raises:
        MempError: there is no such file, it cannot be read, or it is empty.
    """
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8-sig").strip()
    except (OSError, EOFError, UnicodeError, zlib.error) as error:
        raise MempError(f"cannot read the plans in {path}: {error}") from None
    if not text:
        raise MempError(f"{path} has no plans; one JSON object a line is expected: idx, query, plan")
    return [read_line(number, line) for number, line in enumerate(text.split("\n"), 1)]


def read_line(number: int, line: str) -> Submission:
    """One line of such a file. A line that cannot be read says why in `problem`."""
    try:
        made = json.loads(line)
        if isinstance(made, str):  # the official evaluator accepts a line that is a Python literal in a string
            made = ast.literal_eval(made)
    except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
        return Submission(number, problem=f"line {number} is not JSON: {error}")
    if not isinstance(made, Mapping):
        return Submission(number, problem=f"line {number} is a {type(made).__name__}, not an object with idx and plan")
    problem = "" if "plan" in made else f"line {number} has no key 'plan'"
    idx, query = made.get("idx"), made.get("query")
    return Submission(
        number,
        plan=made.get("plan"),
        idx=idx if isinstance(idx, int) and not isinstance(idx, bool) else None,
        query=query if isinstance(query, str) else "",
        problem=problem,
    )


def problems(task: TravelTask, plan: Any) -> tuple[str, ...]:
    """What is wrong with the form of a plan, for people; nothing for a plan that was not delivered."""
    if not plan:
        return ()
    if not isinstance(plan, list | tuple):
        return (f"the plan is a {type(plan).__name__}, not a list of days",)
    found = [wrong for number, day in enumerate(plan[: task.days], 1) for wrong in _problems(number, day)]
    beyond = sum(bool(day) for day in plan[task.days :])
    if beyond:
        found.append(f"{beyond} day(s) beyond the {task.days} of the trip are not looked at")
    return tuple(found)


def _problems(number: int, day: Any) -> list[str]:
    if not isinstance(day, Mapping):
        return [f"day {number} is a {type(day).__name__}, not an object"]
    if not day:
        return [f"day {number} is empty"]
    found = [f"day {number} has no {field!r}" for field in _TEXTS if field not in day]
    found += [
        f"day {number}: {field!r} is {'null' if day[field] is None else f'a {type(day[field]).__name__}'}, not a text"
        for field in _TEXTS
        if field in day and not isinstance(day[field], str)
    ]
    text = day.get("transportation")
    if isinstance(text, str) and "flight number" in text.lower() and "Flight Number: " not in text:
        found.append(f"day {number}: the flight is not written as 'Flight Number: ...'")
    return found
