import re
from collections.abc import Callable, Iterator

import pytest

from memp.stores.postgres import PostgresStore, statements
from memp.stores.postgres.wire import Wire


@pytest.fixture
def open_store(url) -> Iterator[Callable[..., PostgresStore]]:
    """Opens stores on one database; they are closed at the end."""
    opened: list[PostgresStore] = []

    def open_(place: str = url, **options: object) -> PostgresStore:
        store = PostgresStore(place, **options)
        opened.append(store)
        return store

    yield open_
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store) -> PostgresStore:
    return open_store()


KNOWN = {text for name, text in vars(statements).items() if name.isupper() and isinstance(text, str)}
FILLED = re.compile(re.sub(r"\\{\w+\\}", r"[\\w() ]*", re.escape(statements.NEAREST)))
SETTING = re.compile(r"SET LOCAL [\w.]+ = E'(\w|\\U[0-9A-F]{8})*'")


@pytest.fixture(autouse=True)
def nothing_else_is_sent(monkeypatch) -> Iterator[None]:
    """All that a store sends was read and planned by other tests here: it is in `statements`."""
    strange, send = set[str](), Wire.send

    def listened(wire: Wire, text: str, values: dict[str, object]) -> object:
        if text not in KNOWN and not FILLED.fullmatch(text) and not SETTING.fullmatch(text):
            strange.add(text)
        return send(wire, text, values)

    monkeypatch.setattr(Wire, "send", listened)
    yield
    assert not strange
