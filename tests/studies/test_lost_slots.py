"""Machines that go away under episodes: played again elsewhere, or later; no result, and no game that is left out."""

import pytest
from streamkit import TASKS, Run, World, remembered, result

from memp.errors import EnvironmentFailed
from memp_bench.agents.episode import EpisodeFile
from memp_bench.envs.slots import PoolUnfit, SlotLost
from memp_bench.studies.journal import Journal
from memp_bench.studies.learn import learn
from memp_bench.studies.players import Interrupted

GONE = SlotLost("node 1 is gone")


@pytest.fixture
async def undisturbed(tmp_path):
    summary = await Run(tmp_path / "undisturbed")()
    return result(summary), remembered(tmp_path / "undisturbed")


class Fading(World):
    """Loses the machine under the first `losses` resets of each game in `games`; the last is then played."""

    def __init__(self, losses):
        super().__init__()
        self.losses = dict(losses)

    def environment(self):
        world, env = self, super().environment()
        inner = env.reset

        async def reset(task):
            if world.losses.get(task.id, 0):
                world.losses[task.id] -= 1
                raise GONE
            return await inner(task)

        env.reset = reset
        return env


async def test_it_is_played_again_elsewhere(tmp_path, undisturbed):
    world = Fading({TASKS[1].id: 1, TASKS[8].id: 2})
    summary = await Run(tmp_path / "lost", world=world)()
    assert (result(summary), remembered(tmp_path / "lost")) == undisturbed
    assert EpisodeFile(tmp_path / "lost" / "episodes" / "00008.jsonl").read().attempt == 3


async def test_where_nothing_is_left_to_play_on_the_run_waits(tmp_path, undisturbed):
    world, folder = Fading({TASKS[8].id: 3}), tmp_path / "lost"
    with pytest.raises(Interrupted, match=r"1 of 6 games .* node 1 is gone\. Nothing is lost; repeat") as stopped:
        await Run(folder, world=world)()
    assert stopped.value.exit_code == 3
    assert list(Journal(folder / "groups.jsonl").read()) == [0], "the group is not over"
    again = Run(folder, world=world)
    assert (result(await again()), remembered(folder)) == undisturbed
    assert again.world.resets.count(TASKS[8].id) == 1
    assert again.world.resets.count(TASKS[7].id) == 1, "what its neighbours did stands"


async def test_a_game_that_breaks_is_left_out_as_ever(tmp_path):
    world = World(broken={TASKS[8].id: [EnvironmentFailed("the environment's process ended with code -11")]})
    summary = await Run(tmp_path, world=world)()
    assert [item.subject for item in summary.failed] == [TASKS[8].id]
    assert summary.games == 23


async def test_what_must_be_mended_first_ends_the_run(tmp_path, undisturbed):
    fault = PoolUnfit("node 2: memp is 0.0.9, here 0.1.0")
    with pytest.raises(Interrupted, match=r"memp is 0\.0\.9, .*when this is mended") as stopped:
        await Run(tmp_path / "lost", world=World(broken={TASKS[3].id: [fault]}))()
    assert stopped.value.exit_code == 1
    assert (result(await Run(tmp_path / "lost")()), remembered(tmp_path / "lost")) == undisturbed


async def test_experts_play_again_too(tmp_path, open_memory, monkeypatch):
    """`learn` must not leave a training task out because a machine went away."""
    tries = []

    async def expert(benchmark, task, **more):
        tries.append(task.id)
        raise GONE

    monkeypatch.setattr("memp_bench.studies.learn.expert_trajectory", expert)
    with pytest.raises(ExceptionGroup) as stopped:
        await learn(open_memory(), World(), TASKS[:1])
    assert stopped.group_contains(Interrupted, match="node 1 is gone. Nothing is lost")
    assert tries == [TASKS[0].id] * 3
