"""Fixtures of the loop: memories that repeat exactly and are closed at the end; a PostgreSQL server."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from loopkit import counter, ticking
from memp.errors import MissingExtra
from memp.memory import AsyncProceduralMemory
from memp.sync import ProceduralMemory
from memp.testing.chat import CharEmbedder
from memp.testing.postgres import PostgresServer, server_programs


@pytest.fixture
def open_memory(tmp_path) -> Iterator[Callable[..., AsyncProceduralMemory]]:
    """Opens async memories on one file (or `path`); they are closed at the end."""
    opened: list[AsyncProceduralMemory] = []

    def open_(path: object = None, **options: Any) -> AsyncProceduralMemory:
        options.setdefault("embedder", CharEmbedder())
        options.setdefault("ids", counter(f"m{len(opened)}-"))
        options.setdefault("clock", ticking())
        memory = AsyncProceduralMemory(path or tmp_path / "memory.db", **options)
        opened.append(memory)
        return memory

    yield open_
    for memory in opened:
        memory.store.close()


@pytest.fixture
def open_sync(tmp_path) -> Iterator[Callable[..., ProceduralMemory]]:
    """Opens sync memories on one file (or `path`); they are closed at the end."""
    opened: list[ProceduralMemory] = []

    def open_(path: object = None, **options: Any) -> ProceduralMemory:
        options.setdefault("embedder", CharEmbedder())
        memory = ProceduralMemory(path or tmp_path / "memory.db", **options)
        opened.append(memory)
        return memory

    yield open_
    for memory in opened:
        memory.close()


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """A real server; whoever stops it starts it again."""
    try:
        server_programs()
    except MissingExtra as error:
        pytest.skip(str(error))
    with PostgresServer() as started:
        yield started
