"""Trust when a memory learns: taint follows text, and what looks like an attack waits for a person."""

import hashlib
from typing import NamedTuple

from memp.evidence import Lift
from memp.records import SERVABLE, Content, Name, Outcome, Procedure, Revision, Script, Status, Trajectory
from memp.stores.base import Store, origin_key
from memp.trust.injection import instruction_like, suspicious_script
from memp.trust.taint import Trusted

SURE = 0.95
"""Probability of help from which evidence vouches for a tainted procedure."""
LEAST = 8
"""Tasks it must have been served for."""
LEAST_WITHHELD = 3
"""Tasks without memory that there must be in all, to compare with."""


class Held(NamedTuple):
    """How a revision that looks like an attack is kept back."""

    status: Status
    stands: int | None
    """What is served meanwhile, if it is a correction."""
    why: str


class Judge:
    """Decides for one namespace what text may be believed."""

    def __init__(self, store: Store, namespace: str, trusted: Trusted) -> None:
        self._store = store
        self._namespace = namespace
        self._trusted = trusted

    def taint(
        self, trajectory: Trajectory, outcome: Outcome | None, parent: Revision | None, evidence: tuple[Name, ...] = ()
    ) -> tuple[str, ...]:
        """Untrusted origins that what is learned from `trajectory` may come from.

        Those of its own text, of the trajectories that led to it beside, of the revision that is corrected, and of the
        tainted procedures that were served for it: an agent repeats what it was shown.
        """
        served = self._store.at(self._namespace, outcome.credited) if outcome and outcome.credited else ()
        others = [self._store.trajectory(self._namespace, id) for id in evidence if id != trajectory.id]
        return self._trusted.merged(
            self._trusted.untrusted(trajectory),
            *(self._trusted.untrusted(other) for other in others if other is not None),
            parent.tainted if parent else (),
            *(procedure.revision.tainted for procedure in served),
        )

    def held(self, content: Content, trajectory: Trajectory, parent: Revision | None) -> Held | None:
        """How to keep back what is learned from `trajectory`; None when nothing in it looks like an attack.

        A new procedure is quarantined. A correction is pending, so that nobody can take a procedure out of service by
        failing with an attack in sight. What a person vouched for is not judged again.
        """
        if parent is not None and parent.status == "pending" and parent.stands is not None:
            return Held("pending", parent.stands, "it corrects a revision that waits for a person")
        known = None if parent is None or parent.status == "quarantined" else parent.content.script
        why = instruction_like(trajectory) or self._script(content, known)
        if not why and parent is not None and parent.status == "quarantined":
            why = next((why for id in parent.evidence if (why := self._trajectory(id))), "")
        if not why:
            return None
        if parent is None or parent.status not in SERVABLE:
            return Held("quarantined", None, f"looks like an attack: {why}")
        return Held("pending", parent.stands or parent.number, f"looks like an attack: {why}")

    def vouched(self, procedure: Procedure, lift: Lift, overall: Lift) -> str:
        """Why evidence clears a tainted procedure, with the figures; empty when it does not."""
        if procedure.status != "active" or not procedure.revision.tainted or procedure.revision.pinned:
            return ""
        if lift.served < LEAST or lift.help < SURE or overall.withheld < LEAST_WITHHELD:
            return ""
        shown = procedure.content.trajectory_id
        if self._script(procedure.content, None) or (shown is not None and self._trajectory(shown)):
            return ""
        return (
            f"trusted by evidence: helps with probability {lift.help:.2f}, {lift.served_won} of {lift.served} tasks "
            f"won with it, lift {100 * (lift.success or 0.0):+.0f} points ({100 * (lift.low or 0.0):+.0f} to "
            f"{100 * (lift.high or 0.0):+.0f}); nothing in it looks like an instruction; "
            f"it came from {', '.join(procedure.revision.tainted)}"
        )

    def _trajectory(self, id: str) -> str:
        found = self._store.trajectory(self._namespace, id)
        return instruction_like(found) if found is not None else ""

    @staticmethod
    def _script(content: Content, known: Script | None) -> str:
        """Why lines of the script that are not in `known` look like an attack."""
        if content.script is None:
            return ""
        if known is None:
            return suspicious_script(content.script)
        fields = ("applies_when", "does_not_apply_when", "steps", "pitfalls")
        old = {line for field in fields for line in getattr(known, field)}
        new = {field: tuple(line for line in getattr(content.script, field) if line not in old) for field in fields}
        if content.script.goal == known.goal and not any(new.values()):
            return ""
        return suspicious_script(content.script.model_copy(update=new))


def doubted(trajectory: Trajectory) -> bytes:
    """As `origin_key`, for what is tainted or quarantined: it never makes a trusted procedure look redundant."""
    return hashlib.blake2b(origin_key(trajectory) + b"\0doubted", digest_size=16).digest()
