"""Many agents on one memory, for long, and nothing lost: a load run and its check.

    python benchmarks/load.py --store postgres --agents 64 --processes 8 --minutes 20 --rate 40 --out /tmp/load
    python benchmarks/load.py --store sqlite --agents 8 --processes 4 --minutes 20 --rate 20 --out /tmp/load

Agents (asyncio tasks in processes of their own) retrieve, record with the recall, update (vanilla, validation and
adjustment, scripts by rules, no model), curate (pin, approve, reject, undo, retire ...) and read, in four shared
namespaces, through `AsyncProceduralMemory`. What they live through is synthetic: household tasks of a small world,
rewards drawn with a fixed seed. Nothing is simulated below that: real embedder, real store, fsync on.

Arrivals are open-loop: Poisson at `--rate` a second in all, drawn beforehand, whatever the memory does. An agent does
one thing at a time, and **latency counts from when an operation was due**, so that a stall is felt by everything that
fell due meanwhile. Store calls block the event loop: agents of one process take turns, and that wait is counted too.
"Call" in the table is the time of the call alone.

Each agent writes a log of its own: a line before the call (intent, with its ids), a line after it (what came back).
memp never reads them. Afterwards loadcheck.py holds the memory against the logs: no lost outcome, no double credit,
no lost revision, nothing that nobody intended. Exit code 1 when it finds a violation. Ctrl-C ends the run early; it
is checked all the same.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from loadcheck import Findings, Operation, check, read_logs
from loadwork import PERSON, READ, Config, save

from memp import connect
from memp.testing.postgres import PostgresServer

WORKER = Path(__file__).with_name("loadwork.py")


class Traffic:
    """Processes of agents. They start together, and may be killed and replaced one by one."""

    def __init__(self, config: Config, out: Path, agents: int, processes: int) -> None:
        self.config, self.out, self.agents, self.count = config, out, agents, processes
        self.processes: list[subprocess.Popen[bytes]] = []
        self.crashed: list[str] = []
        """Processes that ended in a way nobody asked for."""
        self._names = 0
        Path(config.folder).mkdir(parents=True, exist_ok=True)

    def start(self, **changed: Any) -> None:
        """All processes; returns when they are at work."""
        new = [self._spawn(number, **changed) for number in range(self.count)]
        self.processes += new
        self._begin(new)

    def replace(self, index: int, **changed: Any) -> None:
        """A new process with agents of new names in the place of one that was killed."""
        self.processes[index] = self._spawn(index, **changed)
        self._begin([self.processes[index]])

    def kill(self, index: int) -> None:
        """kill -9."""
        process = self.processes[index]
        process.send_signal(signal.SIGKILL)
        if (code := process.wait()) not in (0, -signal.SIGKILL):
            self.crashed.append(f"a process of agents ended with {code}; see {self.out}")

    def stop(self) -> None:
        """Let them finish what they are at."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        self.wait()

    def wait(self) -> None:
        """Until they have ended."""
        for process in self.processes:
            if (code := process.wait()) not in (0, -signal.SIGKILL):
                self.crashed.append(f"a process of agents ended with {code}; see {self.out}")
        self.processes = []

    def _spawn(self, number: int, **changed: Any) -> "subprocess.Popen[bytes]":
        self._names += 1
        names = [f"p{self._names}a{n}" for n in range(number, self.agents, self.count)]
        config = replace(self.config, agents=names, number=number, **changed)
        path = self.out / f"process-{self._names}.json"
        save(config, path)
        threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        with path.with_suffix(".log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, str(WORKER), str(path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=os.environ | threads,
                start_new_session=True,  # Ctrl-C is for us
            )

    @staticmethod
    def _begin(processes: "Iterable[subprocess.Popen[bytes]]") -> None:
        for process in processes:
            assert process.stdout is not None
            if process.stdout.readline() != b"ready\n":
                raise RuntimeError("a process of agents did not start; see its log")
        begin = time.monotonic() + 0.1
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(f"{begin}\n".encode())
            process.stdin.close()


