"""What is written within a transaction that holds its namespace: nobody else writes there meanwhile."""

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from memp.errors import Conflict, RecordError
from memp.records import Outcome, Receipt, Revision, Trajectory
from memp.stores.base import Write, text_key
from memp.stores.entries import LoggedRecall
from memp.stores.postgres import statements as sql
from memp.stores.postgres.texts import plain, safe, searchable
from memp.stores.postgres.transaction import Transaction
from memp.stores.statements import read_trajectory, stamp

if TYPE_CHECKING:
    from memp.stores.postgres.wire import Answer


def packed_trajectory(trajectory: Trajectory) -> bytes:
    """A trajectory as it is stored."""
    return zlib.compress(trajectory.model_dump_json().encode(), 1)


def check_same(known: tuple[bytes, str | None], trajectory: Trajectory, body: bytes, recall_id: str | None) -> None:
    """See that a trajectory which is there is the one that comes.

    Raises:
        RecordError: it is another, or came with another recall.
    """
    if known[0] != body and read_trajectory(known[0]) != trajectory:
        raise RecordError(f"trajectory {trajectory.id} was recorded before with other content; give it a new id")
    before = None if known[1] is None else plain(known[1])
    if before != recall_id:
        raise RecordError(
            f"trajectory {trajectory.id} was recorded before with {_recall(before)}, now it comes with "
            f"{_recall(recall_id)}; a trajectory has one recall"
        )


def _recall(id: str | None) -> str:
    return "no recall" if id is None else f"recall {id}"


def insert_trajectory(
    transaction: Transaction,
    trajectory: Trajectory,
    body: bytes,
    recall_id: str | None,
    at: str,
    seq: int,
    consumed_by: str | None = None,
) -> None:
    """Keep a trajectory that is not there."""
    transaction.send(
        sql.INSERT_TRAJECTORY,
        id=safe(trajectory.id),
        seq=seq,
        body=body,
        reward=trajectory.reward,
        recall_id=None if recall_id is None else safe(recall_id),
        consumed_by=consumed_by,
        at=at,
    )


def record_trajectory(
    transaction: Transaction, trajectory: Trajectory, body: bytes, recall_id: str | None, at: str, erased: int
) -> None:
    """Keep a trajectory, with the number just taken, if nothing was erased since `erased` times."""
    transaction.send(
        sql.RECORD_TRAJECTORY,
        id=safe(trajectory.id),
        body=body,
        reward=trajectory.reward,
        recall_id=None if recall_id is None else safe(recall_id),
        at=at,
        erased=erased,
    )


def insert_recall(transaction: Transaction, recall: LoggedRecall) -> None:
    """Log a recall; a second time (it was logged when it was made) does nothing."""
    transaction.send(sql.INSERT_RECALL, id=safe(recall.id), body=recall.model_dump_json())


def insert_receipt(transaction: Transaction, receipt: Receipt, seq: int) -> None:
    """Log a receipt. That of a whole operation takes the place of those of its parts (`<id>/1`, `<id>/2`, ...)."""
    id = safe(receipt.id)
    transaction.send(sql.DROP_PARTS, first=f"{id}/", last=f"{id}0")  # 0 follows the slash
    transaction.send(sql.INSERT_RECEIPT, id=id, seq=seq, body=receipt.model_dump_json())


def creditable(transaction: Transaction, outcome: Outcome) -> "Answer":
    """Ask which of the revisions that an outcome credits are there."""
    return transaction.send(sql.CREDITABLE, **_credited(outcome))


def insert_outcome(transaction: Transaction, outcome: Outcome, seq: int) -> None:
    """Log an outcome; every procedure that was served gets it, by id and at the revision that was served."""
    transaction.send(sql.INSERT_OUTCOME, **_outcome(outcome), seq=seq)
    _credit(transaction, outcome)


def record_outcome(transaction: Transaction, outcome: Outcome) -> None:
    """Likewise, with the number just taken, and if all that it credits is there."""
    distinct = len(set(outcome.credited))
    transaction.send(sql.RECORD_OUTCOME, **_outcome(outcome), **_credited(outcome), credited=distinct)
    _credit(transaction, outcome)


