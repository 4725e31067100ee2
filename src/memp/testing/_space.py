"""One namespace of the in-memory store: plain dictionaries and what may be done to them."""

import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from memp.errors import Conflict, RecordError, StoreError
from memp.records import Outcome, Procedure, Receipt, Revision, Trajectory
from memp.stores.base import Head, Write
from memp.stores.entries import (
    Entry,
    LoggedRecall,
    OutcomeEntry,
    RecallEntry,
    ReceiptEntry,
    RevisionEntry,
    TrajectoryEntry,
)


class Told(NamedTuple):
    """A trajectory and what became of it."""

    trajectory: Trajectory
    recall_id: str | None
    consumed_by: str | None
    at: datetime


class State(NamedTuple):
    """A revision and its counters."""

    revision: Revision
    served: int = 0
    succeeded: int = 0


class Origin(NamedTuple):
    """What stays of a procedure, and where it stands."""

    seq: int
    head: int
    changed: int
    created_at: datetime
    success: bool
    key: bytes


@dataclass
class Space:
    """What a namespace holds, each kind in the order it was written. Rows are never changed, only replaced."""

    trajectories: dict[str, Told] = field(default_factory=dict)
    procedures: dict[str, Origin] = field(default_factory=dict)
    revisions: dict[tuple[str, int], State] = field(default_factory=dict)
    recalls: dict[str, LoggedRecall] = field(default_factory=dict)
    outcomes: dict[str, tuple[int, Outcome]] = field(default_factory=dict)
    """By trajectory, with their numbers."""
    receipts: dict[str, Receipt] = field(default_factory=dict)
    drafts: dict[str, str] = field(default_factory=dict)

    def copy(self) -> Self:
        """A space of its own with the same rows."""
        return type(self)(**{kind.name: dict(getattr(self, kind.name)) for kind in fields(self)})

    def holds(self) -> bool:
        """Whether there is anything in it."""
        return bool(self.trajectories or self.procedures or self.recalls or self.receipts)

    # -- write -------------------------------------------------------------------------------------

    def tell(self, trajectory: Trajectory, recall_id: str | None, at: datetime) -> bool:
        """Keep a trajectory; False when the same one is there.

        Raises:
            RecordError: another one is there, or it was recorded with another recall.
        """
        known = self.trajectories.get(trajectory.id)
        if known is None:
            self.trajectories[trajectory.id] = Told(trajectory, recall_id, None, at.astimezone(UTC))
            return True
        if known.trajectory != trajectory:
            raise RecordError(f"trajectory {trajectory.id} was recorded before with other content; give it a new id")
        if known.recall_id != recall_id:
            raise RecordError(f"trajectory {trajectory.id} was recorded before with recall {known.recall_id}")
        return False

    def take(self, id: str, by: str | None) -> bool:
        """Say who took a trajectory; False when somebody else has, or there is none. None puts it back."""
        known = self.trajectories.get(id)
        if known is None or (by is not None and known.consumed_by is not None):
            return False
        self.trajectories[id] = known._replace(consumed_by=by)
        return True

    def append(self, write: Write, number: Callable[[], int]) -> None:
        """Append a revision; the first one creates the procedure.

        Raises:
            Conflict: its parent is not the procedure's current revision.
            RecordError: its number does not follow its parent's.
        """
        revision = write.revision
        id = revision.procedure_id
        if revision.number != (revision.parent or 0) + 1:
            raise RecordError(f"revision {revision.number} of procedure {id} cannot follow {revision.parent}")
        known = self.procedures.get(id)
        if (known.head if known else None) != revision.parent:
            raise Conflict(f"procedure {id} is at revision {known and known.head}, not at {revision.parent}")
        changed = number()
        if known is None:
            known = Origin(changed, 1, changed, revision.at, write.success, write.origin)
        self.procedures[id] = known._replace(head=revision.number, changed=changed)
        self.revisions[id, revision.number] = State(revision)

    def credit(self, outcome: Outcome, number: Callable[[], int]) -> None:
        """Log an outcome and count it for every procedure that was served.

        Raises:
            RecordError: one of them is not here.
        """
        self.outcomes[outcome.trajectory_id] = (number(), outcome)
        for key in outcome.credited:
            if key not in self.revisions:
                raise RecordError(f"recall {outcome.recall_id} served {key}, which this namespace does not hold")
            state = self.revisions[key]
            self.revisions[key] = state._replace(served=state.served + 1, succeeded=state.succeeded + outcome.success)

    def log_receipt(self, receipt: Receipt) -> None:
        """Log a receipt; that of a whole operation takes the place of those of its parts.

        Raises:
            StoreError: there is one of that id.
        """
        if receipt.id in self.receipts:
            raise StoreError(f"there is a receipt {receipt.id} already")
        self.receipts = {id: kept for id, kept in self.receipts.items() if not id.startswith(f"{receipt.id}/")}
        self.receipts[receipt.id] = receipt

    # -- read --------------------------------------------------------------------------------------

    def at(self, namespace: str, id: str, number: int) -> Procedure | None:
        """A procedure at one of its revisions."""
        state, origin = self.revisions.get((id, number)), self.procedures.get(id)
        if state is None or origin is None:
            return None
        return Procedure(
            id=id,
            namespace=namespace,
            created_at=origin.created_at,
            revision=state.revision,
            served=state.served,
            succeeded=state.succeeded,
            built_from_success=origin.success,
        )

    def head(self, id: str, vectors: Callable[[str], NDArray[np.float32] | None]) -> Head:
        """What an index needs to know of a procedure."""
        origin = self.procedures[id]
        revision = self.revisions[id, origin.head].revision
        facts, vector = json.dumps(dict(revision.content.facts)), vectors(revision.content.task)
        task, found = revision.content.task, None if vector is None else vector.tobytes()
        return Head(origin.seq, id, origin.changed, revision.status, origin.success, task, facts, found)

    def search(self, words: str) -> list[str]:
        """Ids of the procedures that hold every word, best first."""
        phrases = [phrase for phrase in map(tokens, words.split()) if phrase]
        found: list[tuple[float, str]] = []
        for id, origin in self.procedures.items() if phrases else ():
            content = self.revisions[id, origin.head].revision.content
            script = content.script
            texts = (script.goal, *script.steps, *script.pitfalls) if script else ()
            said = [*tokens(content.task), "", *tokens("\n".join(texts))]
            counts = [_count(phrase, said) for phrase in phrases]
            if all(counts):
                found.append((-sum(counts) / len(said), id))
        return [id for _, id in sorted(found, key=lambda item: item[0])]

    def entries(self) -> Iterator[Entry]:
        """Everything but caches, each kind in the order it was written."""
        for told in self.trajectories.values():
            trajectory, recall_id, consumed_by, at = told
            yield TrajectoryEntry(trajectory=trajectory, recall_id=recall_id, consumed_by=consumed_by, recorded_at=at)
        for (id, number), state in self.revisions.items():
            origin = self.procedures[id] if number == 1 else None
            yield RevisionEntry(
                revision=state.revision,
                served=state.served,
                succeeded=state.succeeded,
                built_from_success=origin.success if origin else None,
                origin=origin.key.hex() if origin else None,
            )
        yield from (RecallEntry(recall=recall) for recall in self.recalls.values())
        yield from (OutcomeEntry(outcome=outcome) for _, outcome in self.outcomes.values())
        yield from (ReceiptEntry(receipt=receipt) for receipt in self.receipts.values())


def tokens(text: str) -> list[str]:
    """The words of a text without case and accents."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return re.findall(r"[^\W_]+", "".join(c for c in plain if not unicodedata.combining(c)))


def _count(phrase: list[str], said: list[str]) -> int:
    return sum(said[n : n + len(phrase)] == phrase for n in range(len(said)))
