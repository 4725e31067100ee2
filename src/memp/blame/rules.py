"""Blame without a model: the trajectory is laid beside the procedure's steps."""

import re
from typing import NamedTuple

from memp.blame.align import Alignment, Line
from memp.blame.base import Blame, Verdict
from memp.blame.kinds import Fit, fit, words
from memp.blame.passing import fault_in, unrecovered
from memp.records import Content, Trajectory

_QUOTES = 4
_AGAINST = re.compile(
    r"\b(?:not|no|never|wrong|fail\w*|violat\w*|invalid|incorrect|error|missing|must|exceed\w*|too|lacks?|without|"
    r"instead|should(?:n't)?|did(?:n't)?|does(?:n't)?)\b",
    re.IGNORECASE,
)


class Judged(NamedTuple):
    """A verdict with its reasons."""

    verdict: Verdict
    step: int | None
    evidence: tuple[str, ...]
    why: str


def judge(content: Content, shown: Trajectory | None, failed: Trajectory) -> Judged:
    """What made `failed` fail, in the order in which one thing excludes the next.

    A fault that was not got over; a task of another kind; a step that the judge objected to; a step that was done as
    written and did harm, was tried as written and refused, or could not be tried since what it handles was not there;
    everything done as written and yet not achieved. Otherwise the procedure was not followed.
    """
    if found := _broke(failed):
        return found
    alignment = Alignment(content, shown, failed)
    fitting = fit(content, alignment.steps, failed)
    if not fitting.fits and not _swapped(fitting, alignment):
        return Judged("did-not-apply", None, (failed.task[:300],), _misfit(fitting))
    return _objected(alignment) or _wrong(alignment) or _left(alignment)


def _broke(failed: Trajectory) -> Judged | None:
    faults = unrecovered(failed)
    if not faults and not (said := fault_in(failed.feedback)):
        return None
    quotes = [failed.steps[at].observation[:300] for at in faults] or [said]
    kinds = {fault_in(failed.steps[at].observation) or f"{failed.steps[at].error} error" for at in faults} or {said}
    why = f"the world or the provider broke ({', '.join(sorted(kinds))}), which says nothing about how to do the task"
    return Judged("environment", None, tuple(dict.fromkeys(q for q in quotes if q))[:_QUOTES], why)


def _swapped(fitting: Fit, alignment: Alignment) -> bool:
    """Whether other words stand for the same: each side says something of its own, and all steps were done."""
    if fitting.ruled_out or len(fitting.extra) != len(fitting.missing) or not fitting.extra:
        return False
    return alignment.followed() == len(alignment.lines) and alignment.all_verbs_done()


def _misfit(fitting: Fit) -> str:
    if fitting.ruled_out:
        return f'the procedure says itself that it does not apply: "{fitting.ruled_out}"'
    said = []
    if fitting.extra:
        said.append(f"the task says {_listed(fitting.extra)}, of which the procedure knows nothing")
    if fitting.missing:
        said.append(f"the procedure is for tasks that say {_listed(fitting.missing)}")
    return "; ".join(said)


def _listed(said: tuple[str, ...]) -> str:
    return ", ".join(f'"{word}"' for word in said[:5])


def _objected(alignment: Alignment) -> Judged | None:
    """A step that a judge objected to, and that is one of the procedure's or not."""
    failed = alignment.failed
    for at, step in enumerate(failed.steps):
        if not step.feedback or not _AGAINST.search(step.feedback) or fault_in(step.feedback):
            continue
        line = next((line for line in alignment.lines if at in line.done or at in line.refused), None)
        if line is not None:
            why = f"the judge objected to step {line.number}, which was done as written"
            return Judged("procedure", line.number, (step.feedback[:300],), why)
    return _judged_as_a_whole(alignment)


def _judged_as_a_whole(alignment: Alignment) -> Judged | None:
    """The judge's words about the whole, where they speak of one of the procedure's steps."""
    said = alignment.failed.feedback
    if not said or not _AGAINST.search(said):
        return None
    spoken = set(words(said))
    best = max(alignment.lines, key=lambda line: len(spoken & set(line.needs)), default=None)
    if best is None or len(spoken & set(best.needs)) < 2:
        return None
    if best.done or best.refused:
        why = f"the judge speaks of step {best.number}, which was done as written"
        return Judged("procedure", best.number, (said[:300],), why)
    return Judged("not-followed", best.number, (said[:300],), f"the judge speaks of step {best.number}, never done")


def _wrong(alignment: Alignment) -> Judged | None:
    for line in alignment.lines:
        if (at := alignment.did_harm(line)) is not None:
            quotes = (alignment.quote(at), alignment.failed.steps[at].observation[:300])
            why = f"step {line.number} ({line.text}) was done as written and did harm"
            return Judged("procedure", line.number, quotes, why)
    for line in alignment.lines:
        if (at := alignment.was_refused(line)) is not None:
            quotes = (alignment.quote(at), alignment.failed.steps[at].observation[:300])
            why = f"step {line.number} ({line.text}) was tried as written and had no effect"
            return Judged("procedure", line.number, tuple(q for q in quotes if q), why)
    for line in alignment.lines:
        if (at := alignment.out_of_reach(line)) is not None:
            wrong = _led_there(alignment, line)
            quotes = (alignment.quote(at), alignment.failed.steps[at].observation[:300])
            why = f"step {line.number} ({line.text}) could not be tried: what it handles was not there"
            return Judged("procedure", wrong.number, tuple(q for q in quotes if q), why)
    return None


def _led_there(alignment: Alignment, line: Line) -> Line:
    """The step at fault when something was not there: the one that names the place."""
    before = alignment.lines[line.number - 2]
    return line if set(line.needs[1:]) & set(before.needs[1:]) else before


def _left(alignment: Alignment) -> Judged:
    failed, lines = alignment.failed, alignment.lines
    followed = alignment.followed()
    last = failed.steps[-1]
    quotes = tuple(q for q in (last.action[:300], last.observation[:300]) if q)
    if lines and followed == len(lines):
        return Judged("procedure", len(lines), quotes, "every step was done as written, and the task was not achieved")
    missed = lines[followed] if lines else None
    if missed is None:
        return Judged("not-followed", None, quotes, "the procedure tells no steps that could be compared")
    why = f"step {missed.number} ({missed.text}) was not done in its turn"
    return Judged("not-followed", missed.number, quotes, why)


class RuleBlamer:
    """Blame by rules: deterministic and free."""

    async def blame(
        self, procedure_id: str, revision: int, content: Content, shown: Trajectory | None, failed: Trajectory
    ) -> Blame:
        """See `Blamer.blame`."""
        return blamed(procedure_id, revision, judge(content, shown, failed))


def blamed(procedure_id: str, revision: int, judged: Judged, *, note: str = "") -> Blame:
    """The record of what the rules decided."""
    return Blame(
        procedure_id=procedure_id,
        revision=revision,
        verdict=judged.verdict,
        step=judged.step,
        evidence=judged.evidence,
        why=judged.why,
        note=note,
    )
