"""The statements of the embedded store that say more than their SQL, and what turns its rows into records."""

import json
import lzma
import sqlite3
import zlib
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from memp.errors import Conflict, RecordError
from memp.recall import Recall
from memp.records import Outcome, Procedure, Receipt, Revision, Trajectory
from memp.stores.base import Head, Write, text_key
from memp.stores.entries import LoggedRecall

_XZ = b"\xfd7zXZ"
HAS_DICTIONARY = 0x20
"""Flag in the second byte of a zlib stream."""

PROCEDURE = """
    SELECT p.id, p.namespace, p.created_at, r.body, r.served, r.succeeded, p.success
    FROM procedures p JOIN revisions r ON r.seq = p.changed
"""


@lru_cache(maxsize=16_384)  # some 50 MB when full
def _read_revision(body: str) -> Revision:
    """A revision in its stored text. It never changes, so what is recalled often is read once."""
    return Revision.model_validate_json(body)


@lru_cache(maxsize=16_384)  # shares the revisions
def read_procedure(row: tuple[Any, ...]) -> Procedure:
    """The procedure in a row of `PROCEDURE`: a revision, and counters that grow with every outcome."""
    id, namespace, created_at, body, served, succeeded, success = row
    return Procedure(
        id=id,
        namespace=namespace,
        created_at=created_at,
        revision=_read_revision(body),
        served=served,
        succeeded=succeeded,
        built_from_success=success,
    )


Words = Callable[[int], Iterable[bytes]]
"""From the number of a dictionary to those of that number."""


def words_of(db: sqlite3.Connection) -> Words:
    """The dictionaries in a file."""

    def find(number: int) -> Iterable[bytes]:
        return [body for (body,) in db.execute("SELECT body FROM dictionaries WHERE id = ?", (number,))]

    return find


def unpack(body: bytes, words: Words | None = None) -> bytes:
    """The JSON in the stored bytes of a trajectory: zlib, with a dictionary once it was compacted; or LZMA."""
    if body.startswith(_XZ):
        try:
            return lzma.decompress(body)
        except (lzma.LZMAError, EOFError) as error:
            raise zlib.error(str(error)) from error  # one kind of damage for readers
    if len(body) < 6 or not body[1] & HAS_DICTIONARY:
        return zlib.decompress(body)
    for dictionary in words(int.from_bytes(body[2:6], "big")) if words else ():
        stream = zlib.decompressobj(zdict=dictionary)
        said = stream.decompress(body)
        if not stream.eof:
            raise zlib.error("incomplete or truncated stream")
        return said
    raise zlib.error("the dictionary it was compacted with is not there")


def read_trajectory(body: bytes, words: Words | None = None) -> Trajectory:
    """The trajectory in its stored bytes."""
    return Trajectory.model_validate_json(unpack(body, words))


def read_recall(db: sqlite3.Connection, namespace: str, body: str) -> Recall:
    """A logged recall, with the procedures at the revision that was served."""
    return LoggedRecall.model_validate_json(body).recall(namespace, lambda id, n: read_at(db, namespace, id, n))


def read_at(db: sqlite3.Connection, namespace: str, id: str, number: int) -> Procedure | None:
    """A procedure as it is, or was, at one of its revisions."""
    row = db.execute(
        """SELECT p.id, p.namespace, p.created_at, r.body, r.served, r.succeeded, p.success
           FROM procedures p JOIN revisions r ON r.namespace = p.namespace AND r.procedure_id = p.id
           WHERE p.namespace = ? AND p.id = ? AND r.number = ?""",
        (namespace, id, number),
    ).fetchone()
    return read_procedure(row) if row is not None else None


def read_heads(db: sqlite3.Connection, namespace: str, fingerprint: str, since: int) -> list[Head]:
    """The procedures that changed after `since`, in the order they were created."""
    if since == 0:
        return _all_heads(db, namespace, fingerprint)
    rows = db.execute(
        """SELECT p.seq, p.id, p.changed, p.status, p.success, p.task, p.facts, v.vector
           FROM procedures p LEFT JOIN vectors v ON v.fingerprint = ? AND v.key = p.task_key
           WHERE p.namespace = ? AND p.changed > ? ORDER BY p.seq""",
        (fingerprint, namespace, since),
    )
    return list(map(Head._make, rows))


def _all_heads(db: sqlite3.Connection, namespace: str, fingerprint: str) -> list[Head]:
    """Every head: two passes over tables in their own order are three times as fast as a join and a sort."""
    vectors: dict[bytes, bytes] = {}
    if fingerprint:
        vectors.update(db.execute("SELECT key, vector FROM vectors WHERE fingerprint = ?", (fingerprint,)))
    rows = db.execute(
        """SELECT seq, id, changed, status, success, task, facts, task_key
           FROM procedures NOT INDEXED WHERE namespace = ? ORDER BY seq""",
        (namespace,),
    )
    kept, new = vectors.get, tuple.__new__  # a quarter faster than `Head(...)`
    return [
        new(Head, (seq, id, changed, status, success, task, facts, kept(key)))
        for seq, id, changed, status, success, task, facts, key in rows
    ]


def match_all(words: str) -> str:
    """The FTS5 query for texts that hold every word; each is quoted, so that nothing in it is an operator."""
    return " ".join('"' + word.replace('"', '""') + '"' for word in words.replace("\0", " ").split())


def check_namespace(namespace: str) -> None:
    """Refuse what could be written and not be read back.

    Raises:
        RecordError: it is empty or longer than 200 characters.
    """
    if not 0 < len(namespace) <= 200:
        raise RecordError(f"a namespace has 1 to 200 characters, this one has {len(namespace)}")


