"""Adjustment: keep what worked, and correct in place every procedure that took part in a failure."""

import asyncio

from memp.errors import UnusableReply
from memp.records import Procedure, Trajectory
from memp.update.base import Change, Episode, Revise, Skip, Tools
from memp.update.validation import keep_if_new


class Adjustment:
    """The paper's *Adjustment* (reflection), its best: the failed trajectory is the evidence of the new revision."""

    name = "adjustment"

    async def changes(self, episode: Episode, tools: Tools) -> list[Change]:
        """See `UpdatePolicy.changes`."""
        if episode.success:
            return [await keep_if_new(episode, tools)]
        if not episode.served:
            return [Skip(subject=episode.trajectory.id, reason=_nothing_to_correct(episode))]
        corrections = (self._correct(procedure, episode.trajectory, tools) for procedure in episode.served)
        changes = await asyncio.gather(*corrections, return_exceptions=True)
        if failures := [change for change in changes if isinstance(change, BaseException)]:
            raise failures[0]  # only now, so that replies under way are received and kept
        return [change for change in changes if not isinstance(change, BaseException)]

    async def _correct(self, procedure: Procedure, failed: Trajectory, tools: Tools) -> Change:
        if procedure.status != "active" or procedure.revision.pinned:
            why = "pinned" if procedure.revision.pinned else procedure.status
            return Skip(subject=procedure.id, reason=f"{why}: not corrected")
        try:
            built = await tools.adjust(procedure, failed)
        except UnusableReply as error:  # the other procedures are corrected all the same
            return Skip(subject=procedure.id, reason=f"given up: {error}")
        if built.content == procedure.content:
            return Skip(subject=procedure.id, reason=f"nothing to correct after trajectory {failed.id}")
        return Revise(procedure=procedure, built=built, reason=f'took part in a failure: "{failed.task[:200]}"')


def _nothing_to_correct(episode: Episode) -> str:
    why = "the recall was empty" if episode.had_recall else "no recall was recorded with it"
    return f"failed, and {why}: kept as a trajectory, no procedure to correct"
