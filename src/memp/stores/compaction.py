"""Keeping old trajectories in fewer bytes: with a dictionary of what trajectories of the namespace have in common.

Each is compressed for itself, so that one is read without the others. LZMA does not pay for texts this short; a
dictionary does (docs/forgetting.md has the figures).
"""

import sqlite3
import zlib
from datetime import datetime

from memp.errors import StoreError
from memp.stores.base import Compacted
from memp.stores.statements import HAS_DICTIONARY, stamp, unpack, words_of

_AT_ONCE = 200
_SAMPLE = 60
_WINDOW = 32_768
"""As far as zlib looks back."""


def compact_some(db: sqlite3.Connection, namespace: str, before: datetime, after: int) -> tuple[Compacted, int | None]:
    """Compact the next trajectories after number `after`, within a transaction; and the number to go on from.

    One that would not become smaller stays as it is.
    """
    rows = db.execute(
        """SELECT seq, id, body FROM trajectories
           WHERE namespace = ? AND seq > ? AND recorded_at < ? ORDER BY seq LIMIT ?""",
        (namespace, after, stamp(before), _AT_ONCE),
    ).fetchall()
    dictionary = _dictionary(db, namespace) if rows else b""
    count = old = new = 0
    db.execute("INSERT INTO permits VALUES ('compact')")
    for seq, id, body in rows:
        if body[1] & HAS_DICTIONARY:
            continue  # it was compacted before
        said = unpack(body)
        packed = _packed(said, dictionary)
        if len(packed) >= len(body):
            continue
        if unpack(packed, lambda _: [dictionary]) != said:
            raise StoreError(f"trajectory {id} could not be compacted: it would read differently; nothing was changed")
        db.execute("UPDATE trajectories SET body = ? WHERE seq = ?", (packed, seq))
        count, old, new = count + 1, old + len(body), new + len(packed)
    db.execute("DELETE FROM permits WHERE operation = 'compact'")
    return Compacted(trajectories=count, before=old, after=new), rows[-1][0] if len(rows) == _AT_ONCE else None


def expand(db: sqlite3.Connection, namespace: str) -> None:
    """Take compaction back: what is erased may be in the dictionary. Within a transaction."""
    words = words_of(db)
    rows = db.execute("SELECT seq, body FROM trajectories WHERE namespace = ?", (namespace,)).fetchall()
    db.execute("INSERT INTO permits VALUES ('compact')")
    for seq, body in rows:
        if body[1] & HAS_DICTIONARY:
            db.execute("UPDATE trajectories SET body = ? WHERE seq = ?", (zlib.compress(unpack(body, words), 1), seq))
    db.execute("DELETE FROM permits WHERE operation = 'compact'")
    db.execute("DELETE FROM dictionaries WHERE namespace = ?", (namespace,))


def _dictionary(db: sqlite3.Connection, namespace: str) -> bytes:
    """That of the namespace; made, at first, of trajectories spread over all that there are."""
    known = db.execute("SELECT body FROM dictionaries WHERE namespace = ?", (namespace,)).fetchone()
    if known is not None:
        return bytes(known[0])
    seqs = [seq for (seq,) in db.execute("SELECT seq FROM trajectories WHERE namespace = ?", (namespace,))]
    chosen = sorted(seqs)[:: max(1, len(seqs) // _SAMPLE)]
    bodies = [db.execute("SELECT body FROM trajectories WHERE seq = ?", (seq,)).fetchone()[0] for seq in chosen]
    words = words_of(db)
    made = b"".join(unpack(body, words) for body in bodies)[-_WINDOW:]
    db.execute("INSERT INTO dictionaries VALUES (?, ?, ?)", (zlib.adler32(made), namespace, made))
    return made


def _packed(said: bytes, dictionary: bytes) -> bytes:
    stream = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_DEFAULT_STRATEGY, dictionary)
    return stream.compress(said) + stream.flush()