def _outcome(outcome: Outcome) -> dict[str, str]:
    return {
        "id": safe(outcome.trajectory_id),
        "recall_id": safe(outcome.recall_id),
        "body": outcome.model_dump_json(),
    }


def _credited(outcome: Outcome) -> dict[str, list[Any]]:
    return {"ids": [safe(id) for id, _ in outcome.credited], "numbers": [number for _, number in outcome.credited]}


def _credit(transaction: Transaction, outcome: Outcome) -> None:
    if outcome.credited:
        transaction.send(sql.CREDIT, **_credited(outcome), won=int(outcome.success))


def check_credit(outcome: Outcome, there: Iterable[Sequence[Any]], namespace: str) -> None:
    """See that an outcome credits what is there: (safe id, number) of revisions.

    Raises:
        RecordError: it credits something else.
    """
    known = {(id, number) for id, number in there}
    for id, number in outcome.credited:
        if (safe(id), number) not in known:
            raise RecordError(
                f"recall {outcome.recall_id} served procedure {id} revision {number}, which namespace {namespace!r} "
                "does not hold; record into the memory that made the recall"
            )


def check_parent(revision: Revision, heads: Mapping[str, int]) -> None:
    """See that a revision follows the current one; `heads`: safe id -> number.

    Raises:
        Conflict: its parent is not the procedure's current revision.
        RecordError: its number does not follow its parent's.
    """
    id = revision.procedure_id
    if revision.number != (revision.parent or 0) + 1:
        raise RecordError(f"revision {revision.number} of procedure {id} cannot follow {revision.parent}")
    head = heads.get(safe(id))
    if head != revision.parent:
        raise Conflict(
            f"procedure {id} is at revision {head}, not at {revision.parent}; "
            "somebody revised it meanwhile: read it again and repeat"
        )


def append(transaction: Transaction, writes: Sequence[tuple[Write, int]]) -> None:
    """Append revisions whose parents were checked, each with its number; the first one creates the procedure."""
    if not writes:
        return
    revisions = [(write.revision, changed) for write, changed in writes]
    transaction.send(
        sql.INSERT_REVISIONS,
        ids=[safe(revision.procedure_id) for revision, _ in revisions],
        numbers=[revision.number for revision, _ in revisions],
        changed=[changed for _, changed in revisions],
        bodies=[revision.model_dump_json() for revision, _ in revisions],
    )
    first = {safe(w.revision.procedure_id): (w, changed) for w, changed in writes if w.revision.number == 1}
    last = {safe(revision.procedure_id): (revision, changed) for revision, changed in revisions}
    new, known = {id: last[id] for id in first}, {id: last[id] for id in last if id not in first}
    if new:
        transaction.send(
            sql.INSERT_PROCEDURES,
            **_states(new),
            seqs=[changed for _, changed in first.values()],
            created=[stamp(write.revision.at) for write, _ in first.values()],
            success=[write.success for write, _ in first.values()],
            origins=[write.origin for write, _ in first.values()],
        )
    if known:
        transaction.send(sql.UPDATE_PROCEDURES, **_states(known))
    words = [searchable(revision.content) for revision, _ in last.values()]
    transaction.send(sql.SAVE_TEXTS, ids=list(last), words=words)


def _states(current: Mapping[str, tuple[Revision, int]]) -> dict[str, list[Any]]:
    """What is kept of each procedure's current revision, a column each."""
    contents = [revision.content for revision, _ in current.values()]
    return {
        "ids": list(current),
        "numbers": [revision.number for revision, _ in current.values()],
        "changed": [changed for _, changed in current.values()],
        "statuses": [revision.status for revision, _ in current.values()],
        "tasks": [safe(content.task) for content in contents],
        "keys": [text_key(content.task) for content in contents],
        "facts": [json.dumps(dict(content.facts), ensure_ascii=False) for content in contents],
    }