# -- figures ---------------------------------------------------------------------------------------


def kind(operation: Operation) -> str:
    """The line of the table it belongs to."""
    if operation.do in PERSON:
        return "curate"
    return "read" if operation.do in READ else operation.do


def measure(operations: Iterable[Operation], left: int) -> dict[str, Any]:
    """Latencies from when operations were due, and of the calls alone, in milliseconds."""
    ended = [operation for operation in operations if operation.ended is not None]
    if not ended:
        return {"operations": 0}
    first, last = min(o.due for o in ended), max(o.ended or 0 for o in ended)
    of: dict[str, list[Operation]] = defaultdict(list)
    for operation in ended:
        of[kind(operation)].append(operation)
    table = {}
    for name, group in sorted(of.items(), key=lambda item: -len(item[1])):
        waited = np.array([(o.ended or 0) - o.due for o in group]) * 1e3
        called = np.array([(o.ended or 0) - o.began for o in group]) * 1e3
        p50, p95, p99 = (round(float(value), 2) for value in np.percentile(waited, [50, 95, 99]))
        c50, c99 = (round(float(value), 2) for value in np.percentile(called, [50, 99]))
        table[name] = {
            "count": len(group), "p50": p50, "p95": p95, "p99": p99, "max": round(float(waited.max()), 2),
            "call_p50": c50, "call_p99": c99,
        }  # fmt: skip
    return {
        "operations": len(ended),
        "seconds": last - first,
        "reached": len(ended) / (last - first),
        "never_begun": left,
        "latency": table,
    }


