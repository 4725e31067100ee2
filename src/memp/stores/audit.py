"""What a file holds, and what can be wrong with one that still opens."""

import sqlite3
import zlib
from collections.abc import Callable, Iterator

from pydantic import ValidationError

from memp.records import Outcome, Receipt, Revision
from memp.stores.base import Stats
from memp.stores.entries import LoggedRecall
from memp.stores.statements import read_trajectory, words_of

COUNTERS = """
    WITH credit AS (
      SELECT o.namespace, json_extract(c.value, '$[0]') AS id, json_extract(c.value, '$[1]') AS number,
             count(*) AS served, sum(json_extract(o.body, '$.success')) AS succeeded
      FROM outcomes o, json_each(o.body, '$.credited') c GROUP BY 1, 2, 3)
    SELECT r.namespace, r.procedure_id, r.number, r.served, r.succeeded, coalesce(c.served, 0), coalesce(c.succeeded, 0)
    FROM revisions r LEFT JOIN credit c ON c.namespace = r.namespace AND c.id = r.procedure_id AND c.number = r.number
    WHERE r.served != coalesce(c.served, 0) OR r.succeeded != coalesce(c.succeeded, 0)
"""
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
    "outcome that credits a revision that is not there": """
        SELECT o.namespace, o.trajectory_id FROM outcomes o, json_each(o.body, '$.credited') c LEFT JOIN revisions r
        ON r.namespace = o.namespace AND r.procedure_id = json_extract(c.value, '$[0]')
        AND r.number = json_extract(c.value, '$[1]') WHERE r.seq IS NULL""",
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
    for namespace, id, number, served, succeeded, wanted, won in db.execute(COUNTERS).fetchall():
        yield f"{namespace}/{id} revision {number}: counters {succeeded}/{served}, outcomes say {won}/{wanted}"
    for namespace, id, head, last, count in db.execute(_HEADS).fetchall():
        yield f"{namespace}/{id}: at revision {head}, but has {count} revisions up to {last}"
    for what, query in _STRAY.items():
        for namespace, id in db.execute(query).fetchall():
            yield f"{namespace}/{id}: {what}"
    for table, (name, read) in _RECORDS.items():
        for namespace, id, body in db.execute(
            f"SELECT namespace, {name}, CAST(body AS BLOB) FROM {table} ORDER BY seq"
        ):
            try:
                read(body, words_of(db)) if table == "trajectories" else read(body)
            except (zlib.error, ValidationError) as error:
                yield f"{namespace}/{id}: cannot be read from {table} ({' '.join(str(error).split())[:200]})"
