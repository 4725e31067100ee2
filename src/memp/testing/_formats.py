"""The JSON of the two wire formats: requests in, replies, embeddings and errors out."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from memp.errors import BadRequest
from memp.models.base import Message, Reply, Role, Stop, Vectors

_ROLES: Final[dict[str, Role]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}
_OPENAI_STOP: Final[dict[Stop, str | None]] = {"stop": "stop", "length": "length", "refusal": "stop", "other": None}
_ANTHROPIC_STOP: Final[dict[Stop, str]] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "refusal": "refusal",
    "other": "pause_turn",
}
REFUSAL: Final = "I can't help with that."


class Asked(NamedTuple):
    """A chat request, whichever format it came in."""

    model: str
    messages: tuple[Message, ...]
    temperature: float | None
    max_tokens: int | None
    stop: tuple[str, ...]


def asked_openai(body: Mapping[str, Any]) -> Asked:
    """Read a chat-completions request.

    Raises:
        BadRequest: it is not one.
    """
    stop = body.get("stop") or ()
    return Asked(
        _model(body),
        _messages(body.get("messages")),
        body.get("temperature"),
        body.get("max_completion_tokens") or body.get("max_tokens"),
        (stop,) if isinstance(stop, str) else tuple(stop),
    )


def asked_anthropic(body: Mapping[str, Any]) -> Asked:
    """Read a Messages request, as strictly as the real API where it matters.

    Raises:
        BadRequest: it is not one.
    """
    messages = _messages(body.get("messages"))
    if not isinstance(body.get("max_tokens"), int):
        raise BadRequest("max_tokens: Field required")
    if messages[0].role != "user" or any(m.role == "system" for m in messages):
        raise BadRequest("messages: first message must use the user role; system is a field of its own")
    if not all(message.content for message in messages):
        raise BadRequest("messages: text content blocks must be non-empty")
    stop = tuple(body.get("stop_sequences") or ())
    if not all(mark.strip() for mark in stop):
        raise BadRequest("stop_sequences: each stop sequence must contain non-whitespace")
    system = body.get("system")
    opening = (Message(role="system", content=_text(system)),) if system else ()
    return Asked(_model(body), opening + messages, body.get("temperature"), body["max_tokens"], stop)


def openai_reply(number: int, model: str, reply: Reply) -> dict[str, Any]:
    """A chat completion."""
    refused = reply.stop == "refusal"
    message = {
        "role": "assistant",
        "content": None if refused or not reply.text else reply.text,
        "refusal": (reply.text or REFUSAL) if refused else None,
    }
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": _OPENAI_STOP[reply.stop], "logprobs": None}],
        "usage": {
            "prompt_tokens": reply.usage.input_tokens,
            "completion_tokens": reply.usage.output_tokens,
            "total_tokens": reply.usage.tokens,
        },
    }


def anthropic_reply(number: int, model: str, reply: Reply) -> dict[str, Any]:
    """A Messages reply."""
    content = [] if reply.stop == "refusal" or not reply.text else [{"type": "text", "text": reply.text}]
    return {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": _ANTHROPIC_STOP[reply.stop],
        "stop_sequence": None,
        "usage": {"input_tokens": reply.usage.input_tokens, "output_tokens": reply.usage.output_tokens},
    }


def embedding_inputs(body: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Model and texts of an embeddings request.

    Raises:
        BadRequest: it is not one.
    """
    given = body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(t, str) and t for t in texts):
        raise BadRequest("input: one or more non-empty strings are required")
    return _model(body), texts


def openai_embeddings(model: str, vectors: Vectors, tokens: int, *, packed: bool) -> dict[str, Any]:
    """Embeddings, as numbers or packed as base64 of little-endian float32."""
    rows = [
        base64.b64encode(np.ascontiguousarray(row, dtype="<f4").tobytes()).decode() if packed else row.tolist()
        for row in vectors
    ]
    return {
        "object": "list",
        "model": model,
        "data": [{"object": "embedding", "index": i, "embedding": row} for i, row in enumerate(rows)],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def models_list(models: Sequence[str], *, anthropic: bool) -> dict[str, Any]:
    """The list of models, readable by both SDKs."""
    if anthropic:
        entries = [{"type": "model", "id": m, "display_name": m, "created_at": "2026-01-01T00:00:00Z"} for m in models]
        edges = {"first_id": models[0], "last_id": models[-1]} if models else {"first_id": None, "last_id": None}
        return {"data": entries, "has_more": False, **edges}
    listed = [{"id": m, "object": "model", "created": 1_700_000_000, "owned_by": "memp"} for m in models]
    return {"object": "list", "data": listed}


def error_body(status: int, message: str, *, anthropic: bool) -> dict[str, Any]:
    """An error as the provider words it."""
    if anthropic:
        kinds = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}
        kind = kinds.get(status, "api_error" if status >= 500 else "invalid_request_error")
        return {"type": "error", "error": {"type": kind, "message": message}}
    codes = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": codes.get(status)}}


def _model(body: Mapping[str, Any]) -> str:
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise BadRequest("you must provide a model parameter")
    return model


def _messages(given: Any) -> tuple[Message, ...]:
    if not isinstance(given, list) or not given or not all(isinstance(item, dict) for item in given):
        raise BadRequest("messages: at least one message is required")
    unknown = {str(item.get("role")) for item in given} - set(_ROLES)
    if unknown:
        raise BadRequest(f"messages: unknown role {sorted(unknown)[0]!r}")
    return tuple(Message(role=_ROLES[item["role"]], content=_text(item.get("content"))) for item in given)


def _text(content: Any) -> str:
    """A content field: a string, or a list of text parts."""
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""
