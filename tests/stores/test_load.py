"""A short run of benchmarks/load.py on both stores, and violations planted into a finished run: each is reported."""

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from memp import connect
from memp.errors import MissingExtra
from memp.testing.postgres import server_programs

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def play(out, *options):
    command = [sys.executable, str(BENCHMARKS / "load.py"), "--out", str(out), "--json", "--seed", "3", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout[-2_000:], done.stderr[-2_000:])
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run on an SQLite file that has come to its end, long enough for this machine."""
    for minutes in ("0.1", "0.3", "1"):
        out = tmp_path_factory.mktemp("load") / "run"
        options = ("--agents", "4", "--processes", "2", "--minutes", minutes, "--rate", "40")
        report = play(out, "--store", "sqlite", *options)
        with closing(sqlite3.connect(out / "memory.db")) as db:
            if db.execute("SELECT count(*) FROM revisions WHERE succeeded > 0").fetchone()[0]:
                break
    return out, report


@pytest.fixture
def check(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from loadcheck import check

    def of(folder):
        with closing(connect(folder / "memory.db")) as store:
            return check(folder / "logs", store).violations

    return of


@pytest.fixture
def copy(finished, tmp_path):
    """A run to spoil, and its file."""
    shutil.copytree(finished[0], tmp_path / "run")
    with closing(sqlite3.connect(tmp_path / "run" / "memory.db", isolation_level=None)) as db:
        # what the store itself would never let happen
        for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {name}")
        yield tmp_path / "run", db


def test_a_short_run_on_sqlite(finished):
    out, report = finished
    assert report["violations"] == []
    assert report["acknowledged"]["record"] == report["found"]["trajectories"] > 20
    assert report["acknowledged"]["update"] == report["found"]["receipts"] > 0
    assert {"p50", "p95", "p99", "max"} <= report["latency"]["retrieve"].keys()
    assert (out / "latency.svg").stat().st_size > 1_000
    assert "0 violations" in (out / "report.md").read_text()


def has_server():
    try:
        server_programs()
    except MissingExtra as error:
        pytest.skip(str(error))


def test_a_short_run_on_postgres(tmp_path):
    has_server()
    options = ("--agents", "6", "--processes", "2", "--minutes", "0.1", "--rate", "30")
    report = play(tmp_path / "run", "--store", "postgres", *options)
    assert report["violations"] == []
    assert report["acknowledged"]["record"] == report["found"]["trajectories"] > 10


def test_a_run_that_is_ended_early_is_checked(tmp_path):
    command = [sys.executable, str(BENCHMARKS / "load.py"), "--out", str(tmp_path / "run"), "--json"]
    process = subprocess.Popen(
        [*command, "--agents", "2", "--processes", "1", "--minutes", "60", "--rate", "20"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    log = tmp_path / "run" / "logs" / "p1a0.jsonl"
    while process.poll() is None and not (log.exists() and log.read_text().count('"ack"') > 10):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, said = process.communicate()
    assert process.returncode == 0, said[-2_000:]
    report = json.loads(out)
    assert report["violations"] == []
    assert report["acknowledged"]["record"] > 0


def test_nothing_is_found_where_nothing_is_wrong(copy, check):
    assert check(copy[0]) == []


def one(db, query):
    return db.execute(f"{query} LIMIT 1").fetchone()


def test_a_lost_outcome_is_found(copy, check):
    run, db = copy
    (id,) = one(db, "SELECT trajectory_id FROM outcomes")
    db.execute("DELETE FROM outcomes WHERE trajectory_id = ?", (id,))
    assert any(f"lost outcome of {id}" in line for line in check(run))


def test_a_lost_trajectory_is_found(copy, check):
    run, db = copy
    (id,) = one(db, "SELECT id FROM trajectories")
    db.execute("DELETE FROM trajectories WHERE id = ?", (id,))
    assert any(f"lost trajectory {id}" in line for line in check(run))


@pytest.mark.parametrize("column", ["served", "succeeded"])
def test_a_counter_that_counted_twice_is_found(copy, check, column):
    run, db = copy
    seq, id = one(db, f"SELECT seq, procedure_id FROM revisions WHERE {column} > 0")
    db.execute(f"UPDATE revisions SET {column} = {column} + 1 WHERE seq = ?", (seq,))
    assert any(f"credit of {id}" in line and column in line for line in check(run))


def test_an_outcome_that_was_counted_whole_twice_is_found(copy, check):
    """The memory agrees with itself, and the agents' own logs know better."""
    run, db = copy
    body, id = one(db, "SELECT body, trajectory_id FROM outcomes WHERE json_array_length(body, '$.credited') > 0")
    outcome = json.loads(body)
    outcome["credited"] *= 2
    db.execute("UPDATE outcomes SET body = ? WHERE trajectory_id = ?", (json.dumps(outcome), id))
    for procedure, number in json.loads(body)["credited"]:
        db.execute(
            "UPDATE revisions SET served = served + 1, succeeded = succeeded + ? WHERE procedure_id = ? AND number = ?",
            (outcome["success"], procedure, number),
        )
    found = check(run)
    assert any("credit of" in line and "the agents' logs say" in line for line in found)
    assert not any("own check" in line for line in found)


