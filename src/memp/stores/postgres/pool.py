"""Connections to one database, and transactions on them that survive a restart of the server.

The pool has no thread of its own: nothing has to be woken up in a forked child, and who cannot connect is told why.
Nothing is kept in a session between transactions (settings, prepared statements, locks), so a pooler in transaction
mode may stand between.
"""

import os
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

from memp.errors import StoreBusy, StoreError
from memp.stores.postgres import statements as sql
from memp.stores.postgres.errors import PASSING, driver, lost, translated
from memp.stores.postgres.migrations import migrate
from memp.stores.postgres.texts import plain, safe

if TYPE_CHECKING:
    import psycopg

T = TypeVar("T")
Row = tuple[Any, ...]

_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 0.5
_MARKS: Final = 50
_REMEMBERED: Final = 3_600_000_000
"""Microseconds for which a client may ask whether its transaction was committed."""
_STATEMENTS: Final = 4
"""A statement may take so many times as long as a lock is waited for: it may read a whole memory."""


class Answer:
    """What a statement will answer: it was sent, and others may be sent before this is read."""

    def __init__(self, cursor: "psycopg.Cursor[Row]") -> None:
        self._cursor = cursor

    def rows(self) -> list[Row]:
        """All of it; waits for the server."""
        return self._cursor.fetchall()

    def row(self) -> Row | None:
        """The first row, if there is one."""
        return self._cursor.fetchone()


class Transaction:
    """Sends statements of one transaction in one namespace, several per round trip."""

    def __init__(self, db: "psycopg.Connection[Row]", namespace: str) -> None:
        self._db = db
        self._namespace = namespace
        self.number = 0
        """The last number that was taken from the namespace's clock."""
        self._whole = self
        self.erased_at: str | None = None
        """When something was last erased from the namespace that it holds."""
        self.mark: tuple[str, int] | None = None
        """A namespace that is held, and the number that says there that this was committed."""
        self.undo = False
        """Set to leave everything as it was."""

    def send(self, statement: str, **values: Any) -> Answer:
        """Send a statement about the namespace."""
        cursor = self._db.cursor(binary=True)
        cursor.execute(statement, {"ns": self._namespace, **values})
        return Answer(cursor)

    def send_many(self, statement: str, values: Sequence[Mapping[str, Any]]) -> None:
        """Send a statement once for each of the values."""
        for one in values:
            self.send(statement, **one)

    def inside(self, namespace: str) -> "Transaction":
        """The same transaction for another namespace; `enter` it before it is used."""
        other = Transaction(self._db, safe(namespace))
        other._whole = self._whole
        return other

    def enter(self) -> None:
        """From here on this namespace is seen."""
        self._db.execute(sql.ENTER, (self._namespace,))

    def hold(self, numbers: int) -> Callable[[], int]:
        """Keep other writers out of the namespace until the end, and take numbers of its clock.

        Returns a function that waits for it and gives the number before the first.
        """
        answer = self.send(sql.TICK, n=numbers)

        def held() -> int:
            row = answer.row()
            assert row is not None
            self.number, self.erased_at = int(row[0]), row[1]
            if self._whole.mark is None:
                self._whole.mark = (self._namespace, self.number)
                self.send(sql.MARK, number=self.number)
                if self.number % _MARKS == 0:
                    self.send(sql.DROP_MARKS, number=self.number - _REMEMBERED)
            return self.number - numbers

        return held


