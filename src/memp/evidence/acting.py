"""What follows from evidence: a procedure that does harm is quarantined, a memory that does harm abstains."""

from pydantic import Field

from memp.evidence.lift import Lift
from memp.records import Procedure, Record


class Quarantine(Record):
    """The bounds. Nothing happens on less evidence, or while there are no tasks without memory to compare with."""

    sure: float = Field(0.95, ge=0.5, le=1)
    """Probability of harm from which a procedure, or the whole memory, is not served any more."""
    least: int = Field(4, ge=1)
    """Tasks a procedure must have been served for."""
    least_withheld: int = Field(3, ge=1)
    """Tasks without memory that there must be in all."""
    abstain_after: int = Field(10, ge=1)
    """Tasks on each side before the whole memory may abstain."""

    def reason(self, procedure: Procedure, lift: Lift, overall: Lift) -> str | None:
        """Why `procedure` should be quarantined; None when it should not."""
        if procedure.revision.pinned or procedure.status not in ("active", "probation"):
            return None
        if lift.served < self.least or overall.withheld < self.least_withheld or lift.harm < self.sure:
            return None
        return (
            f"does harm with probability {lift.harm:.2f}: {lift.served_won} of {lift.served} tasks won with it, "
            f"lift {100 * (lift.success or 0.0):+.0f} points ({100 * (lift.low or 0.0):+.0f} to "
            f"{100 * (lift.high or 0.0):+.0f})"
        )

    def abstains(self, overall: Lift) -> str | None:
        """Why the whole memory should not be served to an agent; None when it should."""
        enough = min(overall.served, overall.withheld) >= self.abstain_after
        if not enough or overall.harm < self.sure:
            return None
        return (
            f"abstains: with memory {overall.served_won} of {overall.served} tasks were won, without "
            f"{overall.withheld_won} of {overall.withheld}; it does harm with probability {overall.harm:.2f}"
        )
