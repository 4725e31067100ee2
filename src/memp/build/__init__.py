"""B(tau, r): build policies, one a file."""

from memp.build.base import BuildPolicy, Built, Tools
from memp.build.proceduralization import Proceduralization
from memp.build.script import ScriptBuild
from memp.build.trajectory import TrajectoryBuild
from memp.errors import UnknownName

__all__ = ["BuildPolicy", "Built", "Proceduralization", "ScriptBuild", "Tools", "TrajectoryBuild", "build_policy"]

NAMES = ("trajectory", "script", "proceduralization")


def build_policy(chosen: str | BuildPolicy) -> BuildPolicy:
    """The policy of that name, or the object itself.

    Raises:
        UnknownName: no policy has that name.
    """
    if not isinstance(chosen, str):
        return chosen
    policies: tuple[BuildPolicy, ...] = (TrajectoryBuild(), ScriptBuild(), Proceduralization())
    for policy in policies:
        if policy.name == chosen:
            return policy
    raise UnknownName("build policy", chosen, NAMES)
