"""memp beside mem0, LangMem's stores and Chroma: latencies, what is found, and what four writers lose.

    uv venv --python 3.11 /tmp/compare
    uv pip install --python /tmp/compare/bin/python -r benchmarks/compare/requirements.txt -e '.[postgres]'
    /tmp/compare/bin/python benchmarks/compare.py [--sizes 1000,10000] [--rounds 40] [--only memp --only Chroma]

One run on one machine: every product gets the same texts, the same embedder (memp's bundled one) and the same model,
which answers at once; none may use the network (a hook refuses it). They take turns of five calls, so that whatever
else the machine does hits all alike. Products on PostgreSQL share one server with fsync on.

Measured, each through the product's public face (benchmarks/compare/products.py): `add` (a text that the next search
finds), `learn` (the same through the model), `search` (k = 10 of one user), `revise` (change what a memory says) and
`credit` (count that it was of use). Where a product has no call that adds one to a counter or that notices another
writer, a program has to read, change and write, and so it does here.

Then four processes write at once: each adds texts of its own, and credits and revises one memory that all share. What
was acknowledged and is not there afterwards is counted. Last a process that adds is killed (SIGKILL), three times,
and strace counts how often an add waits for the disk.
"""

import argparse
import json
import multiprocessing
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent / "compare")]

LATENCIES = ("add", "learn", "search", "revise", "credit")
SHARED = "the memory that all four writers share is about a blue lantern"
PACKAGES = ("memp", "mem0ai", "langmem", "langgraph", "langgraph-checkpoint-postgres", "chromadb", "qdrant-client")
TURN = 5
WRITERS = 4
USER, OTHER = "user", "other"


def quiet() -> None:
    """No telemetry, and no network but this machine's."""
    from products import QUIET

    os.environ.update(QUIET)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.connect" and isinstance(arguments[1], tuple):
            host = arguments[1][0]
            if host not in ("127.0.0.1", "::1", "localhost"):
                raise ConnectionRefusedError(f"no network in this benchmark: {host}")

    sys.addaudithook(hook)


