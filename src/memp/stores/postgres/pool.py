"""Transactions on one database that survive a restart of the server.

Nothing is kept in a session between transactions (settings, prepared statements, locks), so a pooler in transaction
mode may stand between.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from memp.errors import StoreError
from memp.stores.postgres import statements as sql
from memp.stores.postgres.connections import Connections
from memp.stores.postgres.errors import PASSING, driver, lost, translated
from memp.stores.postgres.migrations import migrate
from memp.stores.postgres.texts import plain, safe
from memp.stores.postgres.transaction import Transaction

if TYPE_CHECKING:
    import psycopg

    from memp.stores.postgres.wire import Answer, Row, Wire

T = TypeVar("T")

_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 0.5
_STATEMENTS: Final = 4
"""A statement may take so many times as long as a lock is waited for: it may read a whole memory."""


class Pool:
    """Runs transactions, each on one of up to `size` connections.

    Args:
        url: `postgresql://user@host/database`, or anything else that libpq takes.
        timeout: seconds to wait for a connection, a lock, and for a server that restarts.
    """

    def __init__(self, url: str, *, create: bool = True, timeout: float = 30.0, size: int = 8) -> None:
        self._connections = Connections(url, timeout=timeout, size=size)
        self.place = self._connections.place
        self._timeout = timeout
        self._statement = f"{int(timeout * 1000 * _STATEMENTS)}ms"
        driver(self.place)
        with translated(self.place):
            wire = self._connections.connect()
            try:
                migrate(wire.db, self.place, create=create)
                row = wire.db.execute(sql.SHARDED).fetchone()
                # On a sharded server a commit happens elsewhere: there it must wait for the disk by itself.
                self._sharded = bool(row and row[0])
            except BaseException:
                wire.db.close()
                raise
        self._connections.keep(wire)

    def read(self, namespace: str, statement: str, **values: Any) -> "list[Row]":
        """The rows of one statement."""
        return self.read_all(namespace, (statement, values))[0]

    def read_all(self, namespace: str, *statements: tuple[str, Mapping[str, Any]]) -> "list[list[Row]]":
        """The rows of each statement, in one round trip and one transaction."""

        def ask(wire: "Wire") -> "list[list[Row]]":
            with wire.pipeline():  # and so one transaction, without a word
                if self._sharded:
                    wire.send(sql.BEGIN, {})  # but there settings are passed on in one that was begun
                self._settings(wire, namespace)
                transaction = Transaction(wire, safe(namespace))
                answers = [transaction.send(statement, **values) for statement, values in statements]
                if self._sharded:
                    wire.send(sql.COMMIT, {})
            return [answer.rows() for answer in answers]  # before another thread has the wire

        with translated(self.place):
            return self._patiently(ask)

    def write(
        self,
        namespace: str,
        body: Callable[[Transaction], T],
        *,
        durable: bool = True,
        again: bool = True,
        forgetting: bool = False,
        overtaken: Collection[str] = (),
        unsure: Callable[[], None] | None = None,
    ) -> T:
        """What `body` returns, in one transaction: all of it is committed or nothing.

        Args:
            durable: it is on the disk before this returns.
            again: `body` may be called again when the connection was lost before it was committed.
            forgetting: recorded rows may be deleted.
            overtaken: errors (SQLSTATE) that say that others were first, so that `body` is called again.
            unsure: called before that when the answer to a commit was lost, and there is no mark to look for.
        """
        with translated(self.place):
            return self._patiently(
                lambda wire: self._write(wire, namespace, body, durable, forgetting),
                again=again,
                overtaken=overtaken,
                unsure=unsure,
            )

    @contextmanager
    def snapshot(self, namespace: str) -> Iterator[Transaction]:
        """One state of the database, on a connection of its own."""
        self._connections.must_be_open()
        with translated(self.place):
            wire = self._connections.connect()
            try:
                with wire.pipeline():
                    wire.send(sql.FROZEN, {})
                    self._settings(wire, namespace)
                    yield Transaction(wire, safe(namespace))
            finally:
                wire.db.close()

    def administer(self, work: "Callable[[psycopg.Connection[Row]], None]") -> None:
        """What is no transaction, on a connection of its own and without a limit of time."""
        with translated(self.place):
            db = self._connections.connect().db
            try:
                work(db)
            finally:
                db.close()

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()

    # -- one transaction ---------------------------------------------------------------------------

    def _write(
        self, wire: "Wire", namespace: str, body: Callable[[Transaction], T], durable: bool, forgetting: bool
    ) -> T:
        transaction = Transaction(wire, safe(namespace))
        commit: Answer | None = None
        # The namespace is held until the commit is visible, and not until it is on the disk: that is waited for
        # afterwards, together with others.
        try:
            with wire.pipeline():
                wire.send(sql.BEGIN, {})
                self._settings(wire, namespace, writes=True)
                if forgetting:
                    wire.send(sql.FORGETTING, {})
                result = body(transaction)
                if transaction.undo:
                    wire.send(sql.ROLLBACK, {})
                    return result
                commit = wire.send(sql.COMMIT, {})
                if durable and not self._sharded:
                    wire.send(sql.SYNC, {})
            return result
        except Exception as error:
            if commit is not None and _is_lost(wire, error):
                raise _Unknown(transaction.mark, lambda: result) from error
            if commit is not None and commit.done:
                raise StoreError(
                    f"{self.place}: it was written, but the server did not say that it is on the disk "
                    f"({' '.join(str(error).split())}); repeat it: what is there already is left as it is"
                ) from error
            raise

    def _settings(self, wire: "Wire", namespace: str, *, writes: bool = False) -> None:
        wire.sharded = self._sharded
        if self._sharded:
            wire.send(sql.PASSED_ON, {})
        limits = {"ns": safe(namespace), "statement": self._statement}
        if writes:  # a commit waits for the disk afterwards, see `_write`; a sharded server has to do it at once
            limits |= {"lock": f"{int(self._timeout * 1000)}ms", "sync": "on" if self._sharded else "off"}
        wire.send(sql.WRITING if writes else sql.READING, limits)

    # -- until it works ----------------------------------------------------------------------------

    def _patiently(
        self,
        work: "Callable[[Wire], T]",
        *,
        again: bool = True,
        overtaken: Collection[str] = (),
        unsure: Callable[[], None] | None = None,
    ) -> T:
        """Do it on a connection; again on another when that was lost, or when it lost against another transaction."""
        import psycopg

        deadline, pause, proven = time.monotonic() + self._timeout, 0.0, False
        while True:
            try:
                with self._connections.one() as wire:
                    proven = True
                    return work(wire)
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
            time.sleep(pause)  # not the first time: a connection went stale, or what is to be recorded is there
            pause = min(_LONGEST_PAUSE, max(_PAUSE, pause * 2))

    def _committed(self, namespace: str, number: int) -> bool:
        """Whether a transaction whose commit was not answered is there; and if so, on the disk."""

        def look(transaction: Transaction) -> bool:
            transaction.hold(1)()  # waits for it, should the server still be at it
            return transaction.send(sql.MARKED, number=number).row() is not None

        try:
            return self._patiently(lambda wire: self._write(wire, plain(namespace), look, True, False))
        except Exception as error:
            raise _unknown(self.place) from error


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


def _is_lost(wire: "Wire", error: Exception) -> bool:
    import psycopg

    return wire.db.closed or (isinstance(error, psycopg.Error) and lost(error))
