"""`memp study` on real games of the engine: stopped, killed, changed, refused, and still the same tables."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from memp.testing.wire import WireServer
from memp_bench.cli import main

engine = pytest.mark.engine
TABLES = ("tables.json", "tables.csv", "report.md")
SIZE = """
seeds = {seeds}

[[{size}.places]]
label = "household seen"
benchmark = "household"
split = "seen"
games = {games}
max_steps = 20

[[{size}.backbones]]
label = "able"
agent = "sim:able"
builder = "sim:able"

[[{size}.arms]]
label = "none"
memory = "none"

[[{size}.arms]]
label = "script"
build = "script"
every = 2
k = 2

[[{size}.arms]]
label = "adjustment"
memory = "new"
every = 2
k = 2

[{size}.learned.household]
source = "played"
games = 2
"""


def study_text(games=4, seeds="[0]"):
    sizes = "".join(f"[{size}]" + SIZE.format(size=size, games=games, seeds=seeds) for size in ("full", "smoke"))
    return f'name = "own"\ntitle = "Own"\nquestion = "Is it the same?"\ncurve = "groups"\n{sizes}'


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a study file; games are made once in its cache."""
    folder = tmp_path_factory.mktemp("studies")
    (folder / "own.toml").write_text(study_text())
    return folder


@pytest.fixture(scope="module")
def memp(place):
    def run(command, *words):
        cache = ["--cache", str(place / "cache")] if command in ("run", "resume") else []
        return CliRunner().invoke(main, ["study", command, *map(str, words), *cache])

    return run


