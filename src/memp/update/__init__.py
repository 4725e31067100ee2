"""U(M, E, tau): update policies, one a file."""

from memp.errors import UnknownName
from memp.update.adjustment import Adjustment
from memp.update.base import Add, Change, Episode, Revise, Skip, Tools, UpdatePolicy
from memp.update.discard import Discard
from memp.update.guard import Guard, Replay
from memp.update.guarded import Guarded
from memp.update.validation import Validation
from memp.update.vanilla import Vanilla

__all__ = [
    "Add",
    "Adjustment",
    "Change",
    "Discard",
    "Episode",
    "Guard",
    "Guarded",
    "Replay",
    "Revise",
    "Skip",
    "Tools",
    "UpdatePolicy",
    "Validation",
    "Vanilla",
    "update_policy",
]

NAMES = ("vanilla", "validation", "adjustment")


def update_policy(chosen: str | UpdatePolicy) -> UpdatePolicy:
    """The policy of that name, or the object itself.

    Raises:
        UnknownName: no policy has that name.
    """
    if not isinstance(chosen, str):
        return chosen
    policies: tuple[UpdatePolicy, ...] = (Vanilla(), Validation(), Adjustment())
    for policy in policies:
        if policy.name == chosen:
            return policy
    raise UnknownName("update policy", chosen, NAMES)
