"""What memory.py relies on in a store: a few typed operations, `namespace` first."""

import hashlib
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from memp.recall import Recall
from memp.records import Name, Outcome, Procedure, Receipt, Record, Revision, Text, Trajectory
from memp.stores.entries import Entry, Loaded


def text_key(text: str) -> bytes:
    """The 16-byte name of a text's vector, equal for equal texts."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def origin_key(trajectory: Trajectory) -> bytes:
    """Names a trajectory's task and actions: equal when the same thing was done for the same task."""
    digest = hashlib.blake2b(trajectory.task.encode(), digest_size=16)
    for step in trajectory.steps:
        digest.update(b"\0" + step.action.encode())
    return digest.digest()


class Waiting(Record):
    """A recorded trajectory that no update has taken yet."""

    trajectory: Trajectory
    outcome: Outcome | None


class Head(NamedTuple):
    """What an index needs to know of a procedure. A plain tuple: there are 100,000 of them."""

    seq: int
    """Order of creation."""
    id: str
    changed: int
    """Number of the last change. Numbers follow the order in which changes become visible (see `Store.heads`)."""
    status: str
    success: bool
    task: str
    facts: str
    """JSON, slot -> value."""
    vector: bytes | None
    """The task's vector, float32, when it is in the cache."""


class Write(Record):
    """One revision to append. `number` 1 creates the procedure; otherwise `parent` must still be its head."""

    revision: Revision
    success: bool = True
    """Of a new procedure: whether it was built from a success."""
    origin: bytes = b""
    """Of a new procedure: names the task and actions it was built from."""


class Stats(Record):
    """Counts of what a namespace holds."""

    trajectories: int
    waiting: int
    procedures: Mapping[Text, int]
    """By status."""
    revisions: int
    recalls: int
    outcomes: int
    receipts: int
    bytes: int
    """Size of the whole store."""


class Erased(Record):
    """What was erased for good, and what a search of the store's raw bytes says of it."""

    trajectories: int
    procedures: int
    revisions: int
    """Those of the procedures, and those of others that the trajectories had led to."""
    returned: tuple[tuple[Name, int], ...] = ()
    """Procedures that go on from their last clean revision, by a new one of this number."""
    recalls: int
    outcomes: int
    receipts: int
    """Receipts that named what was erased: they are there, and name it no more."""
    vectors: int
    drafts: int
    searched: int = 0
    """Texts and blobs that were looked for."""
    left: tuple[Text, ...] = ()
    """Those that were found in the raw bytes although nothing that is kept says them: empty, or the proof failed."""
    elsewhere: tuple[Text, ...] = ()
    """Those that other tasks or procedures of the namespace say too: there they stay. Of others nothing is told."""


class Compacted(Record):
    """What compaction did."""

    trajectories: int
    before: int
    """Bytes they took."""
    after: int


