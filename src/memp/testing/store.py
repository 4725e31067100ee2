"""`MemoryStore`: the simplest store that keeps every rule. For tests, and to see what a store has to do."""

import threading
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import numpy as np
from numpy.typing import NDArray

from memp.errors import RecordError, StoreError
from memp.recall import Recall
from memp.records import Outcome, Procedure, Receipt, Revision, Trajectory
from memp.stores.base import Compacted, Erased, Head, Stats, Waiting, Write
from memp.stores.entries import Entry, Loaded, LoggedRecall
from memp.stores.statements import check_namespace
from memp.testing import _near
from memp.testing._erasing import Erasing, still_there
from memp.testing._loading import Loading
from memp.testing._space import Space


@dataclass
class Data:
    """What the clients of one memory share."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    spaces: dict[str, Space] = field(default_factory=dict)
    """Namespace -> what it holds; a space that is in here is never changed, only replaced by another one."""
    vectors: dict[tuple[str, str], NDArray[np.float32]] = field(default_factory=dict)
    near: dict[tuple[str, str], _near.Space] = field(default_factory=dict)
    last: int = 0
    """Number of the last change."""
    erasures: list[datetime] = field(default_factory=list)
    """When something was erased for good."""

    def number(self) -> int:
        """The next number; within a transaction, so that numbers follow the order in which changes become visible."""
        self.last += 1
        return self.last


class MemoryStore:
    """A `Store` in dictionaries. A transaction works on copies, which take the place of the originals at its end.

    Args:
        data: what another client holds, to share it; see `client`.
    """

    def __init__(self, data: Data | None = None) -> None:
        self._data = Data() if data is None else data
        self._closed = False

    def client(self) -> "MemoryStore":
        """One more client of the same memory."""
        return type(self)(self._data)

    @contextmanager
    def _transaction(self, *namespaces: str) -> Iterator[dict[str, Space]]:
        """Spaces to write to: all of it is kept at the end, or nothing. `namespaces` are there; others may be added."""
        with self._data.lock:
            spaces = {name: self._space(name).copy() for name in namespaces}
            yield spaces
            self._data.spaces.update(spaces)

    def _space(self, namespace: str) -> Space:
        self._must_be_open()
        _check_text(namespace)
        return self._data.spaces.get(namespace) or Space()

    def _must_be_open(self) -> None:
        if self._closed:
            raise StoreError("the store was closed; open the memory again")

    # -- trajectories ------------------------------------------------------------------------------

    def record(
        self, namespace: str, trajectory: Trajectory, recall: Recall | None, outcome: Outcome | None, at: datetime
    ) -> bool:
        """See `Store.record`."""
        with self._transaction(namespace) as spaces:
            check_namespace(namespace)
            space = spaces[namespace]
            if not space.tell(trajectory, recall.id if recall else None, at):
                return False
            if recall is not None and outcome is not None:
                logged = LoggedRecall.of(recall)
                if any(at >= recall.at for at in self._data.erasures):
                    logged, outcome = still_there(space, logged, outcome)
                space.recalls.setdefault(recall.id, logged)
                space.credit(outcome, self._data.number)
            return True

    def trajectory(self, namespace: str, id: str) -> Trajectory | None:
        """See `Store.trajectory`."""
        told = self._space(namespace).trajectories.get(id)
        return told.trajectory if told else None

    def trajectories(self, namespace: str) -> Iterator[Trajectory]:
        """See `Store.trajectories`."""
        return (told.trajectory for told in self._space(namespace).trajectories.values())

    def waiting(self, namespace: str) -> Sequence[Waiting]:
        """See `Store.waiting`."""
        space = self._space(namespace)
        waits = [told.trajectory for told in space.trajectories.values() if told.consumed_by is None]
        return [Waiting(trajectory=t, outcome=space.outcomes.get(t.id, (0, None))[1]) for t in waits]

    def requeue(self, namespace: str, trajectory_id: str) -> bool:
        """See `Store.requeue`."""
        with self._transaction(namespace) as spaces:
            return spaces[namespace].take(trajectory_id, None)

    # -- procedures --------------------------------------------------------------------------------

    def write(
        self,
        namespace: str,
        writes: Sequence[Write],
        *,
        consume: str | None,
        receipt_id: str,
        receipt: Receipt | None = None,
    ) -> bool:
        """See `Store.write`."""
        with self._transaction(namespace) as spaces:
            check_namespace(namespace)
            space = spaces[namespace]
            if consume is not None and not space.take(consume, receipt_id):
                return False
            for write in writes:
                space.append(write, self._data.number)
            if receipt is not None:
                space.log_receipt(receipt)
            return True

    def heads(self, namespace: str, fingerprint: str, since: int = 0) -> Sequence[Head]:
        """See `Store.heads`."""
        space = self._space(namespace)
        changed = [id for id, origin in space.procedures.items() if origin.changed > since]
        return [space.head(id, lambda task: self._data.vectors.get((fingerprint, task))) for id in changed]

    def find(self, namespace: str, ids: Sequence[str]) -> Sequence[Procedure]:
        """See `Store.find`."""
        known = self._space(namespace).procedures
        return self.at(namespace, [(id, known[id].head) for id in ids if id in known])

    def at(self, namespace: str, revisions: Sequence[tuple[str, int]]) -> Sequence[Procedure]:
        """See `Store.at`."""
        space = self._space(namespace)
        found = [space.at(namespace, id, number) for id, number in revisions]
        return [procedure for procedure in found if procedure is not None]

    def built_from(self, namespace: str, origin: bytes) -> str | None:
        """See `Store.built_from`."""
        known = self._space(namespace).procedures
        return next((id for id, procedure in known.items() if procedure.key == origin), None)

    def history(self, namespace: str, id: str) -> Sequence[tuple[Revision, int, int]]:
        """See `Store.history`."""
        states = [state for (of, _), state in self._space(namespace).revisions.items() if of == id]
        return [(state.revision, state.served, state.succeeded) for state in states]

    def search(self, namespace: str, words: str, limit: int) -> Sequence[Procedure]:
        """See `Store.search`."""
        return self.find(namespace, self._space(namespace).search(words)[:limit])

    # -- log ---------------------------------------------------------------------------------------

    def log_recall(self, recall: Recall) -> None:
        """See `Store.log_recall`."""
        with self._transaction(recall.namespace) as spaces:
            spaces[recall.namespace].recalls.setdefault(recall.id, LoggedRecall.of(recall))

    def recalls(self, namespace: str, id: str | None = None, limit: int = 50) -> Sequence[Recall]:
        """See `Store.recalls`."""
        space = self._space(namespace)
        chosen = [logged for logged in reversed(space.recalls.values()) if id is None or logged.id == id]
        return [logged.recall(namespace, partial(space.at, namespace)) for logged in chosen[:limit]]

    def outcomes(self, namespace: str, limit: int = 50) -> Sequence[Outcome]:
        """See `Store.outcomes`."""
        return [outcome for _, outcome in reversed(self._space(namespace).outcomes.values())][:limit]

    def outcomes_since(self, namespace: str, seq: int = 0) -> Sequence[tuple[int, Outcome]]:
        """See `Store.outcomes_since`."""
        return [(number, outcome) for number, outcome in self._space(namespace).outcomes.values() if number > seq]

    def log_receipt(self, namespace: str, receipt: Receipt) -> None:
        """See `Store.log_receipt`."""
        with self._transaction(namespace) as spaces:
            check_namespace(namespace)
            spaces[namespace].log_receipt(receipt)

    def receipts(self, namespace: str, limit: int = 50) -> Sequence[Receipt]:
        """See `Store.receipts`."""
        return list(reversed(self._space(namespace).receipts.values()))[:limit]

    # -- drafts and vectors ------------------------------------------------------------------------

    def draft(self, namespace: str, key: str) -> str | None:
        """See `Store.draft`."""
        _check_text(key)
        return self._space(namespace).drafts.get(key)

    def save_draft(self, namespace: str, key: str, text: str) -> None:
        """See `Store.save_draft`."""
        _check_text(key, text)
        with self._transaction(namespace) as spaces:
            spaces[namespace].drafts[key] = text

    def drop_drafts(self, namespace: str, keys: Sequence[str]) -> None:
        """See `Store.drop_drafts`."""
        with self._transaction(namespace) as spaces:
            space = spaces[namespace]
            waits = any(told.consumed_by is None for told in space.trajectories.values())
            space.drafts = {key: text for key, text in space.drafts.items() if waits and key not in keys}

    def vectors(self, fingerprint: str, texts: Sequence[str], namespace: str = "") -> dict[str, NDArray[np.float32]]:
        """See `Store.vectors`."""
        self._must_be_open()
        known = self._data.vectors
        return {text: known[fingerprint, text] for text in texts if (fingerprint, text) in known}

    def save_vectors(
        self, fingerprint: str, vectors: Iterable[tuple[str, NDArray[np.float32]]], namespace: str = ""
    ) -> None:
        """See `Store.save_vectors`."""
        self._must_be_open()
        fresh = {(fingerprint, text): vector.astype(np.float32) for text, vector in vectors}
        with self._data.lock:
            self._data.vectors.update(fresh)

    # -- similarity --------------------------------------------------------------------------------

    def searched(self, namespace: str, fingerprint: str) -> int | None:
        """See `SearchesVectors.searched`."""
        known = self._data.near.get((namespace, fingerprint))
        return None if known is None else known.upto

    def keep_near(self, namespace: str, fingerprint: str, heads: Sequence[Head], vectors: NDArray[np.float32]) -> None:
        """See `SearchesVectors.keep_near`."""
        with self._data.lock:
            self._data.near.setdefault((namespace, fingerprint), _near.Space()).keep(heads, vectors)

    def nearest(
        self, namespace: str, fingerprint: str, vector: NDArray[np.float32], k: int, *, status: str, only_success: bool
    ) -> Sequence[tuple[str, float]]:
        """See `SearchesVectors.nearest`. Exact."""
        with self._data.lock:
            if (known := self._data.near.get((namespace, fingerprint))) is None:
                raise _near.absent(namespace)
            return known.nearest(vector, k, status, only_success)

    def index_near(self, namespace: str, fingerprint: str, dimensions: int) -> None:
        """See `SearchesVectors.index_near`. Nothing to do: every search looks at everything."""
        self._must_be_open()

    def forget_near(self, namespace: str, fingerprint: str) -> None:
        """See `SearchesVectors.forget_near`."""
        with self._data.lock:
            self._data.near.pop((namespace, fingerprint), None)

    # -- the whole ---------------------------------------------------------------------------------

    def namespaces(self) -> Sequence[str]:
        """See `Store.namespaces`."""
        self._must_be_open()
        return sorted(name for name, space in list(self._data.spaces.items()) if space.holds())

    def stats(self, namespace: str) -> Stats:
        """See `Store.stats`."""
        space = self._space(namespace)
        statuses = sorted(space.revisions[id, origin.head].revision.status for id, origin in space.procedures.items())
        return Stats(
            trajectories=len(space.trajectories),
            waiting=sum(told.consumed_by is None for told in space.trajectories.values()),
            procedures={status: statuses.count(status) for status in dict.fromkeys(statuses)},
            revisions=len(space.revisions),
            recalls=len(space.recalls),
            outcomes=len(space.outcomes),
            receipts=len(space.receipts),
            bytes=sum(
                len(entry.model_dump_json()) for other in list(self._data.spaces.values()) for entry in other.entries()
            ),
        )

    def dump(self, namespace: str) -> Generator[Entry, None, None]:
        """See `Store.dump`."""
        yield from self._space(namespace).entries()

    def load(self, entries: Iterable[tuple[str, Entry]]) -> Loaded:
        """See `Store.load`."""
        with self._transaction() as spaces:
            loading = Loading(spaces, self._data.number)
            for namespace, entry in entries:
                check_namespace(namespace)
                if namespace not in spaces:
                    spaces[namespace] = self._space(namespace).copy()
                loading.take(namespace, entry)
            return loading.finish()

    def forget(
        self, namespace: str, *, trajectories: Collection[str] = (), task: str | None = None, at: datetime
    ) -> Erased:
        """See `Store.forget`. There are no raw bytes to search."""
        with self._transaction(namespace) as spaces:
            erasing = Erasing(spaces[namespace], trajectories, task)
            texts = erasing.texts()
            keys = [key for key in self._data.vectors if key[1] in texts]
            counts = erasing.take_out(at, self._data.number)
            for key in keys:
                del self._data.vectors[key]
            for (of, _), known in self._data.near.items():
                for id in erasing.cut if of == namespace else ():
                    known.kept.pop(id, None)  # what is left of it comes back with the next catching up
            if counts["trajectories"] or counts["revisions"] or counts["recalls"]:
                self._data.erasures.append(at)
                self._data.number()  # views look again
        return Erased(returned=tuple(erasing.returned), vectors=len(keys), **counts)

    def erasures(self, namespace: str = "") -> int:
        """See `Store.erasures`."""
        self._must_be_open()
        return len(self._data.erasures)

    def compact(self, namespace: str, *, before: datetime) -> Compacted:
        """See `Store.compact`. Dictionaries do not become smaller."""
        self._must_be_open()
        return Compacted(trajectories=0, before=0, after=0)

    def version(self, namespace: str = "") -> int:
        """See `Store.version`."""
        self._must_be_open()
        return self._data.last

    def close(self) -> None:
        """See `Store.close`."""
        self._closed = True


def _check_text(*texts: str) -> None:
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise RecordError(f"{text!r} is not text (half of a surrogate pair)") from error
