"""Adjustment: keep what worked, and correct in place every procedure that took part in a failure."""

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
        return [await self._correct(episode, n, tools) for n in range(len(episode.served))]

    async def _correct(self, episode: Episode, n: int, tools: Tools) -> Change:
        procedure, failed = episode.served[n], episode.trajectory
        if procedure.status != "active":
            return Skip(subject=procedure.id, reason=f"{procedure.status}: not corrected")
        built = await tools.adjust(procedure, failed)
        if built.content == procedure.content:
            return Skip(subject=procedure.id, reason=f"nothing to correct after trajectory {failed.id}")
        return Revise(procedure=procedure, built=built, reason=f'took part in a failure: "{failed.task[:200]}"')


def _nothing_to_correct(episode: Episode) -> str:
    why = "the recall was empty" if episode.had_recall else "no recall was recorded with it"
    return f"failed, and {why}: kept as a trajectory, no procedure to correct"
