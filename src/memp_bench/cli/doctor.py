"""`memp doctor`: what is installed, what works, what is wrong with a memory file."""

import importlib.metadata
import importlib.util
import json
import os
import platform
import sqlite3
import sys
from pathlib import Path
from typing import NamedTuple

import click

from memp.cli.held import Place
from memp.cli.output import EXIT_ERROR, json_option, reports_errors
from memp.stores.connect import connect


class Finding(NamedTuple):
    """One line of the report. `ok` None: optional and not there."""

    name: str
    ok: bool | None
    detail: str


EXTRAS = {
    "openai": ("openai", "models openai:NAME and any OpenAI-compatible server"),
    "anthropic": ("anthropic", "models anthropic:NAME"),
    "prices": ("genai_prices", "what model calls cost"),
    "alfworld": ("textworld", "benchmarks household and alfworld, and the demo"),
    "report": ("matplotlib", "the demo's learning curve"),
    "postgres": ("psycopg", "memories in PostgreSQL"),
}


@click.command()
@click.option("--memory", "file", type=Place(), help="Also check this memory: a file, or postgresql://user@host/db.")
@json_option
@reports_errors
def doctor(file: Path | str | None, as_json: bool) -> None:
    """Check this installation and, with --memory, a memory. Changes nothing."""
    findings = [*_core(), *_extras(), *_keys(), *_data(), *(_memory(file) if file else [])]
    if as_json:
        click.echo(json.dumps([finding._asdict() for finding in findings]))
    else:
        for finding in findings:
            mark, color = {True: ("ok ", "green"), False: ("BAD", "red"), None: (" - ", "yellow")}[finding.ok]
            click.echo(f"{click.style(mark, fg=color)} {finding.name:<20} {finding.detail}")
    if any(finding.ok is False for finding in findings):
        sys.exit(EXIT_ERROR)


def _core() -> list[Finding]:
    import numpy

    import memp
    from memp.models.static import StaticEmbedder

    similar = StaticEmbedder().encode(["put a cup on the shelf", "place a mug on a shelf", "book a flight to Rome"])
    near, far = float(similar[0] @ similar[1]), float(similar[0] @ similar[2])
    with sqlite3.connect(":memory:") as db:
        fts = any("FTS5" in row[0] for row in db.execute("PRAGMA compile_options"))
    db.close()
    return [
        Finding("memp", True, f"{memp.__version__}, Python {platform.python_version()}, NumPy {numpy.__version__}"),
        Finding("SQLite", fts, f"{sqlite3.sqlite_version}, " + ("FTS5" if fts else "without FTS5: search cannot work")),
        Finding("bundled embedder", near > far, f"paraphrase {near:.2f} > unrelated {far:.2f}"),
    ]


def _extras() -> list[Finding]:
    findings = []
    for extra, (module, purpose) in EXTRAS.items():
        if importlib.util.find_spec(module) is None:
            findings.append(Finding(f"extra {extra}", None, f"not installed ({purpose}): pip install 'memp[{extra}]'"))
        else:
            name = module.replace("_", "-")
            findings.append(Finding(f"extra {extra}", True, f"{name} {importlib.metadata.version(name)}"))
    return findings


def _keys() -> list[Finding]:
    return [
        Finding(name, True if os.environ.get(name) else None, "set" if os.environ.get(name) else "not set")
        for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY")
    ]


def _data() -> list[Finding]:
    if importlib.util.find_spec("textworld") is None:
        return []
    from memp.errors import MempError
    from memp_bench.benchmarks import benchmark

    try:
        games = benchmark("alfworld")
        counts = ", ".join(f"{split} {len(games.tasks(split))}" for split in games.splits)
    except MempError as error:
        return [Finding("ALFWorld games", None, str(error))]
    return [Finding("ALFWorld games", True, counts)]


def _memory(file: Path | str) -> list[Finding]:
    from memp.stores.base import Checks

    store = connect(file, create=False)
    try:
        problems = store.check() if isinstance(store, Checks) else []
        names = ", ".join(
            f"{name}: {sum(store.stats(name).procedures.values())} procedures" for name in store.namespaces()
        )
    finally:
        store.close()
    if problems:
        return [Finding("memory", False, problem) for problem in problems]
    return [Finding("memory", True, names or "empty")]
