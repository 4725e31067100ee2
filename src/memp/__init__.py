"""Procedural memory for LLM agents: build, retrieve and update procedures (Mem^p, arXiv 2508.06433).

memory = ProceduralMemory("memp.db")
recall = memory.retrieve("put a clean mug on the shelf")
...                                     # your agent acts with recall.render() in its prompt
memory.record(Trajectory(task=..., steps=..., reward=1.0), recall)
receipt = memory.update()
"""

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
from memp.memory import AsyncProceduralMemory
from memp.recall import Recall
from memp.records import Outcome, Procedure, Receipt, Revision, Script, Step, Trajectory, Usage
from memp.sync import ProceduralMemory
from memp.update.discard import Discard

__version__ = "0.1.0"

__all__ = [
    "AsyncProceduralMemory",
    "BudgetExceeded",
    "Conflict",
    "Discard",
    "MempError",
    "MissingExtra",
    "ModelError",
    "Outcome",
    "ProceduralMemory",
    "Procedure",
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
]
