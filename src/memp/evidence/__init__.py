"""Evidence: whether the memory helps, measured on its user's own tasks."""

from memp.evidence.acting import Quarantine
from memp.evidence.drift import Change, Drift, Watches
from memp.evidence.holdout import Holdout
from memp.evidence.ledger import Ledger
from memp.evidence.lift import Lift
from memp.evidence.reading import News, OutcomeReader
from memp.evidence.report import Evidence, evidence_of
from memp.evidence.worth import Pooling, Worth

__all__ = [
    "Change",
    "Drift",
    "Evidence",
    "Holdout",
    "Ledger",
    "Lift",
    "News",
    "OutcomeReader",
    "Pooling",
    "Quarantine",
    "Watches",
    "Worth",
    "evidence_of",
]
