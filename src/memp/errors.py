"""One error tree. Every error says what was wrong, where, and what to do.

MempError
├── RecordError            a trajectory, procedure or revision does not hold together
├── UnknownName            no policy, model, split ... of that name (names the nearest)
├── StoreError             the memory could not be read or written
│   ├── StoreMissing       no memory at that place
│   ├── StoreCorrupt       the file is damaged or is not a memory
│   ├── StoreTooNew        written by a newer memp
│   ├── StoreReadOnly      the file or its folder cannot be written
│   ├── StoreFull          the disk is full
│   ├── StoreBusy          another process held the file for too long
│   └── Conflict           somebody revised the procedure meanwhile
├── ModelError             a chat model or an embedder failed
│   ├── MissingKey         no API key
│   ├── AuthError          the key was refused
│   ├── UnknownModel       the provider does not know the model
│   ├── RateLimited        429, after all retries
│   ├── ProviderDown       5xx, connection refused or dropped, after all retries
│   ├── ProviderTimeout    no answer in time, after all retries
│   ├── BadRequest         the provider refused the request (too long, wrong argument)
│   └── UnusableReply      empty, refused, truncated or malformed, after all retries
├── BudgetExceeded         a cap on calls, tokens or money was reached before the next call
├── MissingExtra           an optional dependency is not installed (names the pip command)
└── EnvironmentFailed      an environment crashed (never a failed task)
"""

from collections.abc import Iterable
from difflib import get_close_matches


class MempError(Exception):
    """Base of everything memp raises on purpose."""


class RecordError(MempError, ValueError):
    """A record does not hold together."""


class UnknownName(MempError, ValueError):
    """No thing of that kind has that name."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        close = get_close_matches(name, names, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(close)}?" if close else f"Known: {', '.join(names)}."
        super().__init__(f"unknown {kind} {name!r}. {hint}")


class StoreError(MempError):
    """The memory could not be read or written."""


class StoreMissing(StoreError):
    """No memory at that place."""


class StoreCorrupt(StoreError):
    """The file is damaged or is not a memory."""


class StoreTooNew(StoreError):
    """The file was written by a newer memp."""


class StoreReadOnly(StoreError):
    """The file or its folder cannot be written."""


class StoreFull(StoreError):
    """The disk is full."""


class StoreBusy(StoreError):
    """Another process held the file for too long."""


class Conflict(StoreError):
    """Somebody revised the procedure meanwhile."""


class ModelError(MempError):
    """A chat model or an embedder failed.

    `provider`, `status` (HTTP, None without an answer) and `retryable` are there for programs.
    """

    retryable = False

    def __init__(self, message: str, *, provider: str = "", status: int | None = None) -> None:
        self.provider = provider
        self.status = status
        place = f"{provider}: " if provider else ""
        code = f" (HTTP {status})" if status is not None else ""
        super().__init__(f"{place}{message}{code}")


class MissingKey(ModelError):
    """No API key."""


class AuthError(ModelError):
    """The key was refused."""


class UnknownModel(ModelError):
    """The provider does not know the model."""


class RateLimited(ModelError):
    """Too many requests, after all retries."""

    retryable = True


class ProviderDown(ModelError):
    """Server error or lost connection, after all retries."""

    retryable = True


class ProviderTimeout(ModelError):
    """No answer in time, after all retries."""

    retryable = True


class BadRequest(ModelError):
    """The provider refused the request."""


class UnusableReply(ModelError):
    """The reply was empty, refused, truncated or malformed, after all retries."""


class BudgetExceeded(MempError):
    """A cap on calls, tokens or money was reached; nothing was sent."""


class MissingExtra(MempError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, extra: str, what: str) -> None:
        super().__init__(f"{what} needs the extra {extra!r}: pip install 'memp[{extra}]'")


class EnvironmentFailed(MempError):
    """An environment crashed or stalled; never counted as a failed task."""
