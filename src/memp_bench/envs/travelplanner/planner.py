"""The planner of the second stage: notebook and query in, plan in free text out."""

from collections.abc import Callable
from typing import Final

from memp.models.base import ChatModel, Message
from memp.records import Usage
from memp.render import approximate_tokens
from memp_bench.envs.travelplanner.prompts import PLANNER, planner_request

TOO_LONG: Final = "Max Token Length Exceeded."
"""The answer to a prompt beyond the limit. It counts as no plan."""

PURPOSE: Final = "plan"


class Planner:
    """Asks a chat model for a plan, purpose `plan`.

    Args:
        model: writes the plan.
        limit: longest prompt, in tokens; None for no limit (as the original has it for Gemini).
        count: counts the tokens of a text; the default takes four characters for one.
        temperature: 0 in the original.
        max_tokens: longest plan.
    """

    def __init__(
        self,
        model: ChatModel,
        *,
        limit: int | None = 12_000,
        count: Callable[[str], int] = approximate_tokens,
        temperature: float | None = 0.0,
        max_tokens: int | None = 4_096,
    ) -> None:
        self.model = model
        self._limit = limit
        self._count = count
        self._temperature = temperature
        self._max_tokens = max_tokens

    async def plan(self, information: str, query: str, recalled: str = "") -> tuple[str, Usage]:
        """The plan as the model writes it, and what that consumed. `recalled` is text from a memory, if any.

        Raises:
            ModelError: the provider failed.
            BudgetExceeded: a cap was reached.
        """
        rules = f"{PLANNER}\n\n<memory>\n{recalled.strip()}\n</memory>" if recalled.strip() else PLANNER
        request = planner_request(information, query)
        if self._limit is not None and self._count(f"{rules}\n\n{request}") > self._limit:
            return TOO_LONG, Usage()
        messages = (Message(role="system", content=rules), Message(role="user", content=request))
        reply = await self.model.complete(
            messages, purpose=PURPOSE, temperature=self._temperature, max_tokens=self._max_tokens
        )
        return reply.text, reply.usage