def stamp(at: datetime) -> str:
    """A time as it is stored: UTC, ISO 8601."""
    return at.astimezone(UTC).isoformat()


def insert_trajectory(
    db: sqlite3.Connection, namespace: str, trajectory: Trajectory, recall_id: str | None, recorded_at: str
) -> bool:
    """Keep a trajectory. False when the same one, played with the same recall, is there.

    Raises:
        RecordError: another trajectory has this id, or it was recorded with another recall.
    """
    check_namespace(namespace)
    body = trajectory.model_dump_json()
    known = db.execute(
        "SELECT body, recall_id FROM trajectories WHERE namespace = ? AND id = ?", (namespace, trajectory.id)
    ).fetchone()
    if known is None:
        db.execute(
            """INSERT INTO trajectories (namespace, id, body, reward, recall_id, recorded_at)
               VALUES (?, ?, ?, ?, ?, ?)""",
            (namespace, trajectory.id, zlib.compress(body.encode(), 1), trajectory.reward, recall_id, recorded_at),
        )
        return True
    if unpack(known[0], words_of(db)).decode() != body and read_trajectory(known[0], words_of(db)) != trajectory:
        raise RecordError(f"trajectory {trajectory.id} was recorded before with other content; give it a new id")
    if known[1] != recall_id:
        raise RecordError(
            f"trajectory {trajectory.id} was recorded before with {_recall(known[1])}, now it comes with "
            f"{_recall(recall_id)}; a trajectory has one recall"
        )
    return False


def _recall(id: str | None) -> str:
    return "no recall" if id is None else f"recall {id}"


def insert_recall(db: sqlite3.Connection, namespace: str, recall: LoggedRecall) -> None:
    """Log a recall; a second time (it was logged when it was made) does nothing."""
    db.execute(
        "INSERT OR IGNORE INTO recalls (namespace, id, body) VALUES (?, ?, ?)",
        (namespace, recall.id, recall.model_dump_json()),
    )


def insert_receipt(db: sqlite3.Connection, namespace: str, receipt: Receipt) -> None:
    """Log a receipt. That of a whole operation takes the place of those of its parts (`<id>/1`, `<id>/2`, ...)."""
    check_namespace(namespace)
    db.execute(
        "DELETE FROM receipts WHERE namespace = ? AND id > ? AND id < ?",
        (namespace, f"{receipt.id}/", f"{receipt.id}0"),  # 0 follows the slash
    )
    db.execute(
        "INSERT INTO receipts (namespace, id, body) VALUES (?, ?, ?)",
        (namespace, receipt.id, receipt.model_dump_json()),
    )


def credit(db: sqlite3.Connection, namespace: str, outcome: Outcome) -> None:
    """Log an outcome; every procedure that was served gets it, by id and at the revision that was served.

    Raises:
        RecordError: one of them is not in this namespace.
    """
    db.execute(
        "INSERT INTO outcomes (namespace, recall_id, trajectory_id, body) VALUES (?, ?, ?, ?)",
        (namespace, outcome.recall_id, outcome.trajectory_id, outcome.model_dump_json()),
    )
    for id, number in outcome.credited:
        credited = db.execute(
            """UPDATE revisions SET served = served + 1, succeeded = succeeded + ?
               WHERE namespace = ? AND procedure_id = ? AND number = ?""",
            (int(outcome.success), namespace, id, number),
        )
        if credited.rowcount != 1:
            raise RecordError(
                f"recall {outcome.recall_id} served procedure {id} revision {number}, which namespace {namespace!r} "
                "does not hold; record into the memory that made the recall"
            )


def append(db: sqlite3.Connection, namespace: str, write: Write) -> None:
    """Append a revision; the first one creates the procedure.

    Raises:
        Conflict: its parent is not the procedure's current revision.
        RecordError: its number does not follow its parent's.
    """
    check_namespace(namespace)
    revision = write.revision
    id, content = revision.procedure_id, revision.content
    if revision.number != (revision.parent or 0) + 1:
        raise RecordError(f"revision {revision.number} of procedure {id} cannot follow {revision.parent}")
    head = db.execute("SELECT seq, head FROM procedures WHERE namespace = ? AND id = ?", (namespace, id)).fetchone()
    if (head[1] if head else None) != revision.parent:
        raise Conflict(
            f"procedure {id} is at revision {head[1] if head else None}, not at {revision.parent}; "
            "somebody revised it meanwhile: read it again and repeat"
        )
    changed = db.execute(
        "INSERT INTO revisions (namespace, procedure_id, number, body) VALUES (?, ?, ?, ?)",
        (namespace, id, revision.number, revision.model_dump_json()),
    ).lastrowid
    state = (
        revision.number,
        changed,
        revision.status,
        content.task,
        text_key(content.task),
        json.dumps(dict(content.facts), ensure_ascii=False),
    )
    if head is None:
        seq = db.execute(
            """INSERT INTO procedures (head, changed, status, task, task_key, facts, namespace, id, created_at, success,
               origin) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            (*state, namespace, id, stamp(revision.at), int(write.success), write.origin),
        ).lastrowid
    else:
        seq = head[0]
        db.execute(
            "UPDATE procedures SET head = ?, changed = ?, status = ?, task = ?, task_key = ?, facts = ? WHERE seq = ?",
            (*state, seq),
        )
        db.execute("DELETE FROM procedures_text WHERE rowid = ?", (seq,))
    script = "\n".join((content.script.goal, *content.script.steps, *content.script.pitfalls)) if content.script else ""
    db.execute("INSERT INTO procedures_text (rowid, task, script) VALUES (?, ?, ?)", (seq, content.task, script))
