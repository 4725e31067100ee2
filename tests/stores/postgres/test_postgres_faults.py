"""What is acknowledged is there and the rest is absent whole, whatever happens to the server or the connection."""

import os
import shutil
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from storekit import NS, add, at, counters, outcome, play, recall, revision, trajectory

from memp.errors import StoreBusy, StoreError, StoreFull, StoreMissing, StoreReadOnly, StoreTooNew
from memp.stores.base import Write
from memp.stores.postgres import PostgresStore
from memp.stores.postgres import statements as sql
from memp.stores.postgres.transaction import Transaction
from memp.stores.postgres.wire import Wire
from memp.testing.postgres import PostgresServer


@pytest.fixture
def own_server(server):
    """A server that may be killed: the session's, which is started again."""
    yield server
    server.stop("fast")
    server.start()


def restart(server, how):
    server.stop(how)
    time.sleep(0.2)
    server.start()


def whole(store, told):
    """Every trajectory that is there has its outcome and its credit, and all that were acknowledged are there."""
    there = {t.id for t in store.trajectories(NS)}
    assert told <= there
    assert {o.trajectory_id for o in store.outcomes(NS, 10_000)} == there
    assert counters(store, "p") == [(len(there), len(there))]
    taken = there - {w.trajectory.id for w in store.waiting(NS)}
    assert {p.id for p in store.find(NS, [f"p-{id}" for id in there])} == {f"p-{id}" for id in taken}


@pytest.mark.parametrize("how", ["kill", "immediate", "fast"])
def test_a_server_that_goes_down_in_the_middle_of_traffic(own_server, open_store, how):
    stores = [open_store(timeout=60) for _ in range(3)]
    add(stores[0], "p")
    told, stop = [set() for _ in stores], threading.Event()
    index: list[int] = []

    def work(worker):
        store, n = stores[worker], 0
        while not stop.is_set():
            id = f"t{worker}-{n}"
            play(store, id, "p")
            new = Write(revision=revision(f"p-{id}"))
            assert store.write(NS, [new], consume=id, receipt_id="u"), "it was told that another had taken it"
            told[worker].add(id)
            n += 1

    def look():
        while not stop.is_set():
            since = index[-1] if index else 0
            index.extend(number for number, _ in stores[0].outcomes_since(NS, since))

    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(work, n) for n in range(3)] + [pool.submit(look)]
        time.sleep(0.4)
        before = sum(map(len, told))
        restart(own_server, how)
        deadline = time.monotonic() + 20
        while sum(map(len, told)) < before + 6 and time.monotonic() < deadline:
            time.sleep(0.02)
        stop.set()
        for job in jobs:
            job.result()
    assert sum(map(len, told)) >= before + 6, "work did not go on after the restart"
    whole(open_store(), set().union(*told))
    assert index == sorted(index)
    seen = [number for number, _ in stores[0].outcomes_since(NS)]
    missed = [number for number in seen if index and number <= index[-1] and number not in index]
    assert missed == [], "a number became visible below one that was seen"


def test_a_connection_lost_before_the_commit_changes_nothing_and_is_repeated(store, url, monkeypatch):
    add(store, "p")
    lost = []
    send = Transaction.send

    def kills_once(self, statement, **values):
        if statement == sql.CREDIT and not lost:
            lost.append(kill_others(url))
        return send(self, statement, **values)

    monkeypatch.setattr(Transaction, "send", kills_once)
    play(store, "t", "p")
    assert lost == [1]
    assert counters(store, "p") == [(1, 1)]


def test_a_connection_lost_after_the_commit_is_not_repeated(store, url, monkeypatch):
    """The commit arrived and its answer did not: the server is asked what became of it."""
    add(store, "p")
    play(store, "t0", "p")
    send, lost = Wire.send, []

    def loses_the_answer(self, statement, values):
        if statement == sql.SYNC and not lost:
            self.read(self._waits[-1])  # it is committed and visible
            lost.append(kill_others(url))
        return send(self, statement, values)

    monkeypatch.setattr(Wire, "send", loses_the_answer)
    played, served = trajectory("t"), recall(store, "r-t", "p")
    assert store.record(NS, played, served, outcome(served, played), at()), "it was new"
    assert lost == [1]
    assert counters(store, "p") == [(2, 2)]
    assert len(store.outcomes(NS)) == 2


def kill_others(url):
    with psycopg.connect(url, autocommit=True) as db:
        return db.execute(
            """SELECT count(*) FILTER (WHERE pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
               WHERE datname = current_database() AND pid != pg_backend_pid() AND backend_type = 'client backend'"""
        ).fetchone()[0]


