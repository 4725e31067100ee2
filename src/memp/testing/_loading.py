"""Takes dumped entries into spaces of the in-memory store."""

from collections import Counter
from collections.abc import Callable

from memp.errors import RecordError
from memp.records import Outcome
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
from memp.testing._space import Space


class Loading:
    """One load: what came, and whether its counters are those of its outcomes."""

    def __init__(self, number: Callable[[], int]) -> None:
        self._number = number
        self._new: Counter[str] = Counter()
        self._said: dict[tuple[str, str, int], tuple[int, int]] = {}
        self._served: Counter[tuple[str, str, int]] = Counter()
        self._succeeded: Counter[tuple[str, str, int]] = Counter()

    def take(self, namespace: str, space: Space, entry: Entry) -> None:
        """Append one entry, or see that it is there.

        Raises:
            RecordError: it contradicts what is there, or refers to what is not there.
            Conflict: a revision before it is missing.
        """
        match entry:
            case TrajectoryEntry():
                new = space.tell(entry.trajectory, entry.recall_id, entry.recorded_at)
                if entry.consumed_by is not None:
                    space.take(entry.trajectory.id, entry.consumed_by)
            case RevisionEntry():
                new = self._revision(namespace, space, entry)
            case RecallEntry(recall=recall):
                new = self._recall(space, recall)
            case OutcomeEntry(outcome=outcome):
                new = self._outcome(namespace, space, outcome)
            case ReceiptEntry(receipt=receipt):
                new = receipt.id not in space.receipts and receipt.id.rpartition("/")[0] not in space.receipts
                if new:
                    space.log_receipt(receipt)
                elif space.receipts.get(receipt.id, receipt) != receipt:
                    raise RecordError(f"receipt {receipt.id} is there with other content")
        self._new[entry.kind if new else "skipped"] += 1

    def finish(self) -> Loaded:
        """What was taken.

        Raises:
            RecordError: counters are not those of the outcomes that came with them.
        """
        for key, said in self._said.items():
            counted = (self._served[key], self._succeeded[key])
            if said != counted:
                raise RecordError(f"procedure {key[1]} revision {key[2]} comes with {said}, its outcomes say {counted}")
        kinds = {"trajectory": "trajectories", "revision": "revisions", "recall": "recalls", "outcome": "outcomes"}
        kinds |= {"receipt": "receipts", "skipped": "skipped"}
        return Loaded(**{kinds[kind]: count for kind, count in self._new.items()})

    def _revision(self, namespace: str, space: Space, entry: RevisionEntry) -> bool:
        revision = entry.revision
        id, number = key = (revision.procedure_id, revision.number)
        if (number == 1) != (entry.built_from_success is not None and entry.origin is not None):
            raise RecordError(f"{key}: `built_from_success` and `origin` belong to revision 1")
        if (namespace, id, number) in self._said:
            raise RecordError(f"revision {number} of procedure {id} comes twice")
        self._said[namespace, id, number] = (entry.served, entry.succeeded)
        success, origin = bool(entry.built_from_success), bytes.fromhex(entry.origin or "")
        if key not in space.revisions:
            space.append(Write(revision=revision, success=success, origin=origin), self._number)
            return True
        same = space.revisions[key].revision == revision
        if not same or (number == 1 and space.procedures[id][-2:] != (success, origin)):
            raise RecordError(f"revision {number} of procedure {id} is there with other content")
        return False

    @staticmethod
    def _recall(space: Space, recall: LoggedRecall) -> bool:
        new = recall.id not in space.recalls
        known = space.recalls.setdefault(recall.id, recall)
        if known.model_dump_json() != recall.model_dump_json():  # scores may be NaN
            raise RecordError(f"recall {recall.id} is there with other content")
        return new

    def _outcome(self, namespace: str, space: Space, outcome: Outcome) -> bool:
        for id, number in outcome.credited:
            self._served[namespace, id, number] += 1
            self._succeeded[namespace, id, number] += outcome.success
        if outcome.trajectory_id in space.outcomes:
            if space.outcomes[outcome.trajectory_id][1] != outcome:
                raise RecordError(f"trajectory {outcome.trajectory_id} is there with another outcome")
            return False
        if outcome.recall_id not in space.recalls or outcome.trajectory_id not in space.trajectories:
            raise RecordError(f"the outcome of {outcome.trajectory_id} comes without its recall or trajectory")
        space.credit(outcome, self._number)
        return True
