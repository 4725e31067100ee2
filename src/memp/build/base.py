"""What a build policy is given and what it makes."""

from typing import Protocol, runtime_checkable

from memp.records import Author, Content, Record, Script, Trajectory


class Built(Record):
    """A procedure's content and who wrote it."""

    content: Content
    author: Author


class Tools(Protocol):
    """What a build policy can ask for; a model or rules stand behind it."""

    async def script(self, trajectory: Trajectory) -> tuple[Script, Author]:
        """The abstract procedure of a trajectory."""

    async def facts(self, trajectory: Trajectory) -> dict[str, str]:
        """Facts of the trajectory's task; its own if it has them."""


@runtime_checkable
class BuildPolicy(Protocol):
    """B(tau, r): the memory unit of one trajectory (paper, section 2.2.1)."""

    @property
    def name(self) -> str:
        """How it is chosen and what revisions say."""

    async def build(self, trajectory: Trajectory, tools: Tools) -> Built:
        """The content that remembers `trajectory`.

        Raises:
            ModelError: the model could not be asked, or gave nothing usable.
        """
