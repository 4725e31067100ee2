"""What a memory in PostgreSQL takes, part by part; for `postgres_node.py` and `million.py`."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg

_PARTS = """
    SELECT t.relname, coalesce(i.relname, CASE WHEN r.oid = t.oid THEN 'rows' ELSE 'long values' END),
           coalesce(m.amname, ''), pg_relation_size(coalesce(i.oid, r.oid))
    FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace
    JOIN pg_class r ON r.oid = t.oid OR r.oid = t.reltoastrelid
    LEFT JOIN pg_index x ON x.indrelid = r.oid LEFT JOIN pg_class i ON i.oid = x.indexrelid
    LEFT JOIN pg_am m ON m.oid = i.relam WHERE n.nspname = 'memp' AND t.relkind = 'r'
    UNION ALL
    SELECT t.relname, CASE WHEN r.oid = t.oid THEN 'rows' ELSE 'long values' END, 'heap', pg_relation_size(r.oid)
    FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace
    JOIN pg_class r ON r.oid = t.oid OR r.oid = t.reltoastrelid WHERE n.nspname = 'memp' AND t.relkind = 'r'"""


def parts(url: str) -> dict[tuple[str, str], int]:
    """Bytes by table and part of it: `rows`, `long values` (TOAST), `keys` (B-trees), `HNSW`."""
    found: dict[tuple[str, str], int] = {}
    with psycopg.connect(url, autocommit=True) as db:
        for table, part, method, size in db.execute(_PARTS):
            if not method:
                continue
            name = {"heap": part, "btree": "keys", "hnsw": "HNSW"}[method]
            found[table, name] = found.get((table, name), 0) + size
    return {key: size for key, size in found.items() if size}


def tidy(url: str) -> None:
    """As the server's own housekeeping leaves it, so that sizes and plans are those of a memory that rests."""
    with psycopg.connect(url, autocommit=True) as db:
        tables = [name for (name,) in db.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'memp'")]
        for table in tables:
            db.execute(psycopg.sql.SQL("VACUUM ANALYZE memp.{}").format(psycopg.sql.Identifier(table)))


@contextmanager
def peak(read: Callable[[], float]) -> Iterator[list[float]]:
    """The greatest of what `read` says meanwhile: a list whose only item it is at the end."""
    most, done = [read()], threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            most[0] = max(most[0], read())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield most
    finally:
        done.set()
        thread.join()
