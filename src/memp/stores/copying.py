"""A memory from one store into another, verified by its content."""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Final

from memp.errors import StoreCorrupt, StoreMissing
from memp.records import Name, Record
from memp.stores.base import Store
from memp.stores.entries import Entry, Loaded, ReceiptEntry, RevisionEntry, TrajectoryEntry

_ANY: Final = datetime(2000, 1, 1, tzinfo=UTC)


class Copied(Record):
    """What a copy of one namespace did."""

    namespace: Name
    loaded: Loaded
    """What was new there, and how much was there already."""
    entries: int
    """How many the source has."""
    digest: Name
    """Of the source's content, in its order."""
    same: bool
    """The target's content has the same digest; otherwise the target holds all of the source's, and more."""


class _Digest:
    """The content of a namespace: one digest of all of it, and one of each entry for what never changes of it."""

    def __init__(self) -> None:
        self._whole = hashlib.blake2b(digest_size=20)
        self.each: set[bytes] = set()
        self.entries = 0

    def add(self, entry: Entry) -> None:
        """Count an entry in."""
        self._whole.update(entry.model_dump_json().encode() + b"\n")
        self.entries += 1
        if isinstance(entry, RevisionEntry):
            entry = entry.model_copy(update={"served": 0, "succeeded": 0})
        elif isinstance(entry, TrajectoryEntry):
            entry = entry.model_copy(update={"consumed_by": None, "recorded_at": _ANY})
        elif isinstance(entry, ReceiptEntry) and "/" in entry.receipt.id:
            return  # of a part: that of the whole operation may have taken its place
        self.each.add(hashlib.blake2b(entry.model_dump_json().encode(), digest_size=16).digest())

    @property
    def whole(self) -> str:
        """Of all entries in order."""
        return self._whole.hexdigest()


def copy(
    source: Store, target: Store, namespaces: Iterable[str] | None = None, *, into: str | None = None
) -> Iterator[Copied]:
    """Copy namespaces (None: all), each in one transaction, and compare what is there then.

    With `into` they are copied into that one, otherwise each into the one of its name.

    What is there already with the same content is skipped: after an interruption, repeat. Caches are left behind.

    Raises:
        StoreMissing: the source has no such namespace.
        RecordError: the target holds something else under the same id.
        StoreCorrupt: the target does not give back what it was given.
    """
    known = list(source.namespaces())
    for name in known if namespaces is None else namespaces:
        if name not in known:
            raise StoreMissing(f"there is no namespace {name!r}; there is: {', '.join(map(repr, known)) or 'none'}")
        wanted, found = _Digest(), _Digest()
        there_named = name if into is None else into
        with closing(source.dump(name)) as dumped:
            loaded = target.load((there_named, entry) for entry in _counted(dumped, wanted))
        with closing(target.dump(there_named)) as there:
            for entry in there:
                found.add(entry)
        missing = wanted.each - found.each
        if missing:
            raise StoreCorrupt(
                f"namespace {name!r}: {len(missing)} of {wanted.entries} entries are not in the copy as they are in "
                "the original; compare them (`memp memory export` of both)"
            )
        yield Copied(
            namespace=name,
            loaded=loaded,
            entries=wanted.entries,
            digest=wanted.whole,
            same=wanted.whole == found.whole,
        )


def _counted(entries: Iterable[Entry], digest: _Digest) -> Iterator[Entry]:
    for entry in entries:
        digest.add(entry)
        yield entry
