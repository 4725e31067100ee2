"""From the name of a place to the store that is there."""

from pathlib import Path
from typing import TYPE_CHECKING

from memp.errors import StoreError

if TYPE_CHECKING:
    from memp.stores.base import Store


def is_url(place: str | Path) -> bool:
    """Whether a place is an address, and not a file."""
    return isinstance(place, str) and "://" in place


def connect(place: str | Path, *, create: bool = True) -> "Store":
    """Open the memory at a place.

    Args:
        place: a path (one SQLite file; ":memory:" for none) or `postgresql://user@host/database`.
        create: make it where there is none.

    Raises:
        StoreMissing: there is none, and none may be created.
        StoreError: it cannot be opened; says why.
        MissingExtra: it needs a package that is not installed.
    """
    if isinstance(place, Path) or not is_url(place):
        from memp.stores.sqlite import SqliteStore

        return SqliteStore(place, create=create)
    scheme = place.partition("://")[0]
    if scheme not in ("postgresql", "postgres"):
        raise StoreError(
            f"no store has addresses that begin with {scheme}://; give a path, or postgresql://user@host/database"
        )
    from memp.stores.postgres import PostgresStore

    return PostgresStore(place, create=create)
