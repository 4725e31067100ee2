"""From what an update policy asks for to the revision that is written: its state, its taint, what stands meanwhile."""

from collections.abc import Callable
from datetime import datetime

from memp.records import Content, Revision, Status, Trajectory
from memp.render import render_content, render_reference
from memp.stores.base import Store, Waiting, Write, origin_key
from memp.trust.judge import Held, Judge, doubted
from memp.update import Add, Guard, Revise


class Writer:
    """Makes the revisions of a memory's updates.

    Args:
        store, namespace, clock, ids: those of the memory.
        judge: says what text may be believed.
        approve: what policies change waits for a person.
        guard: corrections may have to prove themselves on trial.
        succeeded: whether a trajectory counts as a success.
        load: the trajectory of an id.
        count_tokens: how long a text is in a prompt.
    """

    def __init__(
        self,
        store: Store,
        namespace: str,
        clock: Callable[[], datetime],
        ids: Callable[[], str],
        *,
        judge: Judge,
        approve: bool,
        guard: Guard | None,
        succeeded: Callable[[Trajectory], bool],
        load: Callable[[str], Trajectory],
        count_tokens: Callable[[str], int],
    ) -> None:
        self._store, self._namespace, self._clock, self._ids = store, namespace, clock, ids
        self._judge, self._approve = judge, approve
        self._trying = guard is not None and guard.validation != "none"
        self._succeeded, self._load, self._count_tokens = succeeded, load, count_tokens

    def write(self, change: Add | Revise, item: Waiting) -> tuple[Write, Held | None]:
        """The revision that a change makes, and how it is kept back if it looks like an attack."""
        trajectory, content = item.trajectory, change.built.content
        parent = change.procedure.revision if isinstance(change, Revise) else None
        tainted = self._judge.taint(trajectory, item.outcome, parent, change.evidence)
        (status, stands), reason = self._state(parent), change.reason
        if held := self._judge.held(content, trajectory, parent):
            status, stands, reason = held.status, held.stands, f"{reason}; held: {held.why}"
        revision = Revision(
            procedure_id=parent.procedure_id if parent else self._ids(),
            number=parent.number + 1 if parent else 1,
            parent=parent.number if parent else None,
            content=content,
            status=status,
            stands=stands,
            reason=reason,
            evidence=(trajectory.id, *change.evidence),
            author=change.built.author,
            at=self._clock(),
            tokens=self._tokens(content, trajectory, tainted),
            tainted=tainted,
        )
        origin = doubted(trajectory) if _is_doubtful(revision) else origin_key(trajectory)
        return Write(revision=revision, success=self._succeeded(trajectory), origin=origin), held

    def no_more_trusted(self, write: Write) -> str | None:
        """A procedure of the same task and actions that is as little trusted as what is about to be written."""
        return self._store.built_from(self._namespace, write.origin) if _is_doubtful(write.revision) else None

    def _state(self, parent: Revision | None) -> tuple[Status, int | None]:
        """How a new procedure or a correction of `parent` begins, and the revision that is served meanwhile."""
        stands = None if parent is None or parent.status == "proposed" else parent.stands or parent.number
        if self._approve:
            return "proposed" if stands is None else "pending", stands
        if self._trying and parent is not None:
            return "probation", stands
        return "active", None

    def _tokens(self, content: Content, trajectory: Trajectory, tainted: tuple[str, ...]) -> int:
        """How long it will be in a prompt."""
        id = content.trajectory_id
        shown = trajectory if id == trajectory.id else None if id is None else self._load(id)
        text = render_content(content, shown)
        return self._count_tokens(render_reference(text, tainted) if tainted else text)


def _is_doubtful(revision: Revision) -> bool:
    return bool(revision.tainted) or revision.status == "quarantined"
