"""The evaluation stream: groups, order, resuming, caps and faults."""

import asyncio
import json
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
import streamkit
from streamkit import TASKS, Run, World, read_and_open, remembered, result

from memp.errors import AuthError, BudgetExceeded, EnvironmentFailed, MempError, MissingExtra, ProviderDown, RecordError
from memp.memory import AsyncProceduralMemory
from memp.stores.sqlite import SqliteStore
from memp.testing.chat import CharEmbedder, ScriptedChat
from memp_bench.agents.episode import EpisodeFile
from memp_bench.studies.journal import only_one
from memp_bench.studies.stream import Interrupted


@pytest.fixture
async def undisturbed(tmp_path):
    """The standard stream, played in one go: its result and what was remembered."""
    summary = await Run(tmp_path / "undisturbed")()
    return result(summary), remembered(tmp_path / "undisturbed")


def episodes(folder):
    return [EpisodeFile(file).read() for file in sorted((folder / "episodes").glob("*.jsonl"))]


async def test_a_run_gives_the_figures_of_its_episodes(tmp_path):
    run = Run(tmp_path)
    summary = await run()
    played = episodes(tmp_path)
    assert [episode.task_id for episode in played] == [task.id for task in TASKS]
    won = [episode.success for episode in played]
    assert summary.games == 24
    assert summary.success_rate == pytest.approx(sum(won) / 24)
    assert summary.mean_steps == pytest.approx(sum(len(e.steps) for e in played) / 24)
    assert summary.curve == [pytest.approx(sum(won[n : n + 6]) / 6) for n in (0, 6, 12, 18)]
    assert {name: family.games for name, family in summary.by_family.items()} == {"near": 16, "far": 8}
    assert summary.usage["act"].calls == sum(len(e.replies) for e in played) == len(run.model.calls)
    assert summary.usage["act"].tokens == sum(e.usage["act"].tokens for e in played)
    assert summary.receipt.updates == 4
    assert summary.simulated
    assert summary.curve[-1] > summary.curve[0]  # it reads what it remembers


