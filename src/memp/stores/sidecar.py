"""The file beside a memory that makes its vectors fast to search: usearch's graph, and what it knows of the memory.

It can be taken away at any time. Whoever opens it checks that it is whole and of this very memory, and does without it
otherwise: the rows of the memory are the truth.
"""

import hashlib
import json
import mmap
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import ValidationError

from memp.errors import MissingExtra
from memp.records import Record

if TYPE_CHECKING:
    from usearch.index import Index as Graph

_MARK = b"memp near 1\n"
_LOCK = "lock"
_CHUNK = 1 << 20
CONNECTIVITY, EXPLORED_ADDING, EXPLORED_SEARCHING = 16, 96, 160
"""Of HNSW: 98.5 % of the ten nearest are found among 1,000,000 tasks, filters on (benchmarks/million.py)."""


class Known(Record):
    """What a graph knows of its memory."""

    upto: int
    """The greatest `Head.changed` in it."""
    last: str
    """Names the revision of that number: another memory, or the same one from a backup, has another."""
    erasures: int
    """How often the memory had erased something for good."""
    usearch: str
    """Version of usearch, as major.minor."""
    size: int = 0
    """Bytes of the graph."""


class View(NamedTuple):
    """A graph that is searched where it lies on the disk; processes share its pages."""

    graph: "Graph"
    known: Known
    mapped: mmap.mmap
    """What the graph points into: it must live as long."""


def version() -> str:
    """The version of usearch that wrote, or may read, a graph.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import usearch
    except ImportError:
        raise MissingExtra("near", "an approximate index beside a file") from None
    return ".".join(usearch.__version__.split(".")[:2])


def empty(dimensions: int) -> "Graph":
    """A graph without rows, for unit vectors."""
    from usearch.index import Index as Graph

    return Graph(
        ndim=dimensions,
        metric="ip",
        dtype="f16",
        connectivity=CONNECTIVITY,
        expansion_add=EXPLORED_ADDING,
        expansion_search=EXPLORED_SEARCHING,
    )


def folder_of(store: str) -> Path:
    """Where the sidecars of a memory are."""
    return Path(f"{store}-near")


class Sidecar:
    """The file of one namespace and space of vectors."""

    def __init__(self, store: str, namespace: str, fingerprint: str) -> None:
        key = hashlib.blake2b(f"{namespace}\0{fingerprint}".encode(), digest_size=12).hexdigest()
        self.folder = folder_of(store)
        self.file = self.folder / f"{key}.usearch"
        self.part = self.folder / f"{key}.part"
        """What is being written: nobody sees it yet."""

    def stamp(self) -> tuple[int, int, int] | None:
        """Changes when another file takes its place; None: there is none."""
        try:
            found = self.file.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def open(self) -> View | None:
        """The graph, searched where it lies; None where it is missing, cut off, or of another usearch."""
        try:
            with self.file.open("rb") as file:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            known = _known(mapped)
            if known is None or known.usearch != version():
                return None
            from usearch.index import Index as Graph

            graph = Graph.restore(memoryview(mapped)[: known.size], view=True)
        except (OSError, ValueError, RuntimeError, MissingExtra):  # what usearch raises of bytes that it cannot read
            return None
        if graph is None:
            return None
        graph.expansion_search = EXPLORED_SEARCHING  # type: ignore[misc]  # it has a setter
        return View(graph, known, mapped)

    def copy(self) -> "Graph":
        """The graph in memory, to be added to."""
        from usearch.index import Index as Graph

        graph = Graph.restore(str(self.file), view=False)
        if graph is None:
            raise OSError(f"{self.file} cannot be read")
        graph.expansion_add = EXPLORED_ADDING  # type: ignore[misc]  # it has a setter
        return graph

    def prepare(self, graph: "Graph") -> None:
        """Write the graph to the part."""
        graph.save(str(self.part))

    def publish(self, known: Known) -> None:
        """Let the part take the place of the file, whole or not at all; whoever has the old one goes on with it."""
        said = known.model_copy(update={"size": self.part.stat().st_size}).model_dump_json().encode()
        with self.part.open("ab") as file:
            file.write(said + len(said).to_bytes(8, "big") + _MARK)
            file.flush()
            os.fsync(file.fileno())
        self.part.rename(self.file)
        _sync(self.folder)


def _known(mapped: mmap.mmap) -> Known | None:
    """What the end of a file says of it; None: it is not whole."""
    at = len(mapped) - len(_MARK) - 8
    if at < 0 or mapped[at + 8 :] != _MARK:
        return None
    length = int.from_bytes(mapped[at : at + 8], "big")
    try:
        known = Known(**json.loads(mapped[max(0, at - length) : at]))
    except (ValueError, TypeError, ValidationError):
        return None
    return known if known.size == at - length else None


@contextmanager
def held(folder: Path, timeout: float) -> Iterator[bool]:
    """Keep others from writing sidecars of a memory; False: somebody else did for so long. Ends with the process."""
    folder.mkdir(exist_ok=True)
    try:
        import fcntl
    except ImportError:  # not on this system: one process writes at a time, or the last one wins
        yield True
        return
    file, deadline = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644), time.monotonic() + timeout
    try:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    yield False
                    return
                time.sleep(0.01)
                continue
            break
        try:
            yield True
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)  # also where a forked child still has the file open
    finally:
        os.close(file)


def wipe(folder: Path) -> None:
    """Overwrite and delete every sidecar of a memory, finished or not. The lock is held."""
    for file in sorted(folder.iterdir()):
        if file.name != _LOCK:
            wipe_file(file)
    _sync(folder)


def wipe_file(file: Path) -> None:
    """Overwrite and delete a file. Never cut short: others may have it mapped, and would die of that."""
    try:
        with file.open("r+b") as raw:
            left = file.stat().st_size
            while left > 0:
                left -= raw.write(bytes(min(left, _CHUNK)))
            raw.flush()
            os.fsync(raw.fileno())
        file.unlink()
    except FileNotFoundError:
        return


def _sync(folder: Path) -> None:
    """Make sure that the disk knows which files are there."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
