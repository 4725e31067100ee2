import sys

import pytest

from memp.models.prices import Cached, cost_of, price_of
from memp.records import Usage

MILLION = Usage(calls=1, input_tokens=1_000_000, output_tokens=1_000_000)


@pytest.fixture
def table():
    pytest.importorskip("genai_prices", reason="needs the extra 'prices'")


@pytest.mark.usefixtures("table")
def test_list_prices():
    assert price_of("openai", "gpt-4o", MILLION) == pytest.approx(2.5 + 10.0)
    assert price_of("anthropic", "claude-3-5-sonnet-20241022", MILLION) == pytest.approx(3.0 + 15.0)
    cached = price_of("openai", "gpt-4o", MILLION, cached=Cached(read=1_000_000))
    assert cached == pytest.approx(1.25 + 10.0)


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(("provider", "model"), [("openai", "my-own"), ("nobody", "gpt-4o"), ("openai", "")])
def test_unknown_is_none_and_never_zero(provider, model):
    assert price_of(provider, model, MILLION) is None


@pytest.mark.usefixtures("table")
def test_a_server_of_ones_own_has_no_list_price():
    assert price_of("openai", "gpt-4o", MILLION, base_url="http://127.0.0.1:8000/v1") is None
    known = price_of("openai", "qwen/qwen-2.5-72b-instruct", MILLION, base_url="https://openrouter.ai/api/v1")
    assert known is not None
    assert known > 0


def test_without_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    assert price_of("openai", "gpt-4o", MILLION) is None


def test_the_users_price_comes_first():
    assert cost_of("openai", "gpt-4o", MILLION, price=(1.0, 0.5)) == pytest.approx(1.5)
    assert cost_of("openai", "gpt-4o", Usage(calls=1), price=(1.0, 0.5)) is None  # tokens unknown
    assert cost_of("openai", "gpt-4o", Usage(calls=1), price=(0.0, 0.0)) == 0.0
