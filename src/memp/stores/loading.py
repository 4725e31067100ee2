"""What every store checks when it takes dumped entries, whatever it keeps them in."""

from abc import ABC, abstractmethod
from collections import Counter
from datetime import datetime
from typing import Final, Literal, NamedTuple

from memp.errors import RecordError
from memp.records import Outcome, Receipt, Revision, Trajectory
from memp.stores.base import Write
from memp.stores.entries import (
    Entry,
    Loaded,
    LoggedRecall,
    OutcomeEntry,
    RecallEntry,
    ReceiptEntry,
    RevisionEntry,
    TrajectoryEntry,
)

Kind = Literal["trajectory", "recall", "outcome", "receipt"]
_COUNTS: Final = {
    "trajectory": "trajectories",
    "revision": "revisions",
    "recall": "recalls",
    "outcome": "outcomes",
    "receipt": "receipts",
}


class Known(NamedTuple):
    """A revision that is there; of the first one, also what the procedure was built from."""

    revision: Revision
    success: bool
    origin: bytes


class Loading(ABC):
    """One load, within a transaction: what came, and whether its counters are those of its outcomes.

    A store says what is there and adds what is new; nobody else writes meanwhile.
    """

    def __init__(self) -> None:
        self._new: Counter[str] = Counter()
        self._skipped = 0
        self._said: dict[tuple[str, str, int], tuple[int, int]] = {}
        self._served: Counter[tuple[str, str, int]] = Counter()
        self._succeeded: Counter[tuple[str, str, int]] = Counter()

    # -- what a store does -------------------------------------------------------------------------

    @abstractmethod
    def has(self, namespace: str, kind: Kind, id: str) -> bool:
        """Whether an entry of that id is there; of an outcome, the trajectory's."""

    @abstractmethod
    def body(self, namespace: str, kind: Kind, id: str) -> str:
        """The JSON of a recall, an outcome or a receipt that is there."""

    @abstractmethod
    def revision(self, namespace: str, id: str, number: int) -> Known | None:
        """The revision of a procedure, if it is there."""

    @abstractmethod
    def add_trajectory(self, namespace: str, trajectory: Trajectory, recall_id: str | None, at: datetime) -> bool:
        """Keep a trajectory; False when the same one is there. RecordError: another is."""

    @abstractmethod
    def consume(self, namespace: str, trajectory_id: str, by: str) -> None:
        """Say which receipt's update took a trajectory that waits; of any other nothing changes."""

    @abstractmethod
    def append(self, namespace: str, write: Write) -> None:
        """Append a revision. Conflict: it does not follow the current one."""

    @abstractmethod
    def add_recall(self, namespace: str, recall: LoggedRecall) -> None:
        """Keep a recall that is not there."""

    @abstractmethod
    def add_outcome(self, namespace: str, outcome: Outcome) -> None:
        """Keep an outcome that is not there, and credit what it names. RecordError: that is not there."""

    @abstractmethod
    def add_receipt(self, namespace: str, receipt: Receipt) -> None:
        """Keep a receipt that is not there."""

    # -- what is the same everywhere ---------------------------------------------------------------

    def take(self, namespace: str, entry: Entry) -> None:
        """Append one entry, or see that it is there.

        Raises:
            RecordError: it contradicts what is there, or refers to something that is not there.
            Conflict: a revision between it and the current one is missing.
        """
        match entry:
            case TrajectoryEntry(trajectory=trajectory):
                new = self.add_trajectory(namespace, trajectory, entry.recall_id, entry.recorded_at)
                if entry.consumed_by is not None:  # what was taken anywhere must not be taken again
                    self.consume(namespace, trajectory.id, entry.consumed_by)
            case RevisionEntry():
                new = self._revision(namespace, entry)
            case RecallEntry(recall=recall):
                new = self._recall(namespace, recall)
            case OutcomeEntry(outcome=outcome):
                new = self._outcome(namespace, outcome)
            case ReceiptEntry(receipt=receipt):
                new = self._receipt(namespace, receipt)
        if new:
            self._new[_COUNTS[entry.kind]] += 1
        else:
            self._skipped += 1

    def finish(self) -> Loaded:
        """What was taken.

        Raises:
            RecordError: the counters that came with a revision are not those of the outcomes that came with it.
        """
        for key, said in self._said.items():
            counted = (self._served[key], self._succeeded[key])
            if said != counted:
                raise RecordError(
                    f"procedure {key[1]} revision {key[2]} comes with counters {said[1]}/{said[0]}, "
                    f"but its outcomes say {counted[1]}/{counted[0]}; outcomes are missing or were changed"
                )
        return Loaded(**self._new, skipped=self._skipped)

    def _revision(self, namespace: str, entry: RevisionEntry) -> bool:
        revision = entry.revision
        id, number = revision.procedure_id, revision.number
        if (number == 1) != (entry.built_from_success is not None and entry.origin is not None):
            raise RecordError(
                f"revision {number} of procedure {id}: `built_from_success` and `origin` belong to revision 1"
            )
        if (namespace, id, number) in self._said:
            raise RecordError(f"revision {number} of procedure {id} comes twice")
        self._said[namespace, id, number] = (entry.served, entry.succeeded)
        success, origin = bool(entry.built_from_success), bytes.fromhex(entry.origin or "")
        known = self.revision(namespace, id, number)
        if known is None:
            self.append(namespace, Write(revision=revision, success=success, origin=origin))
        elif known.revision != revision or (number == 1 and known[1:] != (success, origin)):
            raise RecordError(f"revision {number} of procedure {id} is there with other content")
        return known is None

    def _recall(self, namespace: str, recall: LoggedRecall) -> bool:
        if not self.has(namespace, "recall", recall.id):
            self.add_recall(namespace, recall)
            return True
        known = LoggedRecall.model_validate_json(self.body(namespace, "recall", recall.id))
        if known.model_dump_json() != recall.model_dump_json():  # scores may be NaN, which equals nothing
            raise RecordError(f"recall {recall.id} is there with other content")
        return False

    def _outcome(self, namespace: str, outcome: Outcome) -> bool:
        for id, number in outcome.credited:
            self._served[namespace, id, number] += 1
            self._succeeded[namespace, id, number] += outcome.success
        if self.has(namespace, "outcome", outcome.trajectory_id):
            if Outcome.model_validate_json(self.body(namespace, "outcome", outcome.trajectory_id)) != outcome:
                raise RecordError(f"trajectory {outcome.trajectory_id} is there with another outcome")
            return False
        if not self.has(namespace, "recall", outcome.recall_id):
            raise RecordError(f"an outcome is of recall {outcome.recall_id}, which is not there")
        if not self.has(namespace, "trajectory", outcome.trajectory_id):
            raise RecordError(f"an outcome is of trajectory {outcome.trajectory_id}, which is not there")
        self.add_outcome(namespace, outcome)
        return True

    def _receipt(self, namespace: str, receipt: Receipt) -> bool:
        whole = receipt.id.rpartition("/")[0]
        if whole and self.has(namespace, "receipt", whole):
            return False  # the receipt of the whole operation took the place of this part's
        if not self.has(namespace, "receipt", receipt.id):
            self.add_receipt(namespace, receipt)
            return True
        if Receipt.model_validate_json(self.body(namespace, "receipt", receipt.id)) != receipt:
            raise RecordError(f"receipt {receipt.id} is there with other content")
        return False
