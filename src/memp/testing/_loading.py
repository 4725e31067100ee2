"""Takes dumped entries into spaces of the in-memory store."""

from collections.abc import Callable, Mapping
from datetime import datetime

from memp.records import Outcome, Receipt, Trajectory
from memp.stores import loading
from memp.stores.base import Write
from memp.stores.entries import LoggedRecall
from memp.stores.loading import Kind, Known
from memp.testing._space import Space


class Loading(loading.Loading):
    """One load into these spaces. `number` gives the next one."""

    def __init__(self, spaces: Mapping[str, Space], number: Callable[[], int]) -> None:
        super().__init__()
        self._spaces = spaces
        self._number = number

    def has(self, namespace: str, kind: Kind, id: str) -> bool:
        """See `Loading.has`."""
        return id in getattr(self._spaces[namespace], _KEPT[kind])

    def body(self, namespace: str, kind: Kind, id: str) -> str:
        """See `Loading.body`."""
        space = self._spaces[namespace]
        if kind == "outcome":
            return space.outcomes[id][1].model_dump_json()
        return (space.recalls[id] if kind == "recall" else space.receipts[id]).model_dump_json()

    def revision(self, namespace: str, id: str, number: int) -> Known | None:
        """See `Loading.revision`."""
        space = self._spaces[namespace]
        if (id, number) not in space.revisions:
            return None
        origin = space.procedures[id]
        return Known(space.revisions[id, number].revision, origin.success, origin.key)

    def add_trajectory(self, namespace: str, trajectory: Trajectory, recall_id: str | None, at: datetime) -> bool:
        """See `Loading.add_trajectory`."""
        return self._spaces[namespace].tell(trajectory, recall_id, at)

    def consume(self, namespace: str, trajectory_id: str, by: str) -> None:
        """See `Loading.consume`."""
        self._spaces[namespace].take(trajectory_id, by)

    def append(self, namespace: str, write: Write) -> None:
        """See `Loading.append`."""
        self._spaces[namespace].append(write, self._number)

    def add_recall(self, namespace: str, recall: LoggedRecall) -> None:
        """See `Loading.add_recall`."""
        self._spaces[namespace].recalls[recall.id] = recall

    def add_outcome(self, namespace: str, outcome: Outcome) -> None:
        """See `Loading.add_outcome`."""
        self._spaces[namespace].credit(outcome, self._number)

    def add_receipt(self, namespace: str, receipt: Receipt) -> None:
        """See `Loading.add_receipt`."""
        self._spaces[namespace].log_receipt(receipt)


_KEPT: dict[Kind, str] = {
    "trajectory": "trajectories",
    "recall": "recalls",
    "outcome": "outcomes",
    "receipt": "receipts",
}
