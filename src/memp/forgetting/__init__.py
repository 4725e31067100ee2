"""Forgetting: near-duplicates become one, what is worth least makes room, and what must go is erased for good."""

from memp.forgetting.capacity import Capacity
from memp.forgetting.forgetting import Forgetting, Forgotten, Merged
from memp.forgetting.staleness import Staleness

__all__ = ["Capacity", "Forgetting", "Forgotten", "Merged", "Staleness"]
