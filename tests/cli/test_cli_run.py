"""`memp learn` and `memp run` on real games of the engine."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from memp_bench.cli import main

pytestmark = pytest.mark.engine
pytest.importorskip("textworld", reason="needs the extra alfworld")

FIGURES = ("games", "success_rate", "mean_steps", "by_family", "curve", "receipt")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("games")


@pytest.fixture(scope="module")
def memp(cache):
    def run(*words):
        place = [] if words[0] == "memory" else ["--cache", str(cache)]
        return CliRunner().invoke(main, [*map(str, words), *place])

    return run


@pytest.fixture(scope="module")
def learned(memp, cache):
    """A memory of six games, and what `learn` said."""
    return cache / "learned.db", memp("learn", "household", "--games", 6, "--memory", cache / "learned.db", "--json")


@pytest.fixture(scope="module")
def learning(learned):
    """The options of a run of four games that starts from it."""
    return "household", "--games", 4, "--every", 2, "--memory", learned[0], "--workers", 2, "--json"


@pytest.fixture(scope="module")
def played(memp, cache, learning):
    """That run, undisturbed."""
    return memp("run", *learning, "--out", cache / "played")


@pytest.fixture(scope="module")
def plain(memp, cache):
    """Two games without memory, for people."""
    return memp("run", "household", "--games", 2, "--out", cache / "plain")


def test_learn_makes_a_memory_and_repeating_it_adds_nothing(memp, learned):
    file, done = learned
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["trajectories"], told["procedures"], told["added"], told["skipped"]) == (6, 6, 6, [])
    again = memp("learn", "household", "--games", 6, "--memory", file)
    assert again.exit_code == 0, again.output
    assert f"6 trajectories, 6 procedures in {file} (added 0 now" in again.stdout
    assert f"memp memory ls --memory {file}" in again.stdout
    shown = json.loads(memp("memory", "ls", "-m", file, "--json").stdout)
    assert all(p["revision"]["content"]["facts"] for p in shown)


def test_run_gives_one_json_object_with_all_figures(memp, learned, learning, played, cache):
    assert played.exit_code == 0, played.stderr
    summary = json.loads(played.stdout)
    assert {"games", "success_rate", "mean_steps", "by_family", "usage", "receipt", "simulated", "wall_s"} <= set(
        summary
    )
    assert (summary["games"], summary["simulated"], summary["failed"]) == (4, True, [])
    assert summary["receipt"]["updates"] == 2
    assert summary["usage"]["act"]["calls"] == round(summary["mean_steps"] * 4)
    assert summary == json.loads((cache / "played" / "summary.json").read_text())
    kept = json.loads(memp("memory", "stats", "-m", learned[0], "--json").stdout)
    assert (kept["recalls"], kept["outcomes"]) == (0, 0)  # it was copied, never changed


def test_a_finished_run_is_told_again_and_another_one_is_refused(memp, learning, played, cache):
    again = json.loads(memp("run", *learning, "--out", cache / "played").stdout)
    assert {**again, "wall_s": 0} == {**json.loads(played.stdout), "wall_s": 0}
    other = memp("run", *learning, "--out", cache / "played", "--k", 3)
    assert (other.exit_code, other.stdout) == (1, "")
    assert "holds another run (k was 10, is 3); choose another --out" in other.stderr


def test_run_for_people_is_labelled(plain, cache):
    assert plain.exit_code == 0, plain.stderr
    title, head, *rows = plain.stdout.splitlines()
    assert title == "household seen, sim:novice, memory none (simulated backbone: says nothing about any real model)"
    assert head.split() == ["family", "games", "success", "%", "steps"]
    assert [row.split()[0] for row in rows[:3]] == ["clean", "put", "all"]
    assert rows[-1].endswith(f"episodes and memory are in {cache / 'plain'}")


def test_a_cap_stops_and_a_higher_one_goes_on(memp, plain, cache, tmp_path):
    options = ("household", "--games", 2, "--out", tmp_path / "out", "--json")
    capped = memp("run", *options, "--max-calls", 10)
    assert (capped.exit_code, capped.stdout) == (3, "")
    assert capped.stderr.startswith("memp: the cap of 10 calls is reached")
    done = memp("run", *options, "--max-calls", 1_000)
    assert done.exit_code == 0, done.stderr
    summary, fresh = json.loads(done.stdout), json.loads((cache / "plain" / "summary.json").read_text())
    assert {name: summary[name] for name in FIGURES} == {name: fresh[name] for name in FIGURES}


def test_ctrl_c_keeps_everything_and_repeating_goes_on(memp, learning, played, cache, tmp_path):
    words = ["run", *map(str, learning), "--out", str(tmp_path / "out")]
    code = "from memp_bench.cli import main; main()"
    command = [sys.executable, "-c", code, *words, "--cache", str(cache)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (tmp_path / "out" / "usage.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    stdout, stderr = child.communicate(timeout=60)
    assert (child.returncode, stdout) == (130, ""), stderr
    assert stderr == "memp: stopped. Nothing is lost; repeat the command to go on\n"
    done = memp(*words)
    assert done.exit_code == 0, done.stderr
    summary, fresh = json.loads(done.stdout), json.loads(played.stdout)
    assert {name: summary[name] for name in FIGURES} == {name: fresh[name] for name in FIGURES}


def test_a_damaged_game_is_named_skipped_and_counted(memp, played, cache, tmp_path):
    """Three sound games and a damaged one, in the layout of ALFWorld's download."""
    from memp_bench.envs.household import Household

    tasks = Household(cache=cache).tasks("seen", games=3)
    contents = [Path(task.payload["game"]).read_bytes() for task in tasks]
    for n, content in enumerate([*contents, contents[0][:1000]]):
        folder = tmp_path / "data/json_2.1.1/valid_seen" / f"pick_and_place_simple-Mug-None-Shelf-{n}" / "trial_1"
        folder.mkdir(parents=True)
        (folder / "game.tw-pddl").write_bytes(content)
    options = ("--data", tmp_path / "data", "--out", tmp_path / "out")
    done = memp("run", "alfworld", *options, "--json")
    assert done.exit_code == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["games"] == 3
    (failed,) = summary["failed"]
    assert "pick_and_place_simple-Mug-None-Shelf-3" in failed["subject"]
    assert "cannot be read" in failed["reason"]
    shown = memp("run", "alfworld", *options)
    assert "not played: " in shown.stderr


def test_when_no_game_can_be_played_the_command_fails(memp, tmp_path):
    folder = tmp_path / "data/json_2.1.1/valid_seen/pick_and_place_simple-Mug-None-Shelf-1/trial_1"
    folder.mkdir(parents=True)
    (folder / "game.tw-pddl").write_text("{")
    done = memp("run", "alfworld", "--data", tmp_path / "data", "--out", tmp_path / "out", "--json")
    assert done.exit_code == 1
    assert "none of the 1 games could be played" in done.stderr
    assert json.loads(done.stdout)["success_rate"] is None
