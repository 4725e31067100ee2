"""Counting what models consume, by purpose, and stopping before the call that would go too far."""

import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Annotated, NamedTuple

from pydantic import Field

from memp.errors import BudgetExceeded, MissingExtra, MissingKey
from memp.models.base import ChatModel, Message, Reply
from memp.models.wrapped import Wrapped
from memp.records import Record, Usage

PURPOSES = ("act", "script", "facts", "adjust", "embed")
"""What calls are made for: acting, writing scripts, extracting facts, correcting procedures, embedding."""


class Budget(Record):
    """Caps; None is no cap. They hold for everything one `Meter` counts."""

    calls: Annotated[int, Field(ge=0)] | None = None
    """Requests answered, failed or under way. Never exceeded."""
    tokens: Annotated[int, Field(ge=0)] | None = None
    """Input and output tokens. The calls under way when it is reached still finish."""
    cost: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """US dollars. The calls under way when it is reached still finish."""


class _Tally(NamedTuple):
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0
    unpriced: int = 0

    def plus(self, usage: Usage) -> "_Tally":
        unknown = usage.cost is None and (usage.calls or usage.tokens)
        return _Tally(
            self.calls + usage.calls,
            self.input_tokens + usage.input_tokens,
            self.output_tokens + usage.output_tokens,
            self.cost + (usage.cost or 0.0),
            self.unpriced + (1 if unknown else 0),
        )

    def minus(self, other: "_Tally") -> "_Tally":
        return _Tally(*(mine - theirs for mine, theirs in zip(self, other, strict=True)))  # type: ignore[arg-type]

    def usage(self) -> Usage:
        return Usage(
            calls=self.calls,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            cost=None if self.unpriced else max(self.cost, 0.0),
        )


class Snapshot(NamedTuple):
    """A meter's reading at one moment, for `Meter.since`."""

    tallies: Mapping[str, _Tally]


class Meter:
    """Counts usage by purpose and refuses calls beyond a budget. Safe across tasks and threads.

    Everything that passes through one meter shares its budget. For the receipt of one operation take
    `snapshot()` before and `since()` after; when operations overlap, give each a meter of its own and nest:
    `Metered(Metered(model, run), operation)`.
    """

    def __init__(self, budget: Budget | None = None) -> None:
        self.budget = budget or Budget()
        self._lock = threading.RLock()
        self._tallies: dict[str, _Tally] = {}
        self._under_way = 0
        self._price_missing = False

    @property
    def usage(self) -> Mapping[str, Usage]:
        """What was used so far, by purpose. A copy: it does not change afterwards."""
        return self.since(Snapshot({}))

    @property
    def total(self) -> Usage:
        """What was used so far, all purposes together."""
        with self._lock:
            return self._sum().usage()

    def snapshot(self) -> Snapshot:
        """The reading now."""
        with self._lock:
            return Snapshot(dict(self._tallies))

    def since(self, snapshot: Snapshot) -> Mapping[str, Usage]:
        """What was used since `snapshot`, by purpose; purposes without use are left out."""
        now = self.snapshot().tallies
        parts = {purpose: tally.minus(snapshot.tallies.get(purpose, _Tally())) for purpose, tally in now.items()}
        return MappingProxyType({purpose: tally.usage() for purpose, tally in parts.items() if any(tally)})

    def add(self, purpose: str, usage: Usage) -> None:
        """Count `usage` under `purpose`. Never refuses: what happened is counted."""
        with self._lock:
            self._tallies[purpose] = self._tallies.get(purpose, _Tally()).plus(usage)

    def check(self) -> None:
        """Whether one more call is allowed.

        Raises:
            BudgetExceeded: a cap is reached.
        """
        with self._lock:
            self._check()

    @contextmanager
    def call(self, purpose: str) -> Iterator[Callable[[Usage], None]]:
        """Reserve one call, and count it; hand the usage of the reply to the yielded function.

        A request that failed counts as a call. It cost nothing if the provider answered with an error; if
        there was no answer, nobody knows. What never left (no key, another meter's cap) is not counted.

        Raises:
            BudgetExceeded: a cap is reached, or money is capped and the cost of this reply is unknown (the
                reply is counted then, and no further one is sent).
        """
        with self._lock:
            self._check()
            self._under_way += 1
        got: list[Usage] = []
        failed: Usage | None = Usage(calls=1)
        try:
            yield got.append
            failed = None
        except (MissingKey, MissingExtra, BudgetExceeded):
            failed = None
            raise
        except Exception as error:
            answered = getattr(error, "status", None) or getattr(error, "status_code", None)  # ours, the SDK's
            failed = Usage(calls=1, cost=0.0 if answered else None)
            raise
        finally:
            with self._lock:
                self._under_way -= 1
            for usage in got or ([failed] if failed else []):
                self.add(purpose, usage)
            self._price_missing |= any(usage.cost is None for usage in got)
        if self.budget.cost is not None and any(usage.cost is None for usage in got):
            raise BudgetExceeded(self._no_price())

    def _sum(self) -> _Tally:
        total = _Tally()
        for tally in self._tallies.values():
            total = _Tally(*(a + b for a, b in zip(total, tally, strict=True)))  # type: ignore[arg-type]
        return total

    def _check(self) -> None:
        cap = self.budget
        if cap.cost is None and cap.tokens is None and cap.calls is None:
            return
        used = self._sum()
        if cap.cost is not None and self._price_missing:
            raise BudgetExceeded(self._no_price())
        tokens = used.input_tokens + used.output_tokens
        reached = ""
        if cap.calls is not None and used.calls + self._under_way >= cap.calls:
            reached = f"{cap.calls:,} calls"
        elif cap.tokens is not None and tokens >= cap.tokens:
            reached = f"{cap.tokens:,} tokens"
        elif cap.cost is not None and used.cost >= cap.cost:
            reached = f"${cap.cost:g}"
        if reached:
            money = f"${used.cost:.4f}" + (" or more" if used.unpriced else "")
            raise BudgetExceeded(
                f"the cap of {reached} is reached ({used.calls:,} calls done, {self._under_way} under way, "
                f"{tokens:,} tokens, {money}); nothing was sent and everything so far is kept; "
                "raise the budget to go on"
            )

    def _no_price(self) -> str:
        return (
            f"the budget caps money at ${self.budget.cost:g}, but the cost of a reply is unknown; give the model's "
            "price (price=(dollars per million input tokens, per million output tokens)), install the extra "
            "'prices', or cap calls or tokens instead; everything so far is kept"
        )


class Metered(Wrapped):
    """A chat model whose calls go through a meter.

    Args:
        model: answers.
        meter: counts each call under its purpose, also one whose reply is of no use, and refuses calls
            beyond its budget.
    """

    def __init__(self, model: ChatModel, meter: Meter) -> None:
        super().__init__(model)
        self.meter = meter

    async def asked(self, messages: Sequence[Message], purpose: str, ask: Callable[[], Awaitable[Reply]]) -> Reply:
        """The reply, counted under `purpose`.

        Raises:
            BudgetExceeded: a cap was reached; nothing was sent (or: money is capped, the price unknown).
            ModelError: as the wrapped model.
        """
        with self.meter.call(purpose) as done:
            reply = await ask()
            done(reply.usage)
        return reply