async def test_the_memory_changes_only_between_groups(tmp_path):
    seen = []
    world = World(event=lambda: seen.append((len(world.resets), revisions())))
    run = Run(tmp_path, world=world, workers=6)

    def revisions():
        return run.memory.stats().revisions

    await run()
    by_group = {(resets - 1) // 6: set() for resets, _ in seen}
    for resets, count in seen:
        by_group[(resets - 1) // 6].add(count)
    assert [len(counts) for counts in by_group.values()] == [1, 1, 1, 1]
    assert by_group[0] == {0}
    assert sorted(by_group[1]) < sorted(by_group[2]) < sorted(by_group[3])


async def test_a_game_recalls_only_what_groups_before_it_taught(tmp_path):
    await Run(tmp_path)()
    memory = AsyncProceduralMemory(SqliteStore(tmp_path / "memory.db"), embedder=CharEmbedder())
    group_of = {}
    for trajectory in memory.store.trajectories("default"):
        group_of[trajectory.id] = int(trajectory.source[-2:]) // 6
    recalled = 0
    for number, episode in enumerate(episodes(tmp_path)):
        for item in memory.recall(episode.recall_id).ranked:
            recalled += 1
            assert {group_of[id] for id in item.procedure.revision.evidence} <= set(range(number // 6))
    memory.store.close()
    assert recalled > 20


@pytest.mark.parametrize("retrieve", ["query", "random", "avefact"])
async def test_the_result_depends_neither_on_workers_nor_on_who_finishes_first(tmp_path, retrieve):
    outcomes = []
    for name, workers, delays in (("one", 1, None), ("many", 8, 1), ("others", 5, 2)):
        run = Run(tmp_path / name, world=World(delays=delays), workers=workers, retrieve=retrieve)
        summary = await run()
        outcomes.append((result(summary), summary.usage, remembered(tmp_path / name)))
    assert outcomes[0] == outcomes[1] == outcomes[2]


async def test_a_finished_run_is_not_played_again(tmp_path):
    first = await Run(tmp_path)()
    again = Run(tmp_path)
    second = await again()
    assert (result(second), second.usage) == (result(first), first.usage)
    assert again.world.resets == []
    assert again.model.calls == []


async def test_another_run_in_the_folder_is_refused_and_what_differs_is_named(tmp_path):
    await Run(tmp_path)()
    with pytest.raises(MempError, match=r"holds another run \(seed was 0, is 1; every was 6, is 4\); choose another"):
        await Run(tmp_path, every=4, seed=1)()
    (tmp_path / "run.json").write_text("{ half a")
    with pytest.raises(MempError, match=r"run\.json is damaged .*choose another"):
        await Run(tmp_path)()


async def test_two_processes_cannot_be_at_one_run(tmp_path):
    with only_one(tmp_path), pytest.raises(MempError, match="another process is at the run in"):
        await Run(tmp_path)()
    await Run(tmp_path)(TASKS[:1])


# -- interruptions -----------------------------------------------------------------------------------


async def test_kill_9_at_random_moments_changes_nothing(tmp_path, undisturbed):
    draw, kills = random.Random(7), 0
    script = Path(streamkit.__file__)
    while True:
        after = draw.choice((draw.randint(1, 30), draw.randint(30, 120)))
        command = [sys.executable, str(script), str(tmp_path / "killed"), str(after)]
        child = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
        if child.returncode == 0:
            break
        assert child.returncode == -9, child.stderr
        kills += 1
    assert kills >= 5
    again = await Run(tmp_path / "killed")()
    assert result(again) == undisturbed[0]
    assert remembered(tmp_path / "killed") == undisturbed[1]
    told = json.loads(child.stdout)
    assert (
        told["usage"]["act"]["calls"]
        == again.usage["act"].calls
        >= sum(len(e.replies) for e in episodes(tmp_path / "killed"))
    )


class Crash(BaseException):
    pass


@pytest.mark.parametrize(
    ("options", "group", "writes"),
    [({}, 1, (1, 3, 5, 7, 8, 10, 12, 13)), ({"update": "validation", "discard": True}, 2, (6, 9, 13, 14, 15, 16))],
    ids=["adjustment", "discarding"],
)
async def test_a_crash_at_any_write_of_learning_changes_nothing(tmp_path, options, group, writes):
    """One write of a group's learning after the other is where the process ends."""
    undisturbed = await Run(tmp_path / "undisturbed", **options)()
    assert (undisturbed.receipt.retired if "discard" in options else undisturbed.receipt.revised) > 3
    for write in writes:
        folder = tmp_path / f"crash-{write}"
        run = Run(folder, store=fragile(6 * (group + 1), write), **options)
        with pytest.raises(Crash):
            await run()
        again = Run(folder, **options)
        summary = await again()
        assert len(again.world.resets) == 24 - 6 * (group + 1)
        assert result(summary) == result(undisturbed)
        assert remembered(folder) == remembered(tmp_path / "undisturbed")


def fragile(games, writes):
    """A store that breaks at the given write after so many games were recalled for."""

    class Fragile(SqliteStore):
        recalled, left = 0, writes

        def log_recall(self, *args):
            self.recalled += 1
            super().log_recall(*args)

        def _count(self):
            if self.recalled >= games:
                self.left -= 1
            if self.left <= 0:
                raise Crash

        def record(self, *args):
            self._count()
            return super().record(*args)

        def write(self, *args, **more):
            self._count()
            return super().write(*args, **more)

        def log_receipt(self, *args):
            self._count()
            super().log_receipt(*args)

    return Fragile


async def test_ctrl_c_keeps_finished_games(tmp_path, undisturbed):
    done = []
    run = Run(tmp_path / "stopped", world=World(delays=3), on_episode=done.append)
    task = asyncio.create_task(run())
    while len(done) < 9:
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    finished = {e.task_id for e in episodes(tmp_path / "stopped") if e.counted}
    assert len(finished) >= 9
    again = Run(tmp_path / "stopped")
    assert result(await again()) == undisturbed[0]
    assert set(again.world.resets) == {task.id for task in TASKS} - finished
    assert remembered(tmp_path / "stopped") == undisturbed[1]


async def test_a_cap_stops_before_the_next_call_and_a_higher_one_goes_on(tmp_path, undisturbed):
    folder = tmp_path / "capped"
    run = Run(folder, budget=30)
    with pytest.raises(BudgetExceeded, match="the cap of 30 calls is reached"):
        await run()
    assert len(run.model.calls) == 30
    same = Run(folder, budget=30)
    with pytest.raises(BudgetExceeded, match="30 calls done"):
        await same()
    assert same.model.calls == []
    more = Run(folder, budget=500)
    summary = await more()
    assert result(summary) == undisturbed[0]
    assert remembered(folder) == undisturbed[1]
    assert summary.usage["act"].calls == 30 + len(more.model.calls)


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


async def test_a_provider_that_fails_for_a_while_is_no_failed_task(tmp_path, undisturbed):
    folder = tmp_path / "flaky"
    summary = await Run(folder, model=Flaky(ProviderDown("try again", provider="p", status=503), 2))()
    assert result(summary) == undisturbed[0]
    assert remembered(folder) == undisturbed[1]
    assert summary.usage["act"].calls > sum(len(e.replies) for e in episodes(folder))  # failed calls are counted too


async def test_a_provider_that_stays_down_interrupts_and_repeating_goes_on(tmp_path, undisturbed):
    folder = tmp_path / "down"
    run = Run(folder, model=Flaky(ProviderDown("try again", provider="p", status=503), 1_000))
    with pytest.raises(Interrupted, match=r"1 of 6 games .* e\.g\. game-02: p: try again \(HTTP 503\)") as caught:
        await run()
    assert caught.value.exit_code == 3
    assert sum(e.counted for e in episodes(folder)) == 5  # the rest of the group was played
    again = Run(folder)
    assert result(await again()) == undisturbed[0]
    assert remembered(folder) == undisturbed[1]


async def test_what_cannot_get_better_stops_at_once(tmp_path):
    run = Run(tmp_path, model=Flaky(AuthError("the key was refused", provider="p", status=401), 1_000))
    with pytest.raises(Interrupted, match=r"the key was refused .*repeat the command when this is mended") as caught:
        await run()
    assert caught.value.exit_code == 1


async def test_a_writer_that_fails_leaves_the_group_to_be_learned_from_later(tmp_path):
    script = json.dumps({"goal": "It is fetched.", "steps": ["Open the right room."]})

    def written(folder, failing):
        calls = []

        def write(messages):
            calls.append(messages)
            if len(calls) in failing:
                raise ProviderDown("overloaded", provider="p", status=529)
            return script

        return Run(folder, builder=ScriptedChat(write)), calls

    whole, asked = written(tmp_path / "whole", ())
    expected = result(await whole())
    broken, before = written(tmp_path / "broken", (3,))
    with pytest.raises(Interrupted, match="could not be learned from: left for the next update: p: overloaded"):
        await broken()
    again, after = written(tmp_path / "broken", ())
    assert result(await again()) == expected
    assert sorted(again.world.resets) == [task.id for task in TASKS[6:]]
    assert remembered(tmp_path / "broken") == remembered(tmp_path / "whole")
    assert len(before) + len(after) == len(asked) + 1  # replies that were paid for are not asked for again


async def test_facts_that_cannot_be_had_are_asked_for_again(tmp_path):
    replies = []

    def facts(messages):
        replies.append("no facts" if len(replies) < 4 else '{"action": "fetch"}')
        return replies[-1] if "<task>" in messages[1].content else json.dumps({"goal": "g", "steps": ["s"]})

    run = Run(tmp_path / "again", builder=ScriptedChat(facts), retrieve="avefact")
    summary = await run()
    assert (summary.games, summary.failed) == (24, [])
    assert summary.usage["facts"].calls >= 4


# -- games that cannot be played -----------------------------------------------------------------------


async def test_a_game_that_breaks_is_named_and_not_counted(tmp_path):
    world = World(broken={"game-03": [EnvironmentFailed("the engine crashed")], "game-08": [ValueError("damaged")]})
    summary = await Run(tmp_path, world=world)()
    assert summary.games == 22
    assert [(item.subject, item.reason) for item in summary.failed] == [
        ("game-03", "the engine crashed"),
        ("game-08", "damaged"),
    ]
    assert world.resets.count("game-03") == 3  # a crash may pass
    assert world.resets.count("game-08") == 1  # damage does not
    _, told, waiting = remembered(tmp_path)
    assert len(told) == 22
    assert waiting == 0
    again = Run(tmp_path)  # the game would work now, but its group is over
    assert result(await again()) == result(summary)
    assert again.world.resets == []


async def test_a_missing_package_is_no_matter_of_single_games(tmp_path):
    world = World(broken={task.id: [MissingExtra("alfworld", "the engine")] for task in TASKS})
    with pytest.raises(Interrupted, match=r"pip install 'memp\[alfworld\]'") as caught:
        await Run(tmp_path, world=world)()
    assert caught.value.exit_code == 1
    assert (await Run(tmp_path)()).games == 24


async def test_a_game_that_crashes_once_is_played_again(tmp_path, undisturbed):
    class Passing(World):
        def environment(self):
            if len(self.resets) == 5:
                self.broken = {}
            return super().environment()

    world = Passing(broken={"game-03": [EnvironmentFailed("the engine crashed")]})
    assert result(await Run(tmp_path / "once", world=world)()) == undisturbed[0]
    assert remembered(tmp_path / "once") == undisturbed[1]


# -- arms and files ------------------------------------------------------------------------------------


async def test_without_memory_nothing_is_recalled_or_kept(tmp_path):
    summary = await Run(tmp_path, memory=False, every=None)()
    assert summary.memory == "none"
    assert summary.receipt.updates == 0
    assert {e.recalled for e in episodes(tmp_path)} == {""}
    assert not (tmp_path / "memory.db").exists()


async def test_a_frozen_memory_serves_and_does_not_change(tmp_path):
    await Run(tmp_path / "learning")()
    (tmp_path / "frozen").mkdir()
    (tmp_path / "frozen" / "memory.db").write_bytes((tmp_path / "learning" / "memory.db").read_bytes())
    before = remembered(tmp_path / "frozen")[0]
    summary = await Run(tmp_path / "frozen", every=None, seed=1)()
    assert all(e.recalled for e in episodes(tmp_path / "frozen"))
    assert summary.receipt.updates == 0
    after = remembered(tmp_path / "frozen")[0]
    assert [[revision[:-2] for revision in p] for p in after] == [[revision[:-2] for revision in p] for p in before]


async def test_torn_lines_are_left_out(tmp_path, undisturbed):
    folder = tmp_path / "torn"
    with pytest.raises(BudgetExceeded):
        await Run(folder, budget=45)()
    for file in (folder / "groups.jsonl", folder / "usage.jsonl"):
        file.write_bytes(file.read_bytes() + b'{"group":1,"ga')
    assert result(await Run(folder)()) == undisturbed[0]
    assert remembered(folder) == undisturbed[1]
    assert Run(folder).meter.total.calls >= 45
    for line in (folder / "groups.jsonl").read_text().splitlines():
        assert line == '{"group":1,"ga' or json.loads(line)


async def test_a_missing_episode_of_a_finished_run_is_an_error_not_another_game(tmp_path):
    await Run(tmp_path)()
    (tmp_path / "episodes" / "00004.jsonl").unlink()
    with pytest.raises(RecordError, match=re.escape("00004.jsonl cannot be read")):
        await Run(tmp_path)()
    await Run(tmp_path / "other")()
    with pytest.raises(RecordError, match=r"00000\.jsonl holds game-00, not game-01: the games changed"):
        await Run(tmp_path / "other")(TASKS[1:] + TASKS[:1])
