"""kill -9 at random moments: nothing that was acknowledged is lost, nothing is half done.

MEMP_CRASH_ROUNDS=50 runs the rounds that the project promises; a few are played by default.
"""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import crashwriter
import pytest
from storekit import add, play

from memp.stores.entries import OutcomeEntry, ReceiptEntry, RevisionEntry, TrajectoryEntry
from memp.stores.migrations import MIGRATIONS
from memp.stores.sqlite import SqliteStore

ROUNDS = int(os.environ.get("MEMP_CRASH_ROUNDS", "4"))
pytestmark = [pytest.mark.slow, pytest.mark.timeout(120 + 20 * ROUNDS)]
NAMESPACE = "default"


class Writer:
    """A child process and what it acknowledged."""

    def __init__(self, mode: str, path: Path, name: str) -> None:
        command = [sys.executable, crashwriter.__file__, mode, str(path), name, name]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        self._out = self.process.stdout
        assert self._out is not None
        self._read = b""

    def until_ready(self) -> None:
        assert self._out.readline() == b"ready\n"

    def until(self, word: bytes, times: int) -> None:
        """Read on until it has acknowledged something so many times."""
        while times:
            line = self._out.readline()
            assert line
            self._read += line
            times -= line.split()[0] == word

    def kill(self) -> list[list[str]]:
        """Kill it and read what it had acknowledged (a line that was cut off was not)."""
        self.process.send_signal(signal.SIGKILL)
        return self.wait(-signal.SIGKILL)

    def wait(self, *codes: int) -> list[list[str]]:
        with self._out:
            lines = (self._read + self._out.read()).decode().split("\n")[:-1]
        assert self.process.wait() in (codes or (0,))
        return [line.split(" ") for line in lines]


def verify(path: Path, acknowledged: Sequence[Sequence[str]]) -> Counter[str]:
    """Everything acknowledged is there, and the whole holds together. Counts what was found."""
    store = SqliteStore(path, create=False)
    try:
        assert store.check() == []  # includes: counters equal the logged outcomes
        entries = list(store.dump(NAMESPACE))
    finally:
        store.close()
    recorded = {e.trajectory.id: e for e in entries if isinstance(e, TrajectoryEntry)}
    outcomes = {e.outcome.trajectory_id: e.outcome for e in entries if isinstance(e, OutcomeEntry)}
    receipts = {e.receipt.id for e in entries if isinstance(e, ReceiptEntry)}
    for what, *words in acknowledged:
        if what == "recorded":
            id, recall_id, served = words
            assert id in recorded
            if recall_id != "-":
                assert outcomes[id].recall_id == recall_id
                assert len(outcomes[id].credited) == int(served)
        elif what == "updated":
            assert words[0] in receipts
    assert {e.recall_id is not None for e in recorded.values() if e.trajectory.id in outcomes} <= {True}
    assert all(id in outcomes for id, e in recorded.items() if e.recall_id is not None)
    whole_updates(recorded, outcomes, [e for e in entries if isinstance(e, RevisionEntry)])
    for entry in recorded.values():  # what an update took is on record, even when the update was killed
        taken = entry.consumed_by
        assert taken is None or taken in receipts or any(id.startswith(f"{taken}/") for id in receipts)
    waiting = sum(e.consumed_by is None for e in recorded.values())
    return Counter(trajectories=len(recorded), outcomes=len(outcomes), waiting=waiting)


def whole_updates(recorded: dict, outcomes: dict, revisions: Sequence[RevisionEntry]) -> None:
    """A trajectory that was taken has all its revisions, one that waits has none."""
    made: dict[str, list[int]] = {}
    for entry in revisions:
        made.setdefault(entry.revision.evidence[0], []).append(entry.revision.number)
    for id, entry in recorded.items():
        numbers = made.pop(id, [])
        served = len(outcomes[id].credited) if id in outcomes else 0
        if entry.consumed_by is None:
            assert numbers == []
        elif entry.trajectory.reward >= 0.5:
            assert numbers == [1]
        else:
            assert len(numbers) == served
            assert 1 not in numbers
    assert made == {}


def moment() -> float:
    return random.uniform(0, 0.25)


def test_killed_in_record(tmp_path):
    path = tmp_path / "memory.db"
    log: list[list[str]] = []
    for n in range(ROUNDS):
        writer = Writer("record", path, f"r{n}")
        writer.until_ready()
        time.sleep(moment())
        log += writer.kill()
        found = verify(path, log)
    assert found["trajectories"] >= sum(words[0] == "recorded" for words in log) > 0
    report("killed in record", log, found, ROUNDS)