def plot(operations: Iterable[Operation], place: Path) -> None:
    """Latency over time: p50 and p99 of every 10 seconds."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    ended = sorted((o for o in operations if o.ended is not None), key=lambda o: o.due)
    first, span = ended[0].due, max(1.0, min(10.0, (ended[-1].due - ended[0].due) / 30))
    figure, axes = plt.subplots(3, 1, figsize=(9, 8), sharex=True)
    for axis, name in zip(axes, ("retrieve", "record", "update"), strict=True):
        bins: dict[int, list[float]] = defaultdict(list)
        for o in ended:
            if kind(o) == name:
                bins[int((o.due - first) / span)].append(((o.ended or 0) - o.due) * 1e3)
        at = [(n + 0.5) * span / 60 for n in sorted(bins)]
        for share in (50, 99):
            axis.plot(at, [np.percentile(bins[n], share) for n in sorted(bins)], label=f"p{share}")
        axis.set_yscale("log")
        axis.set_ylabel(f"{name}, ms")
        axis.legend(loc="upper left")
        axis.grid(alpha=0.3)
    axes[-1].set_xlabel("minutes")
    figure.suptitle("latency from when an operation was due")
    figure.tight_layout()
    figure.savefig(place)
    plt.close(figure)


def markdown(report: dict[str, Any]) -> str:
    """The report for people."""
    lines = [
        f"{report['store']}: {report['agents']} agents in {report['processes']} processes, {report['rate']:g} "
        f"operations a second asked for, {report['reached']:.1f} reached in {report['seconds'] / 60:.1f} minutes "
        f"({report['operations']} operations; {report['never_begun']} fell due and were never begun); "
        f"load average {report['load']['mean']:.1f} (most {report['load']['max']:.1f}) on {report['machine']}",
        "",
        "| operation | count | p50, ms | p95 | p99 | max | call p50 | call p99 |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, row in report["latency"].items():
        figures = " | ".join(f"{row[key]:.1f}" for key in ("p50", "p95", "p99", "max", "call_p50", "call_p99"))
        lines.append(f"| {name} | {row['count']} | {figures} |")
    lines += ["", f"acknowledged: {said(report['acknowledged'])}", f"the memory holds: {said(report['found'])}"]
    lines += [f"errors: {said(report['errors'])}", f"in doubt: {report['doubt']}"]
    lines += [f"**{len(report['violations'])} violations**", *(f"- {line}" for line in report["violations"][:50])]
    return "\n".join(lines) + "\n"


def said(counts: dict[str, int]) -> str:
    """Counts in words."""
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()) if count) or "none"


# -- the run ---------------------------------------------------------------------------------------


@contextmanager
def place_of(store: str, url: str | None, out: Path) -> Iterator[str]:
    """Where the memory is: an address that was given, a server of our own with fsync on, or a file."""
    if url:
        yield url
    elif store == "postgres":
        with PostgresServer(durable=True, shared_buffers="256MB", max_wal_size="2GB", max_connections=100) as server:
            yield server.url()
    else:
        yield str(out / "memory.db")


def run(config: Config, out: Path, agents: int, processes: int) -> tuple[Findings, dict[str, Any]]:
    """The traffic, the check, the figures."""
    connect(config.place).close()  # made before, so that processes do not begin with waiting for it
    traffic = Traffic(config, out, agents, processes)
    traffic.start()
    began, loads = time.monotonic(), [os.getloadavg()[0]]
    try:
        while any(process.poll() is None for process in traffic.processes):
            time.sleep(min(10.0, max(0.2, config.seconds / 20)))
            loads.append(os.getloadavg()[0])
            size = sum(file.stat().st_size for file in Path(config.folder).iterdir())
            print(
                f"{(time.monotonic() - began) / 60:.1f} min, logs {size / 1e6:.1f} MB, load {loads[-1]:.1f}",
                file=sys.stderr,
            )
    except KeyboardInterrupt:
        print("ended early; checking", file=sys.stderr)
    finally:
        traffic.stop()
    operations, left = read_logs(Path(config.folder))
    with connect_to(config.place) as store:
        findings = check(Path(config.folder), store)
    findings.violations += traffic.crashed
    figures = measure(operations.values(), left) | {"load": {"mean": float(np.mean(loads)), "max": max(loads)}}
    with suppress(ImportError):
        for ending in ("svg", "png"):
            plot(operations.values(), out / f"latency.{ending}")
    return findings, figures


@contextmanager
def connect_to(place: str) -> Iterator[Any]:
    """The memory at a place, closed at the end."""
    store = connect(place)
    try:
        yield store
    finally:
        store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--url", help="an empty memory; default: a server of its own, or a file in OUT")
    parser.add_argument("--agents", type=int, help="default: 8 on sqlite, 64 on postgres")
    parser.add_argument("--processes", type=int, help="default: 4 on sqlite, 8 on postgres")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--rate", type=float, help="operations a second in all; default: 20 on sqlite, 40 on postgres")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--out", type=Path, required=True, help="a new folder: logs, report.json, report.md, latency.svg"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    asked = parser.parse_args()
    for ending in (signal.SIGINT, signal.SIGTERM):  # also where a shell started us in the background
        signal.signal(ending, signal.default_int_handler)
    big = asked.store == "postgres"
    agents, processes = asked.agents or (64 if big else 8), asked.processes or (8 if big else 4)
    rate, logs = asked.rate or (40.0 if big else 20.0), asked.out / "logs"
    logs.mkdir(parents=True)
    with place_of(asked.store, asked.url, asked.out) as place:
        config = Config(place, str(logs), [], 0, rate / agents, asked.minutes * 60, seed=asked.seed)
        findings, figures = run(config, asked.out, agents, processes)
    report = {
        "store": asked.store, "agents": agents, "processes": processes, "rate": rate, "seed": asked.seed,
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        **figures,
        "acknowledged": dict(findings.acknowledged), "found": dict(findings.found), "errors": dict(findings.refused),
        "doubt": {"there": findings.doubt_there, "absent": findings.doubt_absent}, "violations": findings.violations,
    }  # fmt: skip
    (asked.out / "report.json").write_text(json.dumps(report, indent=1))
    (asked.out / "report.md").write_text(markdown(report))
    print(json.dumps(report, indent=1) if asked.json else markdown(report))
    sys.exit(bool(findings.violations))


if __name__ == "__main__":
    main()
