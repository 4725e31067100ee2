"""Which revision of a procedure is served: the one that stands, or the one that is on trial."""

import random
from collections.abc import Sequence

from memp.records import Procedure
from memp.stores.base import Store


class Standing:
    """Finds procedures as they are to be served for a task.

    A correction on probation is served to `share` of the recalls, drawn by the seed, the task and what led to the
    correction, so that neither the order of calls nor ids matter, which every run draws anew; the revision that it
    wants to replace is served to the others. A pending one is never served.
    """

    def __init__(self, store: Store, namespace: str, *, share: float = 0.5, seed: int = 0) -> None:
        self._store = store
        self._namespace = namespace
        self._seed = seed
        self.share = share

    def find(self, task: str, ids: Sequence[str]) -> dict[str, Procedure]:
        """Procedure id -> the procedure at the revision to serve; unknown ids are left out."""
        found = {p.id: p for p in self._store.find(self._namespace, ids)}
        instead = [
            (id, p.revision.stands)
            for id, p in found.items()
            if p.revision.stands is not None and not self._tries(task, p)
        ]
        found |= {p.id: p for p in self._store.at(self._namespace, instead)}
        return found

    def _tries(self, task: str, procedure: Procedure) -> bool:
        if procedure.status != "probation":
            return False
        revision = procedure.revision
        led = "\n".join((procedure.task, *revision.evidence, str(revision.number)))
        source = random.Random(f"memp trial {self._seed}\n{led}\n{task}")
        return source.random() < self.share
