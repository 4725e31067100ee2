"""Text that speaks to the agent instead of to its reader: what looks like an attack is quarantined, never dropped.

Signs are weighed, and those that stand close together are added up: one alone (`you must`, `from now on`) is ordinary
in manuals. This is a filter with a known error rate and not a wall; the wall is that untrusted text is shown as data.
"""

import re
import tomllib
from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files
from typing import Final, NamedTuple

from memp.records import Script, Trajectory
from memp.trust.plain import disguised, readings

ENOUGH: Final = 2.0
"""Weight from which a text is taken for an attack."""
_NEAR: Final = 400
"""Characters within which signs are added up."""
_REASON: Final = 200
_SHORT: Final = 500
"""Characters up to which a text's weight is remembered."""


class Sign(NamedTuple):
    """One thing that attacks say."""

    name: str
    weight: float
    pattern: re.Pattern[str]


@lru_cache(maxsize=1)
def _signs() -> tuple[Sign, ...]:
    """What the file `signs.toml` beside this one says."""
    told = tomllib.loads((files("memp.trust") / "signs.toml").read_text(encoding="utf-8"))

    def compiled(patterns: Iterable[str]) -> re.Pattern[str]:
        whole = "|".join(patterns)
        for name, words in told["words"].items():
            whole = whole.replace(f"%{name}%", words)
        return re.compile(whole, re.IGNORECASE | re.MULTILINE)

    return tuple(Sign(sign["name"], float(sign["weight"]), compiled(sign["any"])) for sign in told["sign"])


def suspicion(text: str, *, of_user: bool = False) -> str:
    """Why `text` looks like an attack on who reads it; empty when it does not.

    Args:
        of_user: the text is a task: commands are to be expected, so only signs that are enough alone count.
    """
    if why := disguised(text):
        return why
    for reading in readings(text):
        weigh = _weighed if len(reading) <= _SHORT else _weigh
        if why := weigh(reading, of_user):
            return why
    return ""


def _weigh(text: str, of_user: bool) -> str:
    hits = sorted(
        (found.start(), found.end(), sign)
        for sign in _signs()
        if not of_user or sign.weight >= ENOUGH
        for found in sign.pattern.finditer(text)
    )
    for number, (start, _, _) in enumerate(hits):
        near = [hit for hit in hits[number : number + 40] if hit[0] - start <= _NEAR]
        weights = {sign.name: sign.weight for _, _, sign in near}
        if sum(weights.values()) >= ENOUGH:
            said = " ".join(text[start : min(max(end for _, end, _ in near), start + 80)].split())
            return f"{', '.join(weights)}: «{said}»"
    return ""


@lru_cache(maxsize=16_384)
def _weighed(text: str, of_user: bool) -> str:
    """As `_weigh`, for short lines: environments say the same ones again and again."""
    return _weigh(text, of_user)


def instruction_like(trajectory: Trajectory) -> str:
    """Why a trajectory looks as if it carried an attack, and where; empty when it does not."""
    for where, text in _heard(trajectory):
        if text and (why := suspicion(text)):
            return f"{where} {why}"
    if why := suspicion(trajectory.task, of_user=True):
        return f"the task {why}"
    return ""


def _heard(trajectory: Trajectory) -> Iterable[tuple[str, str]]:
    """What the agent read, thought and did, each with its place."""
    yield "the start", trajectory.start
    for number, step in enumerate(trajectory.steps, 1):
        yield f"the observation of step {number}", step.observation
        yield f"the thought of step {number}", step.thought
        yield f"the action of step {number}", step.action
        yield f"the feedback on step {number}", step.feedback
    yield "the feedback", trajectory.feedback
    for slot, value in trajectory.facts.items():
        yield "a fact", f"{slot}: {value}"


def suspicious_script(script: Script) -> str:
    """Why a procedure's own lines look as if an attack wrote them; empty when they do not."""
    lines = (*script.applies_when, *script.does_not_apply_when, *script.steps, *script.pitfalls)
    why = suspicion("\n".join((script.goal, *lines)))
    return f"the script {why}" if why else ""
