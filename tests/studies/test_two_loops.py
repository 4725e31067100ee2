"""Work of one event loop, done for another that runs in a thread."""

import asyncio

import pytest

from memp_bench.studies.two_loops import Home, Stopped


async def test_work_is_done_at_home_for_a_loop_in_another_thread():
    home, here = Home(), asyncio.get_running_loop()

    async def work():
        return asyncio.get_running_loop() is here

    assert await home.beside(lambda: asyncio.run(home.do(work)))


async def test_what_is_raised_on_either_side_arrives():
    home = Home()

    async def fails():
        raise KeyError("at home")

    with pytest.raises(KeyError, match="at home"):
        await home.beside(lambda: asyncio.run(home.do(fails)))
    with pytest.raises(ZeroDivisionError):
        await home.beside(lambda: 1 // 0)


async def test_stopping_ends_what_is_under_way_and_takes_nothing_more():
    home, begun, ended = Home(), asyncio.Event(), []

    async def long():
        begun.set()
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append(True)

    def visit():
        with pytest.raises(Stopped):
            asyncio.run(home.do(long))
        with pytest.raises(Stopped):
            asyncio.run(home.do(long))
        return "left in order"

    visiting = asyncio.create_task(home.beside(visit))
    await begun.wait()
    home.stop(ValueError("the first reason"))
    home.stop(ValueError("a later one"))
    assert await visiting == "left in order"
    assert ended == [True]
    assert str(home.stopped) == "the first reason"


async def test_a_cancelled_caller_waits_for_the_thread():
    home, begun, left = Home(), asyncio.Event(), []

    async def long():
        begun.set()
        await asyncio.sleep(3600)

    def visit():
        try:
            asyncio.run(home.do(long))
        finally:
            left.append(True)

    visiting = asyncio.create_task(home.beside(visit))
    await begun.wait()
    visiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await visiting
    assert left == [True]


async def test_a_visitor_that_is_cancelled_cancels_its_work():
    home, ended = Home(), asyncio.Event()

    async def long():
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    async def impatient():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(home.do(long), 0.05)

    await home.beside(lambda: asyncio.run(impatient()))
    await asyncio.wait_for(ended.wait(), 5)