def texts(count: int, seed: int) -> list[str]:
    """Different sentences."""
    from loopfiles import sentences

    return list(islice(dict.fromkeys(islice(sentences(seed), count + count // 10 + 100)), count))


@contextmanager
def places(names: list[str], root: Path, server: Any) -> Iterator[dict[str, Any]]:
    """A fresh place for each product; a Chroma server where one is asked for."""
    from products import Place

    with ExitStack() as exit:
        found = {}
        for n, name in enumerate(names):
            folder, port = root / str(n), 0
            folder.mkdir(parents=True)
            url = server.create_database() if "Postgre" in name else ""
            if name == "Chroma, server":
                port = exit.enter_context(chroma(folder))
            found[name] = Place(folder, url, port)
        yield found
    shutil.rmtree(root, ignore_errors=True)


@contextmanager
def chroma(folder: Path) -> Iterator[int]:
    """A Chroma server on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(sys.executable).parent / "chroma"
    command = [str(program), "run", "--path", str(folder), "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            break
        time.sleep(0.05)
    try:
        yield port
    finally:
        process.terminate()
        process.wait()


# -- latencies -------------------------------------------------------------------------------------


def turn_of(product: Any, operation: str, fresh: list[str], there: list[str], took: list[float]) -> None:
    """A turn of one operation."""
    for _ in range(TURN):
        if operation in ("add", "learn", "search"):
            arguments: tuple[Any, ...] = (fresh.pop(),)
        else:
            served = product.served(product.name(there.pop()))
            arguments = (served, f"note {len(there)}") if operation == "revise" else (served,)
        start = time.perf_counter()
        getattr(product, operation)(*arguments)
        took.append(1e3 * (time.perf_counter() - start))


def share_found(product: Any, mine: list[str], others: list[str]) -> float:
    """Of the ten nearest memories of the user, how many a search finds; and nobody else's."""
    from products import exact
    from stubs import embedder

    matrix, questions, shares = embedder().encode(mine), texts(50, 3), []
    for question, vector in zip(questions, embedder().encode(questions), strict=True):
        found = set(product.search(question))
        assert not found & set(others), "another user's memory is served"
        shares.append(len(found & exact(vector, mine, matrix)) / 10)
    return float(np.mean(shares))


def latencies(names: list[str], size: int, rounds: int, root: Path, server: Any) -> dict[str, Any]:
    """Fill all of them, then let them take turns."""
    from products import OPEN

    mine, others = texts(size, 1), texts(size // 10, 2)
    took: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in names}
    result: dict[str, Any] = {name: {} for name in names}
    with places(names, root, server) as where, ExitStack() as exit:
        products = {}
        for name in names:
            products[name] = product = OPEN[name](where[name])
            exit.callback(product.close)
            start = time.perf_counter()
            product.fill(USER, mine)
            product.fill(OTHER, others)
            result[name]["found"] = share_found(product, mine, others)
            print(f"  {name}: filled and asked in {time.perf_counter() - start:.1f} s", file=sys.stderr)
        fresh = {name: texts(rounds * TURN * 3 + 10, 4) for name in names}
        there = {name: list(np.random.default_rng(5).permutation(mine)) for name in names}
        for turn in range(rounds):
            first = turn % len(names)
            for operation in LATENCIES:
                for name in names[first:] + names[:first]:
                    if getattr(products[name], operation) and (operation != "learn" or turn % 4 == 0):
                        turn_of(products[name], operation, fresh[name], there[name], took[name][operation])
    for name in names:
        for operation, each in took[name].items():
            result[name][operation] = [float(np.percentile(each, 50)), float(np.percentile(each, 99))]
    return result


# -- writers ---------------------------------------------------------------------------------------


def said(error: Exception) -> str:
    """What went wrong, in a line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"


def write(name: str, place: Any, shared: str, number: int, each: int, begin: Any, told: Any) -> None:
    """One writer: adds, credits and revises, and tells what was acknowledged and what went wrong."""
    quiet()
    from products import OPEN

    done: dict[str, Any] = {"add": [], "credit": [], "revise": [], "errors": [], "refused": ""}
    try:
        product = OPEN[name](place)
        product.search("warm up")
    except Exception as error:  # noqa: BLE001
        begin.wait()
        told.put({**done, "refused": said(error)})
        return
    begin.wait()
    for n in range(each):
        text, note = f"writer {number} was here for the {n}th time", f"note {n} of {number}"
        work = {
            "add": lambda text=text: product.add(text),
            "credit": lambda: product.credit(product.served(shared)),
            "revise": lambda note=note: product.revise(product.served(shared), note),
        }
        for operation, call in work.items():
            try:
                call()
                done[operation].append(text if operation == "add" else note)
            except Exception as error:  # noqa: BLE001
                done["errors"].append(said(error))
    with suppress(Exception):
        product.close()
    told.put(done)


def writers(name: str, place: Any, each: int) -> dict[str, Any]:
    """What four of them lose."""
    from products import OPEN

    product = OPEN[name](place)
    product.fill(OTHER, texts(50, 6))
    product.add(SHARED)
    shared = product.name(SHARED)
    product.revise(product.served(shared), "before the others")
    product.close()
    spawn = multiprocessing.get_context("spawn")
    begin, told = spawn.Barrier(WRITERS), spawn.Queue()
    crowd = [spawn.Process(target=write, args=(name, place, shared, n, each, begin, told)) for n in range(WRITERS)]
    for process in crowd:
        process.start()
    done = [told.get(timeout=900) for _ in crowd]
    for process in crowd:
        process.join()
    product = OPEN[name](place)
    there, notes, counted = product.texts(), set[str](), 0
    with suppress(AttributeError):  # nothing is there any more
        notes, counted = product.notes(shared), product.counted(shared)
    acknowledged = sum(len(one["credit"]) for one in done)
    result = {
        "refused": [one["refused"] for one in done if one["refused"]],
        "errors": [error for one in done for error in one["errors"]],
        "add": [sum(len(set(one["add"]) - there) for one in done), sum(len(one["add"]) for one in done)],
        "credit": [acknowledged - counted, acknowledged],
        "revise": [sum(len(set(one["revise"]) - notes) for one in done), sum(len(one["revise"]) for one in done)],
    }
    product.close()
    return result


def add_until_killed(name: str, place: Any, mark: str, log: str) -> None:
    """Adds, and says so after each."""
    quiet()
    from products import OPEN

    product, file = OPEN[name](place), os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for n in range(100_000):
        product.add(f"{mark} {n}")
        os.write(file, f"{mark} {n}\n".encode())


def kills(name: str, place: Any, root: Path, times: int) -> dict[str, Any]:
    """What of the acknowledged is there after SIGKILL of a writer."""
    from products import OPEN

    spawn, acknowledged, missing = multiprocessing.get_context("spawn"), 0, 0
    for n in range(times):
        log = root / f"acknowledged-{n}"
        process = spawn.Process(target=add_until_killed, args=(name, place, f"kill {n}", str(log)))
        process.start()
        while process.is_alive() and (not log.exists() or log.read_bytes().count(b"\n") < 30 + 7 * n):
            time.sleep(0.005)
        if not process.is_alive():
            return {"error": "the writer gave up by itself"}
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        told = set(log.read_text().splitlines())
        log.unlink()
        try:
            product = OPEN[name](place)
            there = product.texts()
            product.close()
        except Exception as error:  # noqa: BLE001
            return {"error": f"cannot be opened after it: {said(error)}"}
        acknowledged, missing = acknowledged + len(told), missing + len(told - there)
    return {"missing": [missing, acknowledged]}


def syncs(name: str, place: Any) -> float | None:
    """How often the process itself waits for the disk in one add, by strace; None where a server does it."""
    if not shutil.which("strace") or place.url or place.port:
        return None
    report = place.folder / "strace"

    def calls(adds: int) -> int:
        traced = ["strace", "-f", "-o", str(report), "-e", "trace=fsync,fdatasync,msync", sys.executable, __file__]
        alone = ["--adds", str(adds), "--of", name, "--at", str(place.folder)]
        subprocess.run([*traced, *alone], capture_output=True, check=True)
        return sum("sync(" in line for line in report.read_text().splitlines())

    few = calls(2)
    return (calls(22) - few) / 20


# -- tables ----------------------------------------------------------------------------------------


def latency_table(size: int, by_name: dict[str, Any]) -> str:
    """p50 and p99 in milliseconds; the least p50 of each column in bold."""
    best = {op: min(row[op][0] for row in by_name.values() if op in row) for op in LATENCIES}
    lines = [
        f"{size:,} memories of the user and {size // 10:,} of another; p50 / p99 in ms:\n",
        f"| | {' | '.join(LATENCIES)} | found of the exact ten |",
        f"|---|{'---|' * (len(LATENCIES) + 1)}",
    ]
    for name, row in by_name.items():
        cells = []
        for operation in LATENCIES:
            shown = "{:.2f} / {:.1f}".format(*row[operation]) if operation in row else "-"
            cells.append(f"**{shown}**" if operation in row and row[operation][0] == best[operation] else shown)
        lines.append(f"| {name} | {' | '.join(cells)} | {row['found']:.3f} |")
    return "\n".join(lines)


def writer_table(by_name: dict[str, Any]) -> str:
    """What is missing of what was acknowledged."""
    lines = [
        f"{WRITERS} processes at once, and writers killed; missing of what was acknowledged:\n",
        "| | adds | credits | revisions | errors | after SIGKILL | syncs an add |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in by_name.items():
        counts = " | ".join("{} of {}".format(*row[what]) for what in ("add", "credit", "revise"))
        wrong = str(len(row["errors"]))
        if row["refused"]:
            wrong += f"; {len(row['refused'])} of {WRITERS} writers refused"
        kill = row["kill"].get("error") or "{} of {}".format(*row["kill"]["missing"])
        waits = "-" if row["syncs"] is None else f"{row['syncs']:.1f}"
        lines.append(f"| {name} | {counts} | {wrong} | {kill} | {waits} |")
    for name, row in by_name.items():
        for what in (*row["errors"][:1], *row["refused"][:1]):
            lines.append(f"\n{name}: {what}")
    return "\n".join(lines)


def measured(asked: argparse.Namespace, names: list[str], root: Path) -> dict[str, Any]:
    """All that was asked for."""
    from memp.testing.postgres import PostgresServer

    result: dict[str, Any] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        "versions": {package: version(package) for package in PACKAGES} | {"python": platform.python_version()},
        "latencies": {},
        "writers": {},
    }
    with PostgresServer(durable=True, shared_buffers="256MB") as server:
        for size in map(int, filter(None, asked.sizes.split(","))):
            print(f"{size} memories", file=sys.stderr)
            result["latencies"][size] = latencies(names, size, asked.rounds, root / str(size), server)
            print(latency_table(size, result["latencies"][size]), file=sys.stderr)
        for name in names if asked.each else []:
            print(f"writers of {name}", file=sys.stderr)
            with places([name], root / "writers", server) as where:
                result["writers"][name] = row = writers(name, where[name], asked.each)
            with places([name], root / "kills", server) as where:
                row["kill"] = kills(name, where[name], root, asked.kills)
            with places([name], root / "syncs", server) as where:
                row["syncs"] = syncs(name, where[name]) if asked.kills else None
            print(writer_table({name: row}), file=sys.stderr)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="1000,10000", help="memories of the user; empty: no latencies")
    parser.add_argument("--rounds", type=int, default=40, help=f"turns of {TURN} calls each")
    parser.add_argument("--each", type=int, default=50, help="what each writer does of each kind; 0: no writers")
    parser.add_argument(
        "--kills", type=int, default=3, help="of a writer of each product; 0: no syncs are counted either"
    )
    parser.add_argument("--only", action="append", metavar="WORD", help="only products with this in their name")
    parser.add_argument("--json", action="store_true")
    for hidden in ("--adds", "--of", "--at"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    quiet()
    from products import OPEN, Place

    if asked.adds:  # a process of our own, to be counted
        product = OPEN[asked.of](Place(Path(asked.at), "", 0))
        for n in range(int(asked.adds)):
            product.add(f"text {asked.adds} {n}")
        product.close()
        return
    names = [name for name in OPEN if not asked.only or any(word in name for word in asked.only)]
    root = Path(tempfile.mkdtemp(prefix="memp-compare-"))
    os.environ["MEM0_DIR"] = str(root / "mem0")
    try:
        result = measured(asked, names, root)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    if asked.json:
        print(json.dumps(result, indent=1))
        return
    print(result["machine"] + ";", ", ".join(f"{package} {number}" for package, number in result["versions"].items()))
    for size, by_name in result["latencies"].items():
        print(f"\n{latency_table(size, by_name)}")
    if result["writers"]:
        print(f"\n{writer_table(result['writers'])}")


if __name__ == "__main__":
    main()
