"""The embedded store: one SQLite file in WAL mode, several processes at once."""

from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from memp.errors import StoreBusy, StoreCorrupt
from memp.recall import Recall
from memp.records import Outcome, Procedure, Receipt, Record, Revision, Trajectory
from memp.stores import transfer
from memp.stores.audit import count, problems
from memp.stores.base import Compacted, Erased, Head, Stats, Waiting, Write, text_key
from memp.stores.compaction import compact_some
from memp.stores.connection import MEMORY, Connection
from memp.stores.entries import Entry, Loaded, LoggedRecall
from memp.stores.erase import erase, still_there
from memp.stores.near import Near
from memp.stores.statements import (
    PROCEDURE,
    append,
    credit,
    insert_recall,
    insert_receipt,
    insert_trajectory,
    match_all,
    read_at,
    read_heads,
    read_procedure,
    read_recall,
    read_trajectory,
    stamp,
    words_of,
)
from memp.stores.traces import found_in, said_elsewhere

R = TypeVar("R", bound=Record)


class SqliteStore:
    """A `Store` in one file (or in memory with the path ":memory:").

    Raises:
        StoreError: the file is damaged, too new, of another program, read-only ...; it is left as it was.
    """

    def __init__(self, path: str | Path, *, create: bool = True, timeout: float = 30.0) -> None:
        self._connection = Connection(path, create=create, timeout=timeout)
        self._near = Near(self._connection)
        self._writes = 0

    # -- trajectories ------------------------------------------------------------------------------

    def record(
        self, namespace: str, trajectory: Trajectory, recall: Recall | None, outcome: Outcome | None, at: datetime
    ) -> bool:
        """See `Store.record`."""
        with self._connection.transaction() as db:
            if not insert_trajectory(db, namespace, trajectory, recall.id if recall else None, stamp(at)):
                return False
            if recall is not None and outcome is not None:
                logged, outcome = still_there(db, namespace, LoggedRecall.of(recall), outcome)
                insert_recall(db, namespace, logged)
                credit(db, namespace, outcome)
        return True

    def trajectory(self, namespace: str, id: str) -> Trajectory | None:
        """See `Store.trajectory`."""
        with self._connection.reading() as db:
            row = db.execute("SELECT body FROM trajectories WHERE namespace = ? AND id = ?", (namespace, id)).fetchone()
            return read_trajectory(row[0], words_of(db)) if row else None

    def trajectories(self, namespace: str) -> Iterator[Trajectory]:
        """See `Store.trajectories`."""
        last = 0
        while True:
            with self._connection.reading() as db:
                rows = db.execute(
                    "SELECT seq, body FROM trajectories WHERE namespace = ? AND seq > ? ORDER BY seq LIMIT 200",
                    (namespace, last),
                ).fetchall()
                found = [read_trajectory(body, words_of(db)) for _, body in rows]
            if not rows:
                return
            last = rows[-1][0]
            yield from found

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
                Waiting(
                    trajectory=read_trajectory(body, words_of(db)),
                    outcome=Outcome.model_validate_json(outcome) if outcome else None,
                )
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

    def write(
        self,
        namespace: str,
        writes: Sequence[Write],
        *,
        consume: str | None,
        receipt_id: str,
        receipt: Receipt | None = None,
    ) -> bool:
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
                append(db, namespace, write)
            if receipt is not None:
                insert_receipt(db, namespace, receipt)
        self._writes += 1
        return True

    def heads(self, namespace: str, fingerprint: str, since: int = 0) -> Sequence[Head]:
        """See `Store.heads`."""
        with self._connection.reading() as db:
            return read_heads(db, namespace, fingerprint, since)

    def find(self, namespace: str, ids: Sequence[str]) -> Sequence[Procedure]:
        """See `Store.find`."""
        found: dict[str, Procedure] = {}
        with self._connection.reading() as db:
            for start in range(0, len(ids), 500):
                chunk = ids[start : start + 500]
                marks = ",".join("?" * len(chunk))
                rows = db.execute(f"{PROCEDURE} WHERE p.namespace = ? AND p.id IN ({marks})", (namespace, *chunk))
                found.update((row[0], read_procedure(row)) for row in rows)
        return [found[id] for id in ids if id in found]

    def at(self, namespace: str, revisions: Sequence[tuple[str, int]]) -> Sequence[Procedure]:
        """See `Store.at`."""
        with self._connection.reading() as db:
            found = [read_at(db, namespace, id, number) for id, number in revisions]
        return [procedure for procedure in found if procedure is not None]

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
            return [(Revision.model_validate_json(body), served, succeeded) for body, served, succeeded in rows]

    def search(self, namespace: str, words: str, limit: int) -> Sequence[Procedure]:
        """See `Store.search`."""
        terms = match_all(words)
        if not terms:
            return []
        with self._connection.reading() as db:
            rows = db.execute(
                f"""{PROCEDURE} JOIN procedures_text x ON x.rowid = p.seq
                    WHERE procedures_text MATCH ? AND p.namespace = ? ORDER BY x.rank, p.seq LIMIT ?""",
                (terms, namespace, limit),
            ).fetchall()
            return [read_procedure(row) for row in rows]

    # -- log ---------------------------------------------------------------------------------------

    def log_recall(self, recall: Recall) -> None:
        """See `Store.log_recall`."""
        with self._connection.logging() as db:
            insert_recall(db, recall.namespace, LoggedRecall.of(recall))

    def recalls(self, namespace: str, id: str | None = None, limit: int = 50) -> Sequence[Recall]:
        """See `Store.recalls`."""
        chosen = "AND id = ?" if id is not None else ""
        with self._connection.reading() as db:
            rows = db.execute(
                f"SELECT body FROM recalls WHERE namespace = ? {chosen} ORDER BY seq DESC LIMIT ?",
                (namespace, *([id] if id is not None else []), limit),
            ).fetchall()
            return [read_recall(db, namespace, body) for (body,) in rows]

    def outcomes(self, namespace: str, limit: int = 50) -> Sequence[Outcome]:
        """See `Store.outcomes`."""
        return self._log(Outcome, "outcomes", namespace, limit)

    def outcomes_since(self, namespace: str, seq: int = 0) -> Sequence[tuple[int, Outcome]]:
        """See `Store.outcomes_since`."""
        with self._connection.reading() as db:
            rows = db.execute(
                "SELECT seq, body FROM outcomes WHERE namespace = ? AND seq > ? ORDER BY seq", (namespace, seq)
            ).fetchall()
            return [(number, Outcome.model_validate_json(body)) for number, body in rows]

    def log_receipt(self, namespace: str, receipt: Receipt) -> None:
        """See `Store.log_receipt`."""
        with self._connection.transaction() as db:
            insert_receipt(db, namespace, receipt)

    def receipts(self, namespace: str, limit: int = 50) -> Sequence[Receipt]:
        """See `Store.receipts`."""
        return self._log(Receipt, "receipts", namespace, limit)

    def _log(self, kind: type[R], table: str, namespace: str, limit: int) -> list[R]:
        with self._connection.reading() as db:
            rows = db.execute(
                f"SELECT body FROM {table} WHERE namespace = ? ORDER BY seq DESC LIMIT ?", (namespace, limit)
            ).fetchall()
            return [kind.model_validate_json(body) for (body,) in rows]

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
        with self._connection.transaction(durable=False) as db:
            db.executemany("DELETE FROM drafts WHERE namespace = ? AND key = ?", [(namespace, key) for key in keys])
            db.execute(
                """DELETE FROM drafts WHERE namespace = ?1 AND NOT EXISTS
                   (SELECT 1 FROM trajectories WHERE namespace = ?1 AND consumed_by IS NULL)""",
                (namespace,),
            )

    def vectors(self, fingerprint: str, texts: Sequence[str], namespace: str = "") -> dict[str, NDArray[np.float32]]:
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

    def save_vectors(
        self, fingerprint: str, vectors: Iterable[tuple[str, NDArray[np.float32]]], namespace: str = ""
    ) -> None:
        """See `Store.save_vectors`."""
        rows = [(fingerprint, text_key(text), vector.astype(np.float32).tobytes()) for text, vector in vectors]
        with self._connection.transaction(durable=False) as db:
            db.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)

    # -- similarity --------------------------------------------------------------------------------

    def searched(self, namespace: str, fingerprint: str) -> int | None:
        """See `SearchesVectors.searched`."""
        return self._near.searched(namespace, fingerprint)

    def keep_near(self, namespace: str, fingerprint: str, heads: Sequence[Head], vectors: NDArray[np.float32]) -> None:
        """See `SearchesVectors.keep_near`."""
        self._near.keep(namespace, fingerprint, heads, vectors)

    def nearest(
        self, namespace: str, fingerprint: str, vector: NDArray[np.float32], k: int, *, status: str, only_success: bool
    ) -> Sequence[tuple[str, float]]:
        """See `SearchesVectors.nearest`."""
        return self._near.nearest(namespace, fingerprint, vector, k, status, only_success)

    def index_near(self, namespace: str, fingerprint: str, dimensions: int) -> None:
        """See `SearchesVectors.index_near`. Makes a file in a folder beside the memory; it may be deleted at any time.

        Raises:
            MissingExtra: usearch is not installed.
            StoreError: the memory has no file, or another process writes an index of it.
        """
        self._near.index(namespace, fingerprint, dimensions)

    def forget_near(self, namespace: str, fingerprint: str) -> None:
        """See `SearchesVectors.forget_near`."""
        self._near.forget_space(namespace, fingerprint)

    # -- the whole ---------------------------------------------------------------------------------

    def namespaces(self) -> Sequence[str]:
        """See `Store.namespaces`."""
        with self._connection.reading() as db:
            rows = db.execute(
                """SELECT namespace FROM trajectories UNION SELECT namespace FROM procedures
                   UNION SELECT namespace FROM recalls UNION SELECT namespace FROM receipts ORDER BY namespace"""
            ).fetchall()
        return [namespace for (namespace,) in rows]

    def stats(self, namespace: str) -> Stats:
        """See `Store.stats`."""
        with self._connection.reading() as db:
            return count(db, namespace)

    def dump(self, namespace: str) -> Generator[Entry, None, None]:
        """See `Store.dump`."""
        with self._connection.snapshot() as db:
            yield from transfer.entries(db, namespace)

    def load(self, entries: Iterable[tuple[str, Entry]]) -> Loaded:
        """See `Store.load`."""
        with self._connection.transaction() as db:
            loader = transfer.Loader(db)
            for namespace, entry in entries:
                loader.take(namespace, entry)
            loaded = loader.finish()
        self._writes += 1
        return loaded

    # -- forgetting --------------------------------------------------------------------------------

    def forget(
        self, namespace: str, *, trajectories: Collection[str] = (), task: str | None = None, at: datetime
    ) -> Erased:
        """See `Store.forget`."""
        with self._connection.transaction() as db:
            erased, traces = erase(db, namespace, trajectories, task, at)
        self._writes += 1
        try:
            self._near.wipe()
            self._connection.scrub()
        except StoreBusy as error:
            raise StoreBusy(f"{error}; it is erased, but freed pages of the file may still hold it") from error
        with self._connection.transaction() as db:
            searched, found = found_in(self.path, db, traces)
            kept, own = said_elsewhere(db, {**found, **traces.names}, namespace)
            left = {said for form, said in found.items() if form not in kept}
            if not left:
                db.execute("UPDATE erasures SET cleaned = 1")
        named = {**found, **traces.names}
        elsewhere = {named[form] for form in own} - left
        return erased.model_copy(
            update={"searched": searched, "left": tuple(sorted(left)), "elsewhere": tuple(sorted(elsewhere))}
        )

    def erasures(self, namespace: str = "") -> int:
        """See `Store.erasures`."""
        with self._connection.reading() as db:
            (number,) = db.execute("SELECT coalesce(max(seq), 0) FROM erasures").fetchone()
            return int(number)

    def compact(self, namespace: str, *, before: datetime) -> Compacted:
        """See `Store.compact`."""
        parts = [Compacted(trajectories=0, before=0, after=0)]
        last: int | None = 0
        while last is not None:  # in parts: others may write between them
            with self._connection.transaction() as db:
                part, last = compact_some(db, namespace, before, last)
            parts.append(part)
        totals = {name: sum(getattr(part, name) for part in parts) for name in ("trajectories", "before", "after")}
        if totals["trajectories"]:
            self._connection.scrub()
        return Compacted(**totals)

    def check(self) -> list[str]:
        """What is wrong with the file: SQLite's own check, counters that do not match the logged outcomes, ..."""
        found: list[str] = []
        try:
            with self._connection.reading() as db:
                found.extend(problems(db))
        except StoreCorrupt as error:
            found.append(str(error))
        return found

    def version(self, namespace: str = "") -> int:
        """See `Store.version`."""
        with self._connection.reading() as db:
            (seen,) = db.execute("PRAGMA data_version").fetchone()
            return (self._connection.generation << 40) + int(seen) + self._writes

    @property
    def path(self) -> str:
        """Where the file is."""
        return self._connection.path

    def close(self) -> None:
        """See `Store.close`."""
        self._connection.close()


__all__ = ["MEMORY", "SqliteStore"]
