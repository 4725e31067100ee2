"""What an operation has done so far, from which its receipt is made."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from memp.records import Receipt, Revision, Skipped, Usage


@dataclass
class Done:
    """Grows while an operation goes on; see `Receipt` for what each list holds."""

    added: list[str] = field(default_factory=list)
    revised: list[tuple[str, int]] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)
    quarantined: list[str] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    held: bool = False
    """Something looked like an attack and was kept back."""
    left: int = 0
    """Trajectories that stay waiting."""
    parts: int = 0
    """Receipts of parts of it that were logged so far."""
    in_doubt: bool = False
    """The store failed in the last part: it may be there all the same, when its commit was not answered."""

    def skip(self, subject: str, reason: str) -> None:
        """Something was not done, to this trajectory or procedure."""
        self.skipped.append(Skipped(subject=subject, reason=reason))

    def changed(self, revision: Revision) -> None:
        """A policy changed what a procedure is good for, or says."""
        if revision.status == "retired":
            self.retired.append(revision.procedure_id)
        elif revision.status == "quarantined":
            self.quarantined.append(revision.procedure_id)
        else:
            self.revised.append((revision.procedure_id, revision.number))

    def hold(self, revision: Revision, why: str) -> None:
        """The revision looks like an attack and is not served."""
        self.held = True
        if revision.status == "quarantined":
            self.quarantined.append(revision.procedure_id)
        said = "quarantined" if revision.status == "quarantined" else "its correction waits for a person"
        self.skip(revision.procedure_id, f"{said}: {why}")

    def leave(self, trajectory_id: str, why: str) -> None:
        """The trajectory stays waiting."""
        self.left += 1
        self.skip(trajectory_id, f"left for the next update: {why}")

    def merge(self, part: "Done") -> None:
        """Part of the operation did this."""
        self.added += part.added
        self.revised += part.revised
        self.retired += part.retired
        self.quarantined += part.quarantined
        self.skipped += part.skipped
        self.held = self.held or part.held
        self.left += part.left

    def receipt(
        self, id: str, operation: str, policy: str, at: datetime, usage: Mapping[str, Usage] | None = None
    ) -> Receipt:
        """What to log of it."""
        return Receipt(
            id=id,
            operation=operation,
            policy=policy,
            added=tuple(self.added),
            revised=tuple(self.revised),
            retired=tuple(self.retired),
            quarantined=tuple(self.quarantined),
            skipped=tuple(self.skipped),
            usage=usage or {},
            at=at,
        )
