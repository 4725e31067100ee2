"""Validation: only successful trajectories become memories; failures and repetitions are dropped."""

from memp.update.base import Add, Change, Episode, Skip, Tools


class Validation:
    """The paper's *Validation*: keep what worked and is not there yet."""

    name = "validation"

    async def changes(self, episode: Episode, tools: Tools) -> list[Change]:
        """See `UpdatePolicy.changes`."""
        if not episode.success:
            return [Skip(subject=episode.trajectory.id, reason="failed; validation keeps successes only")]
        return [await keep_if_new(episode, tools)]


async def keep_if_new(episode: Episode, tools: Tools) -> Change:
    """Add a success, unless a procedure with the same actions on the same task is there."""
    trajectory = episode.trajectory
    if (same := tools.known(trajectory)) is not None:
        return Skip(subject=trajectory.id, reason=f"redundant: procedure {same} has the same task and actions")
    built = await tools.build(trajectory)
    return Add(built=built, reason=f"succeeded with reward {trajectory.reward:g}", unless_known=True)
