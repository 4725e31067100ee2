"""Script: remember the abstract procedure only."""

from memp.build.base import Built, Tools
from memp.records import Content, Trajectory


class ScriptBuild:
    """The paper's *Script*: what to do for such tasks, without instance detail."""

    name = "script"

    async def build(self, trajectory: Trajectory, tools: Tools) -> Built:
        """See `BuildPolicy.build`."""
        script, author = await tools.script(trajectory)
        facts = await tools.facts(trajectory)
        content = Content(task=trajectory.task, facts=facts, script=script)
        return Built(content=content, author=author.model_copy(update={"policy": self.name}))
