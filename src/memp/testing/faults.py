"""Faults for `WireServer`: what real providers do wrong, at given rates, the same in every run."""

import hashlib
import random
from collections import defaultdict
from collections.abc import Sequence
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from memp.models.base import Message
from memp.records import Record

Fault = Literal["429", "500", "drop", "stall", "bad_body", "empty", "truncated", "malformed_json", "refusal"]
"""What can go wrong with one request."""

_TRANSPORT: Final[tuple[Fault, ...]] = ("429", "500", "drop", "stall", "bad_body")
_REPLY: Final[tuple[Fault, ...]] = ("empty", "truncated", "malformed_json", "refusal")

Rate = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
"""Share of requests, 0 to 1."""


class Faults(Record):
    """How often what goes wrong.

    A draw depends on the seed, the request and how often it came before: not on the order in which
    concurrent requests arrive. After `in_a_row` faults the same request is served, so a client that
    retries often enough always gets through.
    """

    rate_429: Rate = 0.0
    """Too many requests, with Retry-After."""
    rate_500: Rate = 0.0
    """Server error."""
    rate_drop: Rate = 0.0
    """The connection is cut before an answer."""
    rate_stall: Rate = 0.0
    """The answer comes `stall_s` later."""
    rate_bad_body: Rate = 0.0
    """HTTP 200 with a body cut off in the middle of its JSON."""
    rate_empty: Rate = 0.0
    """A reply without text."""
    rate_truncated: Rate = 0.0
    """Half of the reply, marked as cut off at the token limit."""
    rate_malformed_json: Rate = 0.0
    """The JSON in the reply's text is damaged; replies without JSON stay as they are."""
    rate_refusal: Rate = 0.0
    """The model refuses."""
    retry_after: float = Field(0.01, ge=0.0, le=3600.0)
    """Seconds to wait, said with a 429 and a 500."""
    stall_s: float = Field(1.0, ge=0.0, le=3600.0)
    """Seconds of a stall."""
    in_a_row: int = Field(2, ge=1)
    """Most faults one after another for the same request."""
    seed: int = 0
    """Two servers with the same seed do the same to the same requests."""

    @model_validator(mode="after")
    def _rates_fit(self) -> Self:
        for kinds in (_TRANSPORT, _REPLY):
            if sum(self.rate(kind) for kind in kinds) > 1.0 + 1e-9:
                raise ValueError(f"the rates of {', '.join(kinds)} add up to more than 1")
        return self

    def rate(self, kind: Fault) -> float:
        """The rate of one kind."""
        return float(getattr(self, f"rate_{kind}"))


class FaultPlan:
    """Draws the faults of one server's life."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self._seen: dict[str, int] = defaultdict(int)
        self._row: dict[str, int] = defaultdict(int)

    def transport(self, body: bytes) -> Fault | None:
        """What goes wrong between client and server, for this request body."""
        return self._draw(_TRANSPORT, hashlib.sha256(body).hexdigest())

    def reply(self, model: str, messages: Sequence[Message]) -> Fault | None:
        """What is wrong with the model's reply.

        Requests count as the same while the conversation opens the same way: who shows the model its bad
        reply sends a longer conversation.
        """
        opening = hashlib.sha256(model.encode())
        for message in messages:
            opening.update(f"\0{message.role}\0{message.content}".encode())
            if message.role == "user":
                break
        return self._draw(_REPLY, "reply" + opening.hexdigest())

    def _draw(self, kinds: Sequence[Fault], key: str) -> Fault | None:
        nth = self._seen[key]
        self._seen[key] += 1
        point = random.Random(f"{self.faults.seed}|{key}|{nth}").random()
        for kind in kinds if self._row[key] < self.faults.in_a_row else ():
            point -= self.faults.rate(kind)
            if point < 0:
                self._row[key] += 1
                return kind
        self._row[key] = 0
        return None
