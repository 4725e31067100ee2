"""The embedded store: one SQLite file in WAL mode, several processes at once."""

import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memp.errors import Conflict, RecordError
from memp.recall import LeftOut, Recall, Recalled
from memp.records import Outcome, Procedure, Receipt, Revision, Trajectory
from memp.stores.base import Head, Stats, Waiting, Write, text_key
from memp.stores.connection import MEMORY, Connection

_PROCEDURE = """
    SELECT p.id, p.namespace, p.created_at, r.body, r.served, r.succeeded, p.success
    FROM procedures p JOIN revisions r ON r.namespace = p.namespace AND r.procedure_id = p.id AND r.number = p.head
"""


class SqliteStore:
    """A `Store` in one file (or in memory with the path ":memory:").

    Raises:
        StoreError: the file is damaged, too new, of another program, read-only ...; it is left as it was.
    """

    def __init__(self, path: str | Path, *, create: bool = True, timeout: float = 30.0) -> None:
        self._connection = Connection(path, create=create, timeout=timeout)
        self._writes = 0

    # -- trajectories ------------------------------------------------------------------------------

    def record(
        self, namespace: str, trajectory: Trajectory, recall: Recall | None, outcome: Outcome | None, at: datetime
    ) -> bool:
        """See `Store.record`."""
        body = trajectory.model_dump_json()
        with self._connection.transaction() as db:
            known = db.execute(
                "SELECT body FROM trajectories WHERE namespace = ? AND id = ?", (namespace, trajectory.id)
            ).fetchone()
            if known is not None:
                if zlib.decompress(known[0]).decode() == body:
                    return False
                raise RecordError(
                    f"trajectory {trajectory.id} was recorded before with other content; give it a new id"
                )
            db.execute(
                """INSERT INTO trajectories (namespace, id, body, reward, recall_id, recorded_at)
                   VALUES (?, ?, ?, ?, ?, ?)""",
                (
                    namespace,
                    trajectory.id,
                    zlib.compress(body.encode(), 1),
                    trajectory.reward,
                    recall.id if recall else None,
                    at.isoformat(),
                ),
            )
            if recall is not None and outcome is not None:
                _insert_recall(db, recall)
                _credit(db, namespace, outcome)
        return True

    def trajectory(self, namespace: str, id: str) -> Trajectory | None:
        """See `Store.trajectory`."""
        with self._connection.reading() as db:
            row = db.execute("SELECT body FROM trajectories WHERE namespace = ? AND id = ?", (namespace, id)).fetchone()
        return _trajectory(row[0]) if row else None

    def trajectories(self, namespace: str) -> Iterator[Trajectory]:
        """See `Store.trajectories`."""
        last = 0
        while True:
            with self._connection.reading() as db:
                rows = db.execute(
                    "SELECT seq, body FROM trajectories WHERE namespace = ? AND seq > ? ORDER BY seq LIMIT 200",
                    (namespace, last),
                ).fetchall()
            if not rows:
                return
            for seq, body in rows:
                last = seq
                yield _trajectory(body)

    def waiting(self, namespace: str) -> Sequence[Waiting]:
        """See `Store.waiting`."""
        with self._connection.reading() as db:
            rows = db.execute(
                """SELECT t.body, o.body FROM trajectories t
                   LEFT JOIN outcomes o ON o.namespace = t.namespace AND o.trajectory_id = t.id
                   WHERE t.namespace = ? AND t.consumed_by IS NULL ORDER BY t.seq""",
                (namespace,),
            ).fetchall()
        return [
            Waiting(trajectory=_trajectory(body), outcome=Outcome.parse(outcome) if outcome else None)
            for body, outcome in rows
        ]

    def requeue(self, namespace: str, trajectory_id: str) -> bool:
        """See `Store.requeue`."""
        with self._connection.transaction() as db:
            done = db.execute(
                "UPDATE trajectories SET consumed_by = NULL WHERE namespace = ? AND id = ?",
                (namespace, trajectory_id),
            )
            return done.rowcount == 1

    # -- procedures --------------------------------------------------------------------------------

    def write(self, namespace: str, writes: Sequence[Write], *, consume: str | None, receipt_id: str) -> bool:
        """See `Store.write`."""
        with self._connection.transaction() as db:
            if consume is not None:
                taken = db.execute(
                    "UPDATE trajectories SET consumed_by = ? WHERE namespace = ? AND id = ? AND consumed_by IS NULL",
                    (receipt_id, namespace, consume),
                )
                if taken.rowcount != 1:
                    return False
            for write in writes:
                _append(db, namespace, write)
        self._writes += 1
        return True

    def heads(self, namespace: str, fingerprint: str, since: int = 0) -> Sequence[Head]:
        """See `Store.heads`."""
        with self._connection.reading() as db:
            rows = db.execute(
                """SELECT p.seq, p.id, p.changed, p.status, p.success, p.task, p.facts, v.vector
                   FROM procedures p LEFT JOIN vectors v ON v.fingerprint = ? AND v.key = p.task_key
                   WHERE p.namespace = ? AND p.changed > ? ORDER BY p.seq""",
                (fingerprint, namespace, since),
            )
            return list(map(Head._make, rows))

    def find(self, namespace: str, ids: Sequence[str]) -> Sequence[Procedure]:
        """See `Store.find`."""
        found: dict[str, Procedure] = {}
        with self._connection.reading() as db:
            for start in range(0, len(ids), 500):
                chunk = ids[start : start + 500]
                marks = ",".join("?" * len(chunk))
                rows = db.execute(f"{_PROCEDURE} WHERE p.namespace = ? AND p.id IN ({marks})", (namespace, *chunk))
                found.update((row[0], self._procedure(row)) for row in rows)
        return [found[id] for id in ids if id in found]

    def built_from(self, namespace: str, origin: bytes) -> str | None:
        """See `Store.built_from`."""
        with self._connection.reading() as db:
            row = db.execute(
                "SELECT id FROM procedures WHERE namespace = ? AND origin = ? ORDER BY seq LIMIT 1", (namespace, origin)
            ).fetchone()
        return row[0] if row else None

    def history(self, namespace: str, id: str) -> Sequence[tuple[Revision, int, int]]:
        """See `Store.history`."""
        with self._connection.reading() as db:
            rows = db.execute(
                """SELECT body, served, succeeded FROM revisions
                   WHERE namespace = ? AND procedure_id = ? ORDER BY number""",
                (namespace, id),
            ).fetchall()
        return [(Revision.parse(body), served, succeeded) for body, served, succeeded in rows]

    def search(self, namespace: str, words: str, limit: int) -> Sequence[Procedure]:
        """See `Store.search`."""
        terms = " ".join('"' + word.replace('"', '""') + '"' for word in words.split())
        if not terms:
            return []
        with self._connection.reading() as db:
            rows = db.execute(
                f"""{_PROCEDURE} JOIN procedures_text x ON x.rowid = p.seq
                    WHERE procedures_text MATCH ? AND p.namespace = ? ORDER BY x.rank, p.seq LIMIT ?""",
                (terms, namespace, limit),
            ).fetchall()
        return [self._procedure(row) for row in rows]

    def _procedure(self, row: tuple[Any, ...]) -> Procedure:
        id, namespace, created_at, body, served, succeeded, success = row
        return Procedure(
            id=id,
            namespace=namespace,
            created_at=created_at,
            revision=Revision.model_validate_json(body),
            served=served,
            succeeded=succeeded,
            built_from_success=success,
        )

    # -- log ---------------------------------------------------------------------------------------

    def log_recall(self, recall: Recall) -> None:
        """See `Store.log_recall`."""
        with self._connection.transaction(durable=False) as db:
            _insert_recall(db, recall)

    def recalls(self, namespace: str, id: str | None = None, limit: int = 50) -> Sequence[Recall]:
        """See `Store.recalls`."""
        chosen = "AND id = ?" if id is not None else ""
        with self._connection.reading() as db:
            rows = db.execute(
                f"SELECT body FROM recalls WHERE namespace = ? {chosen} ORDER BY seq DESC LIMIT ?",
                (namespace, *([id] if id is not None else []), limit),
            ).fetchall()
            return [self._recall(db, namespace, json.loads(body)) for (body,) in rows]

    def _recall(self, db: sqlite3.Connection, namespace: str, logged: dict[str, Any]) -> Recall:
        ranked = []
        for id, number, score, why in logged.pop("ranked"):
            row = db.execute(
                """SELECT p.id, p.namespace, p.created_at, r.body, r.served, r.succeeded, p.success
                   FROM procedures p JOIN revisions r ON r.namespace = p.namespace AND r.procedure_id = p.id
                   WHERE p.namespace = ? AND p.id = ? AND r.number = ?""",
                (namespace, id, number),
            ).fetchone()
            if row is not None:
                ranked.append(Recalled(procedure=self._procedure(row), score=score, why=why))
        left_out = _left_out(logged.pop("left_out"))
        return Recall(namespace=namespace, ranked=tuple(ranked), left_out=left_out, **logged)

    def outcomes(self, namespace: str, limit: int = 50) -> Sequence[Outcome]:
        """See `Store.outcomes`."""
        return [Outcome.parse(body) for body in self._log("outcomes", namespace, limit)]

    def log_receipt(self, namespace: str, receipt: Receipt) -> None:
        """See `Store.log_receipt`."""
        with self._connection.transaction() as db:
            db.execute(
                "INSERT INTO receipts (namespace, id, body) VALUES (?, ?, ?)",
                (namespace, receipt.id, receipt.model_dump_json()),
            )

    def receipts(self, namespace: str, limit: int = 50) -> Sequence[Receipt]:
        """See `Store.receipts`."""
        return [Receipt.parse(body) for body in self._log("receipts", namespace, limit)]

    def _log(self, table: str, namespace: str, limit: int) -> list[str]:
        with self._connection.reading() as db:
            rows = db.execute(
                f"SELECT body FROM {table} WHERE namespace = ? ORDER BY seq DESC LIMIT ?", (namespace, limit)
            ).fetchall()
        return [body for (body,) in rows]

    # -- drafts and vectors ------------------------------------------------------------------------

    def draft(self, namespace: str, key: str) -> str | None:
        """See `Store.draft`."""
        with self._connection.reading() as db:
            row = db.execute("SELECT text FROM drafts WHERE namespace = ? AND key = ?", (namespace, key)).fetchone()
        return row[0] if row else None

    def save_draft(self, namespace: str, key: str, text: str) -> None:
        """See `Store.save_draft`."""
        with self._connection.transaction() as db:
            db.execute("INSERT OR REPLACE INTO drafts VALUES (?, ?, ?)", (namespace, key, text))

    def drop_drafts(self, namespace: str, keys: Sequence[str]) -> None:
        """See `Store.drop_drafts`."""
        if keys:
            with self._connection.transaction(durable=False) as db:
                db.executemany("DELETE FROM drafts WHERE namespace = ? AND key = ?", [(namespace, key) for key in keys])

    def vectors(self, fingerprint: str, texts: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """See `Store.vectors`."""
        found: dict[str, NDArray[np.float32]] = {}
        with self._connection.reading() as db:
            for text in texts:
                row = db.execute(
                    "SELECT vector FROM vectors WHERE fingerprint = ? AND key = ?",
                    (fingerprint, text_key(text)),
                ).fetchone()
                if row is not None:
                    found[text] = np.frombuffer(row[0], dtype=np.float32)
        return found

    def save_vectors(self, fingerprint: str, vectors: Iterable[tuple[str, NDArray[np.float32]]]) -> None:
        """See `Store.save_vectors`."""
        rows = [(fingerprint, text_key(text), vector.astype(np.float32).tobytes()) for text, vector in vectors]
        with self._connection.transaction(durable=False) as db:
            db.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)

    # -- the whole ---------------------------------------------------------------------------------

    def namespaces(self) -> Sequence[str]:
        """See `Store.namespaces`."""
        with self._connection.reading() as db:
            rows = db.execute(
                "SELECT namespace FROM trajectories UNION SELECT namespace FROM procedures ORDER BY namespace"
            ).fetchall()
        return [namespace for (namespace,) in rows]

    def stats(self, namespace: str) -> Stats:
        """See `Store.stats`."""
        with self._connection.reading() as db:

            def count(table: str, condition: str = "") -> int:
                row = db.execute(
                    f"SELECT count(*) FROM {table} WHERE namespace = ? {condition}", (namespace,)
                ).fetchone()
                return int(row[0])

            statuses = db.execute(
                "SELECT status, count(*) FROM procedures WHERE namespace = ? GROUP BY status ORDER BY status",
                (namespace,),
            ).fetchall()
            (pages,) = db.execute("PRAGMA page_count").fetchone()
            (page,) = db.execute("PRAGMA page_size").fetchone()
            return Stats(
                trajectories=count("trajectories"),
                waiting=count("trajectories", "AND consumed_by IS NULL"),
                procedures=dict(statuses),
                revisions=count("revisions"),
                recalls=count("recalls"),
                outcomes=count("outcomes"),
                receipts=count("receipts"),
                bytes=pages * page,
            )

    def check(self) -> list[str]:
        """What is wrong with the file: SQLite's own check, and counters that do not match the logged outcomes."""
        with self._connection.reading() as db:
            problems = [row[0] for row in db.execute("PRAGMA quick_check") if row[0] != "ok"]
            rows = db.execute(
                """WITH credit AS (
                     SELECT o.namespace, json_extract(c.value, '$[0]') AS id, json_extract(c.value, '$[1]') AS number,
                            count(*) AS served, sum(json_extract(o.body, '$.success')) AS succeeded
                     FROM outcomes o, json_each(o.body, '$.credited') c GROUP BY 1, 2, 3)
                   SELECT r.namespace, r.procedure_id, r.number, r.served, r.succeeded,
                          coalesce(c.served, 0), coalesce(c.succeeded, 0)
                   FROM revisions r LEFT JOIN credit c
                     ON c.namespace = r.namespace AND c.id = r.procedure_id AND c.number = r.number
                   WHERE r.served != coalesce(c.served, 0) OR r.succeeded != coalesce(c.succeeded, 0)"""
            ).fetchall()
        for namespace, id, number, served, succeeded, wanted, won in rows:
            problems.append(
                f"{namespace}/{id} revision {number}: counters {succeeded}/{served}, outcomes say {won}/{wanted}"
            )
        return problems

    def version(self) -> int:
        """See `Store.version`."""
        with self._connection.reading() as db:
            (version,) = db.execute("PRAGMA data_version").fetchone()
        return int(version) + self._writes

    @property
    def path(self) -> str:
        """Where the file is."""
        return self._connection.path

    def close(self) -> None:
        """See `Store.close`."""
        self._connection.close()


