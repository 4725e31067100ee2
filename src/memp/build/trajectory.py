"""Trajectory: remember what was done verbatim, round by round."""

from memp.build.base import Built, Tools
from memp.records import Author, Content, Trajectory


class TrajectoryBuild:
    """The paper's *Trajectory*: the gold trajectory itself."""

    name = "trajectory"

    async def build(self, trajectory: Trajectory, tools: Tools) -> Built:
        """See `BuildPolicy.build`."""
        facts = await tools.facts(trajectory)
        content = Content(task=trajectory.task, facts=facts, trajectory_id=trajectory.id)
        return Built(content=content, author=Author(policy=self.name))
