"""A chat model around another one: what counts, labels or changes replies says only that."""

from collections.abc import Awaitable, Callable, Sequence

from memp.models.base import ChatModel, Message, Reply


class Wrapped:
    """Passes everything on to `model`. Itself a `ChatModel`, so that wrappers nest; derive and override `asked`."""

    def __init__(self, model: ChatModel) -> None:
        self.model = model

    @property
    def name(self) -> str:
        """The wrapped model's name."""
        return self.model.name

    @property
    def simulated(self) -> bool:
        """Whether the wrapped model is an instrument."""
        return self.model.simulated

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        purpose: str = "act",
        temperature: float | None = None,
        max_tokens: int | None = None,
        stop: Sequence[str] = (),
    ) -> Reply:
        """Answer the conversation; see `ChatModel.complete`."""

        def ask() -> Awaitable[Reply]:
            return self.model.complete(
                messages, purpose=purpose, temperature=temperature, max_tokens=max_tokens, stop=stop
            )

        return await self.asked(messages, purpose, ask)

    async def asked(self, messages: Sequence[Message], purpose: str, ask: Callable[[], Awaitable[Reply]]) -> Reply:
        """The reply to one call; `ask` gets that of the wrapped model."""
        return await ask()

    async def close(self) -> None:
        """Close the wrapped model."""
        await self.model.close()
