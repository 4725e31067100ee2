"""What is sent together, and that a connection survives what went wrong on it."""

import numpy as np
import psycopg
import pytest
from storekit import NS, add, at, counters, outcome, play, recall, revision, trajectory

from memp import ProceduralMemory
from memp.errors import RecordError, StoreBusy, StoreError
from memp.stores.base import Write
from memp.stores.postgres import statements as sql
from memp.stores.postgres.wire import Wire


@pytest.fixture
def nothing_else_is_sent():
    """The wire itself is tested with statements of no store."""


@pytest.fixture
def wire(url):
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as db:
        yield Wire(db)


@pytest.fixture
def trips(monkeypatch):
    """How often the server was waited for, as a list to be emptied."""
    waited, exchange = [], Wire._exchange

    def counted(self, answer):
        waited.append(len(self._waits))
        return exchange(self, answer)

    monkeypatch.setattr(Wire, "_exchange", counted)
    return waited


def test_what_an_agent_waits_for(url, store, trips):
    add(store, "p")
    with ProceduralMemory(url, namespace=NS) as memory:
        memory.retrieve("a task")
        trips.clear()
        served = memory.retrieve("another task")
        assert served.ranked
        assert len(trips) == 3, "whether there is news, what to serve, and that it was served"
        trips.clear()
        memory.record(trajectory("t"), served)
        assert len(trips) == 1


def test_rows_are_read_before_another_thread_may_have_the_connection(store, monkeypatch):
    read, free = Wire.read, []

    def watched(self, answer):
        free.append(self in store._pool._connections._idle)
        return read(self, answer)

    monkeypatch.setattr(Wire, "read", watched)
    add(store, "p")
    play(store, "t", "p")
    assert store.find(NS, ["p"])
    assert store.heads(NS, "none")
    assert store.namespaces() == [NS]
    assert len(free) > 5
    assert not any(free)


def test_a_record_that_is_refused_is_looked_at(store, trips):
    add(store, "p")
    play(store, "t", "p")
    served = recall(store, "r-t", "p")
    assert not store.record(NS, trajectory("t"), served, outcome(served, trajectory("t")), at()), "it is there"
    with pytest.raises(RecordError, match="other content"):
        store.record(NS, trajectory("t", task="another"), served, outcome(served, trajectory("t")), at())
    elsewhere = recall(store, "r-u", "p")
    lost = outcome(elsewhere, trajectory("u")).model_copy(update={"credited": (("p", 1), ("gone", 1))})
    with pytest.raises(RecordError, match="does not hold"):
        store.record(NS, trajectory("u"), elsewhere, lost, at())
    assert counters(store, "p") == [(1, 1)]
    assert store.trajectory(NS, "u") is None


def test_many_revisions_are_a_few_statements(store, trips):
    trips.clear()
    store.write(NS, [Write(revision=revision(f"p{n}")) for n in range(400)], consume=None, receipt_id="")
    assert len(trips) == 2
    assert max(trips) < 20
    assert len(store.heads(NS, "")) == 400


def test_more_statements_than_are_kept_under_way(wire):
    with wire.pipeline():
        answers = [wire.send("SELECT %(n)s::integer", {"n": n}) for n in range(1_000)]
        assert len(wire._waits) <= 201
    assert [answer.row() for answer in answers] == [(n,) for n in range(1_000)]


def together(wire, *statements, fails=None):
    """Send them together; the last one's answer."""
    with wire.pipeline():
        answers = [wire.send(statement, {"n": 0}) for statement in statements]
        if fails:
            raise fails
    return answers[-1]


def test_the_first_error_is_told_and_the_connection_goes_on(wire):
    with pytest.raises(psycopg.errors.DivisionByZero):
        together(wire, "SELECT 1 / %(n)s::integer", "SELECT nothing")
    with pytest.raises(psycopg.errors.UndefinedColumn), wire.pipeline():
        wire.send("SELECT nothing", {}).rows()
    with pytest.raises(ValueError, match="of ours"):
        together(wire, "SELECT 1 / %(n)s::integer", fails=ValueError("of ours"))
    assert together(wire, "SELECT %(n)s::integer").row() == (0,)


def test_what_was_sent_together_is_one_transaction(wire):
    with pytest.raises(psycopg.errors.DivisionByZero):
        together(wire, "CREATE TABLE kept (n integer)", "SELECT 1 / %(n)s::integer")
    assert together(wire, "SELECT to_regclass('kept') IS NULL").row() == (True,)


def test_values_arrive_as_they_are(wire):
    vector = np.array([0.1, -2.5, 3e-8], dtype=np.float32)
    values = {
        "text": "é\n%",
        "bytes": b"\0\xff",
        "list": ["a", 'b"{', ""],
        "keys": [b"\0", b""],
        "no": None,
        "v": vector,
    }
    asked = "SELECT %(text)s::text, %(bytes)b, %(list)b::text[], %(keys)b::bytea[], %(no)s::text, %(v)s::vector::text"
    with wire.pipeline():
        answer = wire.send(asked, values)
    *same, said = answer.row()
    assert same == [values[name] for name in ("text", "bytes", "list", "keys", "no")]
    assert np.array_equal(np.fromstring(said[1:-1], sep=",", dtype=np.float32), vector)


def test_a_wait_for_the_disk_that_is_cancelled_does_not_say_that_nothing_was_written(store, url, monkeypatch):
    send, cancelled = Wire.send, []

    def cancels(self, statement, values):
        if statement == sql.SYNC and not cancelled:
            cancelled.append(True)
            send(self, "SET statement_timeout = 1", {})  # what a role or an operator may have set
            send(self, "SELECT pg_sleep(5)", {})
        return send(self, statement, values)

    monkeypatch.setattr(Wire, "send", cancels)
    with pytest.raises(StoreError, match="it was written, but") as told:
        store.record(NS, trajectory("t"), None, None, at())
    assert not isinstance(told.value, StoreBusy)
    assert store.trajectory(NS, "t") == trajectory("t")
    assert not store.record(NS, trajectory("t"), None, None, at()), "it is there"
