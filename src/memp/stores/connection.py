"""One SQLite file: opened with care, written in whole transactions, its errors in memp's words."""

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from memp.errors import (
    StoreBusy,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreMissing,
    StoreReadOnly,
    StoreTooNew,
)
from memp.stores.migrations import APPLICATION_ID, MIGRATIONS

MEMORY = ":memory:"


class Connection:
    """A connection that several threads may share and that survives a fork.

    Reads and logs commit without waiting for the disk (safe against a killed process); `durable` transactions
    wait for it (safe against a power cut too).
    """

    def __init__(self, path: str | Path, *, create: bool = True, timeout: float = 30.0) -> None:
        self.path = str(path)
        self._timeout = timeout
        self._lock = threading.RLock()
        self._pid = os.getpid()
        with translated(self.path):
            if not create and self.path != MEMORY and not Path(self.path).exists():
                raise StoreMissing(f"there is no memory at {self.path}; create one by recording into it")
            self._check_header()
            self._db = self._connect()
            self._migrate()

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """All or nothing; other writers wait."""
        with self._lock, translated(self.path):
            db = self._mine()
            db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Read access."""
        with self._lock, translated(self.path):
            yield self._mine()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def _mine(self) -> sqlite3.Connection:
        if os.getpid() != self._pid:  # SQLite connections must not cross a fork
            self._db, self._pid = self._connect(), os.getpid()
        return self._db

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=self._timeout, isolation_level=None, check_same_thread=False)
        self._enter_wal(db)
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA cache_size = -65536")
        return db

    def _enter_wal(self, db: sqlite3.Connection) -> None:
        # Changing the journal mode does not honour the busy timeout when several processes create the file at once.
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                db.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def _check_header(self) -> None:
        """Look at an existing file without changing a byte of it."""
        path = Path(self.path)
        if self.path == MEMORY or not path.exists() or path.stat().st_size == 0:
            return
        with path.open("rb") as file:
            if file.read(16) != b"SQLite format 3\x00":
                raise StoreCorrupt(f"{self.path} is not a memp memory (no SQLite header); the file was left as it is")
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=self._timeout)
        try:
            (app,) = db.execute("PRAGMA application_id").fetchone()
            (version,) = db.execute("PRAGMA user_version").fetchone()
            (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        finally:
            db.close()
        if tables and app != APPLICATION_ID:
            raise StoreCorrupt(f"{self.path} is an SQLite file of another program; the file was left as it is")
        if version > len(MIGRATIONS):
            raise StoreTooNew(
                f"{self.path} was written by a newer memp (schema {version}, this one knows {len(MIGRATIONS)}); "
                "upgrade memp; the file was left as it is"
            )

    def _migrate(self) -> None:
        if self._version() == len(MIGRATIONS):
            return
        with self.transaction() as db:  # other processes wait here and then find it done
            version = self._version()
            for number, statements in enumerate(MIGRATIONS[version:], version + 1):
                for statement in statements:
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {number}")
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")

    def _version(self) -> int:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        return int(version)


@contextmanager
def translated(path: str) -> Iterator[None]:
    """SQLite's errors in memp's words, naming the file and what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise _translation(path, error) from error
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror or error}") from error


def _translation(path: str, error: sqlite3.Error) -> StoreError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreBusy(f"{path}: another process held the file for too long; try again; nothing was written")
    if code == sqlite3.SQLITE_FULL:
        return StoreFull(f"{path}: the disk is full; free some space and repeat; nothing was written")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return StoreReadOnly(f"{path} cannot be written; check the permissions of the file and its folder")
    if code == sqlite3.SQLITE_CANTOPEN:
        return StoreReadOnly(f"{path} cannot be opened or created; check that the folder exists and can be written")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StoreCorrupt(f"{path} is damaged ({error}); restore a copy, or `memp memory export` what can be read")
    if code == sqlite3.SQLITE_IOERR:
        return StoreFull(f"{path}: the disk refused a read or write ({error}); is it full? nothing was written")
    return StoreError(f"{path}: {error}")
