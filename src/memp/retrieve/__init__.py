"""R(task): retrieve policies, one a file."""

from memp.errors import UnknownName
from memp.retrieve.avefact import AveFact
from memp.retrieve.base import Hit, Query, RetrievePolicy
from memp.retrieve.index import Index
from memp.retrieve.query import ByQuery
from memp.retrieve.random import Random

__all__ = ["AveFact", "ByQuery", "Hit", "Index", "Query", "Random", "RetrievePolicy", "retrieve_policy"]

NAMES = ("random", "query", "avefact")


def retrieve_policy(chosen: str | RetrievePolicy, *, seed: int = 0) -> RetrievePolicy:
    """The policy of that name, or the object itself.

    Raises:
        UnknownName: no policy has that name.
    """
    if not isinstance(chosen, str):
        return chosen
    if chosen == "random":
        return Random(seed)
    if chosen == "query":
        return ByQuery()
    if chosen == "avefact":
        return AveFact()
    raise UnknownName("retrieve policy", chosen, NAMES)
