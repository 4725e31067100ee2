"""Figure 5a over the wire: the weak model on one server, the strong one that teaches and writes on another."""

import json

from click.testing import CliRunner

from memp.testing.wire import WireServer
from memp_bench.agents.registry import backbone
from memp_bench.cli import main
from memp_bench.serve import served_name

WEAK, STRONG = served_name("sim:novice"), served_name("sim:able")
STUDY = """
name = "own"
title = "Own"
question = "Who is asked where?"

[full]
places = [
  {{ label = "c", benchmark = "travelplanner", split = "validation", generated = true, games = 2, mode = "{mode}" }},
]
arms = [{{ label = "none", memory = "none" }}, {{ label = "memory", build = "script", retrieve = "query", k = 2 }}]
learned = {{ travelplanner = {{ source = "played", games = 3, above = 0.0 }} }}

[[full.backbones]]
label = "weak"
agent = "openai:{weak}"
builder = "openai:{strong}"
teacher = "openai:{strong}"
base_url = "{here}"
builder_base_url = "{there}"

[smoke]
places = [{{ label = "country", benchmark = "travelplanner", split = "validation", generated = true, games = 1 }}]
backbones = [{{ label = "weak", agent = "sim:novice" }}]
arms = [{{ label = "none", memory = "none" }}]
"""


def test_the_agent_is_asked_here_and_its_teacher_there(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with WireServer({WEAK: backbone("sim:novice")}) as here, WireServer({STRONG: backbone("sim:able")}) as there:
        (tmp_path / "own.toml").write_text(
            STUDY.format(mode="sole-planning", weak=WEAK, strong=STRONG, here=here.url, there=there.url)
        )
        words = ["study", "run", str(tmp_path / "own.toml"), "--out", str(tmp_path / "out"), "--json"]
        done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    (none, memory) = json.loads(done.stdout)["results"]["cells"]
    assert (none["episodes"], memory["episodes"], memory["build"]["procedures"]) == (2, 2, 3)
    assert here.served[WEAK].calls == 2 + 2, "the agent's plans, without memory and with it"
    assert there.served[STRONG].calls == 3 + 3, "the teacher's plans, and a script for each"
    spent = json.loads((tmp_path / "out" / "provenance.json").read_text())["spent"]
    assert spent["calls"] == 10
