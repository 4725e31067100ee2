"""What a file holds, and what can be wrong with one that still opens."""

import sqlite3
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from pydantic import ValidationError

from memp.records import Outcome, Receipt, Revision
from memp.stores.base import Stats
from memp.stores.entries import LoggedRecall
from memp.stores.statements import read_trajectory, words_of

Key = tuple[str, str, int]
"""Names a revision: namespace, procedure and number."""

_HEADS = """
    SELECT p.namespace, p.id, p.head, max(r.number), count(*)
    FROM procedures p LEFT JOIN revisions r ON r.namespace = p.namespace AND r.procedure_id = p.id
    GROUP BY p.seq HAVING p.head IS NOT max(r.number) OR count(*) != p.head OR p.changed IS NOT max(r.seq)
"""
_STRAY = {
    "outcome of a trajectory that is not there": """
        SELECT o.namespace, o.trajectory_id FROM outcomes o LEFT JOIN trajectories t
        ON t.namespace = o.namespace AND t.id = o.trajectory_id WHERE t.seq IS NULL""",
    "revision of a procedure that is not there": """
        SELECT r.namespace, r.procedure_id FROM revisions r LEFT JOIN procedures p
        ON p.namespace = r.namespace AND p.id = r.procedure_id WHERE p.seq IS NULL""",
    "procedure that cannot be found by text": """
        SELECT namespace, id FROM procedures WHERE seq NOT IN (SELECT rowid FROM procedures_text)""",
}


_RECORDS: dict[str, tuple[str, Callable[..., object]]] = {
    "trajectories": ("id", read_trajectory),
    "revisions": ("procedure_id", Revision.model_validate_json),
    "recalls": ("id", LoggedRecall.model_validate_json),
    "outcomes": ("trajectory_id", Outcome.model_validate_json),
    "receipts": ("id", Receipt.model_validate_json),
}


def count(db: sqlite3.Connection, namespace: str) -> Stats:
    """Counts of what the namespace holds."""

    def rows(table: str, condition: str = "") -> int:
        (number,) = db.execute(f"SELECT count(*) FROM {table} WHERE namespace = ? {condition}", (namespace,)).fetchone()
        return int(number)

    statuses = db.execute(
        "SELECT status, count(*) FROM procedures WHERE namespace = ? GROUP BY status ORDER BY status", (namespace,)
    ).fetchall()
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    (page,) = db.execute("PRAGMA page_size").fetchone()
    return Stats(
        trajectories=rows("trajectories"),
        waiting=rows("trajectories", "AND consumed_by IS NULL"),
        procedures=dict(statuses),
        revisions=rows("revisions"),
        recalls=rows("recalls"),
        outcomes=rows("outcomes"),
        receipts=rows("receipts"),
        bytes=pages * page,
    )


class Counters(NamedTuple):
    """How often a revision was served, and with success."""

    served: int = 0
    succeeded: int = 0


def miscounted(db: sqlite3.Connection, namespace: str | None = None) -> Iterator[tuple[Key, Counters, Counters]]:
    """Revisions whose counters are not those of the logged outcomes, with what they are and what outcomes say.

    `namespace`: only of this one. Outcomes are read here and not in SQL, whose JSON functions cut a text at its first
    NUL.
    """
    said: dict[Key, Counters] = {}
    for at, _, outcome in _outcomes(db, namespace):
        for id, number in outcome.credited:
            served, succeeded = said.get((at, id, number), Counters())
            said[at, id, number] = Counters(served + 1, succeeded + outcome.success)
    for at, id, number, *counters in db.execute(
        "SELECT namespace, procedure_id, number, served, succeeded FROM revisions WHERE ?1 IS NULL OR namespace = ?1",
        (namespace,),
    ):
        if (now := Counters(*counters)) != (right := said.get((at, id, number), Counters())):
            yield (at, id, number), now, right


def _credits_nothing(db: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    """Outcomes (namespace, id of the trajectory) that credit a revision that is not there."""
    there = "SELECT 1 FROM revisions WHERE namespace = ? AND procedure_id = ? AND number = ?"
    for at, id, outcome in _outcomes(db, None):
        if not all(db.execute(there, (at, *credited)).fetchone() for credited in outcome.credited):
            yield at, id


def _outcomes(db: sqlite3.Connection, namespace: str | None) -> Iterator[tuple[str, str, Outcome]]:
    """Those that can be read, each with its namespace and the trajectory that it is filed under."""
    for at, id, body in db.execute(
        "SELECT namespace, trajectory_id, CAST(body AS BLOB) FROM outcomes WHERE ?1 IS NULL OR namespace = ?1",
        (namespace,),
    ):
        try:
            outcome = Outcome.model_validate_json(body)
        except ValidationError:  # told by `problems`
            continue
        yield at, id, outcome


def problems(db: sqlite3.Connection) -> Iterator[str]:
    """SQLite's own check; counters against the logged outcomes; heads against revisions; unreadable records.

    Raises:
        sqlite3.DatabaseError: the damage is such that the file cannot be read further.
    """
    for (line,) in db.execute("PRAGMA integrity_check").fetchall():
        if line != "ok":
            yield line
    for at, _ in db.execute("SELECT at, seq FROM erasures WHERE cleaned = 0").fetchall():
        yield f"what was erased at {at} may still be in freed pages; run `memp memory forget --finish`"
    for (namespace, id, number), now, right in miscounted(db):
        said = f"outcomes say {right.succeeded}/{right.served}"
        yield f"{namespace}/{id} revision {number}: counters {now.succeeded}/{now.served}, {said}"
    for namespace, id, head, last, count in db.execute(_HEADS).fetchall():
        yield f"{namespace}/{id}: at revision {head}, but has {count} revisions up to {last}"
    for what, query in _STRAY.items():
        for namespace, id in db.execute(query).fetchall():
            yield f"{namespace}/{id}: {what}"
    for namespace, id in _credits_nothing(db):
        yield f"{namespace}/{id}: outcome that credits a revision that is not there"
    for table, (name, read) in _RECORDS.items():
        for namespace, id, body in db.execute(
            f"SELECT namespace, {name}, CAST(body AS BLOB) FROM {table} ORDER BY seq"
        ):
            try:
                read(body, words_of(db)) if table == "trajectories" else read(body)
            except (zlib.error, ValidationError) as error:
                yield f"{namespace}/{id}: cannot be read from {table} ({' '.join(str(error).split())[:200]})"
