"""The plan of the house: an import never goes up, the library never imports the laboratory, nothing works at import."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import memp

SRC = Path(memp.__file__).parent
FILES = sorted(SRC.rglob("*.py"))

# Lowest first. `recall` and `render` say how records look, `done` how a receipt comes about; `exchange`, `curation` and
# what follows belong to the memory.
FLOORS = [
    {"errors"},
    {"records"},
    {"render", "done"},
    {"recall"},
    {"stores", "models"},
    {"testing"},
    {"evidence"},
    {"trust"},
    {"build"},
    {"blame"},
    {"retrieve", "update"},
    {"standing", "workshop", "recording", "writing", "curation", "exchange"},
    {"forgetting", "trials", "serving"},
    {"upkeep"},
    {"learning"},
    {"memory"},
    {"sync"},
    {"", "cli"},
]
FLOOR = {name: height for height, names in enumerate(FLOORS) for name in names}


def part(path):
    """The part of the house a file belongs to: its first name below memp."""
    inside = path.relative_to(SRC).with_suffix("").parts
    return "" if inside == ("__init__",) else inside[0]


def imports(path):
    """Every module that the file imports, at the top or inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module == "memp" and [alias.name for alias in node.names] == ["__version__"]:
                continue  # a constant of the front door, which itself imports nothing
            yield node.module


def test_every_part_has_a_floor():
    assert {part(path) for path in FILES} <= set(FLOOR)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SRC)))
def test_an_import_never_goes_up(path):
    for module in imports(path):
        names = module.split(".")
        assert names[0] != "memp_bench", f"{path} imports the laboratory"
        if names[0] == "memp":
            below = names[1] if len(names) > 1 else ""
            if below != part(path):
                assert FLOOR[below] < FLOOR[part(path)], f"{path} imports {module}"


@pytest.mark.parametrize("kind", ["build", "retrieve", "update"])
def test_policies_do_not_import_each_other(kind):
    others = {"build", "retrieve", "update"} - {kind}
    for path in (SRC / kind).glob("*.py"):
        for module in imports(path):
            # update/ speaks of what build/ makes (`Built`), and of nothing else of it
            assert module == "memp.build.base" or not any(module.startswith(f"memp.{other}") for other in others)


def test_the_library_says_nothing_of_any_benchmark():
    """Prompts and rules are task-agnostic."""
    words = re.compile(
        r"\b(alfworld|travelplanner|household|kitchen|fridge|microwave|sinkbasin|desklamp|countertop|receptacle|"
        r"flight|hotel|restaurant|itinerary|city|cities)\b",
        re.IGNORECASE,
    )
    prompts = list(SRC.rglob("*.md"))
    assert len(prompts) >= 3
    library = [path for path in FILES if part(path) not in ("cli", "testing")]
    found = [
        f"{path.relative_to(SRC)}: {match[0]}"
        for path in [*library, *prompts]
        for match in words.finditer(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def run(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()


def test_importing_memp_does_no_work(tmp_path):
    loaded = json.loads(
        run(
            f"import os, sys, json, threading; os.chdir({str(tmp_path)!r}); before = dict(os.environ); import memp;"
            "assert dict(os.environ) == before; assert threading.active_count() == 1;"
            "assert os.listdir('.') == []; print(json.dumps(sorted(sys.modules)))"
        )
    )
    heavy = {"numpy", "pydantic", "sqlite3", "asyncio", "simsimd", "openai", "anthropic", "click", "rich"}
    assert heavy & set(loaded) == set()


WITH_PSYCOPG = "memp.stores.postgres.wire"
"""Builds on psycopg's classes; imported where a connection is made, after the extra was looked for."""


def test_the_whole_library_loads_without_any_extra():
    modules = [
        ".".join(("memp", *path.relative_to(SRC).with_suffix("").parts)).removesuffix(".__init__")
        for path in FILES
        if part(path) != "cli"
    ]
    extras = ("openai", "anthropic", "textworld", "alfworld", "matplotlib", "jinja2", "genai_prices", "httpx")
    extras += ("psycopg", "usearch", "ray")
    modules.remove(WITH_PSYCOPG)
    loaded = run(
        f"import sys; sys.modules.update(dict.fromkeys({extras!r})); import importlib;"
        f"[importlib.import_module(name) for name in {modules!r}]; print('fine')"
    )
    assert loaded == "fine"


def test_no_module_of_the_library_leaves_a_mutable_global():
    """State belongs to objects. Constants are allowed; so are tables that are never written to after import."""
    found = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Global):
                found.append(f"{path.relative_to(SRC)}:{node.lineno}")
    assert found == []
