"""What a person does with a memory: look, search, retire, restore, undo. Shared by the sync and the async face."""

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from typing import Final, get_args

from memp.done import Done
from memp.errors import Conflict, RecordError
from memp.evidence import Evidence, Ledger, Quarantine, evidence_of
from memp.recall import Recall
from memp.records import Author, Outcome, Procedure, Receipt, Revision, Status, Trajectory
from memp.stores.base import Stats, Store, Write

STATUSES: Final[tuple[Status, ...]] = get_args(Status)

KEPT: Final[tuple[Status, ...]] = tuple(status for status in STATUSES if status != "retired")

WAITING: Final[tuple[Status, ...]] = ("pending", "proposed")
"""What waits for a person."""


class Curation:
    """Reading and curating; every change is a new revision with a reason."""

    def __init__(self, store: Store, namespace: str, clock: Callable[[], datetime], ids: Callable[[], str]) -> None:
        self.store = store
        self.namespace = namespace
        self._clock = clock
        self._ids = ids
        self._ledger = Ledger(store, namespace)
        self.quarantining: Quarantine | None = None

    # -- look --------------------------------------------------------------------------------------

    def get(self, id: str) -> Procedure:
        """The procedure of that id (or of the only id that starts so).

        Raises:
            RecordError: there is none, or several ids start so.
        """
        found = self.store.find(self.namespace, [id])
        if found:
            return found[0]
        ids = [head.id for head in self.store.heads(self.namespace, "") if head.id.startswith(id)]
        if len(ids) == 1:
            return self.store.find(self.namespace, ids)[0]
        if ids:
            raise RecordError(f"{len(ids)} procedures start with {id!r}: {', '.join(ids[:5])}")
        raise RecordError(f"no procedure {id!r} in namespace {self.namespace!r}; `memp memory ls` lists them")

    def procedures(self, *, status: Status | Collection[Status] | None = None) -> Iterator[Procedure]:
        """Procedures at their current revision, in the order they were created: of a status, of several, or all."""
        wanted = STATUSES if status is None else (status,) if isinstance(status, str) else tuple(status)
        ids = [head.id for head in self.store.heads(self.namespace, "") if head.status in wanted]
        for start in range(0, len(ids), 500):
            found = self.store.find(self.namespace, ids[start : start + 500])
            yield from (procedure for procedure in found if procedure.status in wanted)  # it may have changed since

    def search(self, words: str, *, limit: int = 20) -> Sequence[Procedure]:
        """Procedures whose task or script holds the words, best first."""
        return self.store.search(self.namespace, words, limit)

    def history(self, id: str) -> Sequence[tuple[Revision, int, int]]:
        """Every revision of a procedure, oldest first, with how often it was served and succeeded."""
        return self.store.history(self.namespace, self.get(id).id)

    def trajectory(self, id: str) -> Trajectory:
        """The trajectory of that id.

        Raises:
            RecordError: there is none.
        """
        found = self.store.trajectory(self.namespace, id)
        if found is None:
            raise RecordError(f"no trajectory {id!r} in namespace {self.namespace!r}")
        return found

    def recall(self, id: str) -> Recall:
        """A logged recall, as it was served.

        Raises:
            RecordError: there is none.
        """
        found = self.store.recalls(self.namespace, id)
        if not found:
            raise RecordError(f"no recall {id!r} in namespace {self.namespace!r}")
        return found[0].with_loader(self.trajectory)

    def recalls(self, *, limit: int = 50) -> Sequence[Recall]:
        """Logged recalls, newest first."""
        return [recall.with_loader(self.trajectory) for recall in self.store.recalls(self.namespace, None, limit)]

    def outcomes(self, *, limit: int = 50) -> Sequence[Outcome]:
        """Logged outcomes, newest first."""
        return self.store.outcomes(self.namespace, limit)

    def receipts(self, *, limit: int = 50) -> Sequence[Receipt]:
        """What updates and discards did, newest first."""
        return self.store.receipts(self.namespace, limit)

    def evidence(self, agent: str | None = None) -> Evidence:
        """Whether the memory helps `agent` (None: the one with the most tasks), in all, by family and by procedure."""
        with self._ledger.current() as ledger:
            agent = ledger.busiest() if agent is None else agent
            return evidence_of(ledger, agent, self.procedures(status=KEPT), self.quarantining or Quarantine())

    def stats(self) -> Stats:
        """Counts of what the namespace holds."""
        return self.store.stats(self.namespace)

    # -- change ------------------------------------------------------------------------------------

    def retire(self, id: str, *, reason: str, policy: str = "person") -> Revision:
        """Stop serving a procedure; it is kept with its history and can be restored."""
        return self._change(id, "retired", reason, policy)

    def restore(self, id: str, *, reason: str = "restored", policy: str = "person") -> Revision:
        """Serve a retired procedure again."""
        return self._change(id, "active", reason, policy)

    def pin(self, id: str, *, reason: str = "pinned") -> Revision:
        """Keep a procedure as it is: no policy revises, retires, merges, evicts or quarantines it. A person may.

        Raises:
            RecordError: it is pinned already.
        """
        return self._pinned(id, True, reason)

    def unpin(self, id: str, *, reason: str = "unpinned") -> Revision:
        """Let policies change a procedure again.

        Raises:
            RecordError: it is not pinned.
        """
        return self._pinned(id, False, reason)

    def queue(self) -> Iterator[Procedure]:
        """The changes that wait for a person, oldest procedure first: `pending` revisions and `proposed` procedures."""
        return self.procedures(status=WAITING)

    def approve(self, id: str, *, reason: str = "approved") -> Revision:
        """Vouch for what a procedure says now: it is served from here on, and what tainted it does not count any more.

        Works on what waits in the queue, on a correction on probation, and on what was quarantined.

        Raises:
            RecordError: it is served and untainted already, or it is retired.
        """
        procedure = self.get(id)
        if procedure.status == "retired":
            raise RecordError(f"procedure {procedure.id} is retired; restore it first")
        if procedure.status == "active" and not procedure.revision.tainted:
            raise RecordError(f"procedure {procedure.id} is served already; there is nothing to approve")
        return self._append(procedure, procedure.revision, "active", reason, "person", tainted=())

    def reject(self, id: str, *, reason: str = "rejected") -> Revision:
        """Turn down a correction (the revision that stands is served again) or a new procedure (it is retired).

        Raises:
            RecordError: nothing of it waits or is on trial.
        """
        procedure = self.get(id)
        revision = procedure.revision
        if revision.stands is not None:
            return self._return(procedure, revision.stands, reason, "person")
        if procedure.status != "proposed":
            raise RecordError(f"procedure {procedure.id} is {procedure.status}; nothing of it waits for a decision")
        return self._append(procedure, revision, "retired", reason, "person")

    def undo_since(self, when: datetime, *, reason: str = "") -> list[Revision]:
        """Return every procedure to what it was at `when`, by new revisions; what was created since is retired.

        Pinned procedures too: it is a person who asks.
        """
        since = reason or f"undo of everything since {when.isoformat(timespec='seconds')}"
        return [r for p in list(self.procedures()) if (r := self._undo_since(p, when, since)) is not None]

    def _undo_since(self, procedure: Procedure, when: datetime, reason: str) -> Revision | None:
        if procedure.revision.at <= when:
            return None
        before = [r for r, _, _ in self.store.history(self.namespace, procedure.id) if r.at <= when]
        if not before:
            retired = procedure.status == "retired"
            return None if retired else self._append(procedure, procedure.revision, "retired", reason, "person")
        return self._return(procedure, before[-1].number, reason, "person")

    def undo(self, id: str, *, to: int | None = None, reason: str = "") -> Revision:
        """Return to revision `to` (default: the one before the current) by appending it as a new revision.

        Raises:
            RecordError: there is nothing to undo, or no such revision.
            Conflict: somebody revised the procedure meanwhile.
        """
        procedure = self.get(id)
        wanted = procedure.revision.parent if to is None else to
        if wanted is None:
            raise RecordError(f"procedure {procedure.id} has only its first revision; retire it instead")
        return self._return(procedure, wanted, reason or f"undo to revision {wanted}", "person")

    def _return(self, procedure: Procedure, to: int, reason: str, policy: str) -> Revision:
        """Say again what revision `to` said, in the state it was in then."""
        found = [r for r, _, _ in self.store.history(self.namespace, procedure.id) if r.number == to]
        if not found or to == procedure.revision.number:
            raise RecordError(
                f"procedure {procedure.id} cannot return to revision {to}; it is at {procedure.revision.number}"
            )
        then = found[0]
        return self._append(
            procedure, then, then.status, reason, policy, pinned=then.pinned, stands=then.stands, tainted=then.tainted
        )

    def _pinned(self, id: str, pinned: bool, reason: str) -> Revision:
        procedure = self.get(id)
        current = procedure.revision
        if current.pinned == pinned:
            raise RecordError(f"procedure {procedure.id} is {'pinned already' if pinned else 'not pinned'}")
        return self._append(procedure, current, current.status, reason, "person", pinned=pinned, stands=current.stands)

    def _change(self, id: str, status: Status, reason: str, policy: str) -> Revision:
        procedure = self.get(id)
        if procedure.status == status:
            raise RecordError(f"procedure {procedure.id} is {status} already")
        return self._append(procedure, procedure.revision, status, reason, policy)

    def _settle(
        self,
        procedure: Procedure,
        status: Status,
        reason: str,
        policy: str,
        done: Done,
        *,
        otherwise: str,
        like: Revision | None = None,
        tainted: tuple[str, ...] | None = None,
        evidence: tuple[str, ...] | None = None,
    ) -> None:
        """What a policy changes by itself: it tells in `done`, and `otherwise` if somebody revised it meanwhile."""
        like = procedure.revision if like is None else like
        try:
            done.changed(self._append(procedure, like, status, reason, policy, tainted=tainted, evidence=evidence))
        except Conflict:
            done.skip(procedure.id, f"revised meanwhile: {otherwise}")

    def _append(
        self,
        procedure: Procedure,
        like: Revision,
        status: Status,
        reason: str,
        policy: str,
        *,
        pinned: bool | None = None,
        stands: int | None = None,
        tainted: tuple[str, ...] | None = None,
        evidence: tuple[str, ...] | None = None,
    ) -> Revision:
        """A revision that says what `like` says. Pin and taint stay as they are unless said otherwise."""
        current = procedure.revision
        revision = Revision(
            procedure_id=procedure.id,
            number=current.number + 1,
            parent=current.number,
            content=like.content,
            status=status,
            reason=reason,
            evidence=like.evidence if evidence is None else evidence,
            author=Author(policy=policy),
            at=self._clock(),
            tokens=like.tokens,
            stands=stands,
            pinned=current.pinned if pinned is None else pinned,
            tainted=like.tainted if tainted is None else tainted,
        )
        self.store.write(self.namespace, [Write(revision=revision)], consume=None, receipt_id="")
        return revision
