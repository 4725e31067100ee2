"""A study whose memories are in PostgreSQL gives the tables and recalls that it gives with files."""

import json
import random
import re
import shutil
import signal
import subprocess
import sys

import psycopg
import pytest
from click.testing import CliRunner
from samekit import said

from memp_bench.cli import main
from memp_bench.studies import catalog
from memp_bench.studies.homes import Home, Spot
from memp_bench.studies.manifest import Manifest

FILES = ("tables.json", "tables.csv", "report.md")
SECRET = "hunter2"
STUDY = """
name = "own"
title = "Own"
question = "Is it the same?"
"""
SIZE = """
[{size}]
places = [
  {{ label = "country", benchmark = "travelplanner", generated = true, split = "train", games = 6, mode = "{mode}" }},
]
backbones = [{{ label = "able", agent = "sim:able" }}]
arms = [
  {{ label = "none", memory = "none" }},
  {{ label = "learned", k = 2 }},
  {{ label = "more", k = 3, every = 2 }},
  {{ label = "new", memory = "new", k = 2, every = 2, holdout = 0.3, guard = true }},
]

[{size}.learned]
travelplanner = {{ source = "gold", split = "train", games = 4 }}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a study and a cache of generated games."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "own.toml").write_text(
        STUDY + "".join(SIZE.format(size=size, mode="sole-planning") for size in ("full", "smoke"))
    )
    return folder


@pytest.fixture(scope="module")
def url(server):
    """A database, with a password that nobody may see."""
    made = server.create_database()
    yield made.replace("postgres@", f"postgres:{SECRET}@")
    server.drop_database(made)


@pytest.fixture(scope="module")
def memp(place):
    def run(command, *words):
        cache = ["--cache", str(place / "cache")] if command in ("run", "resume") else []
        return CliRunner().invoke(main, ["study", command, *map(str, words), *cache])

    return run


def done(answer):
    assert answer.exit_code == 0, answer.output
    return answer


@pytest.fixture(scope="module")
def files(memp, place):
    """The study with files."""
    done(memp("run", place / "own.toml", "--out", place / "files", "--workers", 3))
    return place / "files"


@pytest.fixture(scope="module")
def there(memp, place, url):
    """The study in the database."""
    done(memp("run", place / "own.toml", "--out", place / "there", "--workers", 3, "--memory", url))
    return place / "there"


def homes(folder, url):
    kept = Manifest.read(folder).memories
    return Home(folder, url if kept else None, kept.name if kept else "")


def spots(folder, url):
    """The memories of a study's folder: learned ones and those of cells."""
    home = homes(folder, url)
    learned = [home.learned(file.stem) for file in sorted(folder.glob("memories/*.json"))]
    cells = [file.parent for file in sorted(folder.glob("runs/*/run.json")) if json.loads(file.read_text())["memory"]]
    return [*learned, *(home.cell(cell.name) for cell in cells)]


def tables(folder):
    return {name: (folder / name).read_bytes() for name in FILES}


# -- the same ------------------------------------------------------------------------------------------


def test_tables_and_all_that_memories_say_are_the_same(files, there, url):
    assert tables(files) == tables(there)
    mine, theirs = ([said(spot) for spot in spots(folder, url)] for folder in (files, there))
    assert len(mine) == 4
    assert sum(len(memory.get("recall", ())) for memory in mine) == 18
    assert mine == theirs
    assert not list(there.rglob("*.db")), "a memory was kept as a file after all"


MORTAL = """
import os, signal, sys
from memp.stores.postgres import PostgresStore
left = int(sys.argv.pop(1))
def event():
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
def around(method):
    def call(*words, **more):
        event()
        value = method(*words, **more)
        event()
        return value
    return call
for name in ("record", "write", "log_recall", "log_receipt", "load"):
    setattr(PostgresStore, name, around(getattr(PostgresStore, name)))
from memp_bench.cli import main
main()
"""
"""Kills itself after so many events: both sides of every write to a memory."""


@pytest.mark.slow
def test_killed_and_resumed_it_is_still_the_same(files, place, url, tmp_path):
    chance, out = random.Random(7), tmp_path / "out"

    def run(events):
        words = ["study", "run", str(place / "own.toml"), "--out", str(out), "--memory", url, "--workers", "2"]
        command = [sys.executable, "-c", MORTAL, str(events), *words, "--cache", str(place / "cache")]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    for _ in range(5):
        killed = run(chance.randrange(3, 30))
        assert killed.returncode == -signal.SIGKILL, killed.stderr
    ended = run(0)
    assert ended.returncode == 0, ended.stderr
    assert tables(out) == tables(files)
    kinds = ("trajectory", "revision", "outcome", "served")
    mine, theirs = ([said(spot) for spot in spots(folder, url)] for folder in (files, out))
    assert [[memory.get(kind) for kind in kinds] for memory in mine] == [
        [memory.get(kind) for kind in kinds] for memory in theirs
    ]
    without = url.replace(f":{SECRET}", "")
    assert Manifest.read(out).memories.address == without
    assert f"--memory {without}" in (out / "commands.txt").read_text().replace("'", "")
    for file in out.rglob("*"):
        assert not file.is_file() or SECRET.encode() not in file.read_bytes(), file
    assert SECRET not in ended.stderr


