"""Players of groups: what a stream asks of any of them."""

import pytest
from streamkit import TASKS, Run, World, config, read_and_open, result

from memp.errors import MempError
from memp.testing.chat import ScriptedChat
from memp_bench.studies.players import Episodes, LocalPlayer


class Backwards:
    """Plays in the other order and keeps what learning used."""

    def __init__(self, player):
        self.player, self.groups, self.notes = player, [], []

    async def play(self, tasks):
        self.groups.append([number for number, _ in tasks])
        return (await self.player.play(tasks[::-1]))[::-1]

    async def learned(self, start, used):
        self.notes.append((start, {purpose: usage.calls for purpose, usage in used.items()}))


def local(folder, **more):
    episodes = Episodes(config(memory=False, every=None), World(), None, folder)
    return LocalPlayer(episodes, ScriptedChat(read_and_open), **more)


async def test_a_stream_takes_any_player_and_gives_it_tasks_with_their_index(tmp_path):
    expected = result(await Run(tmp_path / "local", memory=False, every=None)())
    player = Backwards(local(tmp_path / "own"))
    assert result(await Run(tmp_path / "own", memory=False, every=None, player=player)()) == expected
    assert player.groups == [list(range(24))]
    assert player.notes == [(0, {})]


async def test_a_player_that_loses_or_mixes_up_games_is_found_out_before_anything_is_learned(tmp_path):
    class Forgetful(Backwards):
        async def play(self, tasks):
            return (await self.player.play(tasks))[1:]

    class Shuffled(Backwards):
        async def play(self, tasks):
            return (await self.player.play(tasks))[::-1]

    for kind in (Forgetful, Shuffled):
        folder = tmp_path / kind.__name__
        with pytest.raises(MempError, match=rf"{kind.__name__} gave 2[34] episodes for 24 tasks, or others"):
            await Run(folder, memory=False, every=None, player=kind(local(folder)))()
        assert not (folder / "groups.jsonl").exists()


async def test_episodes_come_in_the_order_asked_and_a_finished_one_is_not_played_again(tmp_path):
    done = []
    player = local(tmp_path, workers=3, on_episode=done.append)
    order = [(5, TASKS[5]), (2, TASKS[2]), (9, TASKS[9])]
    first = await player.play(order)
    assert [episode.task_id for episode in first] == ["game-05", "game-02", "game-09"]
    assert await player.play(order) == first
    assert len(done) == 6
