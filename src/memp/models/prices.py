"""What a call cost, in US dollars: from a price the user gave, or from the offline table of `genai-prices`."""

from typing import NamedTuple

from memp.records import Usage

Price = tuple[float, float]
"""US dollars per million input tokens and per million output tokens."""


class Cached(NamedTuple):
    """Input tokens with a price of their own; they are part of `Usage.input_tokens`."""

    read: int = 0
    written: int = 0


def checked(price: Price | None) -> Price | None:
    """`price`, if it is one.

    Raises:
        ValueError: not two finite numbers >= 0.
    """
    if price is None:
        return None
    if len(price) != 2 or not all(0 <= part < float("inf") for part in price):
        raise ValueError(f"price is (US dollars per million input tokens, per million output tokens), not {price!r}")
    return price


def price_of(
    provider: str, model: str, usage: Usage, *, base_url: str | None = None, cached: Cached | None = None
) -> float | None:
    """The list price of `usage` in US dollars, or None when nobody knows.

    With `base_url` the provider is looked up by that address, not by name: `gpt-oss` on one's own machine
    does not cost what it costs elsewhere. Never goes to the network. Without the extra `prices`: None.
    """
    try:
        import genai_prices
    except ImportError:
        return None
    counts = genai_prices.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        **({"cache_read_tokens": cached.read} if cached and cached.read else {}),
        **({"cache_write_tokens": cached.written} if cached and cached.written else {}),
    )
    try:
        if base_url is None:
            found = genai_prices.calc_price(counts, model, provider_id=provider)
        else:
            found = genai_prices.calc_price(counts, model, provider_api_url=base_url)
    except (LookupError, ValueError):
        return None
    return float(found.total_price)


def cost_of(
    provider: str,
    model: str,
    usage: Usage,
    *,
    price: Price | None,
    base_url: str | None = None,
    cached: Cached | None = None,
) -> float | None:
    """`usage` at the user's `price`, else at list price, else None. Unknown tokens have no known cost."""
    if price is not None and not any(price):
        return 0.0
    if not usage.tokens:
        return None
    if price is not None:
        return (usage.input_tokens * price[0] + usage.output_tokens * price[1]) / 1_000_000
    return price_of(provider, model, usage, base_url=base_url, cached=cached)
