from collections.abc import Callable, Iterator

import psycopg
import pytest

from memp.errors import MissingExtra
from memp.stores.postgres import PostgresStore
from memp.stores.postgres.migrations import TABLES
from memp.testing.postgres import PostgresServer, server_programs


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """A real server; whoever stops it starts it again."""
    try:
        server_programs()
    except MissingExtra as error:
        pytest.skip(str(error))
    with PostgresServer() as started:
        yield started


@pytest.fixture(scope="session")
def migrated(server) -> str:
    """A database with the tables of a memory."""
    url = server.create_database()
    PostgresStore(url).close()
    return url


@pytest.fixture
def url(migrated) -> str:
    """The same, empty."""
    with psycopg.connect(migrated, autocommit=True) as db:
        db.execute("TRUNCATE " + ", ".join(f"memp.{table}" for table in TABLES))
    return migrated


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
