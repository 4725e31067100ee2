"""`memp study run recall` as a study: bounded, stopped, partly run, and its page knows what it took."""

import json

import pytest
from click.testing import CliRunner

from memp_bench.cli import main

STUDY = """
name = "own"
kind = "recall"
title = "Own"
question = "What is retrieved?"

[full]
places = [{label = "one", benchmark = "travelplanner", split = "validation", generated = true, games = 2},
          {label = "two", benchmark = "travelplanner", split = "validation", generated = true, games = 3}]
policies = ["random", "query"]
embedders = ["static", "openai:text-embedding-3-small"]

[smoke]
places = [{label = "one", benchmark = "travelplanner", split = "validation", generated = true, games = 2}]
policies = ["query"]
"""


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    (tmp_path / "own.toml").write_text(STUDY)

    def run(*words):
        words = ["study", "run", str(tmp_path / "own.toml"), "--out", str(tmp_path / "out"), *words]
        return CliRunner().invoke(main, words)

    run.out = tmp_path / "out"
    return run


def test_its_page_knows_time_and_memories_and_its_bar_ends_full(study, monkeypatch):
    told = []

    class Bar:
        def __init__(self, total):
            self.total = total

        def __enter__(self):
            return told.append

        def __exit__(self, *error):
            assert error[0] is not None or len(told) == self.total

    monkeypatch.setattr("memp_bench.cli.study.progress", lambda label, total, quiet: Bar(total))
    for _ in range(2):  # the second time the memories are there
        told.clear()
        done = study()
        assert done.exit_code == 0, done.output
        assert len(told) == 2 * (45 + 2)
    provenance = json.loads((study.out / "provenance.json").read_text())
    assert provenance["spent"]["wall_s"] > 0
    assert len(provenance["memories"]) == 1


def test_some_places_alone_and_then_all(study):
    assert "no place's label; there are: one; two" in study("--only", "nowhere").stderr
    assert not study.out.exists()
    first = study("--only", "TWO", "--json")
    results = json.loads(first.stdout)["results"]
    assert {score["place"] for score in results["scores"]} == {"two"}
    assert "one was left out by --only 'TWO'" in results["notes"]
    results = json.loads(study("--json").stdout)["results"]
    assert {score["place"] for score in results["scores"]} == {"one", "two"}
    assert not any("--only" in note for note in results["notes"])


def test_a_cap_in_time_stops_it(study):
    stopped = study("--max-hours", "0.0000001")
    assert stopped.exit_code != 0
    assert "hours is reached; everything so far is kept" in stopped.stderr
    assert study().exit_code == 0
