import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from memp.stores.postgres import PostgresStore
from memp.stores.postgres.migrations import TABLES
from memp.stores.sqlite import SqliteStore


@pytest.fixture
def open_store(tmp_path) -> Iterator[Callable[..., SqliteStore]]:
    """Opens stores on one file (or `path`); they are closed at the end."""
    opened: list[SqliteStore] = []

    def open_(path: object = None, **options: object) -> SqliteStore:
        store = SqliteStore(path or tmp_path / "memory.db", **options)
        opened.append(store)
        return store

    yield open_
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store) -> SqliteStore:
    return open_store()


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Callable[[str], Path]]:
    """Mounts a small file system of its own, with options such as `size=400k`; needs the right to mount."""
    mounted: list[Path] = []

    def mount(options: str) -> Path:
        place = tmp_path / f"disk{len(mounted)}"
        place.mkdir()
        program = shutil.which("mount")
        if program is None:
            pytest.skip("no `mount` on this machine")
        done = subprocess.run([program, "-t", "tmpfs", "-o", options, "tmpfs", place], capture_output=True, check=False)
        if done.returncode:
            pytest.skip(f"may not mount a file system here: {done.stderr.decode().strip()}")
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", "-l", place], check=True)


@pytest.fixture(scope="session")
def migrated(server) -> str:
    """A database with the tables of a memory."""
    url = server.create_database()
    PostgresStore(url).close()
    return url


@pytest.fixture
def url(migrated) -> str:
    """The same, empty."""
    with psycopg.connect(migrated, autocommit=True) as db:
        db.execute("TRUNCATE " + ", ".join(f"memp.{table}" for table in TABLES))
    return migrated
