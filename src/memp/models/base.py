"""The two protocols the rest of memp knows of a model: it answers messages, or it embeds texts."""

from collections.abc import Sequence
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from memp.records import Record, Usage

Role = Literal["system", "user", "assistant"]
Stop = Literal["stop", "length", "refusal", "other"]
Vectors = NDArray[np.float32]


class Message(Record):
    """One message of a conversation."""

    role: Role
    content: str


class Reply(Record):
    """What the model answered, even when it is of no use (then `text` is empty or `stop` says why)."""

    text: str
    usage: Usage
    model: str
    stop: Stop = "stop"
    raw: dict[str, Any] | None = None
    """The provider's own JSON, for the episode file."""


@runtime_checkable
class ChatModel(Protocol):
    """Anything that answers a conversation."""

    @property
    def name(self) -> str:
        """How it is asked for again, for example `openai:gpt-4o`."""

    @property
    def simulated(self) -> bool:
        """True for instruments such as `sim:novice`: their scores are never shown as a model's."""

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        purpose: str = "act",
        temperature: float | None = None,
        max_tokens: int | None = None,
        stop: Sequence[str] = (),
    ) -> Reply:
        """Answer the conversation.

        `purpose` is what the call is accounted under (act, script, facts, adjust).

        Raises:
            ModelError: the provider failed after its retries; the subclass says how.
            BudgetExceeded: a cap was reached; nothing was sent.
        """

    async def close(self) -> None:
        """Let go of connections."""


@runtime_checkable
class Embedder(Protocol):
    """Anything that turns texts into unit vectors."""

    @property
    def fingerprint(self) -> str:
        """Identity of the vector space: model, version, dimensions. Vectors of two never mix."""

    @property
    def dimensions(self) -> int:
        """Length of a vector."""

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed `texts`; shape (len(texts), dimensions), float32, rows of length 1 (or 0 for no words).

        Raises:
            ModelError: the provider failed after its retries.
        """

    async def close(self) -> None:
        """Let go of connections."""
