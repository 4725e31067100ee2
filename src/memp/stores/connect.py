"""From the name of a place to the store that is there."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from memp.errors import StoreError

if TYPE_CHECKING:
    from memp.stores.base import Store


def is_url(place: str | Path) -> bool:
    """Whether a place is an address, and not a file."""
    return isinstance(place, str) and "://" in place


def without_password(text: str) -> str:
    """An address, or a word of a command with one in it, as it may be shown and written down."""
    if "://" not in text:
        return text
    for password in (r"(://[^:@/?]*):[^/]*@", r"(://[^:@/?]*):[^?]*@"):  # the second holds a slash, by mistake
        text = re.sub(password, r"\1@", text, count=1)
    address, mark, options = text.partition("?")
    kept = "&".join(part for part in options.split("&") if not re.match(r"(ssl)?password=", part))
    return f"{address}{mark if kept else ''}{kept}"


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
