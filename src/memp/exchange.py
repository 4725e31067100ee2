"""Export and import: a whole memory as JSON Lines, without loss.

The first line names the format, the last one says how many entries there were (so a cut-off file is noticed), and
each line between is one entry: trajectories, revisions, recalls, outcomes, receipts, a namespace after the other.
Importing an export into an empty store and exporting again gives the same bytes. Caches (vectors, replies of an
unfinished update) are left out.
"""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO, Literal

from pydantic import ConfigDict, Field

from memp.errors import Conflict, RecordError, StoreError, StoreFull, StoreMissing, StoreTooNew
from memp.records import Name, Record, Text
from memp.stores.base import Store
from memp.stores.entries import Entry, Loaded

FORMAT = 1
"""Version of the export format. A file of a newer one is refused."""


class Exported(Record):
    """What an export wrote."""

    namespaces: tuple[Name, ...]
    entries: int


class Imported(Loaded):
    """What an import did: how many entries of each kind were new, and how many were skipped."""

    namespaces: tuple[Name, ...]


class Header(Record):
    """The first line."""

    model_config = ConfigDict(extra="ignore")

    kind: Literal["memp"]
    format: int
    memp: Text
    """Version of the program that wrote it."""


class Line(Record):
    """A line between the first and the last."""

    model_config = ConfigDict(ser_json_inf_nan="constants")

    namespace: Name
    entry: Annotated[Entry, Field(discriminator="kind")]


class End(Record):
    """The last line."""

    kind: Literal["end"]
    entries: int


_END = b'{"kind":"end"'


def export_jsonl(store: Store, namespace: str | None, file: str | Path | BinaryIO) -> Exported:
    """Write one namespace, or all of them (None), to a file. A file that is there is replaced when all is written.

    Each namespace is written as of one moment; others may go on writing meanwhile.

    Raises:
        StoreMissing: there is no such namespace.
        StoreError: the memory could not be read or the file not be written.
    """
    known = store.namespaces()
    if namespace is not None and namespace not in known:
        raise StoreMissing(f"there is no namespace {namespace!r}; there is: {', '.join(map(repr, known)) or 'none'}")
    chosen = tuple(known) if namespace is None else (namespace,)
    entries = 0
    with _writing(file) as write:
        write(Header(kind="memp", format=FORMAT, memp=_version()))
        for name in chosen:
            with closing(store.dump(name)) as dumped:
                for entry in dumped:
                    write(Line(namespace=name, entry=entry))
                    entries += 1
        write(End(kind="end", entries=entries))
    return Exported(namespaces=chosen, entries=entries)


def import_jsonl(store: Store, file: str | Path | BinaryIO, *, namespace: str | None = None) -> Imported:
    """Append an export to a store: all of it, or nothing. What is there already is skipped, so it may be repeated.

    Args:
        store: where to; other writers wait until it is done.
        file: what `export_jsonl` wrote.
        namespace: put the entries there; the file must then hold one namespace only.

    Raises:
        RecordError: a line is not an entry, contradicts what is there or refers to what is missing, or the file was
            cut off; names the line.
        StoreTooNew: the file was written by a newer memp.
        StoreError: the file could not be read or the memory not be written.
    """
    with _reading(file) as stream:
        lines = _Lines(stream, _name(file), namespace)
        try:
            loaded = store.load(lines.entries())
        except (RecordError, Conflict) as error:
            raise RecordError(f"{lines.name}, line {lines.number}: {error}; nothing was imported") from error
    return Imported(**loaded.model_dump(), namespaces=tuple(lines.namespaces))


class _Lines:
    """The entries of a file, and where in it the reader is."""

    def __init__(self, file: BinaryIO, name: str, namespace: str | None) -> None:
        self.name = name
        self.number = 0
        self.namespaces: dict[str, None] = {}
        self._file = file
        self._namespace = namespace
        self._found: set[str] = set()

    def entries(self) -> Iterator[tuple[str, Entry]]:
        """All of them; the file is checked on the way."""
        self._header()
        count = 0
        while not (line := self._line()).startswith(_END):
            found = Line.parse(line)
            yield self._into(found.namespace), found.entry
            count += 1
        said = End.parse(line).entries
        if said != count:
            raise RecordError(f"the file says it has {said} entries, it has {count}; lines are missing or were added")
        if self._read():
            self.number += 1
            raise RecordError("there is something after the closing line; import the files one by one")

    def _header(self) -> None:
        line = self._line()
        try:
            header = Header.parse(line)
        except RecordError:
            raise RecordError('this is not an export of memp; its first line would be {"kind":"memp",...}') from None
        if header.format > FORMAT:
            raise StoreTooNew(
                f"{self.name} was written by memp {header.memp} in format {header.format}, this one knows {FORMAT}; "
                "upgrade memp"
            )

    def _line(self) -> bytes:
        self.number += 1
        line = self._read()
        if not line.endswith(b"\n"):
            raise RecordError("the file ends here, before its closing line; it was cut off")
        return line

    def _read(self) -> bytes:
        try:
            return self._file.readline()
        except OSError as error:  # here, where it cannot be taken for an error of the store
            raise StoreError(f"{self.name} could not be read: {error.strerror}") from error

    def _into(self, namespace: str) -> str:
        self._found.add(namespace)
        if self._namespace is not None and len(self._found) > 1:
            raise RecordError(
                f"the file holds several namespaces ({', '.join(sorted(self._found))}, ...); import "
                "it without naming one"
            )
        target = namespace if self._namespace is None else self._namespace
        self.namespaces[target] = None
        return target


@contextmanager
def _reading(file: str | Path | BinaryIO) -> Iterator[BinaryIO]:
    if not isinstance(file, str | Path):
        yield file
        return
    try:
        with Path(file).open("rb") as stream:
            yield stream
    except FileNotFoundError:
        raise StoreMissing(f"there is no file {file} to import") from None
    except OSError as error:
        raise StoreError(f"{file} could not be read: {error.strerror}") from error


@contextmanager
def _writing(file: str | Path | BinaryIO) -> Iterator[Callable[[Record], None]]:
    """A function that writes one line. A named file appears, or is replaced, when everything was written."""
    part: Path | None = None
    try:
        if isinstance(file, str | Path):
            _refuse_database(Path(file))
            part = Path(f"{file}.part")
            with part.open("wb") as out:
                yield _writer(out)
                out.flush()
                os.fsync(out.fileno())
            part.replace(file)
        else:
            yield _writer(file)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        message = f"{_name(file)} could not be written: {error.strerror}"
        raise StoreFull(message) if full else StoreError(message) from error
    finally:
        if part is not None:
            part.unlink(missing_ok=True)


def _refuse_database(file: Path) -> None:
    """An export must not take the place of a memory, least of all of its own."""
    if file.is_file():
        with file.open("rb") as there:
            if there.read(15) == b"SQLite format 3":
                raise StoreError(f"{file} is a database; export to another file")


def _writer(out: BinaryIO) -> Callable[[Record], None]:
    def write(line: Record) -> None:
        out.write(line.model_dump_json().encode() + b"\n")

    return write


def _name(file: str | Path | BinaryIO) -> str:
    return str(file) if isinstance(file, str | Path) else str(getattr(file, "name", "the file"))


def _version() -> str:
    from memp import __version__

    return __version__
