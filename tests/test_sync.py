"""The sync face: threads, running loops, interruptions; and that it answers as the async one does."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from loopkit import MUG, counter, script_reply, ticking, trajectory
from memp import AsyncProceduralMemory, Discard, ProceduralMemory, StoreError
from memp.testing.chat import CharEmbedder, ScriptedChat


def lived(memory):
    """A short life through the sync face, as data."""
    for n in range(5):
        recall = memory.retrieve(f"{MUG} {n}")
        told = trajectory(task=f"{MUG} {n}", actions=(f"go {n}", "end"), id=f"t{n}", reward=float(n != 3))
        memory.record(told, recall)
        memory.update()
    memory.discard(Discard(served=1))
    return contents(memory)


async def alived(memory):
    """The same through the async face."""
    for n in range(5):
        recall = await memory.retrieve(f"{MUG} {n}")
        told = trajectory(task=f"{MUG} {n}", actions=(f"go {n}", "end"), id=f"t{n}", reward=float(n != 3))
        await memory.record(told, recall)
        await memory.update()
    memory.discard(Discard(served=1))
    return contents(memory)


def contents(memory):
    return {
        "procedures": [p.model_dump() for p in memory.procedures()],
        "receipts": [r.model_dump() for r in memory.receipts()],
        "recalls": [r.model_dump() for r in memory.recalls()],
        "outcomes": [o.model_dump() for o in memory.outcomes()],
        "stats": memory.stats().model_dump(exclude={"bytes"}),
    }


def test_both_faces_do_the_same(open_sync, open_memory, tmp_path):
    sync = lived(open_sync(tmp_path / "sync.db", ids=counter(), clock=ticking()))
    asynchronous = asyncio.run(alived(open_memory(tmp_path / "async.db", ids=counter(), clock=ticking())))
    assert sync == asynchronous
    assert sync["procedures"]
    assert {receipt["operation"] for receipt in sync["receipts"]} == {"update", "discard"}


def test_threads_share_it(open_sync):
    memory = open_sync()
    errors = []

    def live(worker):
        for n in range(8):
            recall = memory.retrieve(f"task {worker} {n}")
            memory.record(trajectory(task=f"task {worker} {n}", actions=(f"go {worker}", str(n))), recall)
            if n % 4 == 3:
                memory.update()

    with ThreadPoolExecutor(4) as pool:
        errors = [future.exception() for future in [pool.submit(live, worker) for worker in range(4)]]
    assert errors == [None] * 4
    memory.update()
    assert memory.stats().trajectories == 32
    assert memory.stats().procedures == {"active": 32}
    assert memory.store.check() == []


async def test_it_works_inside_a_running_loop(open_sync):
    memory = open_sync(model=ScriptedChat(lambda _: script_reply()))
    memory.record(trajectory(), memory.retrieve(MUG))
    assert len(memory.update().added) == 1
    assert len(memory.retrieve(MUG).ranked) == 1
    with pytest.raises(ValueError, match="k is 0"):
        memory.retrieve(MUG, k=0)


def test_a_providers_connections_always_meet_the_same_loop(open_sync):
    loops = set()

    class Notes(CharEmbedder):
        async def embed(self, texts):
            loops.add(asyncio.get_running_loop())
            await asyncio.sleep(0)
            return await super().embed(texts)

    memory = open_sync(embedder=Notes())
    memory.record(trajectory())
    memory.update()
    memory.retrieve("one")
    thread = threading.Thread(target=memory.retrieve, args=("two",))
    thread.start()
    thread.join()

    async def inside():
        memory.retrieve("three")

    asyncio.run(inside())
    assert len(loops) == 1


def test_ctrl_c_in_the_middle_of_an_update_leaves_a_memory_that_goes_on(open_sync):
    class Interrupts(ScriptedChat):
        async def complete(self, *args, **options):
            if len(self.calls) == 1:
                self.calls.append(None)
                raise KeyboardInterrupt
            return await super().complete(*args, **options)

    memory = open_sync(model=Interrupts(lambda _: script_reply()))
    memory.record(trajectory(task="first"))
    memory.update()
    for n in range(3):
        memory.record(trajectory(task=f"task {n}", reward=0.0), memory.retrieve("first"))
    with pytest.raises(KeyboardInterrupt):
        memory.update()
    assert memory.stats().waiting == 3
    assert memory.receipts()[0].added == ()
    assert len(memory.update().skipped + memory.update().revised) == 3
    assert memory.stats().waiting == 0


def test_closing(tmp_path):
    memory = ProceduralMemory(tmp_path / "m.db", embedder=CharEmbedder())
    with memory:
        memory.retrieve("x")
    memory.close()
    with pytest.raises(StoreError, match="closed"):
        memory.retrieve("x")


def test_a_memory_that_was_never_used_closes_too(tmp_path):
    ProceduralMemory(tmp_path / "m.db", embedder=CharEmbedder()).close()


async def test_closing_the_async_face(tmp_path):
    closed = []

    class Closes(CharEmbedder):
        async def close(self):
            closed.append(True)

    async with AsyncProceduralMemory(tmp_path / "m.db", embedder=Closes()) as memory:
        await memory.retrieve("x")
    assert closed == [True]


def test_bad_options_are_told_before_a_file_is_made(tmp_path):
    for options in ({"build": "nope"}, {"retrieve": "nope"}, {"update": "nope"}, {"k": 0}, {"every": 0}):
        with pytest.raises(ValueError, match=r"nope|k is 0|every is 0"):
            ProceduralMemory(tmp_path / "m.db", embedder=CharEmbedder(), **options)
    assert list(tmp_path.iterdir()) == []


def test_closing_closes_the_chat_model_on_the_loop_it_was_used_in(tmp_path):
    closed = []

    class Closing(ScriptedChat):
        async def close(self) -> None:
            closed.append(asyncio.get_running_loop().is_running())

    ProceduralMemory(tmp_path / "m.db", model=Closing([]), embedder=CharEmbedder()).close()
    assert closed == [True]
