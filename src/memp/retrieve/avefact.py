"""AveFact: the mean cosine over the facts (slots) that both tasks have. The paper's best."""

import numpy as np
from numpy.typing import NDArray

from memp.retrieve.base import Hit, Query
from memp.retrieve.index import Index


class AveFact:
    """Score of a memory = mean over the shared slots of cos(phi(value_new), phi(value_i)); no shared slot, no score."""

    name = "avefact"
    uses_facts = True

    async def rank(self, query: Query, index: Index, hidden: NDArray[np.bool_] | None) -> list[Hit]:
        """See `RetrievePolicy.rank`. Equal scores: more shared facts first, then the older procedure."""
        slots = sorted(query.facts)
        vectors = dict(zip(slots, await index.embed([query.facts[slot] for slot in slots]), strict=True))
        tables = await index.slots()  # last: from here on the index stands still
        shared = [slot for slot in slots if slot in tables]
        if not shared:
            return []
        scores = np.zeros((len(shared), len(index)))
        has = np.zeros((len(shared), len(index)), dtype=np.bool_)
        for n, slot in enumerate(shared):
            scores[n], has[n] = tables[slot].scores(vectors[slot])
        counts = has.sum(axis=0)
        means = np.round(scores.sum(axis=0) / np.maximum(counts, 1), 6)
        rows = np.flatnonzero(counts > 0 if hidden is None else counts[: len(hidden)] * ~hidden > 0)
        best = rows[np.lexsort((rows, -counts[rows], -means[rows]))[: query.k]]
        return [Hit(index.ids[r], float(means[r]), _why(shared, scores[:, r], has[:, r])) for r in best.tolist()]


def _why(slots: list[str], scores: NDArray[np.float64], has: NDArray[np.bool_]) -> str:
    parts = [f"{slot} {score:.2f}" for slot, score, there in zip(slots, scores, has, strict=True) if there]
    return f"mean cosine over {len(parts)} shared facts ({', '.join(parts)})"
