"""Similarity in the embedded store: a graph beside the file (`sidecar`), and exactly what changed since it was made.

Which procedures there are, and which may be served, the file says at every search: graph and changes only say where to
look. Where filters hide so much that too few are found, all vectors are read.
"""

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from memp.errors import StoreBusy, StoreError
from memp.records import SERVABLE
from memp.stores import sidecar as files
from memp.stores.base import Head
from memp.stores.connection import MEMORY, Connection, translated
from memp.stores.sidecar import Known, Sidecar, View
from memp.stores.space import Space

if TYPE_CHECKING:
    from usearch.index import Index as Graph

_AT_ONCE: Final = 2_000
_WIDER: Final = 4
_WIDEST: Final = 2_560
"""A search that found too few looks at so many times as many candidates, up to so many."""
_SPARE: Final = 6
"""Scored exactly besides those asked for: half floats confuse near equal ones."""
_SERVABLE: Final = ", ".join(f"'{status}'" for status in SERVABLE)
_FILTERS: Final = {
    "active": f"AND p.status IN ({_SERVABLE})",
    "retired": f"AND p.status NOT IN ({_SERVABLE})",
    "any": "",
}

Hits = list[tuple[float, int, str]]
"""Score, `seq` and id."""


class Near:
    """`SearchesVectors` for a file."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._spaces: dict[tuple[str, str], Space] = {}

    def searched(self, namespace: str, fingerprint: str) -> int | None:
        """See `SearchesVectors.searched`."""
        if self._connection.path == MEMORY:
            return None
        key, sidecar = (namespace, fingerprint), self._sidecar(namespace, fingerprint)
        with self._connection.reading() as db:
            stamp, space = sidecar.stamp(), self._spaces.pop(key, None)
            if space is not None:
                self._spaces[key] = Space()  # whoever searches meanwhile reads all vectors
            if stamp is None:
                return None
            if space is None or space.stamp != stamp or space.view is None or _outdated(db, space.view):
                view = _valid(db, sidecar)
                if view is None:
                    return None
                space = Space() if space is None or (space.view and _outdated(db, space.view)) else space
                space.adopt(view, stamp)
            self._spaces[key] = space
            return space.upto

    def keep(self, namespace: str, fingerprint: str, heads: Sequence[Head], vectors: NDArray[np.float32]) -> None:
        """See `SearchesVectors.keep_near`."""
        sidecar = self._sidecar(namespace, fingerprint)
        with self._connection.reading() as db:
            space = self._spaces.setdefault((namespace, fingerprint), Space())
            _catch_up(db, sidecar, space)
            space.keep(heads, vectors)
        if space.due:
            self._extend(sidecar, space)

    def nearest(
        self, namespace: str, fingerprint: str, vector: NDArray[np.float32], k: int, status: str, only_success: bool
    ) -> list[tuple[str, float]]:
        """See `SearchesVectors.nearest`."""
        chosen = _FILTERS[status] + (" AND p.success" if only_success else "")
        with self._connection.reading() as db:
            space = self._spaces.get((namespace, fingerprint))
            if space is None:
                raise StoreError(f"namespace {namespace!r} has no index beside the file; run `memp memory index`")
            wide, hits = max(24, 3 * k), None
            while hits is None and space.view is not None and wide <= max(_WIDEST, 3 * k):
                hits = _best(db, namespace, fingerprint, space, vector, k, wide, chosen)
                wide *= _WIDER
            if hits is None:
                hits = _scan(db, namespace, fingerprint, space, vector, k, chosen)
        return [(id, score) for score, _, id in hits]

    def index(self, namespace: str, fingerprint: str, dimensions: int) -> None:
        """See `SearchesVectors.index_near`.

        Raises:
            MissingExtra: usearch is not installed.
            StoreBusy: another process writes an index of this file.
        """
        sidecar = self._sidecar(namespace, fingerprint)
        files.version()
        space = self._spaces.setdefault((namespace, fingerprint), Space())
        self._locked(lambda: self._build(sidecar, space, dimensions))

    def forget_space(self, namespace: str, fingerprint: str) -> None:
        """See `SearchesVectors.forget_near`."""
        sidecar = self._sidecar(namespace, fingerprint)
        self._spaces.pop((namespace, fingerprint), None)
        if sidecar.stamp() is not None:
            self._locked(lambda: files.wipe_file(sidecar.file))

    def wipe(self) -> None:
        """Leave nothing of what was erased: no index of this file, and no part of one.

        Raises:
            StoreBusy: another process is writing one.
        """
        self._spaces = {key: Space() for key in self._spaces}
        folder = files.folder_of(self._connection.path)
        if folder.is_dir():
            self._locked(lambda: files.wipe(folder))

    def _sidecar(self, namespace: str, fingerprint: str) -> Sidecar:
        if self._connection.path == MEMORY:
            raise StoreError("a memory without a file has no index beside it; it is searched exactly")
        return Sidecar(self._connection.path, namespace, fingerprint)

    def _locked(self, work: Callable[[], object]) -> None:
        folder = files.folder_of(self._connection.path)
        with translated(str(folder)), files.held(folder, self._connection.timeout) as mine:
            if not mine:
                raise StoreBusy(f"another process writes the index in {folder}; try again")
            work()

    def _extend(self, sidecar: Sidecar, space: Space) -> None:
        """Let the graph take up the changes, unless another process is at it, or it was taken away.

        A full or write-protected disk only costs time: the changes are searched as they are.
        """
        try:
            with files.held(sidecar.folder, 0) as mine:
                if not mine:
                    return
                with self._connection.reading() as db:
                    _catch_up(db, sidecar, space)
                    theirs = sidecar.stamp() is None or space.stamp != sidecar.stamp()
                if space.view is not None and space.due and not theirs:
                    self._build(sidecar, space, space.view.graph.ndim)
        except (OSError, RuntimeError, StoreError):
            space.put_off()

    def _build(self, sidecar: Sidecar, space: Space, dimensions: int) -> None:
        """Write what is known here to a new file. The lock is held."""
        with self._connection.reading() as db:
            erasures, view = _erasures(db), _valid(db, sidecar)
            seqs, vectors = space.changes()
            known = Known(upto=space.upto, last=_name(db, space.upto), erasures=erasures, usearch=files.version())
        if view is None and space.view is not None:
            raise StoreError(f"{sidecar.file} was taken away meanwhile; repeat")

        def still() -> None:
            with self._connection.reading() as db:
                if _erasures(db) != erasures:
                    raise StoreError(f"something was erased from {self._connection.path} meanwhile; repeat")

        part = sidecar.part
        try:
            graph = files.empty(dimensions) if view is None else sidecar.copy()
            _add(graph, seqs, vectors, still)
            sidecar.prepare(graph)
            still()
            sidecar.publish(known)
        finally:
            files.wipe_file(part)
        with self._connection.reading() as db:
            _catch_up(db, sidecar, space)


def _add(graph: "Graph", seqs: NDArray[np.uint64], vectors: NDArray[np.float32], still: Callable[[], None]) -> None:
    """Put vectors in a graph, in place of older ones. `still` stops it."""
    for start in range(0, len(seqs), _AT_ONCE):
        still()
        part = slice(start, start + _AT_ONCE)
        if len(graph):
            graph.remove(seqs[part][np.asarray(graph.contains(seqs[part]), dtype=bool)])
        graph.add(seqs[part], vectors[part])


def _catch_up(db: sqlite3.Connection, sidecar: Sidecar, space: Space) -> None:
    """Search the file that is there now, where it is another and of this memory."""
    stamp = sidecar.stamp()
    if stamp is not None and stamp != space.stamp and (view := _valid(db, sidecar)) is not None:
        space.adopt(view, stamp)


def _valid(db: sqlite3.Connection, sidecar: Sidecar) -> View | None:
    """The graph, if it is whole and of this very memory."""
    view = sidecar.open()
    if view is None or _outdated(db, view) or view.known.last != _name(db, view.known.upto):
        return None
    return view


def _outdated(db: sqlite3.Connection, view: View) -> bool:
    """Whether something was erased since the graph was made."""
    return view.known.erasures != _erasures(db)


def _erasures(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT coalesce(max(seq), 0) FROM erasures").fetchone()[0])


def _name(db: sqlite3.Connection, changed: int) -> str:
    """Names the revision of that number: it tells a memory from another, and from its own past."""
    row = db.execute("SELECT namespace, procedure_id, body FROM revisions WHERE seq = ?", (changed,)).fetchone()
    return hashlib.blake2b("\0".join(row or ()).encode(), digest_size=16).hexdigest()


def _ordered(hits: Iterable[tuple[float, int, str]], k: int) -> Hits:
    """The best `k`, equal ones oldest first."""
    return sorted(((round(score, 6), seq, id) for score, seq, id in hits), key=lambda hit: (-hit[0], hit[1]))[:k]


def _best(
    db: sqlite3.Connection,
    namespace: str,
    fingerprint: str,
    space: Space,
    query: NDArray[np.float32],
    k: int,
    wide: int,
    chosen: str,
) -> Hits | None:
    """The best of so many candidates that may be served; None where better ones may be among the others."""
    found, floor = space.candidates(query, wide)
    rows = db.execute(
        f"""SELECT p.seq, p.id FROM procedures p NOT INDEXED
            WHERE p.seq IN (SELECT value FROM json_each(?)) AND p.namespace = ? {chosen}""",
        (f"[{','.join(map(str, found))}]", namespace),
    )
    hits = _ordered(((found[seq], seq, id) for seq, id in rows), k + _SPARE)
    sure = floor == -np.inf or (len(hits) >= k and hits[k - 1][0] >= floor - 1e-6)
    return _exactly(db, fingerprint, space, query, hits, k) if sure else None


def _exactly(
    db: sqlite3.Connection, fingerprint: str, space: Space, query: NDArray[np.float32], hits: Hits, k: int
) -> Hits:
    """The best `k` with their cosines as they are: the graph holds half floats."""
    kept = dict(
        db.execute(
            """SELECT p.seq, v.vector FROM procedures p NOT INDEXED JOIN vectors v ON v.key = p.task_key
               WHERE p.seq IN (SELECT value FROM json_each(?)) AND v.fingerprint = ?""",
            (f"[{','.join(str(seq) for _, seq, _ in hits)}]", fingerprint),
        )
    )
    known = [(score, seq, id, kept.get(seq)) for score, seq, id in hits]
    return _ordered(
        (
            (score if vector is None else float(np.frombuffer(vector, dtype=np.float32) @ query), seq, id)
            for score, seq, id, vector in known
        ),
        k,
    )


def _scan(
    db: sqlite3.Connection,
    namespace: str,
    fingerprint: str,
    space: Space,
    query: NDArray[np.float32],
    k: int,
    chosen: str,
) -> Hits:
    """The best of all that may be served."""
    rows = db.execute(
        f"""SELECT p.seq, p.id, v.vector FROM procedures p
            LEFT JOIN vectors v ON v.fingerprint = ? AND v.key = p.task_key WHERE p.namespace = ? {chosen}""",
        (fingerprint, namespace),
    )
    best: Hits = []
    while part := rows.fetchmany(_AT_ONCE):
        known = [
            (seq, id, space.vector(seq) if kept is None else np.frombuffer(kept, dtype=np.float32))
            for seq, id, kept in part
        ]
        hits = [(float(vector @ query), seq, id) for seq, id, vector in known if vector is not None]
        best = _ordered([*best, *hits], k)
    return best
