"""What the provider adapters share: one SDK client per event loop, a bound on requests, typed errors.

The SDKs of OpenAI and Anthropic come from one generator: same client options, same exception names. So
one `Client` serves both, and never imports either itself.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from difflib import get_close_matches
from types import ModuleType
from typing import Any, Final, TypeVar

from memp.errors import ModelError, UnknownModel
from memp.models._access import Access, Provider, access, check_url
from memp.models._failures import Failures, clean
from memp.models.prices import Cached, Price, checked, cost_of
from memp.records import Usage

T = TypeVar("T")

MAX_RETRY_AFTER: Final = 120.0
"""Longest Retry-After, in seconds, that is waited out; a longer one is reported at once."""

_UNREADABLE_PAUSES: Final = (0.0, 0.05, 0.2)
"""Seconds before each attempt to get an answer that can be read."""


async def readable(pending: Awaitable[Any]) -> Any:
    """The SDK's answer; it hands out a bare string or list for a body that is not what the API sends.

    Raises:
        ValueError: it is not a JSON object.
    """
    answer = await pending
    if not hasattr(answer, "to_dict"):
        raise ValueError(f"it is no JSON object: {str(answer)[:80]!r}")
    return answer


def plain(answer: Any) -> dict[str, Any]:
    """The provider's JSON as plain, valid-Unicode data."""
    data: dict[str, Any] = answer.to_dict(mode="python", warnings=False)
    return dict(json.loads(clean(json.dumps(data, ensure_ascii=False, default=str))))


def part(data: Any, key: str) -> dict[str, Any]:
    """The object under `key`, or an empty one: servers leave things out or send null."""
    value = data.get(key) if isinstance(data, dict) else None
    return value if isinstance(value, dict) else {}


def first(data: Any) -> dict[str, Any]:
    """The first object of a list, or an empty one."""
    return data[0] if isinstance(data, list) and data and isinstance(data[0], dict) else {}


def count(data: Mapping[str, Any], key: str) -> int:
    """The token count under `key`, 0 when it is missing or no count."""
    value = data.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


class Connection:
    """One provider's client, made at first use and bound to the event loop it is used in.

    After `close()` it may be used again, also in another loop.

    Args:
        connect: makes the SDK client; called at first use.
        sdk: imports the SDK's module; its exception classes are looked up there.
        failures: makes the typed errors; called when there is a key.
        limit: how many requests may be under way at once.
    """

    def __init__(
        self,
        *,
        connect: Callable[[], Any],
        sdk: Callable[[], ModuleType],
        failures: Callable[[], Failures],
        limit: int,
    ) -> None:
        if limit < 1:
            raise ValueError(f"max_concurrency must be at least 1, not {limit}")
        self._connect, self._sdk, self._failures, self._limit = connect, sdk, failures, limit
        self._client: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._slots = asyncio.Semaphore(limit)

    def _ready(self) -> Any:
        loop = asyncio.get_running_loop()
        if self._loop is not None and self._loop is not loop and not self._loop.is_closed():
            raise ModelError(
                "this client is in use in another event loop; make one per loop, or close() it there first"
            )
        if self._client is None or self._loop is not loop:
            self._client, self._loop = self._connect(), loop
            self._slots = asyncio.Semaphore(self._limit)
        return self._client

    async def send(self, call: Callable[[Any], Awaitable[T]]) -> T:
        """Run `call(client)` when a slot is free; the SDK retries what is worth retrying.

        A body that is not the API's JSON is retried here, since the SDKs do not.

        Raises:
            ModelError: the subclass says how it failed.
        """
        client, sdk, problem = self._ready(), self._sdk(), ""
        async with self._slots:
            for pause in _UNREADABLE_PAUSES:
                await asyncio.sleep(pause)
                try:
                    return await call(client)
                except sdk.APIResponseValidationError as error:
                    problem = str(error)
                except sdk.APIError as error:
                    failures = self._failures()
                    typed = failures.typed(error, sdk)
                    if isinstance(typed, UnknownModel) and (near := await _nearest(client, sdk, failures.model)):
                        typed = failures.no_such_model(typed.status, near)
                    raise typed from failures.cause(error)
                except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, no base64, no data, [[[[...
                    problem = str(error)
        raise self._failures().unreadable(problem)

    async def close(self) -> None:
        """Let go of connections. Harmless when there are none or their loop is gone."""
        client, loop = self._client, self._loop
        self._client = self._loop = None
        if client is not None and loop is asyncio.get_running_loop():
            await client.close()


async def _nearest(client: Any, sdk: ModuleType, model: str) -> list[str]:
    """Names the server knows that look like `model`: a courtesy, servers without a list are fine."""
    try:
        page = await client.with_options(max_retries=0, timeout=5.0).models.list()
        known = [str(entry.id) for entry in page.data]
    except (sdk.APIError, ValueError, TypeError, AttributeError):
        return []
    return get_close_matches(model, known, n=3, cutoff=0.5)


class Client:
    """What every model behind an SDK has: options, key, connection, price."""

    provider: Provider

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None,
        api_key: str | None,
        timeout: float,
        max_retries: int,
        max_concurrency: int,
        price: Price | None,
    ) -> None:
        if not model:
            raise UnknownModel("the name of the model is empty", provider=self.provider.name)
        check_url(self.provider, base_url)
        self.model = model
        self._base_url, self._api_key, self._price = base_url, api_key, checked(price)
        self._timeout, self._max_retries = timeout, max_retries
        self._found: Access | None = None
        self._connection = Connection(
            connect=self._connect, sdk=self._sdk, failures=self._failures, limit=max_concurrency
        )

    @staticmethod
    def _sdk() -> ModuleType:
        raise NotImplementedError

    def _connect(self) -> Any:
        raise NotImplementedError

    def _access(self) -> Access:
        if self._found is None:
            self._found = access(self.provider, self._api_key, self._base_url)
        return self._found

    def _failures(self) -> Failures:
        return Failures(self.provider, self.model, self._access())

    def _priced(self, usage: Usage, cached: Cached | None = None) -> Usage:
        url = self._access().base_url
        cost = cost_of(self.provider.name, self.model, usage, price=self._price, base_url=url, cached=cached)
        return usage.model_copy(update={"cost": cost})

    def check(self) -> None:
        """Whether it could be asked at all. Sends nothing.

        Raises:
            MissingExtra: the provider's package is not installed.
            MissingKey: there is no API key.
        """
        self._sdk()
        self._access()

    async def close(self) -> None:
        """Let go of connections. The object may be used again, also in another event loop."""
        await self._connection.close()