@pytest.fixture(scope="module")
def whole(memp, place):
    """The study, undisturbed, with four episodes at once."""
    pytest.importorskip("textworld", reason="needs the extra alfworld")
    done = memp("run", place / "own.toml", "--out", place / "whole", "--workers", 4, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def tables(folder):
    return {name: (Path(folder) / name).read_bytes() for name in TABLES}


# -- without the engine --------------------------------------------------------------------------------


def test_list_names_every_shipped_study(memp):
    listed = json.loads(memp("list", "--json").stdout)
    assert {"build", "update", "recall"} <= {row["name"] for row in listed}
    assert "memp study run NAME --smoke" in memp("list").stdout


def test_show_gives_the_file_to_copy(memp, tmp_path):
    shown = memp("show", "update")
    assert shown.exit_code == 0
    assert "update.toml; copy it" in shown.stderr
    (tmp_path / "copy.toml").write_text(shown.stdout)
    assert memp("show", tmp_path / "copy.toml").stdout == shown.stdout


def test_a_name_that_is_no_study_names_the_nearest(memp):
    answer = memp("run", "bild")
    assert (answer.exit_code, answer.stdout) == (1, "")
    assert "'bild'. Did you mean build" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_nothing_to_resume_says_what_to_do(memp, tmp_path):
    answer = memp("resume", "update", "--out", tmp_path / "none")
    assert answer.exit_code == 1
    assert "no study was begun in" in answer.stderr
    assert "memp study run NAME" in answer.stderr


def test_a_dry_run_does_nothing_and_says_what_it_would_take(memp, place, tmp_path):
    answer = memp("run", place / "own.toml", "--out", tmp_path / "out", "--dry-run", "--json")
    assert answer.exit_code == 0, answer.stderr
    assert json.loads(answer.stdout)["study"] == "own"
    assert not (tmp_path / "out").exists()


def test_a_missing_key_is_said_before_anything_is_written(memp, place, tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    answer = memp("run", place / "own.toml", "--agent", "openai:gpt-4o", "--out", tmp_path / "out")
    assert answer.exit_code == 1
    assert "OPENAI_API_KEY" in answer.stderr
    assert not (tmp_path / "out").exists()


def test_only_must_choose_some_cell(memp, place, tmp_path):
    answer = memp("run", place / "own.toml", "--only", "nobody", "--out", tmp_path / "out")
    assert answer.exit_code == 1
    assert "is in no cell's label; the first are: household seen / able / none / seed 0" in answer.stderr


# -- with real games -----------------------------------------------------------------------------------


@engine
def test_a_study_gives_its_tables_and_one_json_object(whole, place):
    cells = whole["results"]["cells"]
    assert [(c["arm"], c["episodes"], c["simulated"]) for c in cells] == [
        ("none", 4, True),
        ("script", 4, True),
        ("adjustment", 4, True),
    ]
    assert whole["results"]["missing"] == []
    learned = cells[1]["build"]
    assert learned["calls"] > 0
    assert (
        learned["trajectories"]
        == 4 + json.loads(next((place / "whole/memories").glob("*.json")).read_text())["build"]["trajectories"]
    )
    provenance = json.loads((place / "whole" / "provenance.json").read_text())
    assert provenance["spent"]["calls"] > sum(c["measures"]["calls"]["value"] * c["episodes"] for c in cells)
    assert set(TABLES) < {Path(file).name for file in whole["files"]}


@engine
def test_the_tables_are_the_same_with_one_worker(whole, memp, place, tmp_path):
    done = memp("run", place / "own.toml", "--out", tmp_path / "one", "--workers", 1)
    assert done.exit_code == 0, done.stderr
    assert "simulated backbones: says nothing about any real model" in done.stdout
    assert tables(tmp_path / "one") == tables(place / "whole")


@engine
def test_a_cap_stops_cleanly_and_a_higher_one_goes_on_to_the_same_tables(whole, memp, place, tmp_path):
    out = tmp_path / "out"
    capped = memp("run", place / "own.toml", "--out", out, "--max-calls", 90)
    assert (capped.exit_code, capped.stdout) == (3, "")
    assert "the cap of 90 calls is reached" in capped.stderr
    assert f"go on with: memp study resume {out}" in capped.stderr
    partly = memp("report", out)
    assert "not run to its end: household seen / able / adjustment / seed 0" in partly.stderr
    late = memp("resume", out, "--max-hours", 0.00001)
    assert late.exit_code == 3
    assert "the cap of 1e-05 hours is reached" in late.stderr
    done = memp("resume", out, "--max-calls", 100_000)
    assert done.exit_code == 0, done.stderr
    assert tables(out) == tables(place / "whole")
    assert memp("report", out).exit_code == 0
    assert tables(out) == tables(place / "whole")


@engine
def test_a_changed_study_is_not_resumed_and_the_difference_is_shown(whole, memp, place):
    before = tables(place / "whole")
    (place / "changed").mkdir()
    changed = place / "changed" / "own.toml"
    changed.write_text(study_text().replace("k = 2", "k = 3", 1))
    answer = memp("run", changed, "--out", place / "whole")
    assert answer.exit_code == 1
    assert "study size.arms[script].k: was 2, is 3" in answer.stderr
    other = memp("run", "update", "--smoke", "--out", place / "whole", "--accept-change")
    assert "holds the study own (full size), not update (smoke size)" in other.stderr
    assert tables(place / "whole") == before


@engine
def test_some_cells_alone_leave_the_others_named_as_missing(whole, memp, place, tmp_path):
    done = memp("run", place / "own.toml", "--out", tmp_path, "--only", "able / None", "--json")
    assert done.exit_code == 0, done.stderr
    results = json.loads(done.stdout)["results"]
    assert [cell["arm"] for cell in results["cells"]] == ["none"]
    assert results["missing"] == [
        "household seen / able / script / seed 0",
        "household seen / able / adjustment / seed 0",
    ]
    assert not (tmp_path / "memories").exists()


@engine
def test_a_backbone_that_only_refuses_is_reported_and_stops(memp, place, tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with WireServer(lambda messages: "I'm sorry, but I can't assist with that.", models=["prude"]) as server:
        own = ("--agent", "openai:prude", "--base-url", server.url)
        answer = memp("run", place / "own.toml", "--out", tmp_path, "--only", "none", *own)
    assert answer.exit_code == 1
    assert "household seen / openai:prude / none / seed 0: openai:prude gave nothing but refusals" in answer.stderr
    assert "Traceback" not in answer.stderr


@engine
@pytest.mark.slow
def test_killed_at_random_moments_a_study_gives_the_same_tables(whole, place, tmp_path):
    """kill -9 five times, each after so many more calls of the model than the time before."""
    chance, out = random.Random(4), tmp_path / "out"
    words = ["study", "run", str(place / "own.toml"), "--out", str(out), "--cache", str(place / "cache")]
    command = [sys.executable, "-c", "from memp_bench.cli import main; main()", *words, "--workers", "2"]
    calls = json.loads((place / "whole" / "provenance.json").read_text())["spent"]["calls"]

    def made():
        ledger = out / "usage.jsonl"
        return ledger.read_bytes().count(b"\n") if ledger.exists() else 0

    for _ in range(5):
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        until, deadline = made() + chance.randrange(1, int(calls / 6)), time.monotonic() + 60
        while made() < until and child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.003)
        child.send_signal(signal.SIGKILL)
        told = child.communicate(timeout=60)[1]
        assert child.returncode == -signal.SIGKILL, told.decode()
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert tables(out) == tables(place / "whole")
    spent = json.loads((out / "provenance.json").read_text())["spent"]["calls"]
    assert spent >= calls
