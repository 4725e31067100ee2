"""A server that says that it is sharded: settings go to where the rows are, and nothing else changes."""

from contextlib import contextmanager
from functools import partial

import psycopg
import pytest

from memp.stores.postgres import PostgresStore
from memp.stores.postgres.migrations import TABLES
from memp.stores.postgres.wire import Wire, set_locals
from memp.testing.store_conformance import RULES, Harness

_LITERAL = r"E'it\U00000027s\U00000020\U00000001a\U00000020\U00000025\U00000028ns\U00000029s'"
GROUPS = {"recording", "namespaces", "similarity", "forgetting"}
"""Of the conformance suite: what depends on settings that a transaction makes."""


@pytest.fixture(scope="module")
def sharded(server):
    """A database that claims to have Citus, and its owner, who is no superuser and so behind the wall."""
    url = server.create_database()
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("CREATE EXTENSION vector")
        db.execute("SET allow_system_table_mods = on")
        db.execute("INSERT INTO pg_extension VALUES (99999, 'citus', 10, 11, false, '13.0', NULL, NULL)")
        db.execute("CREATE ROLE sharded LOGIN")
        db.execute(f"GRANT CREATE ON DATABASE {db.info.dbname} TO sharded")
    return url.replace("postgres@", "sharded@")


@pytest.fixture
def sent(monkeypatch):
    """What is sent."""
    texts, send = [], Wire.send

    def listened(wire, text, values):
        texts.append(text)
        return send(wire, text, values)

    monkeypatch.setattr(Wire, "send", listened)
    return texts


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.group in GROUPS], ids=str)
def test_a_sharded_server_keeps_the_rule(rule, sharded):
    @contextmanager
    def make():
        connect = partial(PostgresStore, sharded)
        store = connect()
        with psycopg.connect(sharded, autocommit=True) as db:
            db.execute("TRUNCATE " + ", ".join(f"memp.{table}" for table in TABLES))
        try:
            yield Harness(store, connect)
        finally:
            store.close()

    result = rule.run(make)
    assert result.status == "passed", result.reason


def test_settings_are_passed_on_in_a_transaction_that_was_begun(sharded, sent):
    store = PostgresStore(sharded)
    del sent[:]
    assert store.find("it's \0 %(ns)s", ["p"]) == []
    store.close()
    assert sent[0] == "BEGIN"
    assert sent[1] == "SET LOCAL citus.propagate_set_commands = 'local'"
    said = [text for text in sent if text.startswith("SET LOCAL memp.namespace")]
    assert said == ["SET LOCAL memp.namespace = " + _LITERAL]
    assert sent[-1] == "COMMIT"


def test_a_setting_is_told_as_it_is(sharded):
    odd = 'it\'s \\ a \n "name" %(ns)s $1 ; -- ü 🎈'
    (told,) = set_locals("SELECT set_config('memp.namespace', %(ns)s, true)", {"ns": odd})
    with psycopg.connect(sharded) as db:
        db.execute(told)
        assert db.execute("SELECT current_setting('memp.namespace')").fetchone() == (odd,)
    with pytest.raises(UnicodeEncodeError):
        set_locals("SELECT set_config('memp.namespace', %(ns)s, true)", {"ns": "\ud800"})
