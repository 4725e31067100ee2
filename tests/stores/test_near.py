"""The index beside a file: it finds what an exact search finds, keeps up, and is never believed against the file."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from storekit import NS, at, content, play, revise, revision, trajectory

from memp import ProceduralMemory
from memp.cli.memory import memory as command
from memp.errors import MissingExtra, StoreBusy, StoreError
from memp.models.static import StaticEmbedder
from memp.retrieve import ByQuery, Index, Query
from memp.retrieve.far import FarIndex, index_of, search_in_store
from memp.stores import near, sidecar, space
from memp.stores.base import Write
from memp.stores.sidecar import Sidecar, folder_of, held
from memp.stores.sqlite import SqliteStore

WORDS = re.findall(
    r"\w+", "put clean heat cool find take mug plate apple egg knife lamp desk shelf fridge table cup safe"
)
EMBEDDER = StaticEmbedder()
SPACE = EMBEDDER.fingerprint


def tasks(count, seed=0):
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, size=random.integers(4, 9))) for _ in range(count)]


def fill(store, count, seed=0, name="p", **more):
    """Procedures, every fifth retired, every seventh built from a failure."""
    writes = [
        Write(
            revision=revision(
                f"{name}{n:05}", content=content(task, "a step"), status="active" if n % 5 else "retired", **more
            ),
            success=bool(n % 7),
        )
        for n, task in enumerate(tasks(count, seed))
    ]
    store.write(NS, writes, consume=None, receipt_id="")


def ranked(store, task, *, far=True, index=None, k=10, **hidden):
    """Hits, by the store's index or exactly."""

    async def rank():
        chosen = (index or index_of(store, NS, EMBEDDER, far=far)).renewed()
        await chosen.refresh()
        return await ByQuery().rank(Query(task=task, facts={}, k=k), chosen, chosen.hidden(**hidden))

    return asyncio.run(rank())


def indexed(store, count=300):
    fill(store, count)
    assert asyncio.run(search_in_store(store, NS, EMBEDDER)) == len(store.heads(NS, ""))
    return Sidecar(store.path, NS, SPACE)


def assert_same(store, index=None, **hidden):
    """Nearly all of what an exact search finds is found, with the same scores."""
    found = []
    for task in tasks(10, seed=1):
        hits = ranked(store, task, index=index, **hidden)
        exact = {hit.id: hit.score for hit in ranked(store, task, far=False, k=40, **hidden)}
        assert len(hits) == 10
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        assert all(exact[hit.id] == pytest.approx(hit.score, abs=2e-6) for hit in hits if hit.id in exact)
        tenth = sorted(exact.values(), reverse=True)[9]
        found.append(sum(hit.score >= tenth - 2e-6 for hit in hits) / 10)
    assert np.mean(found) >= 0.95


def is_far(store):
    return isinstance(index_of(store, NS, EMBEDDER, far=True), FarIndex)


# -- searching -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "hidden",
    [{}, {"status": "retired"}, {"status": "any"}, {"only_success": True}, {"status": "any", "only_success": True}],
    ids=str,
)
def test_it_finds_what_an_exact_search_finds(store, hidden):
    assert not is_far(store)
    indexed(store)
    assert is_far(store)
    assert_same(store, **hidden)


def test_whoever_opens_the_file_searches_with_it(store, open_store):
    indexed(store)
    other = open_store()
    assert other.searched(NS, SPACE) == store.searched(NS, SPACE) == max(head.changed for head in store.heads(NS, ""))
    assert_same(other)
    assert other.searched("elsewhere", SPACE) is None
    assert other.searched(NS, "another embedder") is None


def test_what_changes_is_found_by_all(store, open_store):
    indexed(store)
    other = open_store()
    indexes = [(each, index_of(each, NS, EMBEDDER, far=True)) for each in (store, other)]
    fill(other, 60, seed=2, name="new")
    revise(store, "p00003", 2, content=content("translate a poem into Portuguese", "a step"))
    revise(store, "p00004", 2, content=content(tasks(300)[4], "a step"), status="retired")
    for each, index in indexes:
        assert_same(each, index)
        assert ranked(each, "translate a poem into Portuguese", index=index)[0].id == "p00003"
        assert "p00004" not in {hit.id for hit in ranked(each, tasks(300)[4], index=index, k=30)}
    assert_same(open_store())


