"""SQLite stores that break rules of processes: importable by a process of its own."""

import multiprocessing

from memp.stores.sqlite import SqliteStore


class ForgetfulElsewhere(SqliteStore):
    """In a process that another one started, receipts are said to be logged and are not."""

    def log_receipt(self, namespace, receipt):
        if multiprocessing.parent_process() is None:
            super().log_receipt(namespace, receipt)


class Late(SqliteStore):
    """A write is done when the next one comes."""

    last = None

    def write(self, *arguments, **named):
        if self.last is not None:
            super().write(*self.last[0], **self.last[1])
        self.last = (arguments, named)
        return True
