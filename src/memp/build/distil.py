"""Distilling with a chat model: scripts, facts and adjustments, validated before anything is kept."""

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Protocol, TypeVar

from memp.build.prompt import Prompt, load_prompt
from memp.errors import RecordError
from memp.models.base import ChatModel
from memp.models.structured import ask, json_object
from memp.records import Author, Content, Script, Trajectory
from memp.render import clean, render_content, render_trajectory

T = TypeVar("T")
MAX_FACTS = 20


class Distiller(Protocol):
    """Where scripts, facts and corrections come from: rules or a model."""

    @property
    def name(self) -> str:
        """`rules` or the model's name."""

    async def script(self, trajectory: Trajectory) -> tuple[Script, Author]:
        """The abstract procedure of a trajectory (paper: Script)."""

    async def facts(self, task: str) -> dict[str, str]:
        """The facts of a task, slot -> value (paper: AveFact)."""

    async def adjust(self, content: Content, shown: Trajectory | None, failed: Trajectory) -> tuple[Script, Author]:
        """The corrected script of a procedure that took part in a failure (paper: Adjustment).

        `shown` is the verbatim trajectory that the procedure carries, if it does.
        """


class Drafts(Protocol):
    """Where replies are kept until the update they belong to has finished."""

    def get(self, key: str) -> str | None:
        """The reply kept under `key`."""

    def put(self, key: str, text: str) -> None:
        """Keep a reply."""


class ModelDistiller:
    """Asks a chat model; a malformed reply is shown its error and retried, then given up (UnusableReply)."""

    def __init__(self, model: ChatModel, drafts: Drafts, *, temperature: float = 0.2, attempts: int = 3) -> None:
        self.name = model.name
        self._model = model
        self._drafts = drafts
        self._temperature = temperature
        self._attempts = attempts

    async def script(self, trajectory: Trajectory) -> tuple[Script, Author]:
        """See `Distiller.script`."""
        prompt = load_prompt("memp.build", "script")
        return await self.ask(prompt, _material(trajectory), read_script, "script"), self._author(prompt)

    async def facts(self, task: str) -> dict[str, str]:
        """See `Distiller.facts`."""
        return await self.ask(load_prompt("memp.build", "facts"), {"task": clean(task)}, read_facts, "facts")

    async def adjust(self, content: Content, shown: Trajectory | None, failed: Trajectory) -> tuple[Script, Author]:
        """See `Distiller.adjust`."""
        prompt = load_prompt("memp.update", "adjust")
        values = {"procedure": render_content(content, shown), **_material(failed)}
        return await self.ask(prompt, values, read_script, "adjust"), self._author(prompt)

    def _author(self, prompt: Prompt) -> Author:
        return Author(policy=prompt.name, model=self._model.name, prompt=prompt.label)

    async def ask(self, prompt: Prompt, values: Mapping[str, str], read: Callable[[str], T], purpose: str) -> T:
        """The validated answer to any prompt; an interrupted update finds the replies it already paid for.

        Raises:
            UnusableReply: no attempt gave what `read` accepts.
            ModelError, BudgetExceeded: the model could not be asked.
        """
        messages = prompt.messages(values)
        asked = json.dumps([self._model.name, prompt.label, [m.content for m in messages]])
        key = hashlib.sha256(asked.encode()).hexdigest()
        kept = self._drafts.get(key)
        if kept is not None:
            with suppress(ValueError):  # kept by a version with other rules: ask again
                return read(kept)
        accepted = ""

        def parse(text: str) -> T:
            nonlocal accepted
            value = read(text)
            accepted = text
            return value

        value = await ask(
            self._model,
            messages,
            parse,
            purpose=purpose,
            attempts=self._attempts,
            temperature=self._temperature,
        )
        self._drafts.put(key, accepted)
        return value


def read_script(reply: str) -> Script:
    """The script in a model's reply.

    Raises:
        ValueError: no JSON object, a missing or empty part, or a part of the wrong type; says which.
    """
    try:
        return Script.parse(json_object(reply))
    except RecordError as error:
        raise ValueError(str(error)) from None


def read_facts(reply: str) -> dict[str, str]:
    """The facts in a model's reply: names and values that are short strings or numbers.

    Raises:
        ValueError: no JSON object, no facts, too many, or a value that is neither.
    """
    facts: dict[str, str] = {}
    for slot, value in json_object(reply).items():
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError(f"the value of {slot!r} must be a string or a number, not {type(value).__name__}")
        name, text = slot.strip().lower()[:100], str(value).strip()[:200]
        try:
            (name + text).encode()
        except UnicodeEncodeError:
            raise ValueError(f"the value of {slot!r} holds half of a surrogate pair; use plain text") from None
        if name and text:
            facts.setdefault(name, text)
    if not facts:
        raise ValueError("the object has no facts; give at least one slot with a value")
    if len(facts) > MAX_FACTS:
        raise ValueError(f"{len(facts)} facts are too many; give the {MAX_FACTS} that matter")
    return facts


def _material(trajectory: Trajectory) -> dict[str, str]:
    return {
        "task": clean(trajectory.task),
        "trajectory": render_trajectory(trajectory),
        "reward": f"{trajectory.reward:g}",
    }
