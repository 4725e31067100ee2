"""An update policy under a guard: blame first, then a candidate that loses nothing without need."""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol, cast

from memp.blame import Blame
from memp.blame.passing import fault_in, unrecovered
from memp.build.base import Built
from memp.errors import UnusableReply
from memp.records import Content, Procedure, Trajectory
from memp.update.adjustment import Adjustment
from memp.update.base import Change, Episode, Revise, Skip, Tools, UpdatePolicy
from memp.update.guard import Guard, Played, Replay, loses, on_trial, only_conditions

_MEANWHILE: Final = "on trial: kept as evidence"


class GuardTools(Tools, Protocol):
    """What a guarded policy asks for beside the tools of all policies."""

    async def blame(self, procedure: Procedure, failed: Trajectory) -> Blame:
        """Why `failed` failed although `procedure` was served."""

    async def correct(self, procedure: Procedure, failed: Trajectory, blame: Blame) -> Built:
        """The procedure's content with what the blame calls for; unchanged when it calls for nothing."""

    def solved(self, procedure: Procedure) -> Sequence[Trajectory]:
        """Trajectories that succeeded with what the procedure says now, newest first."""

    def tried(self, procedure: Procedure, content: Content) -> int:
        """How many revisions on trial said the same."""

    def says(self, procedure: Procedure, number: int) -> bool:
        """Whether the procedure says now what it said at revision `number`."""

    def failures(self, procedure: Procedure) -> tuple[str, ...]:
        """Ids of recent trajectories that failed with what the procedure says now."""

    def rendered(self, content: Content) -> str:
        """The text of a recall of this content alone."""


def broke(failed: Trajectory) -> str:
    """What broke for a while and cost the task; empty when nothing did."""
    for at in unrecovered(failed):
        step = failed.steps[at]
        return fault_in(step.observation) or f"{step.error} error"
    return fault_in(failed.feedback)


class Guarded:
    """`policy`, with its corrections replaced by candidates that have a cause. Additions stay as they are.

    A task that failed because something broke for a while changes nothing, whatever the policy.
    """

    def __init__(self, policy: UpdatePolicy, guard: Guard, replay: Replay | None = None) -> None:
        self.policy, self.guard, self.replay = policy, guard, replay
        self.name = policy.name
        self.in_order = getattr(policy, "in_order", False)

    async def changes(self, episode: Episode, tools: Tools) -> list[Change]:
        """See `UpdatePolicy.changes`."""
        failed = episode.trajectory
        if not episode.success and (fault := broke(failed)):
            return [Skip(subject=failed.id, reason=f"environment: {fault}: no lesson")]
        if episode.success or not isinstance(self.policy, Adjustment) or not episode.served:
            return await self.policy.changes(episode, tools)
        have = cast(GuardTools, tools)
        done = await asyncio.gather(
            *(self._correct(procedure, episode, have) for procedure in episode.served), return_exceptions=True
        )
        if failures := [change for change in done if isinstance(change, BaseException)]:
            raise failures[0]
        return [change for change in done if not isinstance(change, BaseException)]

    async def _correct(self, procedure: Procedure, episode: Episode, tools: GuardTools) -> Change:
        if why := self._not_now(procedure, episode, tools):
            return Skip(subject=procedure.id, reason=why)
        failed = episode.trajectory
        try:
            blame = await self._blame(procedure, failed, tools)
            said = f"{blame.verdict}: {blame.why}" + (f" ({blame.note})" if blame.note else "")
            if on_trial(procedure) and blame.verdict != "procedure":
                return Skip(subject=procedure.id, reason=_MEANWHILE)
            if blame.verdict in ("environment", "not-followed"):
                return Skip(subject=procedure.id, reason=f"{said}: no change")
            built = await tools.correct(procedure, failed, blame)
        except UnusableReply as error:  # the other procedures are corrected all the same
            return Skip(subject=procedure.id, reason=f"given up: {error}")
        if built.content == procedure.content:
            return Skip(subject=procedure.id, reason=f"{said}: nothing to correct")
        examined = await self._examine(procedure, built.content, blame, failed, tools)
        if examined.refused:
            return Skip(subject=procedure.id, reason=f"refused: {examined.refused}; {said}")
        reason = f'{said}, in "{failed.task[:200]}"' + (f"; replay: {examined.words}" if examined.words else "")
        earlier = tuple(id for id in tools.failures(procedure) if id != failed.id)
        return Revise(procedure=procedure, built=built, reason=reason, evidence=earlier)

    @staticmethod
    def _not_now(procedure: Procedure, episode: Episode, tools: GuardTools) -> str:
        """Why a procedure is not corrected because of this episode, whatever made it fail."""
        if procedure.revision.pinned:
            return "pinned: not corrected"
        if on_trial(procedure):
            return "" if only_conditions(procedure) else _MEANWHILE
        if procedure.status != "active":
            return f"{procedure.status}: not corrected"
        served = dict(episode.credited).get(procedure.id)
        if served is not None and not on_trial(procedure) and not tools.says(procedure, served):
            return f"revised since: revision {served} was served"
        return ""

    async def _blame(self, procedure: Procedure, failed: Trajectory, tools: GuardTools) -> Blame:
        if self.guard.blame:
            return await tools.blame(procedure, failed)
        why = "took part in a failure"
        return Blame(procedure_id=procedure.id, revision=procedure.revision.number, verdict="procedure", why=why)

    async def _examine(
        self, procedure: Procedure, content: Content, blame: Blame, failed: Trajectory, tools: GuardTools
    ) -> "_Examined":
        solved = tools.solved(procedure)
        if lost := loses(procedure.content, content, blame, solved, self.guard.keep):
            return _Examined(lost, "")
        if (tried := tools.tried(procedure, content)) >= self.guard.tries:
            return _Examined(f"it was on trial {tried} times and withdrawn", "")
        if self.guard.validation != "replay" or self.replay is None:
            return _Examined("", "")
        played = await self._replayed(self.replay, tools.rendered(content), failed, solved)
        if played is None:
            return _Examined("", "the task cannot be played again")
        return _Examined(played.refused, played.words)

    async def _replayed(
        self, replay: Replay, recalled: str, failed: Trajectory, solved: Sequence[Trajectory]
    ) -> Played | None:
        won = await replay.play(failed.source, recalled)
        if won is None:
            return None
        again: list[bool] = []
        for trajectory in solved:
            if len(again) == self.guard.replays:
                break
            if (kept := await replay.play(trajectory.source, recalled)) is not None:
                again.append(kept)
        return Played(won, len(again), sum(again))


class _Examined:
    """What came out of looking at a candidate."""

    def __init__(self, refused: str, words: str) -> None:
        self.refused, self.words = refused, words