def test_two_folders_in_one_database_do_not_meet(memp, there, place, url, tmp_path):
    before = [said(spot) for spot in spots(there, url)]
    again = tmp_path / "there"  # of the same name
    done(memp("run", place / "own.toml", "--out", again, "--memory", url))
    assert tables(again) == tables(there)
    assert not {spot.namespace for spot in spots(again, url)} & {spot.namespace for spot in spots(there, url)}
    old = spots(again, url)
    shutil.rmtree(again)  # the memories of a folder that was deleted are nobody's: begun anew, it has others
    done(memp("run", place / "own.toml", "--out", again, "--memory", url))
    assert tables(again) == tables(there)
    assert not {spot.namespace for spot in spots(again, url)} & {spot.namespace for spot in old}
    assert all(spot.there() for spot in old)
    assert [said(spot) for spot in spots(there, url)] == before


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.parametrize(("name", "games"), [("build", 2), ("update", 4), ("retrieve", 4)])
def test_a_shipped_study_is_the_same_on_both(memp, name, games, url, tmp_path):
    """Its smoke size with fewer games."""
    pytest.importorskip("textworld", reason="needs the extra alfworld")
    full, mark, smoke = catalog.file_of(name).read_text(encoding="utf-8").partition("\n[smoke]\n")
    for what, less in (
        (r"\bgames = \d+", f"games = {games}"),
        (r"seeds = \[.*?\]", "seeds = [0]"),
        (r"every = \d+", "every = 2"),
    ):
        smoke = re.sub(what, less, smoke)
    (tmp_path / "short.toml").write_text(full + mark + smoke, encoding="utf-8")
    for out, more in (("files", ()), ("there", ("--memory", url))):
        done(memp("run", tmp_path / "short.toml", "--smoke", "--out", tmp_path / out, *more))
    assert tables(tmp_path / "files") == tables(tmp_path / "there")
    mine, theirs = ([said(spot) for spot in spots(tmp_path / out, url)] for out in ("files", "there"))
    assert len(mine) >= 3
    assert all(memory.get("recall") for memory in mine if "outcome" in memory)
    assert mine == theirs


@pytest.mark.engine
@pytest.mark.slow
def test_the_demo_is_the_same_on_both(server, tmp_path):
    pytest.importorskip("textworld", reason="needs the extra alfworld")
    url, few = server.create_database(), ("--games", "8", "--every", "4", "--seeds", "1", "--expert-games", "4")
    for out, more in (("files", ()), ("there", ("--memory", url))):
        done(CliRunner().invoke(main, ["demo", "--out", str(tmp_path / out), "--json", *few, *more]))
    name = json.loads((tmp_path / "there" / "memories.json").read_text())["name"]
    homes = Home(tmp_path / "files"), Home(tmp_path / "there", url, name)
    for slug in ("seed-0/own-memory", "seed-0/expert-memory"):
        mine, theirs = (said(home.cell(slug)) for home in homes)
        assert len(mine["recall"]) == 8
        assert mine == theirs
    curves = [(tmp_path / out / "index.html").read_text().partition("<img")[0] for out in ("files", "there")]
    assert curves[0] == curves[1]
    server.drop_database(url)


@pytest.mark.engine
def test_a_memory_in_a_database_is_learned_and_run_from(server, tmp_path):
    pytest.importorskip("textworld", reason="needs the extra alfworld")
    told = []
    url = server.create_database().replace("postgres@", f"postgres:{SECRET}@")
    for memory, out in ((tmp_path / "memory.db", "files"), (url, "there")):
        learned = done(
            CliRunner().invoke(main, ["learn", "household", "--memory", str(memory), "--games", "3", "--json"])
        )
        words = ["run", "household", "--memory", str(memory), "--games", "2", "--freeze", "--out", str(tmp_path / out)]
        ran = done(CliRunner().invoke(main, [*words, "--json"]))
        assert SECRET not in learned.output + ran.output
        told.append((said(Spot(memory if out == "files" else url)), said(Spot(tmp_path / out / "memory.db"))))
    (mine, run), (theirs, run_there) = told
    assert mine == theirs
    assert run["recall"] == run_there["recall"]
    missing = CliRunner().invoke(main, ["run", "household", "--memory", f"{url}x", "--games", "1"])
    assert (missing.exit_code, SECRET in missing.output) == (1, False)
    server.drop_database(url.replace(f":{SECRET}", ""))


