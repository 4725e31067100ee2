"""`memp memory copy`: a memory from one store into another."""

import json
from contextlib import closing
from pathlib import Path

import click

from memp.cli.held import Place
from memp.cli.output import json_option, reports_errors, waiting
from memp.stores.connect import connect


@click.command(short_help="Copy a memory into another store.")
@click.argument("source", type=Place())
@click.argument("target", type=Place())
@click.option("--namespace", "-n", "namespaces", multiple=True, help="Only this one; may be repeated. Default: all.")
@json_option
@reports_errors
def copy(source: Path | str, target: Path | str, namespaces: tuple[str, ...], as_json: bool) -> None:
    """Copy the memory in SOURCE into TARGET: files, or postgresql://user@host/database.

    Nothing is lost but caches. Each namespace is copied whole, then read back and compared. What is there already is
    skipped: after an interruption, repeat.
    """
    from memp.stores.copying import copy as copied

    with closing(connect(source, create=False)) as original, closing(connect(target)) as other:
        all_done, copies = [], copied(original, other, namespaces or None)
        while True:
            with waiting("copying and comparing", quiet=as_json):
                done = next(copies, None)
            if done is None:
                break
            all_done.append(done.model_dump(mode="json"))
            if as_json:
                continue
            new = done.entries - done.loaded.skipped
            same = f"digest {done.digest}" if done.same else "the target holds more than that"
            click.echo(f"{done.namespace}: {done.entries} entries, {new} of them new; verified, {same}")
    if as_json:
        click.echo(json.dumps({"copied": all_done}))


COMMANDS = (copy,)
