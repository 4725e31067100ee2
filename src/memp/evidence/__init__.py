"""Evidence: whether the memory helps, measured on its user's own tasks."""

from memp.evidence.holdout import Holdout
from memp.evidence.ledger import Ledger

__all__ = ["Holdout", "Ledger"]
