"""Threads, forks and processes on one file."""

import asyncio
import itertools
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from storekit import NS, add, at, counters, play, revise, revision, trajectory

from loopkit import trajectory as played
from memp.errors import Conflict
from memp.stores.base import Write


def fork() -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of forking beside threads
        return os.fork()


def in_fork(work: Callable[[], object]) -> int:
    """Exit code of a forked child that does `work`: 0 when it returned something true."""
    pid = fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if work() else 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


# -- several connections ---------------------------------------------------------------------------


def test_connections_see_each_others_writes(open_store):
    one, two = open_store(), open_store()
    before = two.version()
    add(one, "p")
    assert two.version() > before
    assert [h.id for h in two.heads(NS, "")] == ["p"]
    play(two, "t", "p")
    assert counters(one, "p") == [(1, 1)]
    assert one.waiting(NS)[0].trajectory.id == "t"


def test_the_version_grows_with_every_change_of_procedures(open_store):
    one, two = open_store(), open_store()
    seen = [(one.version(), two.version())]
    for n, store in enumerate((one, two, two, one)):
        add(store, f"p{n}")
        seen.append((one.version(), two.version()))
    assert all(a[0] < b[0] and a[1] < b[1] for a, b in itertools.pairwise(seen))
    assert (one.version(), two.version()) == seen[-1]


def test_catching_up_while_another_writes_misses_nothing(open_store):
    """What an index does: read the version, then what changed since; repeat until nothing changes."""
    writer, reader = open_store(), open_store()
    done = threading.Event()

    def write() -> None:
        for n in range(60):
            add(writer, f"p{n}")
            if n % 3 == 0:
                revise(writer, f"p{n}", 2)
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    seen: dict[str, int] = {}
    since, version = 0, -1
    while True:
        finished, now = done.is_set(), reader.version()
        if now != version:
            for head in reader.heads(NS, "", since):
                seen[head.id] = head.changed
            since, version = max(seen.values(), default=0), now
        elif finished:
            break
    thread.join()
    assert seen == {head.id: head.changed for head in reader.heads(NS, "")}
    assert len(seen) == 60


def test_a_dump_is_of_one_moment(open_store):
    one, two = open_store(), open_store()
    add(one, "p")
    play(one, "t1", "p")
    dump = one.dump(NS)
    first = next(dump)
    play(two, "t2", "p")
    play(one, "t3", "p")
    kinds = [first.kind, *(entry.kind for entry in dump)]
    assert kinds == ["trajectory", "revision", "recall", "outcome"]


# -- threads ---------------------------------------------------------------------------------------


def test_threads_share_a_store(store):
    add(store, "p")

    def work(worker: int) -> None:
        for n in range(12):
            play(store, f"t{worker}-{n}", "p", reward=n % 2)
            store.waiting(NS)
            assert store.trajectory(NS, f"t{worker}-{n}") is not None

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    assert counters(store, "p") == [(72, 36)]
    assert store.check() == []


def test_of_two_writers_one_wins_and_one_is_told(open_store):
    stores = [open_store(), open_store()]
    add(stores[0], "p")
    start = threading.Barrier(2)

    def write(store) -> list[int]:
        start.wait()
        won = []
        for number in range(2, 22):
            try:
                store.write(NS, [Write(revision=revision("p", number))], consume=None, receipt_id="")
                won.append(number)
            except Conflict:
                pass
        return won

    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(write, stores)
    history = stores[0].history(NS, "p")
    assert [r.number for r, _, _ in history] == list(range(1, len(history) + 1))
    assert sorted(one + two) == list(range(2, len(history) + 1))  # every acknowledged one, each once


def test_a_trajectory_is_taken_once(open_store):
    stores = [open_store(), open_store()]
    for n in range(20):
        stores[0].record(NS, trajectory(f"t{n}"), None, None, at())
    start = threading.Barrier(2)

    def take(store) -> list[str]:
        start.wait()
        ids = [w.trajectory.id for w in store.waiting(NS)]
        return [id for id in ids if store.write(NS, [], consume=id, receipt_id="u")]

    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(take, stores)
    assert sorted(one + two) == sorted(f"t{n}" for n in range(20))


# -- the loop --------------------------------------------------------------------------------------


async def test_two_memories_updating_at_once_take_everything_once(open_memory):
    one, two = open_memory(), open_memory()
    for n in range(10):
        await one.record(played(f"task {n}", (f"go to shelf {n}", f"take mug {n}")))

    def update(memory) -> object:
        return asyncio.run(memory.update())

    with ThreadPoolExecutor(2) as pool:
        receipts = list(pool.map(update, (one, two)))
    added = [id for receipt in receipts for id in receipt.added]
    assert len(added) == len(set(added)) == 10
    assert one.store.waiting("default") == []
    told = [s.reason for receipt in receipts for s in receipt.skipped]
    assert set(told) <= {"another update took it first"}
    assert one.store.check() == []


