"""What a retrieve policy is asked and what it answers."""

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from memp.evidence import Worth
from memp.records import Record
from memp.retrieve.index import Index


class Query(Record):
    """One question to the memory."""

    task: str
    facts: Mapping[str, str]
    """Slot -> value; empty unless the policy uses facts."""
    k: int
    agent: str = ""
    """The model that asks, for policies that use evidence."""


class Hit(NamedTuple):
    """One procedure that a policy would serve."""

    id: str
    score: float
    why: str


@runtime_checkable
class UsesEvidence(Protocol):
    """A policy that wants to know what memory is worth."""

    def use_evidence(self, worth: Callable[[str], Worth]) -> None:
        """Take the evidence from here: a function from an agent to what memory is worth to it."""


@runtime_checkable
class RetrievePolicy(Protocol):
    """R(task): which procedures, best first (paper, section 2.2.2)."""

    @property
    def name(self) -> str:
        """How it is chosen and logged."""

    @property
    def uses_facts(self) -> bool:
        """Whether tasks need their facts extracted."""

    async def rank(self, query: Query, index: Index, hidden: NDArray[np.bool_] | None) -> list[Hit]:
        """The best `query.k` procedures of `index` without the `hidden` rows, best first, ties in a fixed order."""