def test_killed_in_update(tmp_path):
    path = tmp_path / "memory.db"
    log: list[list[str]] = []
    interrupted = 0
    for n in range(ROUNDS):
        writer = Writer("update", path, f"r{n}")
        writer.until_ready()
        if n % 2:  # while the revisions of a trajectory are being written
            writer.until(b"stored", random.randint(1, 5))
            time.sleep(random.uniform(0, 0.004))
        else:
            time.sleep(moment())
        log += writer.kill()
        interrupted += verify(path, log)["waiting"] > 0
    log += Writer("finish", path, "end").wait()
    found = verify(path, log)
    assert found["waiting"] == 0
    report("killed in update", log, found, interrupted)
    stored: set[str] = set()
    for what, *words in log:
        if what == "asked":
            assert words[0] not in stored, "a reply that was stored was asked for again"
        elif what == "stored":
            stored.add(words[0])
    assert stored
    raw = sqlite3.connect(path)
    assert raw.execute("SELECT count(*) FROM drafts").fetchone() == (0,)
    raw.close()


def test_four_writers_killed(tmp_path):
    path = tmp_path / "memory.db"
    log: list[list[str]] = []
    interrupted = 0
    for n in range(ROUNDS):
        writers = [Writer("mixed", path, f"r{n}w{w}") for w in range(4)]
        for writer in writers:
            writer.until_ready()
        for writer in random.sample(writers, 4):
            time.sleep(moment() / 2)
            log += writer.kill()
        interrupted += verify(path, log)["waiting"] > 0
    log += Writer("finish", path, "end").wait()
    found = verify(path, log)
    assert found["waiting"] == 0
    report("four writers killed", log, found, interrupted)


def test_killed_in_migration(tmp_path):
    old = tmp_path / "old.db"
    store = SqliteStore(old)
    add(store, *(f"p{n}" for n in range(150)), namespace=NAMESPACE)
    for n in range(150):
        play(store, f"t{n}", f"p{n}", namespace=NAMESPACE)
    before = list(store.dump(NAMESPACE))
    store.close()
    path = tmp_path / "memory.db"
    shutil.copy(old, path)
    needed = opened_in(path)
    outcomes: Counter[str] = Counter()
    for n in range(ROUNDS):
        for file in tmp_path.glob("memory.db*"):
            file.unlink()
        shutil.copy(old, path)
        writer = Writer("migrate", path, f"r{n}")
        writer.until_ready()
        time.sleep(random.uniform(0, needed))
        writer.process.send_signal(signal.SIGKILL)
        acknowledged = writer.wait(0, -signal.SIGKILL)
        version, added = state(path)
        assert (version, added) in ((len(MIGRATIONS), 0), (len(MIGRATIONS) + 1, crashwriter.COLUMNS))
        if acknowledged:
            assert added
        outcomes["before" if not added else "after"] += 1
        if not added:
            again = SqliteStore(path)  # a program that does not know the migration goes on
            assert list(again.dump(NAMESPACE)) == before
            assert again.check() == []
            again.close()
        writer = Writer("migrate", path, f"r{n} again")
        assert ["migrated"] in writer.wait()
        assert state(path) == (len(MIGRATIONS) + 1, crashwriter.COLUMNS)
        raw = sqlite3.connect(path)
        assert raw.execute("SELECT count(*) FROM copies").fetchone() == (150,)
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        raw.close()
    print(f"killed in migration: {ROUNDS} rounds, found {dict(outcomes)}, it takes {needed * 1000:.0f} ms")


def test_killed_in_creation(tmp_path):
    path = tmp_path / "memory.db"
    needed = opened_in(path)
    found: Counter[object] = Counter()
    for n in range(ROUNDS):
        for file in tmp_path.glob("memory.db*"):
            file.unlink()
        writer = Writer("migrate", path, f"r{n}")
        writer.until_ready()
        time.sleep(random.uniform(0, needed))
        writer.process.send_signal(signal.SIGKILL)
        writer.wait(0, -signal.SIGKILL)
        found[state(path) if path.exists() else "no file"] += 1
        assert ["migrated"] in Writer("migrate", path, f"r{n} again").wait()
        assert state(path) == (len(MIGRATIONS) + 1, crashwriter.COLUMNS)
    assert set(found) <= {"no file", (0, 0), (len(MIGRATIONS) + 1, crashwriter.COLUMNS)}
    print(f"killed in creation: {ROUNDS} rounds, found {dict(found)}, it takes {needed * 1000:.0f} ms")


def opened_in(path: Path) -> float:
    """Seconds that the migration takes."""
    writer = Writer("migrate", path, "measured")
    writer.until_ready()
    start = time.monotonic()
    writer.until(b"migrated", 1)
    seconds = time.monotonic() - start
    writer.wait()
    return seconds


def state(path: Path) -> tuple[int, int]:
    """Version of the schema, and how many of the migration's columns are there."""
    raw = sqlite3.connect(path)
    (version,) = raw.execute("PRAGMA user_version").fetchone()
    added = [row for row in raw.execute("PRAGMA table_info(procedures)") if row[1].startswith("added")]
    raw.close()
    return version, len(added)


def report(what: str, log: Sequence[Sequence[str]], found: Counter[str], interrupted: int) -> None:
    """Shown with `pytest -s`."""
    acknowledged = Counter(words[0] for words in log)
    print(f"{what}: {ROUNDS} rounds, acknowledged {dict(acknowledged)}, found {dict(found)}, unfinished {interrupted}")