class Store(Protocol):
    """Where memories are kept. Every method is atomic; what it acknowledged survives a crash.

    Threads may share a store, and several clients (processes, machines) one memory: what one was told is done, the
    others see. All methods raise StoreError or one of its kinds, and RecordError for what is not text. Texts are any
    Unicode, NUL too; ids are compared as they are. Namespaces have 1 to 200 characters, and nothing passes their walls.

    `memp.testing.store_conformance` checks all of this; docs/stores.md says what a store may do in its own way.
    """

    def record(
        self, namespace: str, trajectory: Trajectory, recall: Recall | None, outcome: Outcome | None, at: datetime
    ) -> bool:
        """Keep the trajectory, and with an outcome credit what was served. False when it was there already.

        The same id, content and recall again do nothing, whoever records them. With an outcome the recall is logged,
        if it was not when it was made. Procedures that were withheld are named in the outcome and not credited. What
        was erased since the recall was made gets no credit, and neither recall nor outcome names it.

        Raises:
            RecordError: another trajectory has this id, or this one was recorded with another recall, or the recall
                served what this namespace does not hold.
        """

    def trajectory(self, namespace: str, id: str) -> Trajectory | None:
        """The trajectory of that id."""

    def trajectories(self, namespace: str) -> Iterator[Trajectory]:
        """All trajectories in the order they were recorded."""

    def waiting(self, namespace: str) -> Sequence[Waiting]:
        """What no update has taken yet, in the order it was recorded."""

    def requeue(self, namespace: str, trajectory_id: str) -> bool:
        """Let the next update take the trajectory again, at its old place. False when there is none of that id."""

    def write(
        self,
        namespace: str,
        writes: Sequence[Write],
        *,
        consume: str | None,
        receipt_id: str,
        receipt: Receipt | None = None,
    ) -> bool:
        """Append revisions and mark the waiting trajectory `consume` as taken, in one transaction.

        `receipt`, with an id that begins with `receipt_id` and a slash, says what these writes are; it is logged with
        them and stays until the receipt of the whole operation takes its place.

        Returns False, with nothing written, when another update took the trajectory first.

        Raises:
            Conflict: a procedure was revised meanwhile, is there already, or is not there; nothing was written.
            RecordError: the number of a revision does not follow its parent's.
        """

    def heads(self, namespace: str, fingerprint: str, since: int = 0) -> Sequence[Head]:
        """Procedures that changed after `since`, in the order they were created, with vectors of that space.

        Who has read the heads since the greatest `changed` that it saw, again and again, has missed nothing: a change
        that becomes visible later has a greater number, also when its transaction began earlier.
        """

    def find(self, namespace: str, ids: Sequence[str]) -> Sequence[Procedure]:
        """The procedures of these ids at their current revision, in the order of `ids`; unknown ones are left out."""

    def at(self, namespace: str, revisions: Sequence[tuple[str, int]]) -> Sequence[Procedure]:
        """Procedures at the given revisions (id, number), in that order; what is not there is left out."""

    def built_from(self, namespace: str, origin: bytes) -> str | None:
        """Id of the oldest procedure of that origin (see `origin_key`)."""

    def history(self, namespace: str, id: str) -> Sequence[tuple[Revision, int, int]]:
        """Every revision of a procedure with its (served, succeeded), oldest first."""

    def search(self, namespace: str, words: str, limit: int) -> Sequence[Procedure]:
        """Procedures that hold every word, in any case, in the task or the script of their current revision.

        The best come first. Nothing in the words is an operator; words without a letter or digit find nothing.
        """

    def log_recall(self, recall: Recall) -> None:
        """Keep what was served for a task. A recall of that id that is there already stays as it is."""

    def recalls(self, namespace: str, id: str | None = None, limit: int = 50) -> Sequence[Recall]:
        """Logged recalls, newest first, with procedures at the revision that was served."""

    def outcomes(self, namespace: str, limit: int = 50) -> Sequence[Outcome]:
        """Logged outcomes, newest first."""

    def outcomes_since(self, namespace: str, seq: int = 0) -> Sequence[tuple[int, Outcome]]:
        """Outcomes logged after number `seq`, oldest first, each with its number, from 1.

        Numbers follow the order in which outcomes become visible, as those of changes do (see `heads`).
        """

    def log_receipt(self, namespace: str, receipt: Receipt) -> None:
        """Keep what an operation did. Takes the place of the receipts of its parts (see `write`), and of no other."""

    def receipts(self, namespace: str, limit: int = 50) -> Sequence[Receipt]:
        """Logged receipts, newest first."""

    def draft(self, namespace: str, key: str) -> str | None:
        """A model reply that an interrupted update already paid for."""

    def save_draft(self, namespace: str, key: str, text: str) -> None:
        """Keep a model reply until its update has finished."""

    def drop_drafts(self, namespace: str, keys: Sequence[str]) -> None:
        """Forget replies whose update has finished; and when nothing waits any more, all that killed ones left."""

    def vectors(self, fingerprint: str, texts: Sequence[str], namespace: str = "") -> dict[str, NDArray[np.float32]]:
        """Those of the texts that were embedded before, with their vectors.

        A store may keep vectors for all namespaces in common, or by the namespace they are asked and saved for; those
        saved for none are there for all.
        """

    def save_vectors(
        self, fingerprint: str, vectors: Iterable[tuple[str, NDArray[np.float32]]], namespace: str = ""
    ) -> None:
        """Keep vectors, in place of older ones of the same texts. They are a cache: losing them costs time only."""

    def namespaces(self) -> Sequence[str]:
        """The namespaces that hold a trajectory, a procedure, a recall or a receipt, sorted."""

    def stats(self, namespace: str) -> Stats:
        """Counts of what the namespace holds."""

    def dump(self, namespace: str) -> Generator[Entry, None, None]:
        """Everything in the namespace but caches, as of one moment: trajectories, revisions, recalls, outcomes,
        receipts, each in the order it was written."""

    def load(self, entries: Iterable[tuple[str, Entry]]) -> Loaded:
        """Append dumped entries, all of them or none; what is there already with the same content is skipped.

        An error of `entries` itself comes through, and nothing was loaded. Counters follow from the outcomes. Entries
        are taken one by one: an error is about the one taken last.

        Raises:
            RecordError: an entry contradicts what is there, or refers to something that is not there.
            Conflict: a revision is missing between one of the entries and what is there.
        """

    def forget(
        self, namespace: str, *, trajectories: Collection[str] = (), task: str | None = None, at: datetime
    ) -> Erased:
        """Erase trajectories for good, by their ids and by their task (its exact words), with all that follows.

        Erased are: the trajectories; procedures built from them; recalls and outcomes of theirs; replies of unfinished
        updates; vectors. A procedure that one of them led to revise loses that revision and all after it, and goes on
        from the one before as a new revision. Recalls, outcomes and receipts of other tasks lose what names these.
        Counters remain those of the outcomes. All of it happens or nothing; then freed space is overwritten and the
        raw bytes are searched. After a crash between the two, any further call does the second again.

        Raises:
            StoreBusy: it is erased, but another process reads old pages; call again.
        """

    def erasures(self, namespace: str = "") -> int:
        """How often something was erased for good: whoever keeps a view of the store starts afresh when it grows.

        Where a namespace is named, what happens in others may leave it as it is.
        """

    def compact(self, namespace: str, *, before: datetime) -> Compacted:
        """Keep the trajectories recorded before then in fewer bytes. What reads them sees no difference."""

    def version(self, namespace: str = "") -> int:
        """A number that changes whenever procedures may have changed, here or in another process.

        It rests while nobody writes. Read before `heads`, it says whether to read them again. Where a namespace is
        named, what happens in others may leave it as it is.
        """

    def close(self) -> None:
        """Let go of the store; other clients go on. Any later use is a StoreError, but for closing again."""


