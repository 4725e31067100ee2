"""What a study hands over: one page, the same as Markdown and CSV, the records as JSON, and where it all comes from.

`tables.json`, `tables.csv` and `report.md` depend on the results alone: equal results, equal bytes. Commands, versions,
hashes and what was spent stand on the page and in `provenance.json`.
"""

import json
from pathlib import Path

from memp.render import clean
from memp_bench.studies.documents import LOUD, SMALL, Document, runs_document
from memp_bench.studies.flat import csv_of
from memp_bench.studies.markdown import markdown_of
from memp_bench.studies.recall_document import recall_document
from memp_bench.studies.results import Provenance, RecallResults, Results

NO_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>No page</title>
<p>The page needs the extra <code>report</code>: <code>pip install 'memp[report]'</code>, then
<code>memp study report NAME</code>. The same tables are in <a href="report.md">report.md</a>.</p></html>
"""
"""Stands for the page where Jinja2 is not installed, so that no page of earlier results is left behind."""


def write_report(folder: Path, results: Results | RecallResults, provenance: Provenance) -> tuple[Path, ...]:
    """Write report.html, report.md, tables.csv, tables.json and provenance.json into `folder`; returns their paths.

    Without Jinja2 (extra `report`) all but the page are the same, and report.html says what it needs.
    """
    document = recall_document(results) if isinstance(results, RecallResults) else runs_document(results)
    files = {
        "report.html": _page(document, provenance) or NO_PAGE,
        "report.md": markdown_of(document),
        "tables.csv": csv_of(results),
        "tables.json": _json(results),
        "provenance.json": _json(provenance),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        part = folder / f"{name}.part"
        part.write_text(text, encoding="utf-8", newline="\n")
        part.replace(folder / name)
    return tuple(folder / name for name in files)


def _json(record: Results | RecallResults | Provenance) -> str:
    """Keys sorted: equal records whose mappings were filled in another order give the same bytes."""
    return json.dumps(record.model_dump(mode="json"), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _page(document: Document, provenance: Provenance) -> str | None:
    """The page; None where Jinja2 is missing. All text of studies is escaped, charts escape their own."""
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError:
        return None
    environment = Environment(
        loader=PackageLoader("memp_bench.studies"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["clean"] = clean
    template = environment.get_template("study.html")
    spent = _spent(provenance, simulated=document.simulated and len(document.parts) == 1)
    return template.render(document=document, provenance=provenance, spent=spent, loud=LOUD, small=SMALL)


def _spent(provenance: Provenance, *, simulated: bool) -> list[tuple[str, str]]:
    """What the whole run really used, in words; `simulated` when no agent was a real one."""
    spent = dict(provenance.spent)
    words = []
    if seconds := spent.pop("wall_s", 0.0):
        words.append(("Wall time", _time(seconds)))
    for key, name in (("calls", "Model calls"), ("tokens", "Tokens")):
        if key in spent:
            words.append((name, f"{spent.pop(key):,.0f}"))
    cost = spent.pop("cost", None)
    free = "none: no model was called" if provenance.spent.get("calls") == 0 else "unknown"
    if simulated and cost == 0:
        free, cost = "none: simulated, nothing was bought", None
    words.append(("Cost", free if cost is None else f"${cost:,.2f}"))
    return [*words, *((key.replace("_", " "), f"{value:,g}") for key, value in sorted(spent.items()))]


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"
