"""R(task): retrieve policies, one a file."""

from memp.errors import UnknownName
from memp.retrieve.avefact import AveFact
from memp.retrieve.base import Hit, Query, RetrievePolicy, UsesEvidence
from memp.retrieve.index import Index
from memp.retrieve.query import ByQuery
from memp.retrieve.random import Random
from memp.retrieve.structure import Structure
from memp.retrieve.value import Value

__all__ = [
    "AveFact",
    "ByQuery",
    "Hit",
    "Index",
    "Query",
    "Random",
    "RetrievePolicy",
    "Structure",
    "UsesEvidence",
    "Value",
    "retrieve_policy",
]

NAMES = ("random", "query", "avefact", "structure", "value")


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
    if chosen == "structure":
        return Structure()
    if chosen == "value":
        return Value(seed=seed)
    raise UnknownName("retrieve policy", chosen, NAMES)
