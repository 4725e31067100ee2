"""PostgreSQL's errors in memp's words: what was wrong, where, what to do."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from memp.errors import (
    MempError,
    MissingExtra,
    RecordError,
    StoreBusy,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreMissing,
    StoreReadOnly,
)

if TYPE_CHECKING:
    import psycopg

_KINDS: Final[dict[str, tuple[type[StoreError], str]]] = {
    "25006": (StoreReadOnly, "the server takes no writes (a standby, or set to read only); connect to the primary"),
    "28000": (StoreError, "the server refuses this user ({said}); check the user and pg_hba.conf"),
    "28P01": (StoreError, "the server refuses the password; check it, or PGPASSWORD, or ~/.pgpass"),
    "3D000": (StoreMissing, "there is no such database; create it first (`createdb`)"),
    "3F000": (StoreMissing, "there is no memory in this database; an owner's first connection creates it"),
    "42501": (StoreReadOnly, "this user lacks a right ({said}); see the roles in docs/postgres.md"),
    "42P01": (StoreCorrupt, "a table of the memory is missing ({said}); restore a copy"),
    "42703": (StoreCorrupt, "a column of the memory is missing ({said}); restore a copy"),
    "53100": (StoreFull, "the server's disk is full; free some space and repeat; nothing was written"),
    "53200": (StoreFull, "the server is out of memory; nothing was written"),
    "53300": (StoreBusy, "the server has no connection left; use a pooler, or a smaller pool; nothing was written"),
    "55P03": (StoreBusy, "another client held the namespace for too long; try again; nothing was written"),
    "57014": (StoreBusy, "the statement took longer than is allowed and was cancelled; nothing was written"),
    "XX001": (StoreCorrupt, "the database is damaged ({said}); restore a copy"),
    "XX002": (StoreCorrupt, "an index of the database is damaged ({said}); REINDEX it, or restore a copy"),
}
PASSING: Final = ("40001", "40P01")
"""A transaction that lost against another and may be repeated as it is."""
_LOST: Final = ("57P01", "57P02", "57P03", "57P05", "25P03")
"""The server ended the connection, or is just starting."""


def lost(error: "psycopg.Error") -> bool:
    """Whether the connection is gone, or there never was one, for a reason that may pass."""
    import psycopg

    state = error.sqlstate
    if state is None:
        return isinstance(error, psycopg.OperationalError)
    return state in _LOST or state.startswith("08")


def driver(place: str) -> None:
    """See that psycopg is there.

    Raises:
        MissingExtra: it is not.
    """
    try:
        import psycopg  # noqa: F401
    except ImportError:
        raise MissingExtra("postgres", f"the memory {place}") from None


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Errors of PostgreSQL and of stored bytes in memp's words, naming the place and what to do."""
    import psycopg

    try:
        yield
    except MempError:
        raise
    except psycopg.Error as error:
        raise translation(place, error) from error
    except UnicodeEncodeError as error:
        message = f"{error.object!r} is not text (half of a surrogate pair); decode with errors='replace'"
        raise RecordError(message) from error
    except (zlib.error, ValidationError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise StoreCorrupt(f"{place} is damaged ({reason}); restore a copy") from error


def translation(place: str, error: "psycopg.Error") -> MempError:
    """What to raise for an error of the driver."""
    state = error.sqlstate or ""
    said = " ".join(str(error).split())[:300]
    if state in _KINDS:
        kind, what = _KINDS[state]
        return kind(f"{place}: {what.format(said=said)}")
    if state in PASSING:
        return StoreBusy(f"{place}: others were writing the same all the while; try again; nothing was written")
    if state.startswith("22") or "out of range" in said:
        return RecordError(f"PostgreSQL cannot keep this: {said}")
    if lost(error):
        return _unreachable(place, said)
    return StoreError(f"{place}: {said}")


def _unreachable(place: str, said: str) -> StoreError:
    if "password authentication failed" in said or "no password supplied" in said:
        return StoreError(f"{place}: {_KINDS['28P01'][1]}")
    if "does not exist" in said and "database" in said:
        return StoreMissing(f"{place}: {_KINDS['3D000'][1]}")
    if "role" in said and "does not exist" in said:
        return StoreError(f"{place}: {_KINDS['28000'][1].format(said=said)}")
    if "too many clients" in said or "remaining connection slots" in said:
        return StoreBusy(f"{place}: {_KINDS['53300'][1]}")
    return StoreError(f"{place}: no server answers ({said}); is it running, and are host and port right?")
