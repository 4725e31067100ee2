"""A million procedures in a store: what they cost, exact and with an approximate index.

python benchmarks/million.py [--procedures 1000000] [--store sqlite|postgres] [--folder F] [--keep] [--json]

Written with the store's own `write`, 2,000 a transaction (`synthetic.py` says what they look like: 1-2 KB each, a tenth
retired). Then embedded and opened by processes of their own (`million_client.py`), first exactly, then with the store's
approximate index (`memp memory index`). recall@10 is measured against what the exact search served for the same 200
tasks, twice each: without the retired ones, and from successes only. A million takes some ten minutes on two cores.
"""

import argparse
import asyncio
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from synthetic import fill

from memp.models.static import StaticEmbedder
from memp.retrieve.far import search_in_store
from memp.stores.connect import connect

CLIENT = Path(__file__).with_name("million_client.py")
NAMESPACE = "default"


class Place(NamedTuple):
    """A store under measurement."""

    name: str
    """Its path or URL."""
    sizes: Callable[[], dict[str, float]]
    """Megabytes on the disk, by what they are for; asked for again after the index was made."""


@contextmanager
def sqlite(folder: Path, keep: bool) -> Iterator[Place]:
    """The embedded store: a file, and the index beside it."""
    path = folder / "million.db"

    def sizes() -> dict[str, float]:
        beside = [file for file in Path(f"{path}-near").glob("*") if file.is_file()]
        return {
            "file_mb": path.stat().st_size / 1e6,
            "index_mb": sum(file.stat().st_size for file in beside) / 1e6,
        }

    yield Place(str(path), sizes)


@contextmanager
def postgres(folder: Path, keep: bool) -> Iterator[Place]:
    """A server of our own in the folder, fsync on; its memory is what its processes hold, what they share once."""
    from pgparts import parts, tidy

    from memp.testing.postgres import PostgresServer

    settings = {"shared_buffers": "2GB", "maintenance_work_mem": "2GB", "max_wal_size": "8GB"}
    with PostgresServer(folder=folder, durable=True, **settings) as server:

        def sizes() -> dict[str, float]:
            tidy(server.url())
            found = {f"{table}, {part}": size / 1e6 for (table, part), size in parts(server.url()).items()}
            found = {name: size for name, size in found.items() if size >= 1}
            return {**found, "tables_mb": sum(found.values()), "server_mb": server.memory()}

        yield Place(server.url(), sizes)


PLACES = {"sqlite": sqlite, "postgres": postgres}


def say(text: str) -> None:
    """To whoever waits."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def progress(total: int) -> Callable[[int], None]:
    """Says every twentieth."""
    began, said = time.perf_counter(), [0]

    def report(done: int) -> None:
        if done * 20 // total > said[0]:
            said[0] = done * 20 // total
            gone = time.perf_counter() - began
            say(f"{done:,} of {total:,} written, {gone:.0f} s, about {gone * (total - done) / done:.0f} s to go")

    return report


def client(place: Place, *arguments: object) -> dict[str, object]:
    """What a process of its own measures."""
    command = [sys.executable, str(CLIENT), place.name, *map(str, arguments)]
    return dict(json.loads(subprocess.check_output(command)))


def measure(place: Place, folder: Path, count: int, rounds: int) -> dict[str, object]:
    """The whole table."""
    result: dict[str, object] = {"procedures": count, "machine": f"{platform.machine()}, {os.cpu_count()} cores"}
    store = connect(place.name)
    began = time.perf_counter()
    result["write_s"] = fill(store, NAMESPACE, count, progress=progress(count))
    say(f"rows are there after {time.perf_counter() - began:.0f} s; embedding")
    store.close()
    result["embedding"] = client(place, "--mode", "embed")
    result["without_index"] = place.sizes()
    known = folder / "answers.json"
    say("exact")
    result["exact"] = client(place, "--rounds", rounds, "--answers", known)
    say("indexing")
    store, began = connect(place.name), time.perf_counter()
    asyncio.run(search_in_store(store, NAMESPACE, StaticEmbedder()))
    store.close()
    result["index_s"] = time.perf_counter() - began
    result["with_index"] = place.sizes()
    say("approximate")
    result["approximate"] = client(place, "--rounds", rounds, "--known", known)
    result["load"] = os.getloadavg()[0]
    return result


def flat(result: dict[str, object], before: str = "") -> Iterator[tuple[str, object]]:
    """Nested names in one: `exact.retrieve.p50_ms`."""
    for name, value in result.items():
        if isinstance(value, dict):
            yield from flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--procedures", type=int, default=1_000_000)
    parser.add_argument("--store", choices=PLACES, default="sqlite")
    parser.add_argument("--folder", type=Path, default=Path("/tmp/memp-million"), help="emptied first; some 20 GB")
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--keep", action="store_true", help="leave the store in the folder")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    folder = options.folder / f"{options.store}-{options.procedures}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        with PLACES[options.store](folder, options.keep) as place:
            result = measure(place, folder, options.procedures, options.rounds)
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        print(json.dumps(result, indent=2))
        return
    for name, value in flat(result):
        print(f"{name:>34}", f"{value:14.3f}" if isinstance(value, float) else f"{value!s:>14}")


if __name__ == "__main__":
    main()
