"""The worker pool with real processes."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from memp.errors import EnvironmentFailed, MissingExtra, UnknownName
from memp_bench.envs.pool import WorkerPool

PLAYER = "workplayers:Player"


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # the latter: it ended between open and read
        return False


async def gone(pid: int, within: float = 10.0) -> bool:
    end = time.monotonic() + within
    while alive(pid) and time.monotonic() < end:
        await asyncio.sleep(0.02)
    return not alive(pid)


@pytest.fixture
async def pool(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[WorkerPool]:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    pool = WorkerPool(PLAYER, {"start": 5}, size=4, processes=2, recycle_after=50)
    yield pool
    await pool.close()


async def test_an_episode_keeps_its_player_and_others_have_their_own(pool: WorkerPool) -> None:
    async with pool.lease() as one, pool.lease() as two, pool.lease() as three:
        assert await asyncio.gather(*(w.call("add", n) for w, n in ((one, 1), (two, 10), (three, 100)))) == [6, 15, 105]
        assert [await w.call("add", 0) for w in (one, two, three)] == [6, 15, 105]
        pids = {await w.call("pid") for w in (one, two, three)}
    assert len(pids) == 2
    assert os.getpid() not in pids


async def test_a_pool_that_is_used_up_makes_others_wait(pool: WorkerPool) -> None:
    held = [await pool.acquire() for _ in range(4)]
    waiting = asyncio.create_task(pool.acquire())
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await pool.release(held.pop())
    await pool.release(await asyncio.wait_for(waiting, 1))
    for worker in held:
        await pool.release(worker)


async def test_a_crash_fails_its_episodes_and_is_replaced(pool: WorkerPool) -> None:
    async with pool.lease() as worker:
        before = await worker.call("pid")
        with pytest.raises(EnvironmentFailed, match=r"code 7: last words"):
            await worker.call("die")
        with pytest.raises(EnvironmentFailed, match="code 7"):
            await worker.call("add", 1)
    async with pool.lease() as worker:
        assert await worker.call("pid") != before


async def test_killed_from_outside(pool: WorkerPool) -> None:
    async with pool.lease() as worker:
        pid = await worker.call("pid")
        asking = asyncio.create_task(worker.call("sleep", 30.0))
        await asyncio.sleep(0.1)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(EnvironmentFailed, match="code -9"):
            await asking


async def test_a_stall_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    pool = WorkerPool(PLAYER, size=1, timeout=0.3)
    async with pool.lease() as worker:
        pid = await worker.call("pid")
        with pytest.raises(EnvironmentFailed, match=r"did not answer sleep within 0.3 s"):
            await worker.call("sleep", 60.0)
    assert await gone(pid)
    async with pool.lease() as worker:
        assert await worker.call("add", 1) == 1
    await pool.close()


async def test_errors_of_the_player_arrive_as_they_are(pool: WorkerPool) -> None:
    async with pool.lease() as worker:
        with pytest.raises(EnvironmentFailed, match="no such game"):
            await worker.call("refuse", "game")
        with pytest.raises(UnknownName, match="Did you mean fast"):
            await worker.call("refuse", "unknown")
        with pytest.raises(MissingExtra, match=r"the engine needs the extra 'alfworld': pip install"):
            await worker.call("refuse", "extra")
        await worker.call("add", 1)
        with pytest.raises(EnvironmentFailed, match="bug: ZeroDivisionError: a bug"):
            await worker.call("bug")
        assert await worker.call("add", 0) == 5, "a player that broke is made anew"
        with pytest.raises(EnvironmentFailed, match="unpicklable"):
            await worker.call("unpicklable")
        assert await worker.call("chatter") == "said"


async def test_a_factory_that_fails_says_so() -> None:
    pool = WorkerPool("memp_bench.envs.nowhere:Player", size=1)
    async with pool.lease() as worker:
        with pytest.raises(EnvironmentFailed, match=r"No module named 'memp_bench.envs.nowhere'"):
            await worker.call("add", 1)
    await pool.close()


async def test_a_cancelled_call_does_not_confuse_the_next(pool: WorkerPool) -> None:
    async with pool.lease() as worker:
        await worker.call("pid")
        asking = asyncio.create_task(worker.call("sleep", 0.3))
        await asyncio.sleep(0.1)
        asking.cancel()
        assert await worker.call("add", 2) == 7


async def test_processes_are_replaced_after_their_games(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    pool = WorkerPool(PLAYER, size=2, processes=1, recycle_after=3)
    pids = []
    for _ in range(6):
        async with pool.lease() as worker:
            pids.append(await worker.call("pid"))
    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [3, 3]
    assert await gone(pids[0])
    async with pool.lease() as last:
        assert await last.call("add", 1) == 1
    await pool.close()


async def test_closing_stops_everything_and_the_pool_can_be_used_again(pool: WorkerPool) -> None:
    async with pool.lease() as worker:
        pid = await worker.call("pid")
        await pool.close()
        assert not alive(pid)
        with pytest.raises(EnvironmentFailed, match="closed"):
            await worker.call("add", 1)
    async with pool.lease() as worker:
        assert await worker.call("pid") != pid


async def test_closing_while_a_process_starts(pool: WorkerPool) -> None:
    async with pool.lease() as worker:
        asking = asyncio.create_task(worker.call("pid"))
        await asyncio.sleep(0)
        await pool.close()
        with pytest.raises(EnvironmentFailed, match="closed"):
            await asking
        child = worker.process._child
        assert child is None or await gone(child.pid)


async def test_workers_get_no_secrets_and_fixed_hashes(pool: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    async with pool.lease() as worker:
        assert await worker.call("env", "OPENAI_API_KEY") is None
        assert await worker.call("env", "PYTHONHASHSEED") == "0"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_workers_die_with_their_parent(how: signal.Signals) -> None:
    script = """
import asyncio
from memp_bench.envs.pool import WorkerPool
async def main():
    pool = WorkerPool("workplayers:Player", size=2, processes=2)
    try:
        async with pool.lease() as one, pool.lease() as two:
            print(await one.call("pid"), await two.call("pid"), flush=True)
            await asyncio.gather(one.call("sleep", 60.0), two.call("sleep", 60.0))
    finally:
        await pool.close()
asyncio.run(main())
"""
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    parent = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert parent.stdout is not None
    workers = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(workers) == 2
    assert all(alive(pid) for pid in workers)
    parent.send_signal(how)
    _, errors = parent.communicate(timeout=20)
    assert all(asyncio.run(gone(pid)) for pid in workers)
    if how == signal.SIGINT:
        assert errors.count("KeyboardInterrupt") <= 2, errors
        assert "worker" not in errors.replace("workplayers", ""), errors


def test_a_pool_needs_a_slot() -> None:
    with pytest.raises(ValueError, match="at least one slot"):
        WorkerPool(PLAYER, size=0)
