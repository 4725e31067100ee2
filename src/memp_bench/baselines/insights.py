"""ExpeL's list of insights: operations with importance counts (arXiv 2308.10144, section 4.2), and rules for them.

An insight begins with a count of 2; UPVOTE and EDIT add 1, DOWNVOTE takes 1; at 0 it is removed. Operations are
applied in the order of the official code: DOWNVOTE, UPVOTE, EDIT, ADD; numbers mean the list as it was shown. From
`MOST` insights on the prompt asks for DOWNVOTEs first, from `FULL` on a DOWNVOTE takes 3.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, NamedTuple

from pydantic import BeforeValidator, Field, model_validator

from memp.build.rules import lift, script_by_rule
from memp.errors import RecordError
from memp.models.structured import json_object
from memp.records import Content, Record, Trajectory

BEGIN = 2
MOST = 20
FULL = MOST + 5
LINES = 100
"""No list is longer: a script has no room for more."""
AT_ONCE = 4
NONE = "(no insight is left)"
"""The line of a list from which everything was removed."""

_SAME = {"AGREE": "UPVOTE", "REMOVE": "DOWNVOTE"}
"""The official code's words for the paper's."""
_ANYTHING = "object"


class Insight(NamedTuple):
    """One line of the list and its importance count."""

    text: str
    votes: int


def _named(op: object) -> object:
    return _SAME.get(op.strip().upper(), op.strip().upper()) if isinstance(op, str) else op


def _one_line(text: object) -> object:
    return " ".join(text.split()) if isinstance(text, str) else text


class Operation(Record):
    """One change of the list."""

    op: Annotated[Literal["ADD", "EDIT", "UPVOTE", "DOWNVOTE"], BeforeValidator(_named)]
    insight: int | None = Field(None, ge=1, strict=True)
    """Its number in the list that was shown; ADD has none."""
    text: Annotated[str, BeforeValidator(_one_line)] = Field("", max_length=500)

    @model_validator(mode="after")
    def _complete(self) -> "Operation":
        if self.op in ("ADD", "EDIT") and not self.text:
            raise ValueError(f"{self.op} needs a text")
        if self.op != "ADD" and self.insight is None:
            raise ValueError(f"{self.op} needs the number of an insight")
        return self


class Operations(Record):
    """A model's reply."""

    operations: tuple[Operation, ...] = Field(max_length=AT_ONCE)


def read_operations(reply: str, known: int) -> tuple[Operation, ...]:
    """The operations in a model's reply about a list of `known` insights.

    Raises:
        ValueError: no JSON object, an operation that is none, a number that is not in the list or used twice.
    """
    try:
        found = Operations.parse(json_object(reply)).operations
    except RecordError as error:
        raise ValueError(str(error)) from None
    numbers = [each.insight for each in found if each.op != "ADD" and each.insight is not None]
    if wrong := [number for number in numbers if number > known]:
        raise ValueError(f"there is no insight {wrong[0]}; the list has {known}")
    if twice := [number for number, times in Counter(numbers).items() if times > 1]:
        raise ValueError(f"insight {twice[0]} has more than one operation")
    return found


def applied(insights: Sequence[Insight], operations: Sequence[Operation]) -> tuple[tuple[Insight, ...], list[str]]:
    """The list after the operations, most important first, and what each of them did, in words."""
    rows = list(insights)
    less = 3 if len(rows) >= FULL else 1
    did: list[str] = []

    def vote(at: int, by: int, why: str) -> None:
        rows[at] = Insight(rows[at].text, rows[at].votes + by)
        removed = ", removed" if rows[at].votes <= 0 else ""
        did.append(f"{why} {at + 1} ({rows[at].votes}{removed})")

    for kind in ("DOWNVOTE", "UPVOTE", "EDIT", "ADD"):
        for each in (operation for operation in operations if operation.op == kind):
            same = next((n for n, row in enumerate(rows) if _key(row.text) == _key(each.text)), None)
            at = (each.insight or 0) - 1
            if kind == "DOWNVOTE":
                vote(at, -less, kind)
            elif kind == "UPVOTE":
                vote(at, 1, kind)
            elif kind == "EDIT" and same is not None:
                vote(same, 1, "UPVOTE")
            elif kind == "EDIT":
                rows[at] = Insight(each.text, rows[at].votes)
                vote(at, 1, kind)
            elif same is not None:
                did.append(f'ADD "{each.text[:60]}" is there already')
            elif len(rows) >= LINES:
                did.append(f'ADD "{each.text[:60]}" found no room')
            else:
                rows.append(Insight(each.text, BEGIN))
                did.append(f'ADD "{each.text[:60]}"')
    return tuple(sorted((row for row in rows if row.votes > 0), key=lambda row: -row.votes)), did


