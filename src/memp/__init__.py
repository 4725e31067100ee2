"""Procedural memory for LLM agents: build, retrieve and update procedures (Mem^p, arXiv 2508.06433).

memory = ProceduralMemory("memp.db")
recall = memory.retrieve("put a clean mug on the shelf")
...                                     # your agent acts with recall.render() in its prompt
memory.record(Trajectory(task=..., steps=..., reward=1.0), recall)
receipt = memory.update()
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memp.errors import (
        BudgetExceeded,
        Conflict,
        MempError,
        MissingExtra,
        ModelError,
        RecordError,
        StoreError,
        UnknownName,
    )
    from memp.evidence import Evidence, Quarantine
    from memp.evidence.drift import Drift
    from memp.forgetting import Capacity
    from memp.memory import AsyncProceduralMemory
    from memp.recall import Recall
    from memp.records import Outcome, Procedure, Receipt, Revision, Script, Step, Trajectory, Usage
    from memp.stores.connect import connect
    from memp.sync import ProceduralMemory
    from memp.update.discard import Discard
    from memp.update.guard import Guard

__version__ = "0.1.0"

# Name -> module. Loaded on first use, so that `import memp` and `memp --help` answer at once.
_HOMES = {
    **dict.fromkeys(
        (
            "BudgetExceeded",
            "Conflict",
            "MempError",
            "MissingExtra",
            "ModelError",
            "RecordError",
            "StoreError",
            "UnknownName",
        ),
        "memp.errors",
    ),
    **dict.fromkeys(
        ("Outcome", "Procedure", "Receipt", "Revision", "Script", "Step", "Trajectory", "Usage"), "memp.records"
    ),
    "AsyncProceduralMemory": "memp.memory",
    "Capacity": "memp.forgetting",
    "Discard": "memp.update.discard",
    "Drift": "memp.evidence.drift",
    "Evidence": "memp.evidence",
    "Guard": "memp.update.guard",
    "ProceduralMemory": "memp.sync",
    "Quarantine": "memp.evidence",
    "Recall": "memp.recall",
    "connect": "memp.stores.connect",
}

__all__ = [
    "AsyncProceduralMemory",
    "BudgetExceeded",
    "Capacity",
    "Conflict",
    "Discard",
    "Drift",
    "Evidence",
    "Guard",
    "MempError",
    "MissingExtra",
    "ModelError",
    "Outcome",
    "ProceduralMemory",
    "Procedure",
    "Quarantine",
    "Recall",
    "Receipt",
    "RecordError",
    "Revision",
    "Script",
    "Step",
    "StoreError",
    "Trajectory",
    "UnknownName",
    "Usage",
    "__version__",
    "connect",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'memp' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