def _trajectory(body: bytes) -> Trajectory:
    return Trajectory.model_validate_json(zlib.decompress(body))


def _insert_recall(db: sqlite3.Connection, recall: Recall) -> None:
    """Log a recall; a second time (it was logged when it was made) does nothing."""
    body = {
        "id": recall.id,
        "task": recall.task,
        "policy": recall.policy,
        "facts": dict(recall.facts),
        "at": recall.at.isoformat(),
        "ranked": [(r.procedure.id, r.procedure.revision.number, r.score, r.why) for r in recall.ranked],
        "left_out": [(item.procedure_id, item.score, item.why) for item in recall.left_out],
    }
    db.execute(
        "INSERT OR IGNORE INTO recalls (namespace, id, body) VALUES (?, ?, ?)",
        (recall.namespace, recall.id, json.dumps(body, ensure_ascii=False)),
    )


def _credit(db: sqlite3.Connection, namespace: str, outcome: Outcome) -> None:
    """Every procedure that was served gets the outcome, by id and at the revision that was served."""
    db.execute(
        "INSERT INTO outcomes (namespace, recall_id, trajectory_id, body) VALUES (?, ?, ?, ?)",
        (namespace, outcome.recall_id, outcome.trajectory_id, outcome.model_dump_json()),
    )
    db.executemany(
        """UPDATE revisions SET served = served + 1, succeeded = succeeded + ?
           WHERE namespace = ? AND procedure_id = ? AND number = ?""",
        [(int(outcome.success), namespace, id, number) for id, number in outcome.credited],
    )


def _append(db: sqlite3.Connection, namespace: str, write: Write) -> None:
    revision = write.revision
    id, content = revision.procedure_id, revision.content
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
            (*state, namespace, id, revision.at.isoformat(), int(write.success), write.origin),
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


def _left_out(rows: list[tuple[str, float | None, str]]) -> tuple[LeftOut, ...]:
    return tuple(LeftOut(procedure_id=id, score=score, why=why) for id, score, why in rows)


__all__ = ["MEMORY", "SqliteStore"]
