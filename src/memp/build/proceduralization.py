"""Proceduralization: remember the verbatim trajectory and the script together."""

from memp.build.base import Built, Tools
from memp.records import Content, Trajectory


class Proceduralization:
    """The paper's best: the example shows how, the script says what for."""

    name = "proceduralization"

    async def build(self, trajectory: Trajectory, tools: Tools) -> Built:
        """See `BuildPolicy.build`."""
        script, author = await tools.script(trajectory)
        facts = await tools.facts(trajectory)
        content = Content(task=trajectory.task, facts=facts, script=script, trajectory_id=trajectory.id)
        return Built(content=content, author=author.model_copy(update={"policy": self.name}))