@runtime_checkable
class SearchesVectors(Protocol):
    """What a store may offer besides: it finds the nearest procedures itself, for memories too large for every process.

    It does so for a namespace and a space of vectors once an operator asked for it (`memp memory index`); it may then
    miss some. Until then, whoever retrieves reads all vectors and searches exactly.
    """

    def searched(self, namespace: str, fingerprint: str) -> int | None:
        """The greatest `Head.changed` that the search knows of; None: it was not asked for."""

    def keep_near(self, namespace: str, fingerprint: str, heads: Sequence[Head], vectors: NDArray[np.float32]) -> None:
        """Let the search know of these procedures, all that changed since what it knew; shape (len(heads), n)."""

    def nearest(
        self, namespace: str, fingerprint: str, vector: NDArray[np.float32], k: int, *, status: str, only_success: bool
    ) -> Sequence[tuple[str, float]]:
        """About the `k` procedures of greatest cosine with a unit vector, best first, equal ones oldest first.

        Args:
            namespace, fingerprint, vector, k: of what, and how many.
            status: `active` (what may be served), `retired` (what may not) or `any`.
            only_success: leave out what was built from failures.
        """

    def index_near(self, namespace: str, fingerprint: str, dimensions: int) -> None:
        """Make what was kept fast to search. For an operator: it may need rights that others lack, and time."""

    def forget_near(self, namespace: str, fingerprint: str) -> None:
        """Search no more: whoever opens the memory from now on reads all vectors and searches exactly."""


@runtime_checkable
class Checks(Protocol):
    """A store that can look for damage in what it keeps."""

    def check(self) -> list[str]:
        """What is wrong, a line each; empty: nothing."""
