"""Replies that must have a form: ask, check, show the model its mistake, ask again, give up with a reason."""

import json
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from memp.errors import UnusableReply
from memp.models.base import ChatModel, Message, Reply
from memp.records import Record

T = TypeVar("T")
R = TypeVar("R", bound=Record)

MAX_DEPTH: Final = 32
"""Deepest nesting of a JSON reply; records need 3."""
_SHOWN: Final = 4_000
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?$)|[{}\[\]]', re.S)


async def ask(
    model: ChatModel,
    messages: Sequence[Message],
    parse: Callable[[str], T],
    *,
    purpose: str,
    attempts: int = 3,
    temperature: float | None = None,
    max_tokens: int | None = None,
) -> T:
    """Ask until `parse(text)` accepts the reply, at most `attempts` times.

    An empty, refused, truncated or malformed reply is shown to the model with what was wrong with it.

    Args:
        model: answers; wrap it in `Metered` to count every attempt.
        messages: the conversation.
        parse: turns the text into a value; raises ValueError with words the model can act on.
        purpose: what the calls are accounted under.
        attempts: calls in all.
        temperature, max_tokens: as for `ChatModel.complete`.

    Raises:
        UnusableReply: no attempt was usable; says what was wrong with the last.
        ModelError: the provider failed.
        BudgetExceeded: a cap was reached before an attempt.
    """
    if attempts < 1:
        raise ValueError(f"attempts must be at least 1, not {attempts}")
    conversation = list(messages)
    problem = ""
    for _ in range(attempts):
        reply = await model.complete(conversation, purpose=purpose, temperature=temperature, max_tokens=max_tokens)
        problem = _unusable(reply)
        if not problem:
            try:
                return parse(reply.text)
            except ValueError as error:
                problem = _brief(str(error)) or type(error).__name__
        conversation += _correction(reply, problem)
    raise UnusableReply(
        f"{model.name} gave no usable reply for {purpose!r} in {attempts} attempts; the last: {problem}",
        provider=model.name.partition(":")[0],
    )


def json_object(text: str) -> dict[str, Any]:
    """The first complete JSON object of a reply; prose, code fences and `<think>` parts around it are fine.

    Everything inside is strict: no NaN or infinity, no key twice, at most `MAX_DEPTH` levels, and a broken
    object is never replaced by a piece of itself.

    Raises:
        ValueError: there is none; says why, for the model to read.
    """
    answer = text.rpartition("</think>")[2]
    start, problem = answer.find("{"), "there is no JSON object in it"
    while start >= 0:
        end = _closing(answer, start)
        try:
            found = json.loads(
                answer[start:end], object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite
            )
        except ValueError as error:
            if problem.startswith("there is no"):
                problem = f"the JSON is malformed: {error}"
        else:
            return dict(found)
        start = answer.find("{", end)
    raise ValueError(problem)


def into(record: type[R]) -> Callable[[str], R]:
    """A `parse` for `ask`: one JSON object that is a `record`, with an error that names each wrong field."""

    def parse(text: str) -> R:
        return record.parse(json_object(text))

    return parse


def _closing(text: str, start: int) -> int:
    """Where the object that opens at `start` ends (exclusive)."""
    depth = 0
    for token in _TOKEN.finditer(text, start):
        mark = token.group()
        if mark in "{[":
            depth += 1
            if depth > MAX_DEPTH:
                raise ValueError(f"the JSON is nested deeper than {MAX_DEPTH} levels")
        elif mark in "}]":
            depth -= 1
            if depth == 0:
                return token.end()
    raise ValueError("the JSON object is not complete: a closing brace or quote is missing")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(k for k in keys if keys.count(k) > 1)!r} appears twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits[:20]} is too large a number")
    return number


def _unusable(reply: Reply) -> str:
    """Why the reply is of no use whatever it should hold, or an empty string."""
    if reply.stop == "refusal":
        said = _brief(reply.text, 200)
        return f"the model refused: {said}" if said else "the model refused"
    if reply.stop == "length":
        return "the reply was cut off at the token limit; answer more briefly"
    if not reply.text.strip():
        return "the reply was empty"
    return ""


def _correction(reply: Reply, problem: str) -> list[Message]:
    return [
        Message(role="assistant", content=_brief(reply.text) or "(no text)"),
        Message(
            role="user",
            content=f"That reply cannot be used: {problem}\nAnswer the request again, in the form it asks for.",
        ),
    ]


def _brief(text: str, limit: int = _SHOWN) -> str:
    """`text`, or its beginning and end: a runaway reply must not fill the next prompt."""
    text = text.strip()
    if len(text) <= limit:
        return text
    return f"{text[: limit // 2]}\n[... {len(text) - limit:,} characters left out ...]\n{text[-limit // 2 :]}"
