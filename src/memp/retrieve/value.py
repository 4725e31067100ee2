"""Value: among what is similar, what has helped. Similarity gates, evidence ranks, the unknown gets its chance."""

import random
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from memp.evidence import Worth
from memp.retrieve.base import Hit, Query, RetrievePolicy
from memp.retrieve.index import Index
from memp.retrieve.query import ByQuery


class Value:
    """Re-ranks the hits of another policy by what they are worth to the agent that asks (Thompson sampling).

    Only hits with at least `gate` times the best similarity take part, out of `pool` times as many as are asked for.
    Each draws a success rate from its posterior; its value is its similarity plus the drawn lift, so ten points of lift
    weigh as much as 0.1 of similarity. With no evidence the order is that of similarity, shaken a little.

    Draws depend on the seed, the task, the procedure's place by similarity and how often it was served, and on nothing
    else: the order of calls does not matter, nor do ids, which every run draws anew. Without a memory that gives it
    evidence it ranks by similarity alone.
    """

    name = "value"

    def __init__(
        self, similarity: RetrievePolicy | None = None, *, gate: float = 0.75, pool: int = 4, seed: int = 0
    ) -> None:
        self._similarity = similarity or ByQuery()
        self._gate = gate
        self._pool = pool
        self._seed = seed
        self._worth: Callable[[str], Worth] | None = None

    @property
    def uses_facts(self) -> bool:
        """As the policy that it re-ranks."""
        return self._similarity.uses_facts

    def use_evidence(self, worth: Callable[[str], Worth]) -> None:
        """Take the evidence from here: a function from an agent to what memory is worth to it."""
        self._worth = worth

    async def rank(self, query: Query, index: Index, hidden: NDArray[np.bool_] | None) -> list[Hit]:
        """See `RetrievePolicy.rank`. The score is the similarity; the order is that of the value."""
        wide = query.model_copy(update={"k": self._pool * query.k})
        hits = await self._similarity.rank(wide, index, hidden)
        if not hits or self._worth is None:
            return hits[: query.k]
        worth = self._worth(query.agent)
        gate = self._gate * hits[0].score
        near = [hit for hit in hits if hit.score >= gate]
        numbers = index.numbers([hit.id for hit in near])
        valued = [self._valued(hit, place, numbers.get(hit.id, 1), query.task, worth) for place, hit in enumerate(near)]
        best = sorted(range(len(near)), key=lambda n: (-valued[n][0], n))
        return [Hit(near[n].id, near[n].score, valued[n][1]) for n in best[: query.k]]

    def _valued(self, hit: Hit, place: int, number: int, task: str, worth: Worth) -> tuple[float, str]:
        served, control = worth.posterior(hit.id, number)
        times = worth.served(hit.id, number)
        draw = random.Random(f"memp value {self._seed}\n{place}\n{times}\n{task}").betavariate(*served)
        without = control[0] / sum(control)
        lift = served[0] / sum(served) - without
        value = hit.score + draw - without
        return (
            value,
            f"{hit.why}; lift {100 * lift:+.0f} points after {times} tasks, drawn {100 * (draw - without):+.0f}",
        )
