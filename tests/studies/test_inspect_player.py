"""inspect-ai under the stream: the same episodes, whoever finishes first; faults, caps, and a log that is whole."""

import asyncio
import importlib.util
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import streamkit
from streamkit import TASKS, Run, World, read_and_open, remembered, result

from memp.errors import AuthError, BudgetExceeded, EnvironmentFailed, MempError, MissingExtra, ProviderDown
from memp.testing.chat import ScriptedChat
from memp_bench.agents.episode import EpisodeFile
from memp_bench.studies.players import Interrupted

pytest.importorskip("inspect_ai", reason="needs the extra bench")
pytestmark = [
    pytest.mark.filterwarnings("ignore:The 'initial' parameter is deprecated:DeprecationWarning"),  # inspect's
    pytest.mark.filterwarnings("ignore:Unclosed <MemoryObject(Send|Receive)Stream:ResourceWarning"),  # likewise
    pytest.mark.timeout(120),
]
GAMES = TASKS[:8]
FEW = {"every": 4, "player": "inspect"}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """No `.env`, no settings of inspect's and no data folder but these."""
    for name in ("INSPECT_LOG_DIR", "INSPECT_EVAL_MODEL", "INSPECT_TELEMETRY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
async def local(tmp_path):
    """What the local player makes of the games."""
    summary = await Run(tmp_path / "local", every=4)(GAMES)
    return result(summary), remembered(tmp_path / "local"), summary.usage, episodes(tmp_path / "local")


def episodes(folder):
    """All that was done and said, without times and the ids of recalls."""
    read = [EpisodeFile(file).read() for file in sorted((folder / "episodes").glob("*.jsonl"))]
    return [e.model_copy(update={"started_at": None, "finished_at": None, "recall_id": None}) for e in read]


def logs(folder, *, samples=True):
    from inspect_ai.log import read_eval_log

    files = sorted((folder / "inspect").glob("*/*.eval"))
    # In a thread: inside a running loop inspect-ai would patch asyncio for the whole process, which leaks loops.
    with ThreadPoolExecutor(1) as thread:
        return list(thread.map(lambda file: read_eval_log(str(file), header_only=not samples), files))


class Flaky(ScriptedChat):
    """Answers like `read_and_open`, and fails for one thing as long as told to."""

    def __init__(self, error, times):
        super().__init__(read_and_open)
        self.error, self.times = error, times

    async def complete(self, messages, **more):
        if self.times and "fetch the rope" in messages[1].content and len(messages) > 3:
            self.times -= 1
            raise self.error
        return await super().complete(messages, **more)


async def test_it_plays_the_same_episodes_whoever_finishes_first(tmp_path, local, capfd):
    for name, workers, delays in (("one", 1, None), ("many", 5, 1)):
        told = []
        run = Run(tmp_path / name, world=World(delays=delays), workers=workers, on_episode=told.append, **FEW)
        summary = await run(GAMES)
        assert (result(summary), remembered(tmp_path / name), summary.usage, episodes(tmp_path / name)) == local
        assert sorted(e.task_id for e in told) == [task.id for task in GAMES]
    assert capfd.readouterr().out == ""  # stdout belongs to the command


async def test_it_reads_no_variables_from_a_file_nearby(tmp_path):
    before = dict(os.environ)
    (tmp_path / ".env").write_text("MEMP_ELSEWHERE=yes\n")
    seen = []
    world = World(event=lambda: seen.append("MEMP_ELSEWHERE" in os.environ))
    await Run(tmp_path / "run", world=world, every=2, player="inspect")(GAMES[:2])
    assert set(seen) == {False}
    assert dict(os.environ) == before


async def test_its_log_has_every_sample_and_what_was_used_for_what(tmp_path):
    summary = await Run(tmp_path, builder=ScriptedChat(written), retrieve="avefact", **FEW)(GAMES)
    found = logs(tmp_path)
    assert [[s.id for s in log.samples] for log in found] == [
        [f"{n:05d}" for n in group] for group in (range(4), range(4, 8))
    ]
    assert [log.status for log in found] == ["success", "success"]
    played = episodes(tmp_path)
    for episode, sample in zip(played, [s for log in found for s in log.samples], strict=True):
        assert sample.metadata["task"] == episode.task_id
        assert sample.scores["episode"].value == {
            "success": float(episode.success),
            "reward": episode.reward,
            "steps": len(episode.steps),
        }
        assert sample.role_usage["act"].total_tokens == episode.usage["act"].tokens
        assert len([e for e in sample.events if e.event == "model"]) == len(episode.replies)
        assert [m.text for m in sample.messages if m.role == "assistant"] == [r.text for r in episode.replies]
        assert (
            sample.messages[0].text.endswith(f"<memory>\n{episode.recalled.strip()}\n</memory>") or not episode.recalled
        )
    acting = sum(log.stats.role_usage["act"].total_tokens for log in found)
    assert acting == summary.usage["act"].tokens
    for purpose in ("act", "facts", "script"):
        noted = [log.metadata[f"usage of {step}"].get(purpose) for log in found for step in ("playing", "learning")]
        assert sum(usage["calls"] for usage in noted if usage) == summary.usage[purpose].calls > 0
    last = found[-1].metadata["usage so far"]
    assert {purpose: usage["input_tokens"] for purpose, usage in last.items()} == {
        purpose: usage.input_tokens for purpose, usage in summary.usage.items()
    }


def written(messages):
    """Facts of a task, or a procedure."""
    return '{"action": "fetch"}' if "<task>" in messages[1].content else json.dumps({"goal": "g", "steps": ["s"]})


async def test_a_finished_group_is_not_played_again(tmp_path, local):
    await Run(tmp_path / "run", **FEW)(GAMES)
    again = Run(tmp_path / "run", **FEW)
    assert result(await again(GAMES)) == local[0]
    assert (again.world.resets, again.model.calls) == ([], [])


async def test_what_fails_for_a_while_is_tried_again_and_the_log_says_so(tmp_path, local):
    run = Run(tmp_path / "run", model=Flaky(ProviderDown("try again", provider="p", status=503), 2), **FEW)
    assert result(await run(GAMES)) == local[0]
    assert remembered(tmp_path / "run") == local[1]
    retried = [s for log in logs(tmp_path / "run") for s in log.samples if s.error_retries]
    assert retried
    assert "try again" in retried[0].error_retries[0].message


async def test_a_provider_that_stays_down_interrupts_and_repeating_plays_only_what_is_missing(tmp_path, local):
    folder = tmp_path / "run"
    run = Run(folder, model=Flaky(ProviderDown("try again", provider="p", status=503), 1_000), **FEW)
    with pytest.raises(Interrupted, match=r"1 of 4 games .* e\.g\. game-02: p: try again \(HTTP 503\)") as caught:
        await run(GAMES)
    assert caught.value.exit_code == 3
    assert [log.status for log in logs(folder)] == ["error"]
    again = Run(folder, **FEW)
    assert result(await again(GAMES)) == local[0]
    assert again.world.resets[0] == "game-02"
    assert len(again.world.resets) == 5
    assert remembered(folder) == local[1]
    assert [(log.status, len(log.samples)) for log in logs(folder)] == [("success", 4)] * 2


async def test_what_cannot_get_better_stops_at_once(tmp_path):
    run = Run(tmp_path, model=Flaky(AuthError("the key was refused", provider="p", status=401), 1_000), **FEW)
    with pytest.raises(Interrupted, match=r"the key was refused .*repeat the command when this is mended") as caught:
        await run(GAMES)
    assert caught.value.exit_code == 1


async def test_a_cap_stops_before_the_next_call_and_a_higher_one_goes_on(tmp_path, local):
    folder = tmp_path / "run"
    run = Run(folder, budget=9, **FEW)
    with pytest.raises(BudgetExceeded, match="the cap of 9 calls is reached"):
        await run(GAMES)
    assert len(run.model.calls) == 9
    more = Run(folder, budget=500, **FEW)
    assert result(await more(GAMES)) == local[0]
    assert remembered(folder) == local[1]
    assert (await Run(folder, budget=500, **FEW)(GAMES)).usage["act"].calls == 9 + len(more.model.calls)


async def test_ctrl_c_keeps_finished_games(tmp_path, local):
    done = []
    run = Run(tmp_path / "run", world=World(delays=3), workers=2, on_episode=done.append, **FEW)
    task = asyncio.create_task(run(GAMES))
    while len(done) < 6:
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    finished = {e.task_id for e in episodes(tmp_path / "run") if e.counted}
    assert len(finished) >= 6
    again = Run(tmp_path / "run", **FEW)
    assert result(await again(GAMES)) == local[0]
    assert set(again.world.resets) == {task.id for task in GAMES} - finished
    assert remembered(tmp_path / "run") == local[1]


async def test_kill_9_while_it_plays_changes_nothing(tmp_path):
    expected = result(await Run(tmp_path / "local")()), remembered(tmp_path / "local")
    folder = tmp_path / "killed"
    command = [sys.executable, streamkit.__file__, str(folder), "85", "inspect"]
    child = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert child.returncode == -9, child.stderr
    finished = {e.task_id for e in episodes(folder) if e.counted}
    assert 6 < len(finished) < 24
    again = Run(folder, player="inspect")
    assert result(await again()) == expected[0]
    assert set(again.world.resets) == {task.id for task in TASKS} - finished
    assert remembered(folder) == expected[1]
    assert [(log.status, len(log.samples)) for log in logs(folder)] == [("success", 6)] * 4


async def test_a_game_that_breaks_is_named_and_not_counted(tmp_path):
    world = World(broken={"game-01": [EnvironmentFailed("the engine crashed")], "game-06": [ValueError("damaged")]})
    summary = await Run(tmp_path, world=world, **FEW)(GAMES)
    assert [(item.subject, item.reason) for item in summary.failed] == [
        ("game-01", "the engine crashed"),
        ("game-06", "damaged"),
    ]
    assert (world.resets.count("game-01"), world.resets.count("game-06")) == (3, 1)
    unscored = [s.metadata["task"] for log in logs(tmp_path) for s in log.samples if not s.scores]
    assert unscored == ["game-01", "game-06"]


async def test_the_log_of_another_run_is_refused(tmp_path):
    await Run(tmp_path / "run", **FEW)(GAMES)
    folder = tmp_path / "run" / "inspect" / "00000-00003"
    other = tmp_path / "other" / "inspect"
    other.mkdir(parents=True)
    folder.rename(other / "00000-00003")
    said = re.escape(str(other / "00000-00003")) + " holds inspect's log of another run or of other games"
    with pytest.raises(MempError, match=said):
        await Run(tmp_path / "other", seed=1, **FEW)(GAMES)
    (other / "00000-00003" / ".eval-set-id").unlink()
    with pytest.raises(MempError, match="holds logs that are not this run's"):
        await Run(tmp_path / "other", seed=1, **FEW)(GAMES)


async def test_a_sample_that_the_log_lost_stops_before_anything_is_learned(tmp_path, monkeypatch):
    import inspect_ai.log

    whole = inspect_ai.log.read_eval_log_sample_summaries
    monkeypatch.setattr(inspect_ai.log, "read_eval_log_sample_summaries", lambda file: whole(file)[1:])
    with pytest.raises(MempError, match="has 3 samples, of 4; nothing was learned"):
        await Run(tmp_path, **FEW)(GAMES)
    assert not (tmp_path / "groups.jsonl").exists()
    monkeypatch.undo()
    again = Run(tmp_path, **FEW)
    assert (await again(GAMES)).games == 8
    assert len(again.world.resets) == 4


async def test_without_the_extra_it_says_what_to_install(tmp_path, monkeypatch):
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "inspect_ai" else there(name))
    with pytest.raises(MissingExtra, match=r"pip install 'memp\[bench\]'"):
        await Run(tmp_path, **FEW)(GAMES)