class Pool:
    """Up to `size` connections, made when they are needed.

    Args:
        url: `postgresql://user@host/database`, or anything else that libpq takes.
        timeout: seconds to wait for a connection, a lock, and for a server that restarts.
    """

    def __init__(self, url: str, *, create: bool = True, timeout: float = 30.0, size: int = 8) -> None:
        self.url = url
        self.place = _place(url)
        self._timeout = timeout
        self._size = size
        self._closed = False
        self._start()
        driver(self.place)
        with translated(self.place):
            db = self._connect()
            try:
                migrate(db, self.place, create=create)
                row = db.execute(sql.SHARDED).fetchone()
                # On a sharded server a commit happens elsewhere: there it must wait for the disk by itself.
                self._sharded = bool(row and row[0])
            except BaseException:
                db.close()
                raise
        self._idle.append(db)

    def read(self, namespace: str, statement: str, *, listing: bool = False, **values: Any) -> list[Row]:
        """The rows of one statement, in one round trip."""
        with translated(self.place):
            return self._patiently(lambda db: self._read(db, namespace, statement, listing, values))

    def run(
        self,
        namespace: str,
        body: Callable[[Transaction], T],
        *,
        writes: bool = False,
        durable: bool = True,
        again: bool = True,
        forgetting: bool = False,
        overtaken: Collection[str] = (),
        unsure: Callable[[], None] | None = None,
    ) -> T:
        """What `body` returns, in one transaction: all of it or nothing.

        Args:
            writes: it is committed. durable: and is on the disk before this returns.
            again: `body` may be called again when the connection was lost before it was committed.
            forgetting: recorded rows may be deleted.
            overtaken: errors (SQLSTATE) that say that others were first, so that `body` is called again.
            unsure: called before that when the answer to a commit was lost, and there is no mark to look for.
        """
        with translated(self.place):
            if not writes:
                return self._patiently(lambda db: self._once(db, namespace, body))
            return self._patiently(
                lambda db: self._write(db, namespace, body, durable, forgetting),
                again=again,
                overtaken=overtaken,
                unsure=unsure,
            )

    @contextmanager
    def snapshot(self, namespace: str) -> Iterator[Transaction]:
        """One state of the database, on a connection of its own."""
        if self._closed:
            raise StoreError(f"{self.place} was closed; open the memory again")
        with translated(self.place):
            db = self._connect()
            try:
                db.execute(sql.FROZEN)
                self._settings(db, namespace)
                yield Transaction(db, safe(namespace))
            finally:
                db.close()

    def administer(self, work: "Callable[[psycopg.Connection[Row]], None]") -> None:
        """What is no transaction, on a connection of its own and without a limit of time."""
        with translated(self.place):
            db = self._connect()
            try:
                work(db)
            finally:
                db.close()

    def close(self) -> None:
        """Close the connections."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    # -- one transaction ---------------------------------------------------------------------------

    def _read(
        self, db: "psycopg.Connection[Row]", namespace: str, statement: str, listing: bool, values: dict[str, Any]
    ) -> list[Row]:
        with db.pipeline():
            db.execute(sql.BEGIN)
            self._settings(db, namespace)
            if listing:
                db.execute(sql.LISTING)
            answer = Transaction(db, safe(namespace)).send(statement, **values)
            db.execute(sql.COMMIT)
        return answer.rows()

    def _once(self, db: "psycopg.Connection[Row]", namespace: str, body: Callable[[Transaction], T]) -> T:
        with db.pipeline():
            db.execute(sql.BEGIN)
            self._settings(db, namespace)
            result = body(Transaction(db, safe(namespace)))
            db.execute(sql.COMMIT)
        return result

    def _write(
        self,
        db: "psycopg.Connection[Row]",
        namespace: str,
        body: Callable[[Transaction], T],
        durable: bool,
        forgetting: bool,
    ) -> T:
        transaction = Transaction(db, safe(namespace))
        committing = False
        # The namespace is held until the commit is visible, and not until it is on the disk: that is waited for
        # afterwards, together with others.
        try:
            with db.pipeline():
                db.execute(sql.BEGIN)
                self._settings(db, namespace, writes=True)
                if forgetting:
                    db.execute(sql.FORGETTING)
                result = body(transaction)
                if transaction.undo:
                    db.execute(sql.ROLLBACK)
                    return result
                committing = True
                db.execute(sql.COMMIT)
                if durable and not self._sharded:
                    db.execute(sql.SYNC)
            return result
        except Exception as error:
            if committing and _is_lost(db, error):
                raise _Unknown(transaction.mark, lambda: result) from error
            raise

    def _settings(self, db: "psycopg.Connection[Row]", namespace: str, *, writes: bool = False) -> None:
        limits = {"ns": safe(namespace), "statement": f"{int(self._timeout * 1000 * _STATEMENTS)}ms"}
        if writes:  # a commit waits for the disk afterwards, see `_write`; a sharded server has to do it at once
            limits |= {"lock": f"{int(self._timeout * 1000)}ms", "sync": "on" if self._sharded else "off"}
        db.execute(sql.WRITING if writes else sql.READING, limits)

    # -- until it works ----------------------------------------------------------------------------

    def _patiently(
        self,
        work: Callable[["psycopg.Connection[Row]"], T],
        *,
        again: bool = True,
        overtaken: Collection[str] = (),
        unsure: Callable[[], None] | None = None,
    ) -> T:
        """Do it on a connection; again on another when that was lost, or when it lost against another transaction."""
        import psycopg

        deadline, pause, proven = time.monotonic() + self._timeout, _PAUSE, False
        while True:
            try:
                with self._connection() as db:
                    proven = True
                    return work(db)
            except _Unknown as unknown:
                if unknown.mark is not None and self._committed(*unknown.mark):
                    return unknown.result()  # type: ignore[no-any-return]
                if not again or time.monotonic() > deadline:
                    raise _unknown(self.place) from unknown.__cause__
                if unsure is not None and unknown.mark is None:
                    unsure()
            except psycopg.Error as error:
                passing = lost(error) or error.sqlstate in PASSING or error.sqlstate in overtaken
                if not passing or (proven and not again) or time.monotonic() > deadline:
                    raise
            time.sleep(pause)
            pause = min(_LONGEST_PAUSE, pause * 2)

    def _committed(self, namespace: str, number: int) -> bool:
        """Whether a transaction whose commit was not answered is there; and if so, on the disk."""

        def look(transaction: Transaction) -> bool:
            transaction.hold(1)()  # waits for it, should the server still be at it
            return transaction.send(sql.MARKED, number=number).row() is not None

        try:
            return self._patiently(lambda db: self._write(db, plain(namespace), look, True, False))
        except Exception as error:
            raise _unknown(self.place) from error

    # -- connections -------------------------------------------------------------------------------

    @contextmanager
    def _connection(self) -> "Iterator[psycopg.Connection[Row]]":
        if os.getpid() != self._process:  # a fork: the parent's connections are not ours to use, nor to close
            self._left = self._idle
            self._start()
        if self._closed:
            raise StoreError(f"{self.place} was closed; open the memory again")
        if not self._free.acquire(timeout=self._timeout):
            raise StoreBusy(f"{self.place}: all {self._size} connections were in use for too long; nothing was written")
        try:
            db = self._idle.pop() if self._idle else self._connect()
            try:
                yield db
            except BaseException:
                self._give_up(db)
                raise
            if self._closed or db.closed:
                db.close()
            else:
                self._idle.append(db)
        finally:
            self._free.release()

    def _give_up(self, db: "psycopg.Connection[Row]") -> None:
        """After an error: roll back and keep the connection, if it still works."""
        if not db.closed:
            with suppress(Exception):
                db.rollback()
                self._idle.append(db)
                return
        db.close()
        while self._idle:  # the others were probably lost with it; whoever needs one connects anew
            self._idle.pop().close()

    def _connect(self) -> "psycopg.Connection[Row]":
        import psycopg

        wait = max(2, min(10, int(self._timeout)))
        return psycopg.connect(self.url, autocommit=True, prepare_threshold=None, connect_timeout=wait)

    def _start(self) -> None:
        self._process = os.getpid()
        self._idle: list[psycopg.Connection[Row]] = []
        self._free = threading.BoundedSemaphore(self._size)


class _Unknown(Exception):
    """The connection was lost while a commit was under way."""

    def __init__(self, mark: tuple[str, int] | None, result: Callable[[], Any]) -> None:
        super().__init__(mark)
        self.mark = mark
        self.result = result


def _unknown(place: str) -> StoreError:
    return StoreError(
        f"{place}: the connection was lost while the transaction was committed, and the server has not come back to "
        "say whether it was; repeat it: what is there already is left as it is"
    )


def _is_lost(db: "psycopg.Connection[Row]", error: Exception) -> bool:
    import psycopg

    return db.closed or (isinstance(error, psycopg.Error) and lost(error))


def _place(url: str) -> str:
    """The address without the password."""
    head, at, tail = url.rpartition("@")
    if not at or "://" not in head:
        return url
    scheme, _, user = head.partition("://")
    return f"{scheme}://{user.partition(':')[0]}@{tail}"
