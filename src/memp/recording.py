"""What `record` keeps beside the trajectory: how the task went, and what was taken out of it before storing."""

from collections.abc import Mapping
from datetime import datetime

from pydantic import Field

from memp.recall import Recall, Recalled
from memp.records import Name, Outcome, Receipt, Record, Skipped, Trajectory
from memp.stores.base import text_key


class Recorded(Record):
    """What `record` did."""

    trajectory_id: str
    outcome: Outcome | None
    """None without a recall."""
    receipt: Receipt | None = None
    """Of the update that was due (`every`), if one ran."""
    redacted: Mapping[Name, int] = Field(default_factory=dict)
    """What was taken out before storing, by kind (`api key`, `email`), and how often. A receipt of its own says so."""


def outcome_of(trajectory: Trajectory, recall: Recall, *, success: bool, counts: bool, at: datetime) -> Outcome:
    """How a task with a recall went. Where it does not count, it says nothing about what was served or withheld."""

    def named(items: tuple[Recalled, ...]) -> tuple[tuple[str, int], ...]:
        return tuple((item.procedure.id, item.procedure.revision.number) for item in items if counts)

    return Outcome(
        recall_id=recall.id,
        trajectory_id=trajectory.id,
        reward=trajectory.reward,
        success=success,
        credited=named(recall.ranked),
        withheld=named(recall.withheld),
        agent=trajectory.agent or recall.agent,
        task_key=text_key(trajectory.task).hex()[:16],
        family=trajectory.tags.get("family", ""),
        steps=len(trajectory.steps),
        tokens=sum(used.tokens for used in trajectory.usage.values()) if trajectory.usage else None,
        at=at,
    )


def redaction(trajectory_id: str, redacted: Mapping[str, int], *, id: str, at: datetime) -> Receipt:
    """The receipt that says what of a trajectory was not stored."""
    said = ", ".join(f"{count} x {kind}" for kind, count in sorted(redacted.items()))
    return Receipt(
        id=id,
        operation="record",
        policy="redact",
        skipped=(Skipped(subject=trajectory_id, reason=f"not stored: {said}"),),
        redacted=redacted,
        at=at,
    )
