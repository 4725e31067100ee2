"""One connection, and the statements that are under way on it.

psycopg's own pipeline hands each statement to the system by itself, which costs more than the statement. Here they are
gathered and sent together, on psycopg's public wrapper of libpq, with its adapters and errors.
"""

import re
from collections import deque
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any, Final

import numpy as np
import psycopg
from psycopg import pq
from psycopg.adapt import Dumper, PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.waiting import Ready, Wait

Row = tuple[Any, ...]

_MOST: Final = 200
"""Statements under way, after which the older half of their answers is waited for."""


class Answer:
    """What a statement will answer: it was gathered, and others may be sent before this is read."""

    def __init__(self, wire: "Wire") -> None:
        self._wire = wire
        self.result: pq.abc.PGresult | None = None
        self.complete = False

    @property
    def done(self) -> bool:
        """Whether the server has said that it was carried out."""
        status = None if self.result is None else self.result.status
        return status in (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK)

    def rows(self) -> list[Row]:
        """All of it; waits for the server."""
        return self._wire.read(self)

    def row(self) -> Row | None:
        """The first row, if there is one."""
        rows = self.rows()
        return rows[0] if rows else None


class Wire:
    """Sends statements over one connection, all that were gathered in one go."""

    def __init__(self, db: "psycopg.Connection[Row]") -> None:
        self.db = db
        self.sharded = False
        """Whether settings are told by SET LOCAL, the only form that Citus passes on to where the rows are."""
        db.adapters.register_dumper(np.ndarray, _VectorDumper)
        self._pg = db.pgconn
        self._adapt = Transformer(db)
        self._waits: deque[Answer | None] = deque()
        """Answers that are still to come; None: the end of what was sent up to there."""
        self._error: psycopg.Error | None = None

    @contextmanager
    def pipeline(self) -> Iterator[None]:
        """Statements may be sent inside. What no statement of theirs ends is one transaction, which ends with this."""
        self._pg.enter_pipeline_mode()
        try:
            yield
        except BaseException:
            with suppress(Exception):
                self._end()
            raise
        self._end()

    def send(self, statement: str, values: Mapping[str, Any]) -> Answer:
        """Gather a statement."""
        if self.sharded and "set_config(" in statement:
            return [self.send(text, {}) for text in set_locals(statement, values)][-1]
        text, names, formats = _numbered(statement)
        given = self._adapt.dump_sequence([values[name] for name in names], formats)
        self._pg.send_query_params(
            text,
            given,
            param_types=self._adapt.types,
            param_formats=self._adapt.formats,
            result_format=pq.Format.BINARY,
        )
        answer = Answer(self)
        self._waits.append(answer)
        if len(self._waits) > _MOST:
            self._until(self._waits[_MOST // 2])
        return answer

    def read(self, answer: Answer) -> list[Row]:
        """The rows of an answer.

        Raises:
            psycopg.Error: of this statement, or of one before it.
        """
        if not answer.complete:
            self._until(answer)
        if answer.result is None or answer.result.nfields == 0:
            return []
        self._adapt.set_pgresult(answer.result)
        return self._adapt.load_rows(0, answer.result.ntuples, tuple)

    def _until(self, answer: Answer | None) -> None:
        self._pg.send_flush_request()
        self.db.wait(self._exchange(answer))
        if self._error is not None:
            raise self._error

    def _end(self) -> None:
        self._pg.pipeline_sync()
        self._waits.append(None)
        self.db.wait(self._exchange(None))
        self._pg.exit_pipeline_mode()
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _exchange(self, answer: Answer | None) -> "Generator[Wait, Ready | int, None]":
        """Send and receive, until this answer is there; None: all of them."""
        unsent = self._pg.flush()
        while True:
            self._take()
            if not self._waits or (answer is not None and answer.complete):
                return
            ready = yield Wait.RW if unsent else Wait.R
            if ready & Ready.R:
                self._pg.consume_input()
            if unsent:
                unsent = self._pg.flush()

    def _take(self) -> None:
        """What has arrived, without waiting."""
        while self._waits and not self._pg.is_busy():
            first, result = self._waits[0], self._pg.get_result()
            if result is None:
                if first is None or first.result is None:
                    return
                first.complete = True
                self._waits.popleft()
            elif first is None or result.status == pq.ExecStatus.PIPELINE_SYNC:
                self._waits.popleft()
            else:
                first.result = result
                if result.status == pq.ExecStatus.FATAL_ERROR and self._error is None:
                    self._error = _error(result)


def _error(result: "pq.abc.PGresult") -> psycopg.Error:
    if not result.error_field(pq.DiagnosticField.SQLSTATE):  # of libpq itself: the connection is gone
        return psycopg.OperationalError(result.get_error_message())
    return error_from_result(result)


@lru_cache(maxsize=1_000)
def _numbered(statement: str) -> tuple[bytes, tuple[str, ...], tuple[PyFormat, ...]]:
    """A statement with numbers in the place of names, the names, and how each value is sent."""
    names: dict[str, PyFormat] = {}

    def number(match: re.Match[str]) -> str:
        names.setdefault(match[1], PyFormat(match[2]))
        return f"${list(names).index(match[1]) + 1}"

    text = re.sub(r"%\((\w+)\)([sb])", number, statement)
    return text.encode(), tuple(names), tuple(names.values())


def set_locals(statement: str, values: Mapping[str, Any]) -> list[str]:
    """The settings that a statement makes by `set_config`, each as a SET LOCAL, which takes no parameters."""
    found = re.findall(r"set_config\('([\w.]+)', (?:%\((\w+)\)s|'(\w+)'), true\)", statement)
    assert len(found) == statement.count("set_config("), f"not understood: {statement}"
    return [f"SET LOCAL {setting} = {_literal(values[name] if name else said)}" for setting, name, said in found]


def _literal(text: str) -> str:
    """A text as a constant in which nothing but letters and digits stands for itself."""
    text.encode()  # half of a surrogate pair is refused here too
    return "E'" + "".join(c if c.isascii() and c.isalnum() else f"\\U{ord(c):08X}" for c in text) + "'"


class _VectorDumper(Dumper):
    """An array of numbers as pgvector receives it: the length, 0, and big-endian floats. Cast it to `vector`."""

    format = pq.Format.BINARY
    oid = 0

    def dump(self, obj: "np.ndarray[Any, Any]") -> bytes:
        return len(obj).to_bytes(2) + b"\0\0" + obj.astype(">f4").tobytes()
