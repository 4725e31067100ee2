"""One SQLite file: opened with care, written in whole transactions, its errors in memp's words."""

import os
import sqlite3
import threading
import time
import weakref
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pydantic import ValidationError

from memp.errors import (
    RecordError,
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
_DAMAGE = ("decode to UTF-8", "malformed JSON", "no such table", "no such column", "has no column")
"""What SQLite says of a damaged text or schema without a code of its own; our statements are all valid."""
_READING_FAILED = (sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS)


class Connection:
    """A connection that several threads may share and that survives a fork.

    Logs commit without waiting for the disk (safe against a killed process); `durable` transactions wait for it
    (safe against a power cut too).
    """

    def __init__(self, path: str | Path, *, create: bool = True, timeout: float = 30.0) -> None:
        self.path = str(path)
        self.generation = 0
        """How often the file was opened: a fork closes it and the next use opens it again."""
        self.timeout = timeout
        self._synchronous = ""
        self._lock = threading.RLock()
        self._closed = False
        with translated(self.path):
            self._check_place(create)
            self._check_header()
            self._db: sqlite3.Connection | None = self._connect()
            self.generation += 1
            try:
                self._migrate(self._db)
            except BaseException:
                self._db.close()
                raise
        self._mind_forks()

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """All or nothing; other writers wait."""
        with self._lock, translated(self.path):
            db = self._mine()
            self._synchronise(db, "FULL" if durable else "NORMAL")
            with _immediate(db):
                yield db

    @contextmanager
    def logging(self) -> Iterator[sqlite3.Connection]:
        """Write access for one statement, which is a transaction of its own and does not wait for the disk."""
        with self._lock, translated(self.path):
            db = self._mine()
            self._synchronise(db, "NORMAL")
            yield db

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Read access; every statement sees the newest state."""
        with self._lock, translated(self.path):
            yield self._mine()

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """Read access to one state of the file, while others write."""
        if self.path == MEMORY:
            with self.reading() as db:
                yield db
            return
        self._must_be_open()
        with translated(self.path), closing(self._connect()) as db:
            db.execute("BEGIN")
            yield db

    def scrub(self) -> None:
        """Write the file anew, so that nothing is left of what was deleted: not in freed pages, not in the log.

        Raises:
            StoreBusy: another process writes, or reads an old state.
        """
        with self._lock, translated(self.path):
            db = self._mine()
            deadline = time.monotonic() + self.timeout
            db.execute("PRAGMA secure_delete = ON")  # also while VACUUM moves cells about
            try:
                db.execute("VACUUM")
            finally:
                db.execute("PRAGMA secure_delete = OFF")  # every write would cost more
            while self.path != MEMORY:
                busy, _, _ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                if not busy:
                    return
                if time.monotonic() > deadline:
                    raise StoreBusy(f"{self.path}: another process reads an old state of the file; try again")
                time.sleep(0.01)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._closed = True
            if self._db is not None:
                self._db.close()
                self._db = None

    def _mine(self) -> sqlite3.Connection:
        self._must_be_open()
        if self._db is None:
            self._db = self._connect()
            self.generation += 1
        return self._db

    def _must_be_open(self) -> None:
        if self._closed:
            raise StoreError(f"{self.path} was closed; open the memory again")

    def _synchronise(self, db: sqlite3.Connection, mode: str) -> None:
        if self._synchronous != mode:
            db.execute(f"PRAGMA synchronous = {mode}")
            self._synchronous = mode

    def _connect(self) -> sqlite3.Connection:
        self._synchronous = ""  # a new connection: it is set before the next write
        db = sqlite3.connect(self.path, timeout=self.timeout, isolation_level=None, check_same_thread=False)
        try:
            self._enter_wal(db)
            db.execute("PRAGMA foreign_keys = ON")
            db.execute("PRAGMA recursive_triggers = ON")  # REPLACE is a DELETE too
            db.execute("PRAGMA cache_size = -65536")
        except BaseException:
            db.close()
            raise
        return db

    def _enter_wal(self, db: sqlite3.Connection) -> None:
        # Changing the journal mode does not honour the busy timeout when several processes create the file at once.
        deadline = time.monotonic() + self.timeout
        while True:
            try:
                db.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    # -- forks -------------------------------------------------------------------------------------

    def _mind_forks(self) -> None:
        """SQLite connections must not cross a fork: the child would write to a log that the parent may delete."""
        me = weakref.ref(self)
        held: list[Connection] = []

        def before() -> None:
            if (connection := me()) is not None:
                connection._before_fork()
                held.append(connection)

        def after() -> None:
            while held:
                held.pop()._lock.release()

        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=before, after_in_parent=after, after_in_child=after)

    def _before_fork(self) -> None:
        self._lock.acquire()
        if self._db is not None and not self._db.in_transaction and self.path != MEMORY:
            self._db.close()
            self._db = None

    # -- opening -----------------------------------------------------------------------------------

    def _check_place(self, create: bool) -> None:
        if self.path == MEMORY:
            return
        path = Path(self.path)
        if path.is_dir():
            raise StoreMissing(f"{self.path or '(empty path)'} is a folder; name a file in it")
        if not path.parent.is_dir():
            raise StoreMissing(f"there is no folder {path.parent} for the memory {path.name}; create it first")
        if not create and not path.exists():
            raise StoreMissing(f"there is no memory at {self.path}; create one by recording into it")

    def _check_header(self) -> None:
        """Look at an existing file without changing a byte of it."""
        path = Path(self.path)
        if self.path == MEMORY or not path.exists() or path.stat().st_size == 0:
            return
        with path.open("rb") as file:
            header = file.read(100)
            if len(header) < 100 or not header.startswith(b"SQLite format 3\0"):
                raise StoreCorrupt(f"{self.path} is not a memp memory (no SQLite header); the file was left as it is")
        # Without a log beside it the first page says it all; `immutable` then leaves no side files behind.
        options = "mode=ro" if Path(f"{self.path}-wal").exists() else "mode=ro&immutable=1"
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?{options}", uri=True, timeout=self.timeout)) as db:
            db.execute("BEGIN")  # all three of the same moment: another process may be creating the file
            (tables,) = db.execute("PRAGMA schema_version").fetchone()
            (app,) = db.execute("PRAGMA application_id").fetchone()
            (version,) = db.execute("PRAGMA user_version").fetchone()
        if tables and app != APPLICATION_ID:
            raise StoreCorrupt(f"{self.path} is an SQLite file of another program; the file was left as it is")
        self._check_version(version)

    def _check_version(self, version: int) -> None:
        if version > len(MIGRATIONS):
            raise StoreTooNew(
                f"{self.path} was written by a newer memp (schema {version}, this one knows {len(MIGRATIONS)}); "
                "upgrade memp; the file was left as it is"
            )

    def _migrate(self, db: sqlite3.Connection) -> None:
        if _version(db) == len(MIGRATIONS):
            return
        with _immediate(db):  # other processes wait here and then find it done
            version = _version(db)
            self._check_version(version)
            for number, statements in enumerate(MIGRATIONS[version:], version + 1):
                for statement in statements:
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {number}")
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")


@contextmanager
def _immediate(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # a full disk rolls back by itself
            db.execute("ROLLBACK")
        raise


def _version(db: sqlite3.Connection) -> int:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    return int(version)


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Errors of SQLite and of stored bytes in memp's words, naming the file and what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise _translation(path, error) from error
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror or error}") from error
    except UnicodeEncodeError as error:
        message = f"{error.object!r} is not text (half of a surrogate pair); decode with errors='replace'"
        raise RecordError(message) from error
    except OverflowError as error:
        raise RecordError(f"a number is too large to be stored ({error})") from error
    except (zlib.error, ValidationError, UnicodeDecodeError) as error:
        raise _damaged(path, error) from error


def _translation(path: str, error: sqlite3.Error) -> StoreError:
    extended = getattr(error, "sqlite_errorcode", 0)
    code = extended & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreBusy(f"{path}: another process held the file for too long; try again; nothing was written")
    if code == sqlite3.SQLITE_FULL:
        return StoreFull(f"{path}: the disk is full; free some space and repeat; nothing was written")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return StoreReadOnly(f"{path} cannot be written; check the permissions of the file and its folder")
    if code == sqlite3.SQLITE_CANTOPEN:
        return StoreReadOnly(f"{path} cannot be opened or created; check that its folder can be written")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or any(said in str(error) for said in _DAMAGE):
        return _damaged(path, error)
    if code == sqlite3.SQLITE_IOERR and extended in _READING_FAILED:
        return StoreError(f"{path}: the disk could not be read ({error}); check the disk, or restore a copy")
    if code == sqlite3.SQLITE_IOERR:
        return StoreFull(f"{path}: the disk refused a write ({error}); is it full? nothing was written")
    return StoreError(f"{path}: {error}")


def _damaged(path: str, error: Exception) -> StoreCorrupt:
    reason = " ".join(str(error).split())[:200]
    return StoreCorrupt(f"{path} is damaged ({reason}); restore a copy, or `memp memory export` what can be read")
