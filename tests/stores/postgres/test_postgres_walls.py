"""Roles, row-level security, and nothing that a pooler in transaction mode would mix up."""

import numpy as np
import psycopg
import pytest
from psycopg import errors
from storekit import NS, add, at, counters, play, recall, receipt, revise, trajectory

from memp.errors import StoreReadOnly
from memp.stores.postgres.migrations import TABLES, grants


@pytest.fixture
def roles(migrated):
    """`memp_app` may use a memory, `memp_keeper` may also forget; neither owns anything."""
    with psycopg.connect(migrated, autocommit=True) as db:
        for role, forgetting in (("memp_app", False), ("memp_keeper", True)):
            if db.execute("SELECT FROM pg_roles WHERE rolname = %s", (role,)).fetchone() is None:
                db.execute(f"CREATE ROLE {role} LOGIN")
            for statement in grants(role, forgetting=forgetting):
                db.execute(statement)


@pytest.fixture
def app_url(roles, url):
    return url.replace("postgres@", "memp_app@")


def use(store):
    """What a memory does all day."""
    add(store, "p")
    play(store, "t", "p")
    revise(store, "p", 2)
    store.write(NS, [], consume="t", receipt_id="u", receipt=receipt("u/1"))
    store.requeue(NS, "t")
    store.log_receipt(NS, receipt("u"))
    store.log_recall(recall(store, "r", "p"))
    store.save_draft(NS, "k", "one")
    store.save_draft(NS, "k", "two")
    store.drop_drafts(NS, ["k"])
    for _ in range(2):
        store.save_vectors("f", [("task of p", np.ones(3))], NS)
    assert store.search(NS, "step", 5)
    assert store.stats(NS).trajectories == 1
    assert list(store.namespaces()) == [NS]
    heads = store.heads(NS, "f")
    assert heads[0].vector == np.ones(3, np.float32).tobytes()
    store.keep_near(NS, "f", heads, np.ones((1, 3), np.float32))
    assert store.nearest(NS, "f", np.ones(3, np.float32), 5, status="any", only_success=False) == [("p", 3.0)]
    return list(store.dump(NS))


def test_an_application_needs_few_rights(open_store, app_url):
    store = open_store(app_url, create=False)
    entries = use(store)
    assert store.load([("copy", entry) for entry in entries]).skipped == 0
    with pytest.raises(StoreReadOnly, match="lacks a right"):
        store.forget(NS, trajectories=["t"], at=at())
    assert list(store.dump(NS)) == entries


def test_a_keeper_may_forget_and_compact(open_store, roles, url):
    store = open_store(url.replace("postgres@", "memp_keeper@"), create=False)
    use(store)
    store.compact(NS, before=at(9_000))
    assert store.forget(NS, trajectories=["t"], at=at()).trajectories == 1
    assert counters(store, "p") == [(0, 0), (0, 0)]


def test_a_namespace_that_was_erased_is_not_listed(store):
    store.record(NS, trajectory("t"), None, None, at())
    store.forget(NS, trajectories=["t"], at=at())
    store.forget("never used", task="any", at=at())
    store.compact("never used", before=at())
    assert list(store.namespaces()) == []
    store.log_recall(recall(store, "r"))
    assert list(store.namespaces()) == [NS]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE memp.trajectories SET body = ''",
        "DELETE FROM memp.trajectories",
        "UPDATE memp.revisions SET body = ''",
        "UPDATE memp.outcomes SET body = ''",
        "DELETE FROM memp.outcomes",
        "UPDATE memp.procedures SET id = 'x'",
        "DROP TABLE memp.recalls",
        "TRUNCATE memp.trajectories",
        "ALTER TABLE memp.recalls DISABLE ROW LEVEL SECURITY",
        "UPDATE memp.schema SET version = 9",
    ],
)
def test_an_application_cannot_rewrite_what_was_recorded(store, app_url, statement):
    use(store)
    with psycopg.connect(app_url) as db:
        db.execute("SELECT set_config('memp.namespace', %s, true)", (NS,))
        with pytest.raises(errors.InsufficientPrivilege):
            db.execute(statement)


@pytest.mark.parametrize("table", ["trajectories", "revisions", "outcomes"])
def test_not_even_an_owner_rewrites_by_mistake(store, url, table):
    use(store)
    with psycopg.connect(url, autocommit=True) as db:
        for statement in (f"DELETE FROM memp.{table}", f"UPDATE memp.{table} SET body = body"):
            with pytest.raises(errors.RaiseException, match="never change"):
                db.execute(statement)


