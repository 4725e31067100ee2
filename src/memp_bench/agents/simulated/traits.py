"""What makes one simulated player better than another."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Traits:
    """How good a player is. Probabilities are per turn unless said otherwise."""

    wander: float
    """Goes back to a place it has been to, for nothing."""
    slip: float
    """Words a command so that it is not understood."""
    muddle: float
    """Per game: delivers the thing before working on it, unless the advice tells the order."""
    give_up: float
    """After a failed try of a verb: delivers the thing unfinished."""
    orderly: bool
    """Concludes from one place where a verb failed to all places of that type."""
    patience: int
    """How many places of a type it searches because the advice says so."""
    gullible: bool
    """Follows advice about other things and other kinds of task, and retries what the advice says but failed."""


NOVICE = Traits(wander=0.25, slip=0.12, muddle=0.4, give_up=0.12, orderly=False, patience=9, gullible=True)
ABLE = Traits(wander=0.1, slip=0.03, muddle=0.0, give_up=0.0, orderly=True, patience=3, gullible=False)