def test_idle_connections_that_were_dropped_are_made_anew(store, url):
    add(store, "p")
    assert kill_others(url) == 1
    assert [p.id for p in store.find(NS, ["p"])] == ["p"]
    kill_others(url)
    play(store, "t", "p")
    assert counters(store, "p") == [(1, 1)]


def test_a_namespace_that_is_held_for_too_long(store, url, open_store):
    add(store, "p")
    hasty = open_store(timeout=0.3)
    with psycopg.connect(url) as db:
        db.execute("SELECT 1 FROM memp.namespaces WHERE namespace = %s FOR UPDATE", (NS,))
        with pytest.raises(StoreBusy, match="held the namespace for too long"):
            add(hasty, "q")
        add(hasty, "q", namespace="another")  # others go on
        assert hasty.find(NS, ["p"])  # and readers do not wait
    add(hasty, "q")


def test_a_server_that_takes_no_writes(store, url, open_store):
    add(store, "p")
    with psycopg.connect(url, autocommit=True) as db:
        name = db.info.dbname
        db.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        try:
            reader = open_store()
            assert reader.find(NS, ["p"])
            with pytest.raises(StoreReadOnly, match="takes no writes"):
                add(reader, "q")
        finally:
            db.execute("SET default_transaction_read_only = off")
            db.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")


def test_a_forked_child_has_connections_of_its_own(store):
    add(store, "p")
    child = os.fork()
    if child == 0:
        try:
            add(store, "child")
            store.close()
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    add(store, "parent")
    assert [head.id for head in store.heads(NS, "")] == ["p", "child", "parent"]


# -- opening ---------------------------------------------------------------------------------------


def test_nobody_answers(tmp_path):
    with pytest.raises(StoreError, match="no server answers"):
        PostgresStore(f"postgresql://u:secret@/db?host={tmp_path}")


def test_no_such_database_or_user(server):
    with pytest.raises(StoreMissing, match="no such database"):
        PostgresStore(server.url("absent"))
    with pytest.raises(StoreError, match="refuses this user"):
        PostgresStore(server.url(user="stranger"))


def test_an_error_does_not_tell_the_password(tmp_path):
    with pytest.raises(StoreError) as error:
        PostgresStore(f"postgresql://u:secret@/db?host={tmp_path}")
    assert "secret" not in str(error.value)


def test_a_database_without_a_memory(server):
    url = server.create_database()
    with pytest.raises(StoreMissing, match="there is no memory in"):
        PostgresStore(url, create=False)
    with ThreadPoolExecutor(4) as pool:  # they wait for each other
        for store in pool.map(lambda _: PostgresStore(url), range(4)):
            store.close()
    PostgresStore(url, create=False).close()
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("UPDATE memp.schema SET version = 99")
    with pytest.raises(StoreTooNew, match="schema 99"):
        PostgresStore(url)


def test_a_database_in_another_encoding(server):
    with psycopg.connect(server.url(), autocommit=True) as db:
        db.execute("CREATE DATABASE ascii TEMPLATE template0 ENCODING 'SQL_ASCII'")
    with pytest.raises(StoreError, match="encoding SQL_ASCII"):
        PostgresStore(server.url("ascii"))


@pytest.fixture
def disk():
    """A small file system of its own that the server's user may enter; needs the right to mount."""
    place = Path(tempfile.mkdtemp(prefix="memp-disk-", dir="/tmp"))
    mount = ["mount", "-t", "tmpfs", "-o", "size=100m,mode=755", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        place.rmdir()
        pytest.skip("may not mount a file system here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)
    place.rmdir()


def test_a_disk_that_is_full(disk):
    with PostgresServer(folder=disk, max_wal_size="32MB", min_wal_size="32MB", wal_recycle="off") as server:
        store, told = PostgresStore(server.url(), timeout=2), []
        try:
            for n in range(1_000):
                store.record(NS, trajectory(f"t{n}", start=os.urandom(200_000).hex()), None, None, at())
                told.append(f"t{n}")
            said = None
        except StoreError as error:
            said = error
        store.close()
        # without room for rows the server says so, without room for its log it gives up
        assert isinstance(said, StoreFull) or "no server answers" in str(said) or "not come back" in str(said), said
        # recovery itself needs room for a file of the log
        subprocess.run(["mount", "-o", "remount,size=300m", str(disk)], check=True)
        server.stop("immediate")
        server.start()
        again = PostgresStore(server.url())
        there = [t.id for t in again.trajectories(NS)]
        again.close()
    assert told
    assert there in (told, [*told, f"t{len(told)}"])
