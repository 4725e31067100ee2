"""Guard: a correction is a candidate, made for a stated cause, that has to prove itself before it replaces anything."""

import re
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, Protocol, runtime_checkable

from pydantic import Field

from memp.blame import Blame
from memp.blame.correct import is_safety_note
from memp.blame.kinds import words
from memp.records import Content, Procedure, Record, Script, Trajectory

_SAME: Final = 0.7
"""Share of the words of a line that another line must hold to say the same."""


class Guard(Record):
    """When and how a memory may be corrected. Without one (None) policies do exactly what the paper says."""

    blame: bool = True
    """Ask what made a task fail before anything is corrected; False corrects whatever was served, on trial."""
    trial: float = Field(0.5, gt=0, lt=1)
    """Share of the recalls of a procedure that a candidate gets."""
    validation: Literal["probation", "replay", "none"] = "probation"
    """`probation`: on trial beside the revision that stands. `replay`: before that, tried on the failed task and on
    tasks that the old revision solved. `none`: takes its place at once."""
    promote: float = Field(0.8, ge=0.5, le=1)
    """Probability of being as good or better from which a candidate takes its place."""
    withdraw: float = Field(0.9, ge=0.5, le=1)
    """Probability of being worse from which it is withdrawn."""
    margin: float = Field(0.05, ge=0, le=0.5)
    """As good: not more than this below, as a share of tasks won."""
    least: int = Field(3, ge=1)
    """Servings of a candidate before anything is decided."""
    most: int = Field(16, ge=2)
    """Servings of both revisions during a trial after which the posterior means decide."""
    keep: float = Field(0.5, ge=0, le=1)
    """Share of the steps that a correction must keep, unless blame says otherwise."""
    tries: int = Field(2, ge=1)
    """How often the same correction of a procedure may be on trial: few tasks may mislead."""
    replays: int = Field(2, ge=0, le=10)
    """Solved tasks to replay beside the failed one."""


@runtime_checkable
class Replay(Protocol):
    """An environment in which a task can be played again."""

    async def play(self, source: str, recalled: str) -> bool | None:
        """Play the task that a trajectory names as its `source` with `recalled` in the prompt; whether it was won.

        None when the task cannot be played again.
        """


class Played(NamedTuple):
    """Candidate and old revision on the same tasks."""

    failed_won: bool
    solved: int
    """Tasks that the old revision had solved and that could be played again."""
    solved_won: int

    @property
    def refused(self) -> str:
        """Why the candidate is not accepted; empty when it is: it must not win fewer of the tasks than the old one."""
        won = self.failed_won + self.solved_won
        if won >= max(1, self.solved):
            return ""
        return f"replay: {self.words}"

    @property
    def words(self) -> str:
        """The figures."""
        return (
            f"the failed task {'won' if self.failed_won else 'lost'} with it, and "
            f"{self.solved_won} of {self.solved} that the old revision had solved"
        )


def loses(old: Content, new: Content, blame: Blame | None, solved: Sequence[Trajectory], keep: float) -> str:
    """Why a correction may not be made for what it leaves out; empty when it may.

    Args:
        old, new: what the procedure says and would say.
        blame: what the failure was blamed on; the blamed step may go.
        solved: trajectories that succeeded with the old content; one that contradicts a condition speaks against it.
        keep: share of the steps that must stay.
    """
    before, after = old.script, new.script
    if before is None or after is None:
        return "" if before is None else "it loses the whole script"
    for field in ("applies_when", "does_not_apply_when"):
        for line in _lost(getattr(before, field), getattr(after, field)):
            if not any(_contradicts(field, line, trajectory) for trajectory in solved):
                return f'it loses a condition ({field.replace("_", " ")}: "{line}") that nothing speaks against'
    for line in _lost([p for p in before.pitfalls if is_safety_note(p)], after.pitfalls):
        return f'it loses a safety note: "{line}"'
    return _loses_steps(before, after, blame, keep)


def _loses_steps(before: Script, after: Script, blame: Blame | None, keep: float) -> str:
    lost = _lost(before.steps, after.steps)
    blamed = before.steps[blame.step - 1] if blame and blame.step and blame.step <= len(before.steps) else None
    if len(lost) <= (1 - keep) * len(before.steps) or set(lost) <= {blamed}:
        return ""
    return f"it loses {len(lost)} of {len(before.steps)} steps"


def _lost(before: Sequence[str], after: Sequence[str]) -> list[str]:
    """Lines that no line after them says."""
    told = [set(words(line)) for line in after]
    return [line for line in before if line not in after and not any(_says(set(words(line)), other) for other in told)]


def _says(line: set[str], other: set[str]) -> bool:
    return bool(line) and len(line & other) >= _SAME * len(line)


def _contradicts(field: str, line: str, solved: Trajectory) -> bool:
    """Whether a success shows that a condition is not needed."""
    named = [word for quoted in re.findall(r'"([^"]+)"', line) for word in words(quoted)]
    said = set(words(solved.task))
    if not named:
        return False
    return set(named) <= said if field == "does_not_apply_when" else not set(named) <= said


def only_conditions(procedure: Procedure) -> bool:
    """Whether a candidate changes when a procedure applies, and nothing else: its steps may be corrected meanwhile."""
    return on_trial(procedure) and procedure.revision.reason.startswith("did-not-apply")


def on_trial(procedure: Procedure) -> bool:
    """Whether a candidate is being tried beside the revision that stands."""
    return procedure.status == "probation" and procedure.revision.stands is not None