# -- the folder remembers ------------------------------------------------------------------------------


def test_resume_and_report_need_no_address(memp, there):
    before = tables(there)
    done(memp("resume", there))
    done(memp("report", there))
    assert tables(there) == before


def test_another_database_is_refused_and_the_difference_is_shown(memp, there, files, place, url, server):
    other = server.create_database()
    answer = memp("resume", there, "--memory", other)
    assert answer.exit_code == 1
    address = url.replace(f":{SECRET}", "")
    assert f"memories: were {address}, are {other} (--memory)" in answer.stderr
    answer = memp("run", place / "own.toml", "--out", there)
    assert f"memories: were {address}, are files in the folder (--memory)" in answer.stderr
    answer = memp("resume", files, "--memory", url)
    assert f"memories: were files in the folder, are {address} (--memory)" in answer.stderr
    assert SECRET not in answer.stderr
    server.drop_database(other)


def test_a_study_moves_to_another_database_when_that_is_accepted(memp, place, there, url, server, tmp_path):
    out = tmp_path / "out"
    done(memp("run", place / "own.toml", "--out", out, "--memory", url, "--only", "more"))
    other = server.create_database()
    name = Manifest.read(out).memories.name
    for spot in spots(out, url):
        words = ["memory", "copy", url, other, "-n", spot.namespace]
        assert CliRunner().invoke(main, words).exit_code == 0
    done(memp("resume", out, "--memory", other, "--accept-change"))
    kept = Manifest.read(out).memories
    assert (kept.address, kept.name) == (other, name)
    assert (
        json.loads((out / "tables.json").read_text())["cells"]
        == json.loads((there / "tables.json").read_text())["cells"]
    )


def test_a_copied_folder_is_refused_and_a_moved_one_goes_on(memp, place, url, tmp_path):
    out, copied, moved = (tmp_path / name for name in ("out", "copied", "moved"))
    done(memp("run", place / "own.toml", "--out", out, "--memory", url, "--only", "learned"))
    shutil.copytree(out, copied)
    answer = memp("resume", copied)
    assert answer.exit_code == 1
    assert f"{copied} is a copy of {out}" in answer.stderr
    shutil.rmtree(copied)
    out.rename(moved)
    done(memp("resume", moved))
    assert Manifest.read(moved).memories.folder == str(moved)


# -- what is missing -----------------------------------------------------------------------------------


def test_no_answer_is_said_before_anything_is_written(memp, place, tmp_path):
    answer = memp(
        "run", place / "own.toml", "--out", tmp_path / "out", "--memory", f"postgresql://u:{SECRET}@/x?host=/none"
    )
    assert answer.exit_code == 1
    assert "no server answers" in answer.stderr
    assert SECRET not in answer.output
    assert not (tmp_path / "out").exists()
    answer = memp("run", place / "own.toml", "--memory", tmp_path / "memory.db")
    assert answer.exit_code == 2
    assert "without it memories are files in --out" in answer.stderr


def forget(url, namespace):
    with psycopg.connect(url) as db:
        db.execute("SET session_replication_role = replica")  # what no client may do
        columns = "information_schema.columns WHERE table_schema = 'memp' AND column_name = 'namespace'"
        for (table,) in db.execute(f"SELECT table_name FROM {columns}").fetchall():
            db.execute(f"DELETE FROM memp.{table} WHERE namespace = %s", (namespace,))


def test_a_memory_that_is_gone_is_not_silently_empty(memp, place, url, tmp_path):
    run = ("run", place / "own.toml", "--out", tmp_path / "out", "--memory", url)
    done(memp(*run, "--only", "more"))
    learned, cell = spots(tmp_path / "out", url)
    (folder,) = (tmp_path / "out" / "runs").iterdir()
    (folder / "outcome.json").unlink()  # as if it had been stopped
    forget(url, cell.namespace)
    answer = memp(*run, "--only", "more")
    assert answer.exit_code == 1
    assert f"namespace {cell.namespace} is not there any more, with which tasks were played" in answer.stderr
    assert SECRET not in answer.stderr
    forget(url, cell.namespace)
    forget(url, learned.namespace)
    shutil.rmtree(folder)
    answer = memp(*run, "--only", "more")
    assert answer.exit_code == 1
    assert (
        f"there is no memory at {url.replace(f':{SECRET}', '')}, namespace {learned.namespace} any more"
        in answer.stderr
    )
