"""Random: k memories drawn without looking at the task. The paper's control."""

import random

import numpy as np
from numpy.typing import NDArray

from memp.retrieve.base import Hit, Query
from memp.retrieve.index import Index


class Random:
    """Draws with a random source that depends on the seed and the task only, so that order of calls does not matter."""

    name = "random"
    uses_facts = False

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    async def rank(self, query: Query, index: Index, hidden: NDArray[np.bool_] | None) -> list[Hit]:
        """See `RetrievePolicy.rank`. The score is 0: chance has no opinion."""
        rows = range(len(index)) if hidden is None else np.flatnonzero(~hidden).tolist()
        source = random.Random(f"{self._seed}\n{query.task}")
        chosen = source.sample(rows, min(query.k, len(rows)))
        return [Hit(index.ids[row], 0.0, f"drawn at random (seed {self._seed})") for row in chosen]
