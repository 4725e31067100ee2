"""Erasing for good, and keeping trajectories in fewer bytes, within a transaction that holds its namespace.

What follows from a trajectory is found by the embedded store, on a copy of the namespace in memory, so that both stores
forget the same. The server keeps freed rows until it vacuums, and its log until that is recycled: see docs/postgres.md.
"""

import lzma
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing
from datetime import datetime
from typing import Any, Final

from memp.errors import StoreError
from memp.records import Outcome, Revision
from memp.stores.base import Compacted, Erased, Write, text_key
from memp.stores.entries import (
    Entry,
    LoggedRecall,
    OutcomeEntry,
    RecallEntry,
    ReceiptEntry,
    RevisionEntry,
    TrajectoryEntry,
)
from memp.stores.postgres import statements as sql
from memp.stores.postgres.texts import plain, safe
from memp.stores.postgres.transaction import Transaction
from memp.stores.postgres.transfer import entries
from memp.stores.postgres.writing import append
from memp.stores.sqlite import MEMORY, SqliteStore
from memp.stores.statements import stamp, unpack

_AT_ONCE: Final = 200
_PRESET: Final = 6


def erase(
    transaction: Transaction, namespace: str, trajectories: Collection[str], task: str | None, at: datetime
) -> Erased:
    """Erase the trajectories of these ids and of this task, and all that follows from them."""
    transaction.hold(1)()
    before = list(entries(transaction))
    with closing(SqliteStore(MEMORY)) as copy:
        copy.load((namespace, entry) for entry in before)
        erased = copy.forget(namespace, trajectories=trajectories, task=task, at=at)
        after = {_key(entry): entry for entry in copy.dump(namespace)}
        holds = namespace in copy.namespaces()
    texts, cut = {task} if task else set[str](), set[str]()
    for entry in before:
        if (kept := after.pop(_key(entry), None)) != entry:
            _change(transaction, entry, kept)
            replaced = isinstance(entry, RevisionEntry) and _revision(kept) != entry.revision
            if replaced and kept is not None:
                after[_key(entry)] = kept  # another one has its number: it is appended anew
            if replaced or kept is None:
                texts.update(_texts(entry))
            if isinstance(entry, RevisionEntry) and replaced:
                cut.add(safe(entry.revision.procedure_id))
    number = transaction.hold(len(after) + 1)()
    again = [Write(revision=entry.revision) for entry in after.values() if isinstance(entry, RevisionEntry)]
    append(transaction, [(write, number + n) for n, write in enumerate(again, 1)])
    number += len(again)
    gone = sorted(cut)
    transaction.send(sql.DROP_EMPTY_PROCEDURES, ids=gone)
    transaction.send(sql.DROP_EMPTY_TEXTS, ids=gone)
    transaction.send(sql.DROP_NEAR, ids=gone)  # what is left of them comes back with the next catching up
    drafts = transaction.send(sql.DROP_ALL_DRAFTS)
    transaction.send(sql.HOLDS, holds=holds)
    vectors = _drop_vectors(transaction, [text_key(text) for text in texts])
    if erased.trajectories or erased.revisions or erased.recalls:
        transaction.send(sql.ERASED, at=stamp(at), changed=number + 1)
    return erased.model_copy(update={"drafts": len(drafts.rows()), "vectors": vectors, "searched": 0})


def _key(entry: Entry) -> tuple[str, str, int]:
    match entry:
        case TrajectoryEntry():
            return (entry.kind, entry.trajectory.id, 0)
        case RevisionEntry():
            return (entry.kind, entry.revision.procedure_id, entry.revision.number)
        case RecallEntry():
            return (entry.kind, entry.recall.id, 0)
        case OutcomeEntry():
            return (entry.kind, entry.outcome.trajectory_id, 0)
        case ReceiptEntry():
            return (entry.kind, entry.receipt.id, 0)


def _revision(entry: Entry | None) -> Revision | None:
    return entry.revision if isinstance(entry, RevisionEntry) else None


def _texts(entry: Entry) -> Iterator[str]:
    """What has a vector."""
    match entry:
        case TrajectoryEntry(trajectory=said) | RecallEntry(recall=said):
            yield from (said.task, *said.facts.values())
        case RevisionEntry(revision=revision):
            yield from (revision.content.task, *revision.content.facts.values())


