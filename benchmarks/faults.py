"""What is acknowledged is there and the rest is absent whole, whatever fails: the fault runs, in one table.

    python benchmarks/faults.py --rounds 5 --out /tmp/faults              # all of them, some minutes
    python benchmarks/faults.py --rounds 2 --only "kill -9 of clients" --out /tmp/faults

Each run has the traffic, the independent logs and the checker of load.py (see there): agents that retrieve, record,
update and curate in four namespaces, while something is done to them, to the server, to a connection, a lock, the disk
or the clock. Afterwards the memory is held against the logs. An operation *in doubt* was announced and neither
acknowledged nor refused (its process was killed, or its commit was not answered); each may be there or not, but whole.
*Refused* are errors that promise that nothing was written, and the checker sees to it that nothing was.

A round is a fault or a burst of them under a few seconds of traffic. A full disk needs the right to mount a tmpfs.
Exit code 1 when a violation was found.
"""

import argparse
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from load import Traffic, connect_to
from loadcheck import Findings, check
from loadproxy import Proxy
from loadwork import Config

from memp import connect
from memp.testing.postgres import PostgresServer

LONG = 100_000.0
"""Seconds: traffic goes on until it is stopped."""


class Run:
    """The traffic of one fault run, on one memory, and what the checker says of it."""

    def __init__(self, place: str, out: Path, rounds: int, seed: int, **settings: Any) -> None:
        self.place, self.out, self.rounds = place, out, rounds
        self.rng = random.Random(f"{seed} {out.name}")
        rate = settings.pop("rate", 40.0)
        self.agents, self.processes = settings.pop("agents", 6), settings.pop("processes", 3)
        out.mkdir(parents=True)
        connect(settings.pop("made_at", place)).close()
        config = Config(place, str(out / "logs"), [], 0, rate / self.agents, LONG, seed=seed, **settings)
        self.traffic = Traffic(config, out, self.agents, self.processes)

    def wait(self, least: float, most: float) -> None:
        """Some seconds, drawn."""
        time.sleep(self.rng.uniform(least, most))

    def until(self, *kinds: str, seconds: float = 240.0) -> None:
        """Until the logs tell of an error of one of these kinds that they did not tell of before."""
        before, deadline = self.told(kinds), time.monotonic() + seconds
        while self.told(kinds) <= before:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.out.name}: no {' or '.join(kinds)} within {seconds:g} s")
            time.sleep(0.1)

    def told(self, kinds: tuple[str, ...]) -> int:
        """How many lines of the logs tell of such errors, or of acknowledged operations ("ack")."""
        marks = [f'"e":"{kind}"'.encode() if kind == "ack" else f'"kind":"{kind}"'.encode() for kind in kinds]
        texts = [path.read_bytes() for path in (self.out / "logs").glob("*.jsonl")]
        return sum(text.count(mark) for text in texts for mark in marks)

    def goes_on(self, seconds: float = 120.0) -> None:
        """Until ten more operations were acknowledged: the fault has passed."""
        before, deadline = self.told(("ack",)), time.monotonic() + seconds
        while self.told(("ack",)) < before + 10:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.out.name}: work does not go on after the fault")
            time.sleep(0.1)

    def check(self, place: str | None = None, *, recalls_may_be_lost: bool = False) -> Findings:
        """End the traffic and hold the memory against the logs."""
        self.traffic.stop()
        with connect_to(place or self.place) as store:
            found = check(self.out / "logs", store, recalls_may_be_lost=recalls_may_be_lost)
        found.violations += self.traffic.crashed
        return found


class Task(NamedTuple):
    """What a fault run is given."""

    out: Path
    rounds: int
    seed: int

    def on(self, place: str, **settings: Any) -> Run:
        """Traffic on a memory at `place`."""
        return Run(place, self.out, self.rounds, self.seed, **settings)

    def file(self) -> str:
        """Where an SQLite memory goes."""
        self.out.parent.mkdir(parents=True, exist_ok=True)
        return str(self.out.parent / f"{self.out.name}.db")


def server(**settings: Any) -> PostgresServer:
    """A server of our own that waits for the disk."""
    return PostgresServer(durable=True, max_connections=100, **settings)


# -- processes -------------------------------------------------------------------------------------


def killed(run: Run) -> Findings:
    """Every round all processes of agents are killed, one after the other, and the memory is checked."""
    broken: list[str] = []
    for _ in range(run.rounds):
        run.traffic.start()
        for index in run.rng.sample(range(run.processes), run.processes):
            run.wait(0.1, 1.2)
            run.traffic.kill(index)
        found = run.check()
        broken += found.violations
    found.violations = list(dict.fromkeys(broken))
    return found


