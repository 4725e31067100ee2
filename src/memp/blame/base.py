"""What blame says: which of four things made a task fail that a procedure was served for."""

from typing import Literal, Protocol

from pydantic import Field

from memp.records import Content, Name, Record, Text, Trajectory

Verdict = Literal["procedure", "not-followed", "did-not-apply", "environment"]
"""`procedure`: what it says is wrong or incomplete. `not-followed`: the agent did something else. `did-not-apply`: it
is for another kind of task. `environment`: the world or the provider broke, which teaches nothing."""


class Blame(Record):
    """Why a task failed for which a procedure was served."""

    procedure_id: Name
    revision: int = Field(ge=1)
    verdict: Verdict
    step: int | None = Field(None, ge=1)
    """Number of the procedure's step that was wrong, or the first that was not followed."""
    evidence: tuple[Text, ...] = ()
    """Quotes: each occurs in the failed trajectory (or in its task)."""
    why: Text
    by: Literal["rules", "model"] = "rules"
    note: Text = ""
    """Why the rules decided although a model was asked; empty otherwise."""


class Blamer(Protocol):
    """Rules or a model."""

    async def blame(
        self, procedure_id: str, revision: int, content: Content, shown: Trajectory | None, failed: Trajectory
    ) -> Blame:
        """Why `failed` failed although `content` was served. `shown` is the trajectory that the content carries.

        Raises:
            ModelError: the model could not be asked.
        """
