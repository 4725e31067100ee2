"""Generated games on the real engine, through the worker pool."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from memp.errors import EnvironmentFailed
from memp_bench.envs.base import Benchmark, Environment, Task
from memp_bench.envs.household import Household
from memp_bench.envs.household.files import is_intact
from memp_bench.envs.household.goals import FAMILIES

pytest.importorskip("alfworld")
pytestmark = [pytest.mark.engine, pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(cache: Path) -> AsyncIterator[Household]:
    bench = Household(seed=5, cache=cache, workers=3, processes=1)
    yield bench
    await bench.close()


def walkthrough(task: Task) -> list[str]:
    commands: list[str] = json.loads(Path(task.payload["game"]).read_text())["walkthrough"]
    return commands


async def test_six_families_are_made_and_won_by_their_walkthroughs(bench: Household) -> None:
    seen: list[tuple[int, int]] = []
    made = await bench.prepare("unseen", 6, progress=lambda done, total: seen.append((done, total)))
    assert made == 6
    assert seen == [(done, 6) for done in range(7)]
    assert await bench.prepare("unseen", 6) == 0
    tasks = bench.tasks("unseen", games=6)
    assert {task.family for task in tasks} == set(FAMILIES)
    environment = bench.environment()
    for task in tasks:
        commands = walkthrough(task)
        assert len(commands) >= (8 if task.family == "put_two" else 3)
        await environment.reset(task)
        results = [await environment.step(command) for command in commands]
        assert [result.done for result in results] == [False] * (len(results) - 1) + [True]
        assert results[-1].reward == 1.0
    await environment.close()


async def test_it_reads_like_alfworld(bench: Household) -> None:
    environment = bench.environment()
    task = bench.tasks("train", games=6)[1]
    opening = await environment.reset(task)
    assert re.fullmatch(r"(put a clean \w+ in|clean some \w+ and put it in) \w+\.", opening.task)
    assert opening.observation.text.startswith(
        "You are in the middle of a room. Looking quickly around you, you see a "
    )
    names = re.findall(r"an? ([a-z]+ \d+)", opening.observation.text)
    assert 16 <= len(names) == len(set(names)) <= 20
    went = await environment.step("go to drawer 1")
    assert went.text == "The drawer 1 is closed."
    opened = await environment.step("open drawer 1")
    assert re.fullmatch(r"You open the drawer 1. The drawer 1 is open. In it, you see .*\.", opened.text)
    refused = await environment.step("open the pod bay doors")
    assert refused.invalid
    assert refused.text == "Nothing happens."
    assert (await environment.step("inventory")).text == "You are not carrying anything."
    await environment.close()


async def test_a_game_made_while_others_are_played_does_not_disturb_them(bench: Household) -> None:
    first, second, third = bench.tasks("seen", games=3)
    one, other, late = (bench.environment() for _ in range(3))
    await one.reset(first)
    await other.reset(second)
    commands = walkthrough(first), walkthrough(second)
    for turn in range(max(map(len, commands))):
        for environment, plan in zip((one, other), commands, strict=True):
            if turn < len(plan):
                result = await environment.step(plan[turn])
                assert result.done == (turn == len(plan) - 1)
                assert not result.invalid
        if turn == 1:
            assert not Path(third.payload["game"]).exists()
            await late.reset(third)
    for environment in (one, other, late):
        await environment.close()


async def test_the_same_bytes_for_another_cache_order_and_engine(bench: Household, tmp_path: Path) -> None:
    await bench.prepare("unseen", 6)
    again = Household(seed=5, cache=tmp_path, engine="stock", workers=1)
    mine, other = (household.tasks("unseen", games=6)[5] for household in (bench, again))
    try:
        assert await again.prepare("unseen", 1) == 1
        environment = again.environment()
        await environment.reset(other)
        await environment.close()
    finally:
        await again.close()
    assert Path(mine.payload["game"]).read_bytes() == Path(other.payload["game"]).read_bytes()


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"half": ', b"[1]", b"\xff\xfe", None])
async def test_a_damaged_file_is_made_again(bench: Household, damage: bytes | None) -> None:
    task = bench.tasks("unseen", games=1)[0]
    path = Path(task.payload["game"])
    await bench.prepare("unseen", 1)
    before = path.read_bytes()
    path.write_bytes(before.replace(b'"go to', b'"went to') if damage is None else damage)
    assert not is_intact(path)
    environment = bench.environment()
    await environment.reset(task)
    await environment.close()
    assert path.read_bytes() == before
    assert not list(path.parent.glob(".*"))


async def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "household").write_text("a file where the folder should be")
    bench = Household(cache=tmp_path, workers=1)
    try:
        with pytest.raises(EnvironmentFailed, match=r"cannot be written.*name another cache"):
            await bench.prepare("train", 2)
    finally:
        await bench.close()


async def test_a_path_that_is_no_game_is_refused(bench: Household) -> None:
    environment = bench.environment()
    with pytest.raises(EnvironmentFailed, match="not the path of a household game"):
        await environment.reset(Task(id="x", family="put", payload={"game": "/etc/hostname"}))
    with pytest.raises(EnvironmentFailed, match="is not a household game of"):
        await environment.reset(Task(id="x", family="put", payload={"game": "/elsewhere/train/0000-put.tw-pddl"}))
    await environment.close()


async def test_it_keeps_the_contract(bench: Household) -> None:
    assert isinstance(bench, Benchmark)
    assert isinstance(bench.environment(), Environment)
    assert bench.splits == ("train", "seen", "unseen")
    assert "cool {object} with {receptacle}" in bench.instructions
    assert bench.example == ""
