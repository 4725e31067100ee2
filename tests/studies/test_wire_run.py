"""Whole runs against a server that speaks the real wire format, with faults."""

import json
import signal
import subprocess
import sys
from collections import Counter

import pytest
from click.testing import CliRunner

from memp.models.base import Message
from memp.models.registry import chat_model
from memp.testing.faults import Faults
from memp.testing.wire import WireServer
from memp_bench.agents.registry import backbone, is_simulated
from memp_bench.cli import main
from memp_bench.serve import TRANSPORT, served_name

GAMES = ["household", "--games", "6", "--every", "3", "--memory", "new", "--json"]
FAULTS = Faults(rate_429=0.06, rate_500=0.06, rate_drop=0.02, rate_stall=0.02, rate_bad_body=0.06, stall_s=10, seed=3)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    pytest.importorskip("textworld", reason="needs the extra alfworld")
    return tmp_path_factory.mktemp("games")


@pytest.fixture
def run(tmp_path, cache, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    def run_(*options, out="run"):
        command = ["run", *GAMES, "--cache", str(cache), "--out", str(tmp_path / out), *options]
        answer = CliRunner().invoke(main, command)
        return answer, json.loads(answer.stdout) if answer.exit_code == 0 else None

    return run_


def serving(faults, port=0):
    return WireServer({"simulated-novice": backbone("sim:novice")}, faults=faults, port=port)


def over(server):
    return ("--model", "openai:simulated-novice", "--base-url", server.url, "--timeout", "3")


def figures(summary):
    kept = ("games", "success_rate", "mean_steps", "by_family", "curve", "receipt", "failed", "simulated")
    return {name: summary[name] for name in kept}


@pytest.fixture(scope="module")
def undisturbed(cache, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    command = ["run", *GAMES, "--cache", str(cache), "--out", str(out), "--builder", "sim:novice"]
    return json.loads(CliRunner().invoke(main, command).stdout)


@pytest.mark.engine
def test_faults_on_the_way_change_nothing_and_every_token_is_counted(run, undisturbed):
    with serving(FAULTS) as server:
        answer, summary = run(*over(server))
    assert answer.exit_code == 0, answer.output
    assert figures(summary) == figures(undisturbed)
    assert summary["simulated"]
    met = Counter(seen.fault for seen in server.exchanges)
    assert set(met) == {None, *TRANSPORT}
    (served,) = server.served.values()
    usage = summary["usage"]
    assert set(usage) == {"act", "script", "adjust"}
    for part in ("input_tokens", "output_tokens"):
        assert sum(used[part] for used in usage.values()) == getattr(served, part)
        for purpose in usage:
            assert usage[purpose][part] == undisturbed["usage"][purpose][part]
    assert sum(used["calls"] for used in usage.values()) == served.calls  # retries are the SDK's


@pytest.mark.engine
def test_bad_replies_cost_turns_and_lose_no_game(run):
    bad = Faults(rate_empty=0.1, rate_truncated=0.1, rate_malformed_json=0.2, rate_refusal=0.1, seed=1)
    with serving(bad) as server:
        answer, summary = run(*over(server), "--games", "4")
    assert answer.exit_code == 0, answer.output
    assert (summary["games"], summary["failed"]) == (4, [])
    assert {seen.fault for seen in server.exchanges} >= {"empty", "truncated", "refusal"}
    (served,) = server.served.values()
    assert sum(used["calls"] for used in summary["usage"].values()) == served.calls


@pytest.mark.engine
def test_a_server_that_stays_down_interrupts_and_repeating_goes_on(run, undisturbed):
    with serving(Faults(rate_500=1.0, in_a_row=1_000_000, retry_after=0.001)) as down:
        answer, _ = run(*over(down))
        port = down.port
    assert answer.exit_code == 3
    assert "could not be played" in answer.stderr
    assert "(HTTP 500)" in answer.stderr
    assert answer.stderr.count("\n") == 1
    assert answer.stdout == ""
    with serving(Faults(), port=port) as up:
        answer, summary = run(*over(up))
    assert answer.exit_code == 0, answer.output
    assert figures(summary) == figures(undisturbed)


@pytest.mark.engine
def test_learning_waits_for_a_server_that_is_down(cache, tmp_path):
    words = ["learn", "household", "--games", "2", "--memory", str(tmp_path / "m.db"), "--cache", str(cache)]
    words += ["--builder", "openai:simulated-novice", "--json", "--base-url"]
    with serving(Faults(rate_500=1.0, in_a_row=1_000_000, retry_after=0.001)) as down:
        done = CliRunner().invoke(main, [*words, down.url])
    assert (done.exit_code, done.stdout) == (3, "")
    assert "memp: 2 trajectories could not be learned from: left for the next update: openai: " in done.stderr
    with serving(Faults()) as up:
        done = CliRunner().invoke(main, [*words, up.url])
    told = json.loads(done.stdout)
    assert (told["trajectories"], told["added"]) == (2, 2)
    assert told["usage"]["script"]["calls"] == told["usage"]["facts"]["calls"] == 2


def test_what_is_simulated_behind_the_wire_is_labelled(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    assert served_name("sim:able@3") == "simulated-able@3"
    assert backbone("openai:simulated-able@3").simulated
    assert not backbone("openai:gpt-4o").simulated
    assert [is_simulated(name) for name in ("sim:x", "openai:simulated-x", "openai:x", "anthropic:simulated-x")] == [
        True,
        True,
        False,
        True,
    ]


@pytest.fixture
def served():
    children = []

    def start(*options):
        command = [sys.executable, "-m", "memp_bench.serve", *options]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        children.append(child)
        return child

    yield start
    for child in children:
        child.kill()
        child.communicate()


async def test_the_server_says_where_it_is_and_what_it_served(served):
    child = served("--model", "sim:novice", "--model", "sim:able@3", "--key", "right")
    told = json.loads(child.stdout.readline())
    assert told["models"] == ["simulated-novice", "simulated-able@3"]
    model = chat_model("openai:simulated-able@3", base_url=told["url"], api_key="right")
    reply = await model.complete([Message(role="user", content="hello there")])
    assert "simulated player" in reply.text
    await model.close()
    child.send_signal(signal.SIGTERM)
    out, err = child.communicate(timeout=20)
    assert (child.returncode, err) == (0, "")
    report = json.loads(out)
    assert report["served"]["simulated-able@3"]["calls"] == 1
    assert report["requests"] == 1


def test_the_server_refuses_what_it_cannot_serve(served):
    for options, said in [
        (["--model", "openai:gpt-4o"], "'openai:gpt-4o' is no simulated backbone"),
        (["--model", "sim:novce"], "unknown simulated backbone 'sim:novce'. Did you mean sim:novice"),
    ]:
        child = served(*options)
        out, err = child.communicate(timeout=20)
        assert child.returncode in (1, 2)
        assert said in err
        assert "Traceback" not in err
        assert out == ""