def clients_killed_sqlite(task: Task) -> Findings:
    return killed(task.on(task.file(), rate=150.0))


def clients_killed_postgres(task: Task) -> Findings:
    with server() as up:
        return killed(task.on(up.url(), rate=150.0))


def server_killed(task: Task) -> Findings:
    """It is down for a moment, or for longer than clients are willing to wait."""
    with server() as up:
        run = task.on(up.url(), timeout=4.0)
        run.traffic.start()
        for round in range(run.rounds):
            run.wait(1.0, 3.0)
            up.stop("kill")
            time.sleep((0.2, 6.0)[round % 2])
            up.start()
            run.goes_on()
        return run.check(recalls_may_be_lost=True)


# -- connections -----------------------------------------------------------------------------------


def connections_terminated(task: Task) -> Findings:
    """A third of the server's connections, every fifth of a second, at random."""
    with server() as up:
        run = task.on(up.url(), timeout=10.0)
        run.traffic.start()
        with psycopg.connect(up.url(), autocommit=True) as db:
            for _ in range(run.rounds * 20):
                run.wait(0.05, 0.35)
                db.execute(
                    """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                       WHERE backend_type = 'client backend' AND pid != pg_backend_pid() AND random() < 0.33"""
                )
        run.goes_on()
        return run.check()


def cut(task: Task, away: float, **settings: Any) -> Findings:
    """A proxy between clients and server cuts connections in the middle of replies, and right at a commit."""
    with server() as up, Proxy(up.url(), random.Random(task.seed)) as proxy:
        run = task.on(proxy.url, made_at=up.url(), **settings)
        run.traffic.start()
        for _ in range(run.rounds):
            proxy.away, proxy.cutting = away, True
            run.wait(5.0 + 2 * away, 5.0 + 2 * away)
            proxy.cutting = False
            run.goes_on()
        found = run.check(up.url())
        print(f"  cut: {dict(proxy.cuts)}", file=sys.stderr)
        return found


def connections_cut(task: Task) -> Findings:
    return cut(task, 0.0, timeout=10.0)


def connections_away(task: Task) -> Findings:
    """After a commit was cut from its answer, nobody gets through for longer than clients wait."""
    return cut(task, 3.0, timeout=2.0)


# -- locks, disk, clock ----------------------------------------------------------------------------


def locked_sqlite(task: Task) -> Findings:
    """Another program holds the file's write lock for longer than clients wait."""
    place = task.file()
    run = task.on(place, timeout=0.4)
    run.traffic.start()
    with closing(sqlite3.connect(place, isolation_level=None, timeout=60)) as other:
        for _ in range(run.rounds):
            run.wait(0.5, 1.5)
            other.execute("BEGIN IMMEDIATE")
            run.until("StoreBusy")
            run.wait(0.2, 1.5)
            other.execute("ROLLBACK")
            run.goes_on()
    return run.check()


def locked_postgres(task: Task) -> Findings:
    """Another client holds the namespaces' rows for longer than clients wait."""
    with server() as up:
        run = task.on(up.url(), timeout=0.4)
        run.traffic.start()
        run.goes_on()
        with psycopg.connect(up.url()) as other:
            for _ in range(run.rounds):
                run.wait(0.5, 1.5)
                other.execute("SELECT 1 FROM memp.namespaces ORDER BY namespace FOR UPDATE")
                run.until("StoreBusy")
                run.wait(0.2, 1.5)
                other.rollback()
                run.goes_on()
        return run.check()


