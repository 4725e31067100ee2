"""Vanilla: every trajectory becomes a memory and is appended."""

from memp.update.base import Add, Change, Episode, Tools


class Vanilla:
    """The paper's *Vanilla*: successes and failures alike."""

    name = "vanilla"

    async def changes(self, episode: Episode, tools: Tools) -> list[Change]:
        """See `UpdatePolicy.changes`."""
        built = await tools.build(episode.trajectory)
        return [Add(built=built, reason=f"recorded with reward {episode.trajectory.reward:g}")]
