"""What the memory answers for a task."""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import Field, PrivateAttr

from memp.errors import RecordError
from memp.records import Name, Procedure, Record, Text, Trajectory, When
from memp.render import render_content, render_procedures, render_reference


class Recalled(Record):
    """One procedure of a recall and why it was chosen."""

    procedure: Procedure
    score: float
    why: Text


class LeftOut(Record):
    """A procedure that was considered and not served, and why."""

    procedure_id: Name
    score: float | None
    why: Text


class Recall(Record):
    """The procedures served for a task, best first. Give it to `record` so that they are credited."""

    id: Name
    namespace: Name
    task: Text
    policy: Name
    ranked: tuple[Recalled, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    withheld: tuple[Recalled, ...] = ()
    """What would have been served: kept back to measure what memory is worth. Then `ranked` is empty."""
    note: Text = ""
    """Why nothing was served although there was something: withheld, or the memory abstains for this agent."""
    agent: Text = ""
    """The model that it is for: evidence is per model."""
    facts: Mapping[Name, Text] = Field(default_factory=dict)
    at: When
    _load: Callable[[str], Trajectory] | None = PrivateAttr(None)

    def with_loader(self, load: Callable[[str], Trajectory]) -> "Recall":
        """The recall with the means to read trajectories, which are only needed to show it."""
        self._load = load
        return self

    def render(self) -> str:
        """The text for the prompt; an empty string when nothing was recalled.

        Procedures whose text may come from untrusted origins come last, as data and not as instructions.

        Raises:
            RecordError: a procedure shows a trajectory and the recall was not made by a memory.
        """
        texts: list[str] = []
        references: list[str] = []
        for item in self.ranked:
            text = render_content(item.procedure.content, self._trajectory(item))
            if origins := item.procedure.revision.tainted:
                references.append(render_reference(text, origins))
            else:
                texts.append(text)
        return render_procedures(texts, references)

    def _trajectory(self, item: Recalled) -> Trajectory | None:
        wanted = item.procedure.content.trajectory_id
        if wanted is None:
            return None
        if self._load is None:
            raise RecordError(
                f"recall {self.id} shows trajectory {wanted} but was not made by a memory; use memory.recall(id)"
            )
        return self._load(wanted)

    def __getstate__(self) -> dict[Any, Any]:
        # A recall may travel to another process; the memory it came from may not.
        return super().__getstate__() | {"__pydantic_private__": {"_load": None}}

    def __str__(self) -> str:
        return self.render()
