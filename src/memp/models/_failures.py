"""From an SDK's exception to memp's: what was wrong, where, what to do; never with the key in it."""

import re
from types import ModuleType
from typing import Any, NamedTuple

from memp.errors import (
    AuthError,
    BadRequest,
    ModelError,
    ProviderDown,
    ProviderTimeout,
    RateLimited,
    UnknownModel,
)
from memp.models._access import Access, Provider

_MODEL_UNKNOWN = re.compile(r"model.*(not (a )?valid|not exist|not found|unknown)|unknown model", re.I | re.S)


def clean(text: str) -> str:
    """`text` as valid Unicode: a JSON escape can carry half a surrogate pair, which no file can hold."""
    return text.encode("utf-8", "replace").decode()


class Failures(NamedTuple):
    """Makes the errors of one model at one provider."""

    provider: Provider
    model: str
    access: Access

    def redacted(self, text: str) -> str:
        """`text` on one line, bounded, without the key."""
        text = " ".join(clean(text).replace(self.access.key, "[key]").split())
        return text if len(text) <= 500 else text[:500] + " ..."

    def cause(self, error: BaseException) -> BaseException | None:
        """The SDK's error, unless it would print the key (a 401 tends to quote it)."""
        hidden = getattr(error, "status_code", None) == 401 or self.access.key in str(error)
        return None if hidden else error

    def typed(self, error: Any, sdk: ModuleType) -> ModelError:
        """The error for an exception of the SDK."""
        name = self.provider.name
        if isinstance(error, sdk.APITimeoutError):
            return ProviderTimeout(
                f"{self.model!r} gave no answer in time, after all retries; raise timeout= or lower max_concurrency=",
                provider=name,
            )
        if isinstance(error, sdk.APIConnectionError):
            below = error.__cause__ or error
            why = self.redacted(str(below)) or type(below).__name__
            place = self.access.place(self.provider)
            return ProviderDown(f"no connection to {place} ({why}); is the server running?", provider=name)
        if isinstance(error, sdk.APIStatusError):
            return self.by_status(error.status_code, *_reason(error))
        return ProviderDown(self.redacted(str(error)), provider=name)

    def by_status(self, status: int, message: str, code: str) -> ModelError:
        """The error for an HTTP status with the provider's words and error code."""
        kind, text = self._explain(status, self.redacted(message), code)
        error = kind(text, provider=self.provider.name, status=status)
        if code == "insufficient_quota":
            error.retryable = False
        return error

    def reported(self, body: dict[str, Any]) -> ModelError:
        """The error for an `error` object that came with HTTP 200, as OpenRouter sends them."""
        code = body.get("code")
        status = code if isinstance(code, int) and not isinstance(code, bool) else 502
        return self.by_status(status, str(body.get("message", "no reason given")), str(code or ""))

    def unreadable(self, problem: str) -> ProviderDown:
        """The error for a body that is not the API's JSON."""
        place = self.access.place(self.provider)
        return ProviderDown(
            f"the answer of {self.model!r} could not be read ({self.redacted(problem)}); "
            f"is {place} really an API of this kind?",
            provider=self.provider.name,
        )

    def no_such_model(self, status: int | None, near: list[str]) -> UnknownModel:
        """The error that names the nearest models."""
        hint = f"Did you mean {' or '.join(near)}?"
        return UnknownModel(f"there is no model {self.model!r}. {hint}", provider=self.provider.name, status=status)

    def _explain(self, status: int, said: str, code: str) -> tuple[type[ModelError], str]:
        model, place = self.model, self.access.place(self.provider)
        if status == 401:
            return AuthError, f"the API key was refused; check {self.provider.key_variable} or api_key="
        if status == 403:
            return AuthError, f"the key may not use {model!r}: {said}"
        if status == 402 or code == "insufficient_quota":
            return (RateLimited if status == 429 else BadRequest), f"no credit left, add some there: {said}"
        about_model = status in (400, 404) and (_MODEL_UNKNOWN.search(said) or (status == 404 and model in said))
        if code == "model_not_found" or about_model:
            return UnknownModel, f"there is no model {model!r}; check the name (the provider said: {said})"
        if status == 404:
            return BadRequest, f"nothing answers at {place}; check the base URL, {self.provider.url_hint} ({said})"
        if status == 408:
            return ProviderTimeout, f"{model!r} gave no answer in time, after all retries: {said}"
        if status == 429:
            return RateLimited, f"too many requests to {model!r}; lower max_concurrency= or wait: {said}"
        if status == 409 or status >= 500:
            return ProviderDown, f"{model!r} failed, after all retries; try again later: {said}"
        if status == 413 or code == "context_length_exceeded":
            return BadRequest, f"the request is too long for {model!r}; recall less or lower max_tokens: {said}"
        return BadRequest, f"{model!r} refused the request: {said}"


def _reason(error: Any) -> tuple[str, str]:
    """The provider's own words and its error code."""
    body = error.body
    if isinstance(body, dict):
        inner = body["error"] if isinstance(body.get("error"), dict) else body
        message = inner.get("message") or inner.get("detail") or inner.get("error")
        if message:
            return str(message), str(inner.get("code") or inner.get("type") or "")
    return str(error), ""