def test_a_missing_revision_is_found(copy, check):
    run, db = copy
    by_policy = "json_extract(body, '$.author.policy') != 'person'"
    seq, id, number = one(db, f"SELECT seq, procedure_id, number FROM revisions WHERE {by_policy}")
    db.execute("DELETE FROM revisions WHERE seq = ?", (seq,))
    assert any(f"lost revision {number} of {id}" in line for line in check(run))


def test_a_gap_in_the_numbers_is_found(copy, check):
    run, db = copy
    id, last = one(db, "SELECT procedure_id, max(number) FROM revisions GROUP BY 1")
    db.execute(
        """UPDATE revisions SET number = number + 1, body = json_set(body, '$.number', number + 1)
           WHERE procedure_id = ? AND number = ?""",
        (id, last),
    )
    assert any(f"revisions of {id} do not chain" in line for line in check(run))


def test_a_receipt_that_is_lost_or_changed_is_found(copy, check):
    run, db = copy
    (id,) = one(db, "SELECT id FROM receipts")
    db.execute("UPDATE receipts SET body = json_set(body, '$.queue', 99) WHERE id = ?", (id,))
    assert any(f"lost receipt {id}" in line for line in check(run))
    db.execute("DELETE FROM receipts WHERE id = ?", (id,))
    assert any(f"lost receipt {id}" in line for line in check(run))


def test_a_recall_that_is_logged_otherwise_is_found(copy, check):
    run, db = copy
    (id,) = one(db, "SELECT id FROM recalls")
    db.execute("UPDATE recalls SET body = json_set(body, '$.task', 'another') WHERE id = ?", (id,))
    assert any(f"recall {id} is not logged as it was returned" in line for line in check(run))


def test_what_nobody_intended_is_found(copy, check):
    run, db = copy
    (id,) = one(db, "SELECT id FROM trajectories")
    for log in (run / "logs").iterdir():
        lines = [line for line in log.read_text().splitlines(True) if json.loads(line).get("op") != id]
        log.write_text("".join(lines))
    assert any(f"nobody intended trajectory {id}" in line for line in check(run))


def test_an_order_that_is_wrong_is_found(copy, check):
    run, db = copy
    db.execute("PRAGMA foreign_keys = OFF")
    db.execute("UPDATE trajectories SET seq = seq + 1000000 WHERE seq = (SELECT min(seq) FROM trajectories)")
    assert any("comes after one that was begun" in line for line in check(run))


@pytest.mark.parametrize(
    ("fault", "store"),
    [("kill -9 of clients", "sqlite"), ("held for too long", "sqlite"), ("in replies and at commit", "postgres")],
)
def test_a_round_of_faults(tmp_path, fault, store):
    if store == "postgres":
        has_server()
    command = [sys.executable, str(BENCHMARKS / "faults.py"), "--rounds", "1", "--only", fault, "--store", store]
    done = subprocess.run([*command, "--out", str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    (found,) = json.loads((tmp_path / "faults.json").read_text())
    assert found["violations"] == []
    assert found["acknowledged"]["record"] > 0
