"""Keeping old trajectories in fewer bytes."""

import lzma
import sqlite3
from datetime import datetime

from memp.errors import StoreError
from memp.stores.base import Compacted
from memp.stores.statements import stamp, unpack

_AT_ONCE = 200
_PRESET = 6


def compact_some(db: sqlite3.Connection, namespace: str, before: datetime, after: int) -> tuple[Compacted, int | None]:
    """Compact the next trajectories after number `after`, within a transaction; and the number to go on from.

    One that would not become smaller stays as it is.
    """
    rows = db.execute(
        """SELECT seq, id, body FROM trajectories
           WHERE namespace = ? AND seq > ? AND recorded_at < ? AND substr(body, 1, 1) = x'78' ORDER BY seq LIMIT ?""",
        (namespace, after, stamp(before), _AT_ONCE),
    ).fetchall()
    count = old = new = 0
    db.execute("INSERT INTO permits VALUES ('compact')")
    for seq, id, body in rows:
        said = unpack(body)
        packed = lzma.compress(said, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, preset=_PRESET)
        if len(packed) >= len(body):
            continue
        if unpack(packed) != said:
            raise StoreError(f"trajectory {id} could not be compacted: it would read differently; nothing was changed")
        db.execute("UPDATE trajectories SET body = ? WHERE seq = ?", (packed, seq))
        count, old, new = count + 1, old + len(body), new + len(packed)
    db.execute("DELETE FROM permits WHERE operation = 'compact'")
    return Compacted(trajectories=count, before=old, after=new), rows[-1][0] if len(rows) == _AT_ONCE else None
