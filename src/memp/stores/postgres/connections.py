"""Up to so many connections to one database, made when they are needed.

There is no thread: nothing has to be woken up in a forked child, and who cannot connect is told why.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from memp.errors import StoreBusy, StoreError
from memp.stores.connect import without_password

if TYPE_CHECKING:
    from memp.stores.postgres.wire import Wire


class Connections:
    """Hands connections out and takes them back.

    Args:
        url: `postgresql://user@host/database`, or anything else that libpq takes.
        timeout: seconds to wait for one that is free, or for the server.
        size: the most at once.
    """

    def __init__(self, url: str, *, timeout: float, size: int) -> None:
        self.url = url
        self.place = without_password(url)
        self._timeout = timeout
        self._size = size
        self._closed = False
        self._start()

    @contextmanager
    def one(self) -> "Iterator[Wire]":
        """A connection, to be given back.

        Raises:
            StoreError: they were closed.
            StoreBusy: none became free.
        """
        if os.getpid() != self._process:  # a fork: the parent's connections are not ours to use, nor to close
            self._left = self._idle
            self._start()
        self.must_be_open()
        if not self._free.acquire(timeout=self._timeout):
            raise StoreBusy(f"{self.place}: all {self._size} connections were in use for too long; nothing was written")
        try:
            wire = self._idle.pop() if self._idle else self.connect()
            try:
                yield wire
            except BaseException:
                self._give_up(wire)
                raise
            self.keep(wire)
        finally:
            self._free.release()

    def connect(self) -> "Wire":
        """One more connection, of nobody's but the caller's."""
        import psycopg

        from memp.stores.postgres.wire import Wire

        wait = max(2, min(10, int(self._timeout)))
        return Wire(psycopg.connect(self.url, autocommit=True, prepare_threshold=None, connect_timeout=wait))

    def keep(self, wire: "Wire") -> None:
        """Let others use it."""
        if self._closed or wire.db.closed:
            wire.db.close()
        else:
            self._idle.append(wire)

    def must_be_open(self) -> None:
        """Raises StoreError when they were closed."""
        if self._closed:
            raise StoreError(f"{self.place} was closed; open the memory again")

    def close(self) -> None:
        """Close all that nobody uses; the others when they are given back."""
        self._closed = True
        while self._idle:
            self._idle.pop().db.close()

    def _give_up(self, wire: "Wire") -> None:
        """After an error: roll back and keep the connection, if it still works."""
        if not wire.db.closed:
            with suppress(Exception):
                wire.db.rollback()
                self._idle.append(wire)
                return
        wire.db.close()
        while self._idle:  # the others were probably lost with it; whoever needs one connects anew
            self._idle.pop().db.close()

    def _start(self) -> None:
        self._process = os.getpid()
        self._idle: list[Wire] = []
        self._free = threading.BoundedSemaphore(self._size)
