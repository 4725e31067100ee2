"""Whether a task is of the kind that a procedure is for, by the words of both."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from memp.build.facts import facts_by_rule
from memp.build.rules import SEE_EXAMPLE, effective, lift
from memp.records import Content, Trajectory

_READ = 2_000
_LONG = 25
"""From so many words of its own a task is a text, whose words differ although its kind is the same."""
_FUNCTION = frozenset(
    re.findall(
        r"\w+",
        "a an and any are as at be but by can could do does for from get has have her him his i if in into is it its "
        "me my of off on onto or our out over please she should so some than that the their them then there these they "
        "this those to under until up us using was we were when which while who will with would you your",
    )
)
_MARKS = frozenset(re.findall(r"\w+", "object item thing target place location destination one step above same where"))
"""Words with which a script speaks of what it does not name."""


def words(text: str) -> list[str]:
    """The words of `text` that carry meaning, in lower case, without their plural."""
    found = re.findall(r"[^\W_]+(?:[-'][^\W_]+)*", text[:_READ].lower())
    return [_singular(word) for word in found if word not in _FUNCTION and not word.isdigit()]


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def own_steps(content: Content, shown: Trajectory | None) -> tuple[str, ...]:
    """The steps that a procedure tells: its script's, or the lifted effective steps of the trajectory it shows."""
    if content.script is not None and content.script.steps != SEE_EXAMPLE:
        return content.script.steps
    if shown is None:
        return content.script.steps if content.script is not None else ()
    lifted = (lift(step.action) for step in effective(shown))
    return tuple(step for step in lifted if step)


def heads(task: str) -> dict[str, str]:
    """Slot -> the last word of what fills it: `put a hot apple in the shelf` -> object: apple, in: shelf."""
    found = {}
    for slot, value in facts_by_rule(task).items():
        said = words(lift(value))
        if said and slot not in ("action", "then", "count"):
            found[slot] = said[-1]
    return found


def counterparts(theirs: str, ours: str) -> dict[str, str]:
    """Words of their task -> the words that stand in their places in ours."""
    a, b = heads(theirs), heads(ours)
    return {a[slot]: b[slot] for slot in a if slot in b and a[slot] != b[slot]}


class Fit(NamedTuple):
    """How a task fits a procedure."""

    fits: bool
    extra: tuple[str, ...]
    """Words of the task about its kind that the procedure knows nothing of."""
    missing: tuple[str, ...]
    """Words about the kind of the procedure's task that the task does not say."""
    ruled_out: str = ""
    """The line of the procedure that says it is not for such tasks."""


def fit(content: Content, steps: Iterable[str], failed: Trajectory) -> Fit:
    """Compare what the two tasks say beside the things they are about.

    A thing is what fills a slot, what the procedure's steps handle and what the world shows as an instance. What is
    left ("put", "hot", "two") says of what kind a task is.
    """
    told = [words(step) for step in steps]
    handled = {word for line in told for word in line[1:]}
    known = {word for line in told for word in line} | _said(content)
    things = handled | set(heads(content.task).values()) | set(heads(failed.task).values()) | _instances(failed)
    theirs = [word for word in words(lift(content.task)) if word not in things]
    ours = [word for word in words(lift(failed.task)) if word not in things]
    new = [word for word in ours if word not in theirs]
    extra = [word for word in new if word not in known]
    covered = len(new) - len(extra)
    missing = [word for word in theirs if word not in ours and word not in _done(failed)]
    if content.script is not None:
        for line in content.script.does_not_apply_when:
            said = set(words(line)) - {"task", "say", "says", "speak", "ask"}
            if said and said <= set(words(failed.task)):
                return Fit(False, tuple(dict.fromkeys(extra)), tuple(dict.fromkeys(missing)), line)
    differ = len(set(extra)) + max(0, len(set(missing)) - covered)
    union = len(set(theirs) | set(ours))
    bound = 0.85 if max(len(theirs), len(ours)) >= _LONG else 0.34
    fits = not differ or differ / max(1, union) < bound
    return Fit(fits, tuple(dict.fromkeys(extra)), tuple(dict.fromkeys(missing)))


def _said(content: Content) -> set[str]:
    if content.script is None:
        return set()
    return {word for line in content.script.applies_when for word in words(line)}


def _instances(failed: Trajectory) -> set[str]:
    """Types of what the world shows with a number: `apple 1`."""
    shown = " ".join([failed.start[:_READ], *(f"{s.action[:200]} . {s.observation[:500]}" for s in failed.steps)])
    return {_singular(word) for word in re.findall(r"([^\W\d_]+) \d+\b", shown.lower())}


def _done(failed: Trajectory) -> set[str]:
    """Verbs of what had an effect."""
    return {said[0] for step in failed.steps if step.error is None and (said := words(step.action))}


def telling(step: str, vocabulary: set[str]) -> list[str]:
    """The words of a step that an action must hold to be that step.

    Those of a step in the manner of an action (one clause, lower case) all count; of prose, those that the world uses.
    """
    said = [word for word in words(lift(step)) if word not in _MARKS]
    literal = step == step.lower() and not re.search(r"[,;:.]\s|[.]$", step) and len(step.split()) <= 8
    return said if literal else [word for word in said if word in vocabulary]