def test_filters_that_hide_nearly_all_leave_the_others(store):
    writes = [
        Write(revision=revision(f"p{n}", content=content(task, "s"), status="active" if n % 100 == 7 else "retired"))
        for n, task in enumerate(tasks(3_000))
    ]
    store.write(NS, writes, consume=None, receipt_id="")
    asyncio.run(search_in_store(store, NS, EMBEDDER))
    assert_same(store)  # thirty of three thousand
    for n in range(7, 3_000, 100):
        revise(store, f"p{n}", 2, status="retired")
    assert ranked(store, "put a mug on the desk") == []


def test_a_fork_searches_on(store):
    indexed(store, 50)
    index = index_of(store, NS, EMBEDDER, far=True)
    wanted = ranked(store, "put a mug on the desk", index=index)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if ranked(store, "put a mug on the desk", index=index) == wanted else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert ranked(store, "put a mug on the desk", index=index) == wanted


# -- keeping up ------------------------------------------------------------------------------------


def test_it_takes_up_the_changes_when_they_are_many(store, open_store, monkeypatch):
    monkeypatch.setattr(space, "_LEAST_CHANGES", 50)
    beside = indexed(store)
    other = open_store()
    late = index_of(other, NS, EMBEDDER, far=True)
    assert_same(other, late)
    before = beside.stamp()
    fill(store, 60, seed=2, name="new")
    revise(store, "p00003", 2, content=content("translate a poem into Portuguese", "a step"))
    assert_same(store)
    assert beside.stamp() != before
    newest = max(head.changed for head in store.heads(NS, ""))
    assert open_store().searched(NS, SPACE) == newest
    assert_same(other, late)  # it has an old view, and reads what came since
    for each in (store, other, open_store()):
        assert ranked(each, "translate a poem into Portuguese")[0].id == "p00003"
    assert len(other._near._spaces[NS, SPACE].changes()[0]) == 0


def test_revisions_that_change_no_task_are_no_changes_of_it(store):
    indexed(store, 30)
    for n in range(30):
        revise(store, f"p{n:05}", 2, content=content(tasks(30)[n], "another step"))
    ranked(store, "put a mug on the desk")
    assert len(store._near._spaces[NS, SPACE].changes()[0]) == 0


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("usearch could not write")])
def test_a_disk_that_is_full_costs_time_only(store, monkeypatch, error):
    monkeypatch.setattr(space, "_LEAST_CHANGES", 50)
    beside = indexed(store)

    def full(self, graph):
        self.part.write_bytes(b"half of it")
        raise error

    monkeypatch.setattr(Sidecar, "prepare", full)
    before = beside.stamp()
    fill(store, 60, seed=2, name="new")
    assert_same(store)
    assert beside.stamp() == before
    assert not beside.part.exists()


def test_it_is_not_made_again_behind_the_back_of_who_took_it_away(store, open_store, monkeypatch):
    monkeypatch.setattr(space, "_LEAST_CHANGES", 50)
    beside = indexed(store)
    index = index_of(store, NS, EMBEDDER, far=True)
    open_store().forget_near(NS, SPACE)
    fill(store, 60, seed=2, name="new")
    assert_same(store, index)
    assert beside.stamp() is None
    assert not is_far(store)


def test_who_searches_goes_on_when_it_was_taken_away_and_another_asks(store, open_store):
    indexed(store)
    index = index_of(store, NS, EMBEDDER, far=True)
    assert_same(store, index)
    open_store().forget_near(NS, SPACE)
    assert_same(store, index)
    assert not is_far(store)  # a second memory on the same store
    assert_same(store, index)
    fill(store, 30, seed=2, name="new")
    assert_same(store, index)
    assert asyncio.run(search_in_store(open_store(), NS, EMBEDDER)) == 330
    fill(store, 30, seed=3, name="newer")
    assert_same(store, index)


def test_only_one_process_writes_it(store, open_store, monkeypatch):
    monkeypatch.setattr(space, "_LEAST_CHANGES", 50)
    beside = indexed(store)
    before, impatient = beside.stamp(), open_store(timeout=0.05)
    with held(beside.folder, 1) as mine:
        assert mine
        fill(store, 60, seed=2, name="new")
        assert_same(store)  # another process is at it: this one goes on
        assert beside.stamp() == before
        with pytest.raises(StoreBusy, match="another process writes the index"):
            impatient.index_near(NS, SPACE, EMBEDDER.dimensions)


# -- an index that is not of this memory -----------------------------------------------------------