@contextmanager
def disk(size: str) -> Iterator[Path]:
    """A small file system that the server's user may enter."""
    place = Path(tempfile.mkdtemp(prefix="memp-disk-", dir="/tmp"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
        place.rmdir()


def make_room(place: Path, megabytes: int) -> None:
    """So much more than is used."""
    used = shutil.disk_usage(place).used // 2**20
    subprocess.run(["mount", "-o", f"remount,size={used + megabytes}m", str(place)], check=True)


def full_sqlite(task: Task) -> Findings:
    """The disk is full for some seconds, then there is room again."""
    with disk("3m") as place:
        run = task.on(str(place / "memory.db"), timeout=5.0, observation=1_000)
        run.traffic.start()
        for _ in range(run.rounds):
            run.until("StoreFull")
            run.wait(1.0, 2.0)
            make_room(place, 2)
            run.goes_on()
        make_room(place, 300)
        run.goes_on()
        return run.check()


def full_postgres(task: Task) -> Findings:
    """The server runs out of room for rows (and says so) or for its log (and gives up); it is given room."""
    wal = {"max_wal_size": "32MB", "min_wal_size": "32MB", "wal_recycle": "off"}
    with disk("200m") as place, server(folder=place, shared_buffers="32MB", **wal) as up:
        run = task.on(up.url(), timeout=3.0, observation=4_000)
        run.traffic.start()
        for _ in range(run.rounds):
            make_room(place, 3)
            run.until("StoreFull", "StoreError")
            run.wait(1.0, 2.0)
            make_room(place, 60)  # recovery itself needs room for files of the log
            up.stop("immediate")
            up.start()
            run.goes_on()
        run.traffic.stop()
        make_room(place, 300)
        return run.check(recalls_may_be_lost=True)


def jumping(run: Run) -> Findings:
    """The clocks of all clients are wrong by up to six hours, each by another amount, and jump."""
    for _ in range(run.rounds):
        run.traffic.start()
        run.wait(3.0, 5.0)
        found = run.check()
        if found.violations:
            break
    return found


def clock_sqlite(task: Task) -> Findings:
    return jumping(task.on(task.file(), clock_hours=6.0))


def clock_postgres(task: Task) -> Findings:
    with server() as up:
        return jumping(task.on(up.url(), clock_hours=6.0))


FAULTS: dict[tuple[str, str], Callable[[Task], Findings]] = {
    ("kill -9 of clients", "SQLite"): clients_killed_sqlite,
    ("kill -9 of clients", "PostgreSQL"): clients_killed_postgres,
    ("kill -9 of the server, restart", "PostgreSQL"): server_killed,
    ("connections terminated at random", "PostgreSQL"): connections_terminated,
    ("connections cut in replies and at commit", "PostgreSQL"): connections_cut,
    ("cut at commit, then unreachable", "PostgreSQL"): connections_away,
    ("a lock held for too long", "SQLite"): locked_sqlite,
    ("a lock held for too long", "PostgreSQL"): locked_postgres,
    ("disk full, then room", "SQLite"): full_sqlite,
    ("disk full, then room", "PostgreSQL"): full_postgres,
    ("clocks differ and jump by hours", "SQLite"): clock_sqlite,
    ("clocks differ and jump by hours", "PostgreSQL"): clock_postgres,
}

HEADER = """\
| fault | store | rounds | acknowledged: records, updates, edits | found: trajectories, receipts, revisions | refused \
| in doubt: there, absent | violations |
|---|---|---:|---|---|---|---|---:|
"""


def row(fault: str, store: str, rounds: int, found: Findings) -> str:
    """A line of the table."""
    told, held = found.acknowledged, found.found
    edits = sum(told[do] for do in ("pin", "unpin", "approve", "reject", "undo", "retire", "restore"))
    refused = Counter(found.refused)
    del refused["RecordError"]  # an edit that does not apply: every run has them
    errors = ", ".join(f"{count} {kind}" for kind, count in sorted(refused.items())) or "-"
    return (
        f"| {fault} | {store} | {rounds} | {told['record']}, {told['update']}, {edits} "
        f"| {held['trajectories']}, {held['receipts']}, {held['revisions']} | {errors} "
        f"| {found.doubt_there}, {found.doubt_absent} | {len(found.violations)} |\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", help="faults whose name holds these words")
    parser.add_argument("--store", choices=("sqlite", "postgres"), help="one store only")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="a new folder: logs, faults.md, faults.json")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    rows, violations, results = [], 0, []
    for (fault, store), play in FAULTS.items():
        if (asked.only and asked.only not in fault) or (asked.store and not store.lower().startswith(asked.store)):
            continue
        if "disk" in fault and os.geteuid() != 0:
            print(f"{fault}, {store}: skipped, mounting needs root", file=sys.stderr)
            continue
        began = time.monotonic()
        print(f"{fault}, {store} ...", file=sys.stderr)
        found = play(Task(asked.out / play.__name__, asked.rounds, asked.seed))
        rows.append(row(fault, store, asked.rounds, found))
        print(f"{rows[-1]}  {time.monotonic() - began:.0f} s, recalls lost {found.recalls_lost}", file=sys.stderr)
        for line in found.violations[:20]:
            print(f"  {line}", file=sys.stderr)
        violations += len(found.violations)
        results.append({"fault": fault, "store": store, "rounds": asked.rounds, **vars(found)})
    (asked.out / "faults.md").write_text(HEADER + "".join(rows))
    (asked.out / "faults.json").write_text(json.dumps(results, indent=1))
    print(HEADER + "".join(rows))
    sys.exit(bool(violations))


if __name__ == "__main__":
    main()
