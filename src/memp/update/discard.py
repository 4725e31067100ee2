"""Discarding: retire what was served often enough and did not help. A step of its own, never a side effect."""

from pydantic import Field

from memp.records import Procedure, Record


class Discard(Record):
    """The bound: served at least `served` times at its current revision, with a success rate below `success`.

    The paper's code uses 3 and 0.5.
    """

    served: int = Field(3, ge=1)
    success: float = Field(0.5, ge=0, le=1)

    def reason(self, procedure: Procedure) -> str | None:
        """Why `procedure` should be retired; None when it should stay."""
        if procedure.status != "active" or procedure.revision.pinned or procedure.served < self.served:
            return None
        if procedure.succeeded >= self.success * procedure.served:
            return None
        return (
            f"served {procedure.served} times with {procedure.succeeded} successes, "
            f"below {self.success:g} after at least {self.served}"
        )


PAPER = Discard()
