"""Whom requests go to: the provider, its address and the key."""

import os
from typing import NamedTuple
from urllib.parse import urlsplit

from memp.errors import AuthError, BadRequest, MissingKey


class Provider(NamedTuple):
    """What differs between providers when something goes wrong."""

    name: str
    """As in `openai:gpt-4o`."""
    key_variable: str
    url_variable: str
    url_hint: str
    """What the base URL usually looks like."""


class Access(NamedTuple):
    """Where requests go and with which key."""

    key: str
    base_url: str | None

    def place(self, provider: Provider) -> str:
        """The address for error messages, without a password it may hold."""
        if self.base_url is None:
            return f"the API of {provider.name}"
        parts = urlsplit(self.base_url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def access(provider: Provider, api_key: str | None, base_url: str | None) -> Access:
    """Find key and address: arguments first, then the environment.

    A server of one's own needs no key, but the SDKs insist on one, so it gets a dummy.

    Raises:
        MissingKey: no key, and the requests would go to the provider itself.
    """
    url = base_url or os.environ.get(provider.url_variable) or None
    check_url(provider, url)
    key = api_key or os.environ.get(provider.key_variable) or ("no-key" if url else "")
    key = key.strip()
    if not key:
        raise MissingKey(
            f"no API key; set {provider.key_variable} or pass api_key=...; "
            "a server of your own (base_url=...) needs none",
            provider=provider.name,
        )
    if not (key.isascii() and key.isprintable()):
        raise AuthError(
            f"the API key holds characters no key has (a line break, a quote?); check {provider.key_variable}",
            provider=provider.name,
        )
    return Access(key, url)


def check_url(provider: Provider, url: str | None) -> None:
    """Refuse an address that cannot work before any time is spent on retries.

    Raises:
        BadRequest: it is not an http(s) address.
    """
    if url is None:
        return
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good:
        raise BadRequest(
            f"the base URL {url[:200]!r} is not an address; write it like http://127.0.0.1:8000/v1",
            provider=provider.name,
        )
