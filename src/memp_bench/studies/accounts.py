"""What a study has used, over all processes that worked in its folder: calls, tokens, money, time."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from memp.errors import BudgetExceeded
from memp.models.metered import Budget
from memp.records import Usage
from memp_bench.studies.journal import only_one
from memp_bench.studies.ledger import Ledger
from memp_bench.studies.spec import Limits

_LEDGER: Final = "usage.jsonl"
_WALL: Final = "wall.json"
_TICK_S: Final = 2.0


def spent(out: Path) -> dict[str, float]:
    """Everything that was used in a study's folder, lost attempts included: calls, tokens, cost, wall_s."""
    total = sum(ledger(out).usage.values(), Usage())
    used = {"calls": float(total.calls), "tokens": float(total.tokens), "wall_s": _wall_so_far(out / _WALL)}
    return used if total.cost is None else used | {"cost": total.cost}


def ledger(out: Path, budget: Budget | None = None) -> Ledger:
    """The meter of everything that is done in the folder."""
    return Ledger(out / _LEDGER, budget)


@asynccontextmanager
async def working(out: Path, limits: Limits, *, buys: bool) -> AsyncIterator[Ledger]:
    """While a study's folder is worked in: one process at a time, and caps that hold over all there ever were.

    `buys` tells whether any model is a real one: simulated ones have nothing that a cap in money could count.

    Raises:
        BudgetExceeded: a cap is reached.
        MempError: another process is at it.
    """
    with only_one(out):
        meter = ledger(out, Budget(calls=limits.calls, tokens=limits.tokens, cost=limits.cost if buys else None))
        async with wall_time(out, limits.hours):
            yield meter


def _wall_so_far(file: Path) -> float:
    try:
        return float(json.loads(file.read_text())["wall_s"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0


@asynccontextmanager
async def wall_time(out: Path, hours: float | None) -> AsyncIterator[None]:
    """Counts the time of all processes, and stops when there are no more `hours`.

    Raises:
        BudgetExceeded: the time is over.
    """
    file = out / _WALL
    before, started = _wall_so_far(file), time.monotonic()

    def note() -> None:
        part = file.with_suffix(".part")
        part.write_text(json.dumps({"wall_s": round(before + time.monotonic() - started, 1)}))
        part.replace(file)

    async def tick() -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            note()

    over = BudgetExceeded(f"the cap of {hours or 0:g} hours is reached; everything so far is kept; raise it to go on")
    left = None if hours is None else hours * 3600 - before
    if left is not None and left <= 0:
        raise over
    ticking = asyncio.create_task(tick())
    try:
        async with asyncio.timeout(left):
            yield
    except TimeoutError:
        raise over from None
    finally:
        ticking.cancel()
        with suppress(asyncio.CancelledError):
            await ticking
        note()
