"""Query: cosine between the embeddings of the new task and of each memory's task."""

import numpy as np
from numpy.typing import NDArray

from memp.retrieve.base import Hit, Query
from memp.retrieve.index import Index


class ByQuery:
    """argmax cos(phi(t_new), phi(t_i)), the top k, exact; equal scores: the older procedure first."""

    name = "query"
    uses_facts = False

    async def rank(self, query: Query, index: Index, hidden: NDArray[np.bool_] | None) -> list[Hit]:
        """See `RetrievePolicy.rank`."""
        if not len(index):
            return []
        vectors = await index.embed([query.task])
        found = index.nearest(vectors[0], query.k, hidden)
        return [Hit(id, score, f"cosine {score:.3f} with its task") for id, score in found]
