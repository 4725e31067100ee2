"""What follows from blame, by rules: the wrong step put right, or the conditions made tighter."""

import re
from typing import NamedTuple

from memp.blame.align import Alignment, Line, refused
from memp.blame.base import Blame
from memp.blame.kinds import fit, own_steps, words
from memp.blame.passing import is_fault
from memp.build.rules import MAX_PITFALLS, SEE_EXAMPLE, lift
from memp.records import Content, Script, Trajectory

_SAFETY = re.compile(
    r"^(?:never|do not|don't|avoid|always|careful|warning|caution|beware|make sure|only)\b"
    r"|\b(?:must not|should not|shouldn't|do not|don't|danger\w*|caution|warning|irreversibl\w*|safety|unsafe|"
    r"never (?!achieved)|permission|confirm\w*|consent|without asking)\b",
    re.IGNORECASE,
)


def is_safety_note(pitfall: str) -> bool:
    """Whether a pitfall tells not to do something, rather than what once did not work."""
    return bool(_SAFETY.search(pitfall))


def corrected(content: Content, shown: Trajectory | None, failed: Trajectory, blame: Blame) -> Script | None:
    """The script after a verdict `procedure` or `did-not-apply`; None when the verdict calls for no change.

    Where the failed trajectory shows what works in the place of the wrong step, the step says that from now on;
    otherwise the step stays, with a pitfall that says where it did not work.
    """
    steps = own_steps(content, shown) or SEE_EXAMPLE
    script = content.script or Script(goal=_line(lift(content.task)), steps=SEE_EXAMPLE)
    if blame.verdict == "did-not-apply":
        return _tightened(script, content, steps, failed)
    if blame.verdict != "procedure":
        return None
    alignment = Alignment(content, shown, failed)
    where = f'In "{_line(lift(failed.task), 200).rstrip(".")}"'
    if blame.step is None or blame.step > len(alignment.lines):
        return _warned(script, f"{where}, {blame.why}")
    line = alignment.lines[blame.step - 1]
    if alignment.did_harm(line) is not None:
        return _warned(script, f"{where}, these had no good effect: {line.text}")
    if line.done:
        return _warned(script, _incomplete(where, alignment, line, failed, blame))
    found = _instead(alignment, line)
    if found is None:
        return _warned(script, f"{where}, step {line.number} ({line.text}) was never achieved")
    replaced = script.model_copy(update={"steps": _replaced(alignment, line, found)})
    return _warned(replaced, f"{where}, these had no effect: {line.text}") if line.refused else replaced


def _line(text: str, limit: int = 400) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _incomplete(where: str, alignment: Alignment, line: Line, failed: Trajectory, blame: Blame) -> str:
    said = failed.feedback or next((step.feedback for step in reversed(failed.steps) if step.feedback), "")
    if said:
        return f"{where}, step {line.number} ({_line(line.text, 200)}): the judge said: {_line(said)}"
    del alignment, blame
    return f"{where}, following this did not succeed in {len(failed.steps)} steps"


def _warned(script: Script, lesson: str) -> Script:
    """The script with one more pitfall; when there are too many, what once did not work makes room, oldest first."""
    pitfalls = [pitfall for pitfall in script.pitfalls if pitfall != lesson] + [lesson]
    while len(pitfalls) > MAX_PITFALLS:
        oldest = next((pitfall for pitfall in pitfalls if not is_safety_note(pitfall)), pitfalls[-1])
        pitfalls.remove(oldest)
    return script.model_copy(update={"pitfalls": tuple(pitfalls)})


class _Swap(NamedTuple):
    """A word of a step and the one that works in its place, with the actions that were done there."""

    wrong: str
    right: str
    done: frozenset[str]
    """Verbs that were done at the right one."""


def _instead(alignment: Alignment, line: Line) -> _Swap | None:
    """What the failed trajectory did, with effect, that is this step but for one word."""
    failed = alignment.failed
    about = set(words(failed.task))
    for step in failed.steps:
        action = words(lift(step.action))
        if refused(step) or is_fault(step) or not line.needs or len(action) != len(line.needs):
            continue
        differ = [(mine, theirs) for mine, theirs in zip(line.needs, action, strict=True) if mine != theirs]
        if len(differ) == 1 and differ[0][0] not in about and action[0] == line.needs[0] and len(action) > 2:
            return _Swap(*differ[0], _done_at(alignment, differ[0][1]))
    return None


def _done_at(alignment: Alignment, place: str) -> frozenset[str]:
    acted = ((words(lift(step.action)), step) for step in alignment.failed.steps if not refused(step))
    return frozenset(action[0] for action, _ in acted if place in action[1:])


def _replaced(alignment: Alignment, line: Line, swap: _Swap) -> tuple[str, ...]:
    """The steps with the right word in the wrong step and those that lead to it, wherever they are told again."""
    start = line.number - 1
    while start > 0 and swap.wrong in alignment.lines[start - 1].needs[1:]:
        start -= 1
    same = {other.text for other in alignment.lines[start : line.number]}
    steps: list[str] = []
    for other in alignment.lines:
        if other.text not in same:
            steps.append(other.text)
        elif other.needs[0] in swap.done:  # what was not done there (opening it) was not needed
            steps.append(re.sub(rf"\b{re.escape(swap.wrong)}s?\b", swap.right, other.text, flags=re.IGNORECASE))
    return tuple(steps) or alignment.steps


def _tightened(script: Script, content: Content, steps: tuple[str, ...], failed: Trajectory) -> Script:
    """The script with conditions from the words in which the two tasks differ in kind."""
    fitting = fit(content, steps, failed)
    if fitting.extra:
        said = " and ".join(f'"{word}"' for word in fitting.extra[:4])
        return _with(script, "does_not_apply_when", f"the task says {said}")
    if fitting.missing:
        said = " and ".join(f'"{word}"' for word in fitting.missing[:4])
        return _with(script, "applies_when", f"the task says {said}")
    return _with(script, "does_not_apply_when", f'the task is like "{_line(lift(failed.task), 200)}"')


def _with(script: Script, field: str, line: str) -> Script:
    lines: tuple[str, ...] = getattr(script, field)
    return script if line in lines else script.model_copy(update={field: (*lines, line)})
