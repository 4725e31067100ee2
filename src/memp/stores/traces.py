"""Traces of what was erased: the bytes to look for in the files of a store, and the search."""

import json
import mmap
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from memp.stores.sidecar import folder_of
from memp.stores.statements import unpack, words_of

LEAST = 12
"""Shorter texts are found anywhere by chance."""
WINDOW = 48
"""So many bytes of the middle of a blob stand for it."""
_SCANNED = 4_000_000_000
"""At most about so many bytes are looked at: files times texts."""


class Traces:
    """Texts and blobs that were erased."""

    def __init__(self) -> None:
        self.names: dict[bytes, str] = {}
        self._texts: dict[bytes, str] = {}
        self._blobs: dict[bytes, str] = {}

    def name(self, *names: str) -> None:
        """Ids and tasks: what must be looked for first."""
        self.names.update((form, name) for name in names for form in _forms(name))

    def say(self, texts: Iterable[str]) -> None:
        """Whatever the erased things said."""
        for text in texts:
            self._texts.update((form, line) for line in text.splitlines() for form in _forms(line))

    def hold(self, blob: bytes) -> None:
        """A compressed text or a vector."""
        if len(blob) >= WINDOW:
            start = (len(blob) - WINDOW) // 2
            self._blobs[blob[start : start + WINDOW]] = f"{len(blob)} stored bytes"

    def wanted(self, size: int) -> dict[bytes, str]:
        """What to look for in `size` bytes: all of it, or as much as can be done soon, names and long texts first."""
        longest = sorted(self._texts, key=lambda form: (-len(form), form))
        found = self.names | self._blobs | {form: self._texts[form] for form in longest}
        most = max(200, _SCANNED // max(1, size))
        return dict(list(found.items())[:most])


def _forms(text: str) -> Iterator[bytes]:
    """How a text stands in a file: as it is, and as in JSON."""
    if len(text) >= LEAST:
        yield text.encode()
        yield json.dumps(text, ensure_ascii=False)[1:-1].encode()


def files_of(path: str) -> list[Path]:
    """The files of a store that are there."""
    beside = sorted(file for file in folder_of(path).glob("*") if file.is_file())
    return [*(file for end in ("", "-wal", "-shm", "-journal") if (file := Path(path + end)).exists()), *beside]


def found_in(path: str, db: sqlite3.Connection, traces: Traces) -> tuple[int, dict[bytes, str]]:
    """How many texts were looked for in the raw bytes of a store, and those that are there. ":memory:" has no file."""
    files = [file for file in files_of(path) if file.stat().st_size]
    size = sum(file.stat().st_size for file in files)
    if not files:
        image = db.serialize()
        wanted = traces.wanted(len(image))
        return len(wanted), {form: said for form, said in wanted.items() if form in image}
    wanted = traces.wanted(size)
    found: dict[bytes, str] = {}
    for file in files:
        with file.open("rb") as raw, mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as view:
            found |= {form: said for form, said in wanted.items() if view.find(form) >= 0}
    return len(wanted), found


_TABLES = (
    "trajectories",
    "procedures",
    "revisions",
    "recalls",
    "outcomes",
    "receipts",
    "drafts",
    "vectors",
    "dictionaries",
)


def said_elsewhere(db: sqlite3.Connection, forms: Iterable[bytes], namespace: str) -> tuple[set[bytes], set[bytes]]:
    """Those of the forms that rows which are still there say: they are not traces of what was erased.

    All of them; and those that the namespace itself says, for nobody is told what the others say.
    """
    everywhere, own = set[bytes](), set[bytes]()
    forms = set(forms)
    for table in _TABLES if forms else ():
        rows = db.execute(f"SELECT * FROM {table}")
        columns = [column for column, *_ in rows.description]
        whose = columns.index("namespace") if "namespace" in columns else None
        for row in rows:
            mine = whose is None or row[whose] == namespace
            sought = forms - (own if mine else everywhere)
            cells = [cell.encode() for cell in row if isinstance(cell, str)]
            blobs = [cell for cell in row if isinstance(cell, bytes)]
            cells += [unpack(blob, words_of(db)) for blob in blobs] if table == "trajectories" else blobs
            now = {form for form in sought if any(form in cell for cell in cells)}
            everywhere |= now
            if mine and whose is not None:
                own |= now
    return everywhere, own