# -- a statement that forgot its namespace ---------------------------------------------------------


@pytest.mark.parametrize("table", TABLES)
def test_rows_of_other_namespaces_are_not_seen(store, open_store, app_url, table):
    use(store)
    store.save_draft(NS, "k", "one")
    with psycopg.connect(app_url) as db:
        count = f"SELECT count(*) FROM memp.{table}"
        assert db.execute(count).fetchone() == (0,), "without a namespace"
        db.execute("SELECT set_config('memp.namespace', 'elsewhere', true)")
        assert db.execute(count).fetchone() == (0,)
        db.execute("SELECT set_config('memp.namespace', %s, true)", (NS,))
        assert db.execute(count).fetchone() > (0,)


def test_rows_of_other_namespaces_are_not_written(store, app_url):
    use(store)
    with psycopg.connect(app_url, autocommit=True) as db:
        db.execute("SELECT set_config('memp.namespace', 'elsewhere', false)")
        with pytest.raises(errors.InsufficientPrivilege, match="row-level security"):
            db.execute("INSERT INTO memp.drafts VALUES (%s, 'k', 't')", (NS,))
        assert db.execute("UPDATE memp.revisions SET served = 9").rowcount == 0
        assert db.execute("DELETE FROM memp.receipts").rowcount == 0
    assert counters(store, "p") == [(1, 1), (0, 0)]


def test_an_owner_who_is_no_superuser_is_walled_too(server, open_store):
    """FORCE ROW LEVEL SECURITY; and such an owner can make the memory."""
    url = server.create_database()
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("CREATE ROLE memp_owner LOGIN")
        db.execute("CREATE EXTENSION vector")
        db.execute(f"GRANT CREATE ON DATABASE {db.info.dbname} TO memp_owner")
    owned = url.replace("postgres@", "memp_owner@")
    use(open_store(owned))
    with psycopg.connect(owned) as db:
        assert db.execute("SELECT count(*) FROM memp.trajectories").fetchone() == (0,)


def test_a_tenant_with_a_role_of_its_own_stays_in_its_namespace(store, open_store, roles, url):
    """As docs/postgres.md has it, for programs that are not trusted to name their namespace."""
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("CREATE ROLE tenant_a LOGIN IN ROLE memp_app")
        for table in TABLES:
            db.execute(
                f"CREATE POLICY tenant_a ON memp.{table} AS RESTRICTIVE TO tenant_a USING (namespace IN ('a', ''))"
            )
    try:
        add(store, "secret", namespace="b")
        tenant = open_store(url.replace("postgres@", "tenant_a@"), create=False)
        add(tenant, "p", namespace="a")
        assert [p.id for p in tenant.find("a", ["p"])] == ["p"]
        assert tenant.find("b", ["secret"]) == []
        assert list(tenant.namespaces()) == ["a"]
        with pytest.raises(StoreReadOnly, match="lacks a right"):
            add(tenant, "q", namespace="b")
    finally:
        with psycopg.connect(url, autocommit=True) as db:
            for table in TABLES:
                db.execute(f"DROP POLICY tenant_a ON memp.{table}")
            db.execute("DROP ROLE tenant_a")


# -- a pooler in transaction mode ------------------------------------------------------------------


def test_a_session_keeps_nothing_between_transactions(open_store, app_url):
    """Another client's transaction may come next on the same connection, and ours next on another one."""
    store = open_store(app_url, create=False)
    for _ in range(12):  # often enough for a driver to prepare statements
        store.find(NS, ["p"])
    use(store)
    store.record(NS, trajectory("last"), None, None, at())
    (wire,) = store._pool._connections._idle
    kept = "SELECT current_setting(%s, true)"
    for setting in ("memp.namespace", "memp.forgetting", "memp.listing"):
        assert wire.db.execute(kept, (setting,)).fetchone()[0] in (None, "")
    assert wire.db.execute(kept, ("synchronous_commit",)).fetchone() == ("on",)
    assert wire.db.execute(kept, ("statement_timeout",)).fetchone() == ("0",)
    assert wire.db.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)
    held = "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'"
    assert wire.db.execute(held).fetchone() == (0,)
