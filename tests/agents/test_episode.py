import signal
import subprocess
import sys
from pathlib import Path

import pytest
from agentdoubles import Counter, Scripted

from memp.errors import MempError, RecordError, StoreError, StoreFull
from memp_bench.agents.episode import EpisodeFile, trajectory_of
from memp_bench.agents.react import play
from memp_bench.envs.base import Task

COUNT = "Thought: on\nAction: count"


async def played(path, steps=3):
    return await play(
        Counter(steps), Task(id="g", family="f"), Scripted(*[COUNT] * steps), instructions="x", file=EpisodeFile(path)
    )


async def test_what_was_written_is_read_back(tmp_path):
    path = tmp_path / "new" / "folder" / "e.jsonl"
    episode = await played(path)
    assert EpisodeFile(path).read() == episode
    assert len(path.read_text().splitlines()) == 3 + 2


async def test_every_prefix_of_the_file_is_readable(tmp_path):
    path = tmp_path / "e.jsonl"
    episode = await played(path)
    whole = path.read_bytes()
    header = whole.index(b"\n")
    for size in range(0, len(whole), 7):
        path.write_bytes(whole[:size])
        if size < header:
            with pytest.raises(RecordError, match="header is missing"):
                EpisodeFile(path).read()
            continue
        part = EpisodeFile(path).read()
        assert part.steps == episode.steps[: len(part.steps)]
        assert part.status == ("done" if size >= len(whole) - 1 else "incomplete")
        if part.status == "incomplete":
            with pytest.raises(RecordError, match="incomplete"):
                trajectory_of(part, "t")


async def test_a_further_attempt_is_appended_after_a_torn_line(tmp_path):
    path = tmp_path / "e.jsonl"
    await played(path)
    path.write_bytes(path.read_bytes()[:-20])
    again = await played(path)
    read = EpisodeFile(path).read()
    assert (read.attempt, read.status, read.steps) == (2, "done", again.steps)


def test_kill_9_leaves_every_finished_step(tmp_path):
    path = tmp_path / "e.jsonl"
    code = f"""
import asyncio, os, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from agentdoubles import Counter, Scripted
from memp_bench.agents.episode import EpisodeFile
from memp_bench.agents.react import play
from memp_bench.envs.base import Task
def seen(n, step):
    if n == 5:
        os.kill(os.getpid(), 9)
asyncio.run(play(Counter(9), Task(id="g", family="f"), Scripted(*[{COUNT!r}] * 9), instructions="x",
                 file=EpisodeFile(__import__("pathlib").Path({str(path)!r})), on_step=seen))
"""
    done = subprocess.run([sys.executable, "-c", code], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    episode = EpisodeFile(path).read()
    assert (episode.status, len(episode.steps), episode.steps[-1].observation) == ("incomplete", 5, "You are at 5.")


async def test_a_trajectory_carries_the_episode_over(tmp_path):
    episode = await played(tmp_path / "e.jsonl")
    trajectory = trajectory_of(episode, "t1", source="toy/g")
    assert (trajectory.id, trajectory.task, trajectory.start) == ("t1", "count to 3", "You are at 0.")
    assert (trajectory.reward, trajectory.agent, trajectory.source) == (1.0, "test:scripted", "toy/g")
    assert trajectory.steps == episode.steps
    assert trajectory.usage["act"].calls == 3
    assert trajectory.tags == {"family": "f"}


def test_steps_before_begin_are_a_clear_error(tmp_path):
    from memp_bench.agents.episode import EpisodeEnd

    with pytest.raises(MempError, match="call begin"):
        EpisodeFile(tmp_path / "e.jsonl").end(EpisodeEnd(status="done"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
async def test_a_full_disk_is_a_clear_error():
    with pytest.raises(StoreFull, match="/dev/full cannot be written"):
        await played(Path("/dev/full"))


async def test_a_place_that_is_no_folder_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="cannot be written"):
        await played(tmp_path / "file" / "e.jsonl")