def cut(file, store):
    file.write_bytes(file.read_bytes()[:-2_000])


def overwritten(file, store):
    file.write_bytes(os.urandom(file.stat().st_size))


def empty(file, store):
    file.write_bytes(b"")


def of_another_usearch(file, store):
    whole = file.read_bytes()
    file.write_bytes(whole.replace(f'"usearch":"{sidecar.version()}"'.encode(), b'"usearch":"1.99"'))


def a_folder(file, store):
    file.unlink()
    file.mkdir()


def of_another_memory(file, store):
    other = SqliteStore(Path(store.path).with_name("other.db"))
    fill(other, 40, seed=9)
    asyncio.run(search_in_store(other, NS, EMBEDDER))
    other.close()
    shutil.copy(Sidecar(other.path, NS, SPACE).file, file)


@pytest.mark.parametrize("damage", [cut, overwritten, empty, of_another_usearch, a_folder, of_another_memory])
def test_a_file_that_is_not_its_index_is_left_alone(store, open_store, damage):
    beside = indexed(store, 41)
    damage(beside.file, store)
    other = open_store()
    assert other.searched(NS, SPACE) is None
    assert_same(other)
    if damage is not a_folder:
        assert asyncio.run(search_in_store(other, NS, EMBEDDER)) == 41
        assert is_far(open_store())
        assert_same(open_store())


def test_a_memory_from_a_backup_is_told_from_its_own_future(store, open_store, tmp_path):
    fill(store, 40)
    store.close()
    backup = (tmp_path / "memory.db").read_bytes()
    store = open_store()
    fill(store, 10, seed=5, name="lost")
    asyncio.run(search_in_store(store, NS, EMBEDDER))
    store.close()
    (tmp_path / "memory.db").write_bytes(backup)
    store = open_store()
    assert store.searched(NS, SPACE) is None
    fill(store, 10, seed=6, name="instead")  # numbers that the index knows as others
    assert store.searched(NS, SPACE) is None
    assert_same(store)


# -- forgetting ------------------------------------------------------------------------------------


def erasable(store):
    """A procedure that goes with its trajectory, in an index; its vector as it stands in there."""
    store.record(NS, trajectory("marked", task="photograph the secret harbour"), None, None, at())
    made = revision("marked-p", content=content("photograph the secret harbour", "s")).model_copy(
        update={"evidence": ("marked",)}
    )
    store.write(NS, [Write(revision=made)], consume=None, receipt_id="")
    beside = indexed(store, 40)
    vector = EMBEDDER.encode(["photograph the secret harbour"])[0].astype(np.float16).tobytes()
    assert vector in beside.file.read_bytes()
    return beside, vector


def everywhere(folder):
    return b"".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())


def test_forgetting_leaves_nothing_beside_the_file(store, open_store, tmp_path):
    beside, vector = erasable(store)
    beside.part.write_bytes(b"of a killed process: " + vector)
    other = open_store()
    index = index_of(other, NS, EMBEDDER, far=True)
    assert ranked(other, "photograph the secret harbour", index=index)[0].id == "marked-p"
    view = other._near._spaces[NS, SPACE].view
    store.forget(NS, trajectories=["marked"], at=at(9))
    assert [file.name for file in beside.folder.iterdir()] == ["lock"]
    assert vector not in everywhere(tmp_path)
    assert vector not in bytes(view.mapped)  # also for who still looks at it
    assert_same(other, index)
    assert "marked-p" not in {hit.id for hit in ranked(other, "photograph the secret harbour", index=index, k=50)}
    assert not is_far(other)
    assert asyncio.run(search_in_store(other, NS, EMBEDDER)) == 40
    assert_same(store)


def test_the_search_would_find_what_is_left(store, monkeypatch):
    erasable(store)
    monkeypatch.setattr(near.Near, "wipe", lambda self: None)
    assert store.forget(NS, trajectories=["marked"], at=at(9)).left == ("256 stored bytes",)
    assert any("memory forget --finish" in line for line in store.check())
    monkeypatch.undo()
    assert store.forget(NS, trajectories=["marked"], at=at(10)).left == ()
    assert store.check() == []


KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from memp.stores.near import Near
from memp.stores.sqlite import SqliteStore
Near.wipe = lambda self: os.kill(os.getpid(), signal.SIGKILL)
SqliteStore(sys.argv[1]).forget(sys.argv[2], trajectories=["marked"], at=datetime(2026, 1, 2, tzinfo=UTC))
"""


def test_killed_in_the_middle_the_index_is_ignored_and_the_next_call_takes_it_away(store, open_store, tmp_path):
    beside, vector = erasable(store)
    index = index_of(store, NS, EMBEDDER, far=True)
    ranked(store, "photograph", index=index)
    done = subprocess.run([sys.executable, "-c", KILLED, store.path, NS], check=False)
    assert done.returncode == -signal.SIGKILL
    assert beside.file.exists()
    for each, known in ((store, index), (open_store(), None)):
        hits = ranked(each, "photograph the secret harbour", index=known, k=50)
        assert "marked-p" not in {hit.id for hit in hits}
        assert not is_far(each)
    assert any("memory forget --finish" in line for line in store.check())
    with ProceduralMemory(store.path, namespace=NS) as memory:
        assert memory.finish_forgetting().left == ()
    assert vector not in everywhere(tmp_path)
    assert store.check() == []


def test_an_index_in_the_making_gives_way(store, open_store, monkeypatch):
    erasable(store)
    fill(store, 60, seed=3, name="new")
    maker = open_store()
    real, erasing = near._add, []

    def meanwhile(graph, seqs, vectors, still):
        real(graph, seqs, vectors, still)
        if not erasing:  # the other process has erased, and waits for the lock
            erasing.append(1)
            with pytest.raises(StoreBusy, match="it is erased"):
                open_store(timeout=0.05).forget(NS, trajectories=["marked"], at=at(9))

    monkeypatch.setattr(near, "_add", meanwhile)
    with pytest.raises(StoreError, match="something was erased"):
        asyncio.run(search_in_store(maker, NS, EMBEDDER))
    assert erasing
    assert list(folder_of(store.path).glob("*.part")) == []
    assert store.forget(NS, trajectories=["marked"], at=at(10)).left == ()
    assert list(folder_of(store.path).glob("*.usearch")) == []


def test_forgetting_waits_for_who_writes_an_index(store, open_store):
    beside, _ = erasable(store)
    with held(beside.folder, 1), pytest.raises(StoreBusy, match="it is erased, but"):
        open_store(timeout=0.05).forget(NS, trajectories=["marked"], at=at(9))
    assert any("memory forget --finish" in line for line in store.check())
    assert not is_far(store)


def test_the_command_makes_it_and_takes_it_away(store):
    fill(store, 30)

    def run(*words):
        done = CliRunner().invoke(command, ["index", "-m", store.path, "-n", NS, *words])
        assert done.exit_code == 0, done.output
        return done.stdout

    assert run() == f"namespace {NS}: the store searches 30 procedures\n"
    assert is_far(store)
    assert_same(store)
    assert run("--off") == f"namespace {NS}: every process searches for itself\n"
    assert not is_far(store)
    assert [file.name for file in folder_of(store.path).iterdir()] == ["lock"]


# -- where there is none ---------------------------------------------------------------------------


def test_without_usearch_it_is_searched_exactly(store, open_store, monkeypatch):
    indexed(store, 30)
    monkeypatch.setitem(sys.modules, "usearch", None)
    other = open_store()
    assert other.searched(NS, SPACE) is None
    assert_same(other)
    with pytest.raises(MissingExtra, match=r"memp\[near\]"):
        asyncio.run(search_in_store(other, NS, EMBEDDER))


def test_a_memory_without_a_file_has_none(open_store):
    store = open_store(":memory:")
    fill(store, 30)
    assert not is_far(store)
    with pytest.raises(StoreError, match="without a file"):
        asyncio.run(search_in_store(store, NS, EMBEDDER))
    assert_same(store)


def test_a_memory_that_was_not_asked_has_no_folder(store, tmp_path):
    fill(store, 30)
    ranked(store, "put a mug on the desk")
    play(store, "t")
    store.forget(NS, trajectories=["t"], at=at(9))
    store.forget_near(NS, SPACE)
    store.close()
    assert [file.name for file in tmp_path.iterdir()] == ["memory.db"]


def test_an_index_of_nothing_says_so(store):
    with pytest.raises(StoreError, match="there is nothing to search"):
        asyncio.run(search_in_store(store, NS, EMBEDDER))
    with pytest.raises(StoreError, match="memp memory index"):
        store.nearest(NS, SPACE, np.ones(128, np.float32), 5, status="any", only_success=False)
    assert isinstance(index_of(store, NS, EMBEDDER, far=True), Index)