def _change(transaction: Transaction, entry: Entry, kept: Entry | None) -> None:
    """Take a row out, or make of it what is kept."""
    match entry:
        case TrajectoryEntry(trajectory=trajectory):
            statement = sql.DROP_TRAJECTORY if kept is None else sql.DROP_RECALL_OF_TRAJECTORY
            transaction.send(statement, id=safe(trajectory.id))
        case RevisionEntry(revision=revision):
            key: dict[str, Any] = {"id": safe(revision.procedure_id), "number": revision.number}
            if isinstance(kept, RevisionEntry) and kept.revision == revision:
                transaction.send(sql.RECOUNT, **key, served=kept.served, succeeded=kept.succeeded)
            else:
                transaction.send(sql.DROP_REVISION, **key)
        case RecallEntry(recall=recall):
            body = kept.recall.model_dump_json() if isinstance(kept, RecallEntry) else None
            _rewrite(transaction, sql.DROP_RECALL, sql.CHANGE_RECALL, recall.id, body)
        case OutcomeEntry(outcome=outcome):
            body = kept.outcome.model_dump_json() if isinstance(kept, OutcomeEntry) else None
            _rewrite(transaction, sql.DROP_OUTCOME, sql.CHANGE_OUTCOME, outcome.trajectory_id, body)
        case ReceiptEntry(receipt=receipt):
            body = kept.receipt.model_dump_json() if isinstance(kept, ReceiptEntry) else None
            _rewrite(transaction, sql.DROP_RECEIPT, sql.CHANGE_RECEIPT, receipt.id, body)


def _rewrite(transaction: Transaction, drop: str, change: str, id: str, body: str | None) -> None:
    if body is None:
        transaction.send(drop, id=safe(id))
    else:
        transaction.send(change, id=safe(id), body=body)


def _drop_vectors(transaction: Transaction, keys: list[bytes]) -> int:
    """Vectors of these texts, also those that were saved for no namespace. They are a cache."""
    own = transaction.send(sql.DROP_VECTORS, keys=keys)
    shared = transaction.inside("")
    shared.enter()
    common = shared.send(sql.DROP_VECTORS, keys=keys)
    transaction.enter()
    return len(own.rows()) + len(common.rows())


def still_there(transaction: Transaction, recall: LoggedRecall, outcome: Outcome) -> tuple[LoggedRecall, Outcome]:
    """A recall and its outcome without what was erased while the task was played."""
    keys = sorted({*recall.served(), *outcome.credited, *outcome.withheld})
    dated = transaction.send(sql.DATED, ids=[safe(id) for id, _ in keys], numbers=[number for _, number in keys])
    current = transaction.send(sql.CURRENT, ids=[safe(item[0]) for item in recall.left_out])
    there = {  # a later one may have taken the number of one that was erased
        (plain(id), number) for id, number, body in dated.rows() if Revision.model_validate_json(body).at <= recall.at
    }
    known = {plain(id) for id, _ in current.rows()}
    served = {
        "ranked": tuple(item for item in recall.ranked if item[:2] in there),
        "withheld": tuple(item for item in recall.withheld if item[:2] in there),
        "left_out": tuple(item for item in recall.left_out if item[0] in known),
    }
    credited = {
        "credited": tuple(item for item in outcome.credited if item in there),
        "withheld": tuple(item for item in outcome.withheld if item in there),
    }
    return recall.model_copy(update=served), outcome.model_copy(update=credited)


def compact_some(transaction: Transaction, before: datetime, after: int) -> tuple[Compacted, int | None]:
    """Compact the next trajectories after number `after`; and the number to go on from."""
    transaction.hold(1)()
    rows = transaction.send(sql.COMPACTABLE, before=stamp(before), seq=after, n=_AT_ONCE).rows()
    transaction.undo = not rows
    done = list(_smaller(rows))
    for id, _, packed in done:
        transaction.send(sql.COMPACT, id=id, body=packed)
    sizes = {"before": sum(size for _, size, _ in done), "after": sum(len(packed) for _, _, packed in done)}
    return Compacted(trajectories=len(done), **sizes), rows[-1][0] if len(rows) == _AT_ONCE else None


def _smaller(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[str, int, bytes]]:
    """Ids of trajectories that become smaller, how large they were, and their bytes now."""
    for _, id, body in rows:
        said = unpack(body)
        packed = lzma.compress(said, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, preset=_PRESET)
        if len(packed) >= len(body):
            continue
        if unpack(packed) != said:
            raise StoreError(f"trajectory {id} could not be compacted: it would read differently; nothing was changed")
        yield id, len(body), packed
