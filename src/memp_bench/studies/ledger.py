"""What a run has used, over all its processes: a meter that writes down every call."""

import os
import weakref
from pathlib import Path

from memp.errors import RecordError
from memp.models.metered import Budget, Meter
from memp.records import Record, Usage


class Entry(Record):
    """One call of a model."""

    purpose: str
    usage: Usage


class Ledger(Meter):
    """A meter with a file, one line a call. It starts from what is there, so caps hold for the whole run.

    A line is handed to the system before the call returns: what was paid for stays counted after kill -9.
    """

    def __init__(self, file: Path, budget: Budget | None = None) -> None:
        super().__init__(budget)
        self._file = file
        self._torn = False
        self._out: int | None = None
        for entry in self._entries():
            super().add(entry.purpose, entry.usage)

    def add(self, purpose: str, usage: Usage) -> None:
        """Count `usage` under `purpose`, and write it down."""
        super().add(purpose, usage)
        line = Entry(purpose=purpose, usage=usage).model_dump_json().encode() + b"\n"
        os.write(self._opened(), b"\n" + line if self._torn else line)
        self._torn = False

    def _opened(self) -> int:
        """The file, opened at the first call and closed with the ledger."""
        if self._out is None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._out = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            weakref.finalize(self, os.close, self._out)
        return self._out

    def _entries(self) -> list[Entry]:
        """The whole lines; one torn by a kill does not count."""
        text = self._file.read_bytes() if self._file.exists() else b""
        self._torn = bool(text) and not text.endswith(b"\n")
        entries = []
        for line in text.splitlines():
            try:
                entries.append(Entry.parse(line))
            except RecordError:
                continue
        return entries
