"""A study through inspect-ai against a server that speaks the provider's format, with everything that goes wrong."""

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner

from memp.testing.faults import Faults
from memp.testing.wire import WireServer
from memp_bench.agents.registry import backbone
from memp_bench.cli import main
from memp_bench.serve import TRANSPORT
from memp_bench.studies.ledger import Ledger

pytest.importorskip("inspect_ai", reason="needs the extra bench")
pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore:The 'initial' parameter is deprecated:DeprecationWarning"),  # inspect's
    pytest.mark.filterwarnings("ignore:Unclosed <MemoryObject(Send|Receive)Stream:ResourceWarning"),  # likewise
]
NAME, EMBEDDER = "simulated-novice", "embedding"
FAULTS = Faults(rate_429=0.06, rate_500=0.06, rate_drop=0.02, rate_stall=0.02, rate_bad_body=0.06, stall_s=10, seed=3)
STUDY = f"""
name = "wire"
title = "A study over the wire"
question = "Does everything add up?"
base = "none"

[full]
places = [{{ label = "household seen", benchmark = "household", split = "seen", games = 6 }}]
backbones = [
  {{ label = "novice", agent = "openai:{NAME}", builder = "openai:{NAME}", embedder = "openai:{EMBEDDER}" }},
]
arms = [
  {{ label = "none", memory = "none" }},
  {{ label = "learning", memory = "new", retrieve = "query", update = "adjustment", every = 3, k = 2 }},
]

[smoke]
places = [{{ label = "household seen", benchmark = "household", split = "seen", games = 1 }}]
backbones = [{{ label = "novice", agent = "sim:novice" }}]
arms = [{{ label = "none", memory = "none" }}]
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    pytest.importorskip("textworld", reason="needs the extra alfworld")
    return tmp_path_factory.mktemp("games")


@pytest.fixture
def run(tmp_path, cache, monkeypatch):
    (tmp_path / "wire.toml").write_text(STUDY)
    monkeypatch.setenv("OPENAI_API_KEY", "none of yours")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)

    def run_(runner, faults):
        out = tmp_path / runner
        models = {NAME: backbone("sim:novice"), EMBEDDER: backbone("sim:novice")}
        with WireServer(models, faults=faults) as server:
            monkeypatch.setenv("OPENAI_BASE_URL", server.url)
            command = ["study", "run", str(tmp_path / "wire.toml"), "--runner", runner, "--out", str(out), "--json"]
            answer = CliRunner().invoke(
                main, [*command, "--cache", str(cache), "--timeout", "3", "--workers", "3"], catch_exceptions=False
            )
        assert answer.exit_code == 0, answer.output
        assert json.loads(answer.stdout)
        return server, out

    return run_


def test_a_study_through_inspect_over_a_bad_wire_adds_up_and_its_log_opens(run, tmp_path):
    from inspect_ai.log import read_eval_log

    server, out = run("inspect", FAULTS)
    met = Counter(seen.fault for seen in server.exchanges)
    assert set(met) == {None, *TRANSPORT}
    assert len({seen.status for seen in server.exchanges} & {429, 500}) == 2

    used = Ledger(out / "usage.jsonl").usage
    assert set(used) >= {"act", "script", "embed"}
    served = sum(server.served.values(), start=next(iter(server.served.values())).model_copy(update={"calls": 0}))
    assert sum(u.input_tokens for u in used.values()) == served.input_tokens
    assert sum(u.output_tokens for u in used.values()) == served.output_tokens

    files = sorted(out.rglob("*.eval"))
    with ThreadPoolExecutor(1) as thread:  # inside a running loop inspect-ai would patch asyncio for the whole process
        logs = list(thread.map(lambda file: read_eval_log(str(file)), files))
    assert sorted((log.status, len(log.samples)) for log in logs) == [("success", 3), ("success", 3), ("success", 6)]
    acted = [log.stats.role_usage["act"] for log in logs]
    assert sum(usage.input_tokens for usage in acted) == used["act"].input_tokens
    assert sum(usage.output_tokens for usage in acted) == used["act"].output_tokens
    for purpose in used:
        noted = [log.metadata[f"usage of {step}"].get(purpose) for log in logs for step in ("playing", "learning")]
        assert sum(usage["input_tokens"] for usage in noted if usage) == used[purpose].input_tokens
    assert all(log.eval.tags == ["simulated"] for log in logs)

    assert sorted(listed(out)) == sorted(str(file.relative_to(out)) for file in files)

    _, plain = run("local", Faults())
    for name in ("tables.csv", "tables.json"):
        assert (out / name).read_bytes() == (plain / name).read_bytes()


def listed(folder: Path) -> list[str]:
    """The logs that `inspect view` shows, by path in `folder`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("inspect")), "view", "start", "--host", "127.0.0.1"]
    child = subprocess.Popen(
        [*command, "--port", str(port), "--log-dir", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 90
        while True:
            try:
                with urllib.request.urlopen(f"{address}/api/log-files", timeout=10) as answer:
                    found = json.load(answer)["files"]
                break
            except urllib.error.URLError:
                assert child.poll() is None, child.stdout.read()
                assert time.monotonic() < deadline, "the viewer does not answer"
                time.sleep(0.2)
        with urllib.request.urlopen(address, timeout=10) as page:
            assert b"Inspect" in page.read()
    finally:
        child.terminate()
        child.communicate(timeout=30)
    return [file["name"].partition(f"{folder}/")[2] for file in found]
