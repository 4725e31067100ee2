"""What an update policy is given and what it may ask for."""

from typing import Protocol, runtime_checkable

from memp.build.base import Built
from memp.records import Name, Procedure, Record, Trajectory


class Episode(Record):
    """One recorded trajectory with the procedures that were served for it, at their current revision."""

    trajectory: Trajectory
    success: bool
    had_recall: bool
    served: tuple[Procedure, ...] = ()
    credited: tuple[tuple[Name, int], ...] = ()
    """Procedure id and revision of what was served; that revision may have been replaced since."""


class Add(Record):
    """Append a new procedure."""

    built: Built
    reason: str
    unless_known: bool = False
    """Skip it if, by the time it is applied, a procedure of the same task and actions is there."""
    evidence: tuple[Name, ...] = ()
    """Ids of trajectories that led to it beside the one of the episode."""


class Revise(Record):
    """Correct a procedure in place: a new revision, its counters start afresh."""

    procedure: Procedure
    built: Built
    reason: str
    evidence: tuple[Name, ...] = ()
    """Ids of trajectories that led to it beside the one of the episode."""


class Skip(Record):
    """Do nothing, and say why."""

    subject: str
    reason: str


Change = Add | Revise | Skip


class Tools(Protocol):
    """What an update policy can ask for; the memory stands behind it."""

    async def build(self, trajectory: Trajectory) -> Built:
        """The content that remembers `trajectory`, by the memory's build policy."""

    async def adjust(self, procedure: Procedure, failed: Trajectory) -> Built:
        """The procedure's content, corrected by a failed trajectory."""

    def known(self, trajectory: Trajectory) -> str | None:
        """Id of a procedure built from the same actions on the same task, if there is one."""


@runtime_checkable
class UpdatePolicy(Protocol):
    """U(M, E, tau): what a recorded trajectory changes in the memory (paper, section 2.2.3).

    A policy whose every change builds on the one before (one document that grows) says so with an attribute
    `in_order = True`: trajectories are then taken one after the other, none ahead of its turn.
    """

    @property
    def name(self) -> str:
        """How it is chosen and what revisions say."""

    async def changes(self, episode: Episode, tools: Tools) -> list[Change]:
        """What to change because of `episode`; everything not done is a `Skip` with its reason.

        Raises:
            ModelError: the model could not be asked, or gave nothing usable.
        """
