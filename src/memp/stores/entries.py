"""What an export holds, in the order it is written: everything but caches."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from memp.recall import LeftOut, Recall, Recalled
from memp.records import Name, Outcome, Procedure, Receipt, Record, Revision, Text, Trajectory, When


class LoggedRecall(Record):
    """A recall as it is kept: what was served is named by id and revision."""

    model_config = ConfigDict(ser_json_inf_nan="constants")

    id: Name
    task: Text
    policy: Name
    facts: Mapping[Name, Text]
    at: When
    ranked: tuple[tuple[Name, int, float, Text], ...]
    """Procedure id, revision, score, why."""
    left_out: tuple[tuple[Name, float | None, Text], ...]
    """Procedure id, score, why."""
    withheld: tuple[tuple[Name, int, float, Text], ...] = ()
    """As `ranked`: what would have been served."""
    note: Text = ""
    agent: Text = ""

    @classmethod
    def of(cls, recall: Recall) -> "LoggedRecall":
        """What to keep of `recall`."""
        return cls(
            id=recall.id,
            task=recall.task,
            policy=recall.policy,
            facts=recall.facts,
            at=recall.at,
            ranked=_named(recall.ranked),
            left_out=tuple((item.procedure_id, item.score, item.why) for item in recall.left_out),
            withheld=_named(recall.withheld),
            note=recall.note,
            agent=recall.agent,
        )

    def served(self) -> list[tuple[str, int]]:
        """Id and revision of everything that was served or withheld."""
        return [(id, number) for id, number, *_ in (*self.ranked, *self.withheld)]

    def recall(self, namespace: str, at: Callable[[str, int], Procedure | None]) -> Recall:
        """The recall, with procedures as they were served. `at`: by id and revision; what is gone is left out."""

        def served(items: Iterable[tuple[str, int, float, str]]) -> tuple[Recalled, ...]:
            found = [(at(id, number), score, why) for id, number, score, why in items]
            return tuple(Recalled(procedure=p, score=score, why=why) for p, score, why in found if p is not None)

        return Recall(
            id=self.id,
            namespace=namespace,
            task=self.task,
            policy=self.policy,
            ranked=served(self.ranked),
            left_out=tuple(LeftOut(procedure_id=id, score=score, why=why) for id, score, why in self.left_out),
            withheld=served(self.withheld),
            note=self.note,
            agent=self.agent,
            facts=self.facts,
            at=self.at,
        )


def _named(served: Sequence[Recalled]) -> tuple[tuple[str, int, float, str], ...]:
    return tuple((r.procedure.id, r.procedure.revision.number, r.score, r.why) for r in served)


class TrajectoryEntry(Record):
    """A trajectory and what became of it."""

    kind: Literal["trajectory"] = "trajectory"
    trajectory: Trajectory
    recall_id: Name | None = None
    consumed_by: Text | None = None
    """Receipt of the update that took it; None while it waits."""
    recorded_at: When


class RevisionEntry(Record):
    """A revision with its counters; the first one of a procedure says what the procedure was built from."""

    kind: Literal["revision"] = "revision"
    revision: Revision
    served: int = Field(0, ge=0)
    succeeded: int = Field(0, ge=0)
    built_from_success: bool | None = None
    origin: Annotated[str, Field(pattern="^([0-9a-f]{2})*$", max_length=200)] | None = None
    """Hexadecimal, see `origin_key`."""


class RecallEntry(Record):
    """A logged recall."""

    model_config = ConfigDict(ser_json_inf_nan="constants")

    kind: Literal["recall"] = "recall"
    recall: LoggedRecall


class OutcomeEntry(Record):
    """A logged outcome."""

    kind: Literal["outcome"] = "outcome"
    outcome: Outcome


class ReceiptEntry(Record):
    """A logged receipt."""

    kind: Literal["receipt"] = "receipt"
    receipt: Receipt


Entry = TrajectoryEntry | RevisionEntry | RecallEntry | OutcomeEntry | ReceiptEntry


class Loaded(Record):
    """How many entries of each kind were new, and how many were there already."""

    trajectories: int = 0
    revisions: int = 0
    recalls: int = 0
    outcomes: int = 0
    receipts: int = 0
    skipped: int = 0
    """Were there already with the same content."""