async def test_a_correction_meets_the_revision_that_stands_there(open_memory):
    """Somebody revises the procedure while its correction is being made: it is made again, for the new revision."""
    memory = open_memory()
    await memory.record(played())
    (added,) = (await memory.update()).added
    recalled = await memory.retrieve("put a clean mug on the shelf")
    await memory.record(played(actions=("go to sink 1", "put mug 1 on shelf 1"), reward=0.0), recalled)
    store, real, raced = memory.store, memory.store.write, []

    def write(*args, **options) -> bool:
        if not raced:
            raced.append(added)
            memory.retire(added, reason="raced")
            memory.restore(added, reason="raced again")
        return real(*args, **options)

    store.write = write
    raced_update = await memory.update()
    assert raced
    assert raced_update.revised == ((added, 4),)
    history = memory.history(added)
    assert [r.reason for r, _, _ in history][1:3] == ["raced", "raced again"]
    assert history[-1][0].parent == 3
    assert history[-1][0].content.script.pitfalls
    assert memory.store.waiting("default") == []


# -- forks -----------------------------------------------------------------------------------------


def test_a_fork_uses_a_connection_of_its_own(open_store):
    store = open_store()
    add(store, "p")
    play(store, "before", "p")
    assert in_fork(lambda: play(store, "child", "p") is None and store.trajectory(NS, "before")) == 0
    play(store, "after", "p")
    assert [t.id for t in store.trajectories(NS)] == ["before", "child", "after"]
    assert counters(store, "p") == [(3, 3)]
    assert store.check() == []


def test_a_memory_goes_on_in_a_fork(open_sync):
    memory = open_sync()
    memory.record(played())
    memory.update()

    def child() -> bool:
        served = memory.retrieve("put a clean mug on the shelf")
        memory.record(played(id="child", reward=0.0, actions=("wait",)), served)
        return len(memory.update().revised) == 1

    assert in_fork(child) == 0
    assert memory.retrieve("put a clean mug on the shelf").ranked[0].procedure.revision.number == 2
    memory.record(played(id="parent"))
    assert memory.trajectory("child").reward == 0.0
    assert memory.store.check() == []


def test_parent_and_child_write_and_close_in_any_order(open_store):
    """A parent that closes its connection must not delete the log under its child."""
    store = open_store()
    add(store, "p")
    ready_r, ready_w = os.pipe()
    go_r, go_w = os.pipe()
    pid = fork()
    if pid == 0:
        code = 1
        try:
            play(store, "child1", "p")
            os.write(ready_w, b"x")
            os.read(go_r, 1)
            for n in range(20):
                play(store, f"late{n}", "p")
            code = 0
        finally:
            os._exit(code)
    os.read(ready_r, 1)
    play(store, "parent", "p")
    store.close()
    os.write(go_w, b"x")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    for end in (ready_r, ready_w, go_r, go_w):
        os.close(end)
    again = open_store()
    assert counters(again, "p") == [(22, 22)]
    assert again.check() == []


def test_a_fork_makes_an_index_catch_up(open_store):
    store = open_store()
    add(store, "p")
    before = store.version()

    def child() -> bool:
        return store.version() > before

    assert in_fork(child) == 0
    assert store.version() > before


def test_a_fork_while_another_thread_works(open_store):
    store = open_store()
    add(store, "p")
    stop = threading.Event()

    def work() -> None:
        n = 0
        while not stop.wait(0.001):  # locks are not fair: without a pause the fork could wait long
            play(store, f"w{n}", "p")
            n += 1

    thread = threading.Thread(target=work)
    thread.start()
    try:
        codes = [in_fork(lambda n=n: play(store, f"child{n}", "p") is None) for n in range(5)]
    finally:
        stop.set()
        thread.join()
    assert codes == [0] * 5
    assert store.check() == []
    assert all(store.trajectory(NS, f"child{n}") for n in range(5))


def test_a_closed_store_stays_closed_in_a_fork(open_store):
    store = open_store()
    store.close()
    assert in_fork(lambda: True) == 0


# -- limits ----------------------------------------------------------------------------------------

_FILL = """
import resource, sys
sys.path.append(sys.argv[2])
from memp.errors import StoreFull
from memp.stores.sqlite import SqliteStore
from storekit import NS, add, at, play, trajectory
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
store = SqliteStore(sys.argv[1])
add(store, "p")
try:
    for n in range(1000):
        play(store, f"t{n}", "p")
        print(f"t{n}", flush=True)
except StoreFull as error:
    print(f"full: {error}", flush=True)
assert store.check() == []
"""


def test_a_limit_on_the_size_of_files(open_store, tmp_path):
    """The same as a full disk, where file systems cannot be mounted."""

    path = tmp_path / "memory.db"
    here = os.path.dirname(__file__)  # noqa: PTH120
    done = subprocess.run([sys.executable, "-c", _FILL, path, here], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *kept, last = done.stdout.splitlines()
    assert last.startswith(f"full: {path}: ")
    assert "nothing was written" in last
    assert len(kept) > 10
    store = open_store(path)
    assert [t.id for t in store.trajectories(NS)] == kept
    assert counters(store, "p") == [(len(kept), len(kept))]
    assert store.check() == []
    play(store, "more", "p")
