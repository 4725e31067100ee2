"""How much a memory may hold, and what goes first when it holds more."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from pydantic import Field

from memp.evidence import Ledger, Worth
from memp.records import Procedure, Record

HALF = 0.5
"""Where nothing was withheld: what succeeds half as often as its family is taken to help no more than nothing."""

_UNUSED = 0.1
"""A procedure that was never served counts as used so often: what is not known is not worth nothing."""


class Capacity(Record):
    """The most that the served procedures of a namespace may be together; None: no bound.

    What retired or was quarantined does not count: it is kept with its history, and can come back.
    """

    count: int | None = Field(None, ge=1)
    """Procedures."""
    bytes: int | None = Field(None, ge=1)
    """Of what they say now, as JSON."""
    tokens: int | None = Field(None, ge=1)
    """Of what they say now, in a prompt."""
    grace: float = Field(0.1, ge=0, le=1)
    """The newest share of them is spared as long as something else can go: nothing is known of them yet."""
    merge: bool = True
    """Near-duplicates become one before anything else goes."""

    def excess(self, held: Sequence[Procedure]) -> str:
        """What is too much of the procedures, with the figures; empty when all may stay."""
        return _Load(self, held).excess()

    def sizes(self, procedure: Procedure) -> tuple[int, int, int]:
        """How many procedures, bytes and tokens it is. What has no bound is not measured, and 0."""
        measured = 0 if self.bytes is None else len(procedure.content.model_dump_json().encode())
        return 1, measured, 0 if self.tokens is None else procedure.revision.tokens


class _Load:
    """What procedures take of a capacity, kept up to date while one after the other goes."""

    def __init__(self, capacity: Capacity, held: Sequence[Procedure]) -> None:
        self._capacity = capacity
        self._sizes = {procedure.id: capacity.sizes(procedure) for procedure in held}
        self._total = [sum(sizes) for sizes in zip(*self._sizes.values(), strict=True)] or [0, 0, 0]

    def remove(self, procedure: Procedure) -> None:
        self._total = [total - size for total, size in zip(self._total, self._sizes.pop(procedure.id), strict=True)]

    def excess(self) -> str:
        bounds = self._capacity.count, self._capacity.bytes, self._capacity.tokens
        for name, total, most in zip(("procedures", "bytes", "tokens"), self._total, bounds, strict=True):
            if most is not None and total > most:
                return f"{total} {name} are more than {most}"
        return ""


@dataclass(frozen=True)
class Expected:
    """What keeping a procedure is worth: how much better tasks go with it, times how often it is used lately."""

    procedure: Procedure
    gain: float
    use: float
    measured: bool
    """The gain is a lift over tasks without memory; otherwise the success rate over that of its family, less `HALF`."""

    @property
    def value(self) -> float:
        """The figure by which procedures are ranked."""
        return self.gain * max(self.use, _UNUSED)

    def __str__(self) -> str:
        gain = f"lift {100 * self.gain:+.0f} points"
        if not self.measured:
            gain = f"succeeds {self.gain + HALF:.2f} times as often as its family"
        return f"expected value {self.value:.3f}: {gain}, used {self.use:.1f} times lately"


def expected(procedure: Procedure, ledger: Ledger, worth: Worth) -> Expected:
    """The expected value of a procedure, from the evidence."""
    number = procedure.revision.number
    served = worth.lately(procedure.id, number)
    rate = served[0] / sum(served)
    measured = worth.overall_withheld > 0
    control = worth.posterior(procedure.id, number)[1]
    family = max(worth.family_rate(procedure.id, number), 1e-6)
    gain = rate - control[0] / sum(control) if measured else rate / family - HALF
    use = sum(ledger.use(id) for id, _ in ledger.keys(procedure.id, number))
    return Expected(procedure, gain, use, measured)


def _turn(spared: Collection[str]) -> Callable[[Expected], tuple[bool, bool, float]]:
    """The order in which procedures go."""
    return lambda item: (not item.procedure.revision.tainted, item.procedure.id in spared, item.value)


def victims(held: Sequence[Procedure], capacity: Capacity, ledger: Ledger, worth: Worth) -> list[tuple[Procedure, str]]:
    """Whom to retire so that the rest fits, least expected value first, each with the reason.

    `held` in order of creation. What may come from untrusted origins goes before all that does not, or whoever writes
    enough of it would push out what was learned at home; evidence clears what is worth keeping. Pinned procedures
    stay, whatever they are worth; so do, as long as others can go, the newest. Equal values: the older one goes, for
    newer ones were learned from what the world is like now.
    """
    load = _Load(capacity, held)
    if not load.excess():
        return []
    spared = {procedure.id for procedure in held[len(held) - int(capacity.grace * len(held)) :]}
    ranked = [expected(procedure, ledger, worth) for procedure in held if not procedure.revision.pinned]
    ranked.sort(key=_turn(spared))  # stable: in order of creation
    going: list[tuple[Procedure, str]] = []
    for item in ranked:
        if not (why := load.excess()):
            break
        load.remove(item.procedure)
        going.append((item.procedure, f"{why}; {item}"))
    return going
