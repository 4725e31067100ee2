"""Doubles for tests: a chat model that answers from a script, and embeddings of characters."""

import zlib
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np

from memp.errors import ModelError
from memp.models.base import Message, Reply, Vectors
from memp.records import Usage

_NGRAMS: Final = (2, 3)


def count_tokens(text: str) -> int:
    """A stand-in for a tokenizer: one token for four bytes, rounded up."""
    return -(-len(text.encode()) // 4)


class Call(NamedTuple):
    """One call a double received."""

    messages: tuple[Message, ...]
    purpose: str
    temperature: float | None
    max_tokens: int | None
    stop: tuple[str, ...]


class ScriptedChat:
    """A chat model that gives the replies it was told to give, and remembers what it was asked.

    Args:
        replies: what to answer, in order: a text, a whole `Reply`, or an exception to raise; or a function
            from the messages to a text.
        name: its name.

    Usage is counted with `count_tokens`, at a cost of 0.
    """

    simulated = True

    def __init__(
        self,
        replies: Sequence[str | Reply | Exception] | Callable[[Sequence[Message]], str],
        *,
        name: str = "scripted:test",
    ) -> None:
        self._replies = replies
        self._name = name
        self.calls: list[Call] = []
        self.closed = False

    @property
    def name(self) -> str:
        """Its name."""
        return self._name

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        purpose: str = "act",
        temperature: float | None = None,
        max_tokens: int | None = None,
        stop: Sequence[str] = (),
    ) -> Reply:
        """The next reply of the script.

        Raises:
            ModelError: the script is used up.
            Exception: the next entry, when it is an exception.
        """
        self.calls.append(Call(tuple(messages), purpose, temperature, max_tokens, tuple(stop)))
        answer = self._next(messages)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Reply):
            return answer
        sent = sum(count_tokens(message.content) for message in messages)
        usage = Usage(calls=1, input_tokens=sent, output_tokens=count_tokens(answer), cost=0.0)
        return Reply(text=answer, usage=usage, model=self._name)

    def _next(self, messages: Sequence[Message]) -> str | Reply | Exception:
        if callable(self._replies):
            return self._replies(messages)
        if len(self.calls) > len(self._replies):
            raise ModelError(
                f"the script has {len(self._replies)} replies and this is call {len(self.calls)}; add replies",
                provider="scripted",
            )
        return self._replies[len(self.calls) - 1]

    async def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True


class CharEmbedder:
    """Deterministic embeddings of character bigrams and trigrams: like spelling, near vectors.

    The same on every machine and in every process. Case and the amount of white space do not matter.

    Args:
        dimensions: length of a vector.
    """

    def __init__(self, dimensions: int = 64) -> None:
        if dimensions < 1:
            raise ValueError(f"dimensions must be at least 1, not {dimensions}")
        self._dimensions = dimensions

    @property
    def fingerprint(self) -> str:
        """Identity of the vector space."""
        return f"characters:{self._dimensions}"

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return self._dimensions

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed `texts`; shape (len(texts), dimensions), rows of length 1 (0 for blank texts)."""
        vectors = np.zeros((len(texts), self._dimensions), dtype=np.float32)
        for row, text in zip(vectors, texts, strict=True):
            words = " ".join(text.lower().split())
            padded = f" {words} " if words else ""
            for size in _NGRAMS:
                for at in range(len(padded) - size + 1):
                    row[zlib.crc32(padded[at : at + size].encode()) % self._dimensions] += 1.0
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return (vectors / np.where(lengths > 0, lengths, 1.0)).astype(np.float32)

    async def close(self) -> None:
        """Nothing to let go of."""
