"""Bad input to `memp run` and `memp learn`: one line that says what to do, and nothing is written."""

import pytest
from click.testing import CliRunner

from memp.testing.wire import WireServer
from memp_bench.cli import main

WRONG = [
    (["run", "alfwrld"], "unknown benchmark 'alfwrld'. Did you mean alfworld?"),
    (["run", "household", "--split", "sen"], "unknown split 'sen'. Did you mean seen or unseen?"),
    (["run", "household", "--model", "sim:novce"], "unknown simulated backbone 'sim:novce'. Did you mean sim:novice"),
    (["run", "household", "--model", "opnai:x"], "unknown provider of chat models 'opnai'. Did you mean openai?"),
    (["run", "household", "--model", "gpt-4o"], "Did you mean openai:gpt-4o or anthropic:gpt-4o?"),
    (["run", "household", "--model", "openai:gpt-4o"], "openai: no API key; set OPENAI_API_KEY"),
    (["run", "household", "--model", "anthropic:claude-x"], "anthropic: no API key; set ANTHROPIC_API_KEY"),
    (["run", "household", "--model", "openai:x", "--base-url", "localhost:80"], "is not an address"),
    (["run", "household", "--memory", "new", "--builder", "openai:gpt-4o"], "openai: no API key"),
    (["run", "household", "--embedder", "openai:x"], "openai: no API key"),
    (["run", "household", "--embedder", "statc"], "unknown embedder 'statc'. Did you mean static?"),
    (["run", "household", "--build", "scrpt"], "unknown build policy 'scrpt'. Did you mean script?"),
    (["run", "household", "--retrieve", "querry"], "unknown retrieve policy 'querry'. Did you mean query?"),
    (["run", "household", "--update", "validate"], "unknown update policy 'validate'. Did you mean validation"),
    (["run", "household", "--memory", "nope.db"], "there is no memory at nope.db; make one with `memp learn`"),
    (["run", "household", "--memory", "notes.txt"], "notes.txt is not a memp memory"),
    (["run", "household", "--floor", "nan"], "floor: Input should be a finite number"),
    (["run", "household", "--temperature", "-1"], "temperature: Input should be greater than or equal to 0"),
    (["run", "household", "--out", "notes.txt"], "notes.txt cannot be the run's folder"),
    (["run", "alfworld", "--data", "empty"], "no ALFWorld games (train/*/*/game.tw-pddl or games.tar.xz) in empty"),
    (["run", "alfworld", "--data", "nowhere"], "no ALFWorld games (train/*/*/game.tw-pddl or games.tar.xz) in nowhere"),
    (["learn", "alfworld", "--data", "empty"], "no ALFWorld games"),
    (["learn", "household", "--split", "tran"], "unknown split 'tran'. Did you mean train?"),
    (["learn", "household", "--builder", "openai:gpt-4o"], "openai: no API key; set OPENAI_API_KEY"),
    (["learn", "household", "--build", "scrpt"], "unknown build policy 'scrpt'. Did you mean script?"),
    (["learn", "household", "--memory", "notes.txt"], "notes.txt is not a memp memory"),
    (["learn", "household", "--memory", "nowhere/memp.db"], "there is no folder"),
]


@pytest.fixture
def here(tmp_path, monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY", "MEMP_DATA", "ALFWORLD_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("shopping: eggs")
    return tmp_path


@pytest.mark.parametrize(("words", "said"), WRONG, ids=[" ".join(words) for words, _ in WRONG])
def test_one_line_that_says_what_was_wrong_and_nothing_written(here, words, said):
    done = CliRunner().invoke(main, [*words, "--games", "2", "--cache", str(here / "cache"), "--json"])
    assert done.exit_code == 1, done.output
    assert done.stdout == ""
    assert done.stderr.startswith("memp: ")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
    assert sorted(path.name for path in here.rglob("*")) == ["empty", "notes.txt"]
    assert (here / "notes.txt").read_text() == "shopping: eggs"


@pytest.mark.engine
def test_a_wrong_key_stops_at_the_first_call(here, monkeypatch):
    pytest.importorskip("textworld", reason="needs the extra alfworld")
    monkeypatch.setenv("OPENAI_API_KEY", "wrong-key")
    with WireServer(lambda messages: "Action: look", keys=["right"]) as server:
        options = ["--games", "2", "--base-url", server.url, "--cache", str(here / "cache"), "--json"]
        done = CliRunner().invoke(main, ["run", "household", "--model", "openai:x", "--out", "out", *options])
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == (
        "memp: openai: the API key was refused; check OPENAI_API_KEY or api_key= (HTTP 401). Nothing is lost; repeat "
        "the command when this is mended\n"
    )
    assert len(server.exchanges) <= 2
