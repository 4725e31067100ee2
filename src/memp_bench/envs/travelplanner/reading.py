"""Plans in free text become plans: by rules, or by a model as in the paper."""

import json
from collections.abc import Mapping
from typing import Protocol

from memp.models.base import ChatModel, Message
from memp.models.metered import Meter, Metered
from memp.models.structured import ask
from memp.records import Usage
from memp_bench.envs.travelplanner import prompts
from memp_bench.envs.travelplanner.plan_text import Day, checked, read_plan

PURPOSE = "parse"


class PlanReader(Protocol):
    """Reads a plan."""

    async def read(self, text: str) -> tuple[list[Day] | None, Mapping[str, Usage]]:
        """The plan in `text`, or None where there is none, and what reading it consumed, by purpose.

        Raises:
            ModelError: a model was needed and failed.
        """


class RuleReader:
    """Reads the usual layout, without a model."""

    async def read(self, text: str) -> tuple[list[Day] | None, Mapping[str, Usage]]:
        """See `read_plan`."""
        return read_plan(text), {}


class ModelReader:
    """Asks a model, purpose `parse`; its JSON is checked and, where it is wrong, asked for again."""

    def __init__(self, model: ChatModel) -> None:
        self._model = model

    async def read(self, text: str) -> tuple[list[Day] | None, Mapping[str, Usage]]:
        """The plan as the model reads it.

        Raises:
            UnusableReply: no attempt was a plan in JSON.
            ModelError: the provider failed.
        """
        if not text.strip():
            return None, {}
        meter = Meter()
        messages = (Message(role="system", content=prompts.READER), Message(role="user", content=text))
        plan = await ask(Metered(self._model, meter), messages, _days, purpose=PURPOSE, temperature=0.0)
        return plan or None, meter.usage


def _days(reply: str) -> list[Day]:
    first, last = reply.find("["), reply.rfind("]")
    if not 0 <= first < last:
        raise ValueError("there is no JSON list in it")
    try:
        found = json.loads(reply[first : last + 1])
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    return checked(found)
