"""What of a ranking is served: whole procedures, best first, as long as they fit; of the others the reason why not."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from memp.recall import LeftOut, Recalled
from memp.records import Procedure
from memp.render import HEADER, REFERENCE, REFERENCE_WRAPPING, WRAPPING
from memp.retrieve import Hit
from memp.standing import Standing

_AT_ONCE = 100
"""Procedures read together: seldom all hits are looked at."""


class Limits(NamedTuple):
    """Of one recall."""

    k: int
    """The most procedures that are served."""
    floor: float | None
    """Least score to be served; None: scores say nothing."""
    max_tokens: int | None
    """Of the rendered recall; None: no bound."""
    references: int
    """The most procedures that may come from untrusted origins."""


class Served(NamedTuple):
    """What of a ranking is served."""

    ranked: tuple[Recalled, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    crowded: bool = False
    """Some were left out only because enough of untrusted origin are served already."""


class Serving:
    """Takes procedures from a ranking, at the revision that stands or is on trial."""

    def __init__(self, standing: Standing, count_tokens: Callable[[str], int]) -> None:
        self._standing = standing
        self._count_tokens = count_tokens

    def serve(self, task: str, hits: Sequence[Hit], limits: Limits) -> Served:
        """Whole procedures only: one that is too large makes room for smaller ones after it."""
        ranked: list[Recalled] = []
        left_out: list[LeftOut] = []
        references, crowded = 0, False
        budget = limits.max_tokens
        room = float("inf") if budget is None else max(0, budget - self._count_tokens(HEADER))
        for hit, procedure in self._found(task, hits):
            if len(ranked) == limits.k:
                break
            tainted = procedure.revision.tainted
            size, why = procedure.revision.tokens + self._wrapping(bool(tainted), references), ""
            if limits.floor is not None and hit.score < limits.floor:
                why = f"score {hit.score:.3f} is below the floor {limits.floor:g}"
            elif tainted and references >= limits.references:
                why = f"from {', '.join(tainted)}: {references} of untrusted origin are served already"
                crowded = True
            elif size > room:
                why = f"needs about {size} tokens, {room:g} of {budget} were left"
            if why:
                left_out.append(LeftOut(procedure_id=hit.id, score=hit.score, why=why))
            else:
                ranked.append(Recalled(procedure=procedure, score=hit.score, why=hit.why))
                references += bool(tainted)
                room -= size
        return Served(tuple(ranked), tuple(left_out), crowded)

    def _found(self, task: str, hits: Sequence[Hit]) -> Iterator[tuple[Hit, Procedure]]:
        """The hits with their procedures as they are to be served."""
        for start in range(0, len(hits), _AT_ONCE):
            part = hits[start : start + _AT_ONCE]
            found = self._standing.find(task, [hit.id for hit in part])
            yield from ((hit, found[hit.id]) for hit in part if hit.id in found)

    def _wrapping(self, tainted: bool, references: int) -> int:
        """Tokens of what surrounds a procedure; the first reference brings its instructions."""
        if not tainted:
            return self._count_tokens(WRAPPING)
        return self._count_tokens(REFERENCE_WRAPPING) + (0 if references else self._count_tokens(REFERENCE))
