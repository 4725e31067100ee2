"""`memp memory index`: let the store search a large memory itself."""

import asyncio
import json
from contextlib import closing
from pathlib import Path

import click

from memp.cli.held import memory_option, namespace_option
from memp.cli.output import json_option, reports_errors, waiting
from memp.stores.connect import connect


@click.command(short_help="Let the store search a large memory itself.")
@click.option("--embedder", "name", default="static", show_default=True, help="What the memory is used with.")
@click.option("--off", is_flag=True, help="Take the index away.")
@memory_option
@namespace_option
@json_option
@reports_errors
def index(name: str, off: bool, path: Path | str, namespace: str, as_json: bool) -> None:
    """Make an approximate index of a memory of more than some 100,000 procedures, used from the next start of each
    process.

    Until then every process holds all vectors and searches exactly. An index misses a few of the nearest.

    PostgreSQL searches by pgvector (HNSW); it needs the owner of the tables. Repeat it after the vectors of most
    procedures have changed.

    Beside an SQLite file the index is a folder (FILE-near; extra `near`). It keeps up by itself, may be deleted at any
    time, and is not part of a backup. `memp memory forget` deletes it: repeat this command then.
    """
    from memp.errors import StoreError
    from memp.models.registry import embedder as named
    from memp.retrieve.far import search_in_store
    from memp.stores.base import SearchesVectors

    chosen, searched = named(name), None
    with closing(connect(path, create=False)) as store:
        if not off:
            with waiting(f"indexing namespace {namespace}", quiet=as_json):
                searched = asyncio.run(search_in_store(store, namespace, chosen))
            said = f"the store searches {searched} procedures"
        elif isinstance(store, SearchesVectors):
            store.forget_near(namespace, chosen.fingerprint)
            said = "every process searches for itself"
        else:
            raise StoreError("this store searches nothing itself")
    click.echo(
        json.dumps({"namespace": namespace, "searched": searched}) if as_json else f"namespace {namespace}: {said}"
    )


COMMANDS = (index,)
