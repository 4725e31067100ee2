import hashlib
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest
from storekit import NS, add, play

from memp.errors import StoreError
from memp.stores import connection
from memp.stores.migrations import APPLICATION_ID, MIGRATIONS
from memp.stores.sqlite import SqliteStore

SHIPPED = {1: "e04c942500ab0e69", 2: "ce5e9a3729d569a4", 3: "4c81919b368ba2d6"}
"""Digests of the migrations that are in files out there."""


def header(path) -> tuple[int, int]:
    raw = sqlite3.connect(path)
    found = tuple(raw.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
    raw.close()
    return found


def test_a_new_file_says_whose_it_is(store):
    assert header(store.path) == (APPLICATION_ID, len(MIGRATIONS))


@pytest.mark.parametrize("number", SHIPPED)
def test_a_shipped_migration_is_never_edited(number):
    """If this fails, take the edit back and append a migration instead: files out there have seen the old one."""
    assert hashlib.sha256("\0".join(MIGRATIONS[number - 1]).encode()).hexdigest()[:16] == SHIPPED[number]


def test_an_older_file_is_brought_up_to_date(open_store, monkeypatch):
    store = open_store()
    add(store, "p")
    play(store, "t", "p")
    before = list(store.dump(NS))
    store.close()
    further = (("CREATE TABLE further (a)", "INSERT INTO further VALUES (1)"), ("ALTER TABLE further ADD COLUMN b",))
    monkeypatch.setattr(connection, "MIGRATIONS", (*MIGRATIONS, *further))
    for _ in range(2):
        store = open_store()
        assert list(store.dump(NS)) == before
        store.close()
    assert header(store.path) == (APPLICATION_ID, len(MIGRATIONS) + 2)
    raw = sqlite3.connect(store.path)
    assert raw.execute("SELECT * FROM further").fetchall() == [(1, None)]
    raw.close()


def test_a_migration_that_fails_changes_nothing(open_store, monkeypatch):
    store = open_store()
    add(store, "p")
    store.close()
    broken = ("CREATE TABLE further (a)", "DELETE FROM revisions")
    with monkeypatch.context() as patch:
        patch.setattr(connection, "MIGRATIONS", (*MIGRATIONS, broken))
        with pytest.raises(StoreError, match=r"memory\.db: revisions are never lost"):
            open_store()
    assert header(store.path) == (APPLICATION_ID, len(MIGRATIONS))
    store = open_store()
    assert store.check() == []
    assert store.find(NS, ["p"])


def test_many_create_one_file_at_once(tmp_path):
    def open_and_write(n: int) -> None:
        store = SqliteStore(tmp_path / "memory.db")
        add(store, f"p{n}")
        store.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(open_and_write, range(24)))
    store = SqliteStore(tmp_path / "memory.db", create=False)
    assert len(store.heads(NS, "")) == 24
    assert store.check() == []
    store.close()