def _key(text: str) -> str:
    return " ".join(text.lower().split()).rstrip(".")


# -- as the content of a procedure ------------------------------------------------------------------------------


def lines_of(insights: Sequence[Insight]) -> tuple[list[str], str]:
    """The lines of the document and the fact that holds their importance counts, in the same order."""
    if not insights:
        return [NONE], ""
    return [row.text for row in insights], ", ".join(str(row.votes) for row in insights)


def insights_of(content: Content) -> tuple[Insight, ...]:
    """The list that a content holds; a line without a count (a person wrote it) counts as new."""
    lines = content.script.steps if content.script is not None else ()
    votes = [int(number) for number in re.findall(r"\d+", content.facts.get("votes", ""))]
    padded = [*votes, *[BEGIN] * len(lines)]
    return tuple(Insight(line, count) for line, count in zip(lines, padded, strict=False) if line != NONE)


# -- rules, where there is no model -----------------------------------------------------------------------------


def operations_by_rule(
    insights: Sequence[str], succeeded: Sequence[Trajectory], failed: Trajectory | None = None
) -> tuple[Operation, ...]:
    """Operations without a model: insights are actions, lifted to types.

    From a success and a failure: what the success did and the failure did not. From successes alone: what at least
    two of them did; actions that differ in a single word between the first and the last are one general action. The
    longest come first, for they say most. One that is in the list is upvoted; one that differs from a line in such a
    word makes that line general (EDIT); others are added. What had no effect in the failure is downvoted.
    """
    done = [_actions(trajectory) for trajectory in succeeded]
    if failed is not None:
        tried = {lift(step.action) for step in failed.steps if step.error is None}
        useless = {lift(step.action) for step in failed.steps if step.error == "agent"} - tried - set(done[0])
        lessons = [action for action in done[0] if action not in tried]
    else:
        useless = set()
        lessons = _shared(done)
    lessons.sort(key=lambda action: -len(action.split()))
    return tuple(_suggested(insights, lessons, useless))[:AT_ONCE]


def _shared(done: Sequence[Sequence[str]]) -> list[str]:
    """What at least two of the lists hold, in general where they differ; the most common first."""
    seen = list(dict.fromkeys(action for actions in done for action in actions))
    general = dict.fromkeys(found for one in seen for other in seen if (found := _general(one, other)))
    times = {each: sum(any(_covers(each, a) for a in actions) for actions in done) for each in (*seen, *general)}
    common = sorted((each for each in times if times[each] > 1), key=lambda each: -times[each])
    return [each for each in common if not any(_covers(other, each) for other in general if other != each)]


def _actions(trajectory: Trajectory) -> list[str]:
    steps = script_by_rule(trajectory).steps
    return [step for step in dict.fromkeys(steps) if not step.startswith("(") and len(step) <= 300]


def _suggested(insights: Sequence[str], lessons: Sequence[str], useless: set[str]) -> Iterator[Operation]:
    used: set[int] = set()
    for number, text in enumerate(insights, 1):
        if any(_covers(text, action) for action in useless):
            used.add(number)
            yield Operation(op="DOWNVOTE", insight=number)
    for lesson in lessons:
        known = next((n for n, text in enumerate(insights, 1) if _covers(text, lesson)), 0)
        near = next((n for n, text in enumerate(insights, 1) if _general(text, lesson)), 0)
        if not (known or near):
            yield Operation(op="ADD", text=lesson)
        elif (known or near) not in used:
            used.add(known or near)
            text = "" if known else _general(insights[near - 1], lesson)
            yield Operation(op="EDIT" if text else "UPVOTE", insight=known or near, text=text)


def _covers(insight: str, action: str) -> bool:
    """Whether the action is the insight, or an instance of it."""
    general, words = insight.split(), action.split()
    return len(general) == len(words) and all(g in (w, _ANYTHING) for g, w in zip(general, words, strict=True))


def _general(insight: str, action: str) -> str:
    """Both in one line, when they differ in one word between the first and the last; else an empty string."""
    general, words = insight.split(), action.split()
    if len(general) != len(words):
        return ""
    differs = [n for n, (g, w) in enumerate(zip(general, words, strict=True)) if g not in (w, _ANYTHING)]
    if len(differs) != 1 or not 0 < differs[0] < len(words) - 1:
        return ""
    return " ".join([*general[: differs[0]], _ANYTHING, *general[differs[0] + 1 :]])
