"""Files that are not, or no longer, a memory: a clear error, and the file byte for byte as it was."""

import os
import random
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from storekit import NS, add, at, play, trajectory

from loopkit import trajectory as played
from memp.errors import (
    StoreBusy,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreMissing,
    StoreReadOnly,
    StoreTooNew,
)
from memp.stores.connection import MEMORY
from memp.stores.migrations import MIGRATIONS
from memp.stores.sqlite import SqliteStore


def everything(folder: Path) -> dict[str, bytes]:
    """All files but the one that holds SQLite's locks."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith("-shm")}


def refused(open_store, path: Path, kind: type[StoreError], said: str) -> None:
    before = everything(path.parent)
    with pytest.raises(kind, match=said) as caught:
        open_store(path)
    assert str(path) in str(caught.value)
    assert everything(path.parent) == before


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> bytes:
    """The bytes of a closed file with 60 trajectories and a procedure."""
    path = tmp_path_factory.mktemp("template") / "memory.db"
    store = SqliteStore(path)
    add(store, "p")
    for n in range(60):
        play(store, f"t{n}", "p", reward=n % 2)
    store.close()
    return path.read_bytes()


@pytest.fixture
def filled(template, tmp_path) -> Path:
    path = tmp_path / "memory.db"
    path.write_bytes(template)
    return path


def test_closing_leaves_one_file(filled):
    assert [path.name for path in filled.parent.iterdir()] == ["memory.db"]


def test_opening_an_existing_file_writes_nothing(open_store, filled):
    before = filled.read_bytes()
    store = open_store()
    assert store.stats(NS).trajectories == 60
    store.close()
    assert everything(filled.parent) == {"memory.db": before}


def test_a_file_of_a_newer_version(open_store, filled):
    raw = sqlite3.connect(filled)
    raw.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 3}")
    raw.close()
    refused(open_store, filled, StoreTooNew, r"newer memp \(schema 6, .* knows 3\); upgrade memp; .*left as it is")


def test_a_newer_version_that_is_still_in_the_log(open_store, filled):
    raw = sqlite3.connect(filled)
    raw.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 3}")
    raw.commit()
    assert Path(f"{filled}-wal").stat().st_size > 0
    refused(open_store, filled, StoreTooNew, "upgrade memp")
    raw.close()


@pytest.mark.parametrize("text", [b"x", b"SQLite format 3\0", b"not a database at all\n" * 500, b"\0" * 4096])
def test_not_an_sqlite_file(open_store, tmp_path, text):
    path = tmp_path / "notes.txt"
    path.write_bytes(text)
    refused(open_store, path, StoreCorrupt, "is not a memp memory")


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_an_sqlite_file_of_another_program(open_store, tmp_path, mode):
    path = tmp_path / "other.db"
    raw = sqlite3.connect(path)
    raw.execute(f"PRAGMA journal_mode = {mode}")
    raw.execute("CREATE TABLE accounts (balance)")
    raw.commit()
    raw.close()
    refused(open_store, path, StoreCorrupt, "SQLite file of another program")


def test_an_sqlite_file_without_tables_becomes_a_memory(open_store, tmp_path):
    path = tmp_path / "memory.db"  # what a process that was killed while it created a memory leaves
    raw = sqlite3.connect(path)
    raw.execute("PRAGMA journal_mode = WAL")
    raw.close()
    assert path.stat().st_size > 0
    store = open_store(path)
    assert store.record(NS, trajectory("t"), None, None, at())


def test_an_empty_file_becomes_a_memory(open_store, tmp_path):
    (tmp_path / "memory.db").touch()
    assert open_store().check() == []


@pytest.mark.parametrize("size", [100, 4096, 20_000])
def test_a_truncated_file(open_store, filled, size):
    with filled.open("r+b") as file:
        file.truncate(size)
    refused(open_store, filled, StoreCorrupt, "is damaged .*restore a copy")


def test_a_header_without_the_rest(open_store, filled):
    with filled.open("r+b") as file:
        file.seek(100)
        file.write(os.urandom(4000))
    with pytest.raises(StoreCorrupt, match="is damaged"):
        open_store()


@pytest.mark.parametrize("seed", range(12))
def test_flipped_bytes_are_damage_never_a_crash(open_store, filled, seed):
    rng = random.Random(seed)
    size = filled.stat().st_size
    with filled.open("r+b") as file:
        for _ in range(60):
            file.seek(rng.randrange(100, size))
            file.write(rng.randbytes(64))
    try:
        store = open_store()
    except StoreCorrupt:
        return
    assert store.check()
    for read in (
        lambda: list(store.trajectories(NS)),
        lambda: store.find(NS, ["p"]),
        lambda: store.waiting(NS),
        lambda: store.recalls(NS),
        lambda: store.search(NS, "task", 3),
        lambda: list(store.dump(NS)),
    ):
        try:
            read()
        except StoreError as error:
            assert str(filled) in str(error)  # noqa: PT017 - whether it fails depends on where the bytes fell


def test_a_damaged_trajectory_is_named_by_check(open_store, filled):
    raw = sqlite3.connect(filled)
    (body,) = raw.execute("SELECT body FROM trajectories WHERE id = 't7'").fetchone()
    raw.close()
    content = filled.read_bytes()
    where = content.index(body) + len(body) // 2
    filled.write_bytes(content[:where] + bytes([content[where] ^ 0xFF]) + content[where + 1 :])
    store = open_store()
    with pytest.raises(StoreCorrupt, match=r"memory\.db is damaged .*restore a copy"):
        store.trajectory(NS, "t7")
    assert store.trajectory(NS, "t8") is not None
    (problem,) = store.check()
    assert problem.startswith("tests/t7: cannot be read from trajectories (Error -3")


def test_a_damaged_record_is_damage(open_store, filled):
    raw = sqlite3.connect(filled)
    raw.execute("DROP TRIGGER revisions_fixed")
    raw.execute("UPDATE revisions SET body = replace(body, '\"tokens\"', '\"tok\"')")
    raw.commit()
    raw.close()
    store = open_store()
    for read in (lambda: store.find(NS, ["p"]), lambda: store.history(NS, "p"), lambda: store.recalls(NS)):
        with pytest.raises(StoreCorrupt, match=r"is damaged .*tok"):
            read()
    assert [problem.split(" (")[0] for problem in store.check()] == ["tests/p: cannot be read from revisions"]


def test_a_damaged_schema_is_damage(open_store, filled):
    raw = sqlite3.connect(filled)
    raw.execute("ALTER TABLE procedures RENAME COLUMN success TO failure")
    raw.close()
    store = open_store()
    with pytest.raises(StoreCorrupt, match="no such column"):
        store.find(NS, ["p"])


# -- places ----------------------------------------------------------------------------------------


def test_a_folder_that_is_not_there(open_store, tmp_path):
    with pytest.raises(StoreMissing, match=r"there is no folder .*nowhere for the memory m.db; create it first"):
        open_store(tmp_path / "nowhere" / "m.db")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["", "."])
def test_a_folder_is_no_file(open_store, path, tmp_path):
    with pytest.raises(StoreMissing, match="is a folder; name a file in it"):
        SqliteStore(path)


def test_a_memory_that_is_not_there_is_only_created_on_request(open_store, tmp_path):
    with pytest.raises(StoreMissing, match=r"there is no memory at .*memory.db"):
        open_store(create=False)
    assert list(tmp_path.iterdir()) == []


def test_odd_names_are_fine(open_store, tmp_path):
    for name in ("a b?mode=ro#x%20.db", "é🍎.db", "file:x"):
        path = tmp_path / name
        open_store(path).record(NS, trajectory("t"), None, None, at())
        assert open_store(path).trajectory(NS, "t") is not None
        assert path.exists()


def test_in_memory(open_store, tmp_path):
    store = open_store(MEMORY)
    add(store, "p")
    play(store, "t", "p")
    assert store.check() == []
    assert len(list(store.dump(NS))) == 4
    assert list(tmp_path.iterdir()) == []
    assert open_store(MEMORY).namespaces() == []


@pytest.fixture
def read_only(request, tmp_path, template) -> Iterator[Path]:
    """A folder that nobody can write to, with a memory in it. Permissions do not bind root: it gets a disk."""
    if os.geteuid() == 0:
        folder = request.getfixturevalue("small_disk")("size=1m")
    else:
        folder = tmp_path / "folder"
        folder.mkdir()
    (folder / "memory.db").write_bytes(template)
    if os.geteuid() == 0:
        remount(folder, "ro")
    else:
        folder.chmod(0o555)
    yield folder
    if os.geteuid() != 0:
        folder.chmod(0o755)


@pytest.mark.parametrize("name", ["memory.db", "new.db"])
def test_a_read_only_folder(open_store, read_only, name):
    refused(open_store, read_only / name, StoreReadOnly, r"cannot be (written|opened or created)")


def test_a_read_only_file(open_store, filled):
    if os.geteuid() == 0:
        pytest.skip("permissions do not bind root; see test_a_read_only_folder")
    filled.chmod(0o444)
    store = open_store()
    assert store.stats(NS).trajectories == 60
    with pytest.raises(StoreReadOnly, match="check the permissions of the file and its folder"):
        store.record(NS, trajectory("t"), None, None, at())


def remount(disk: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", disk], check=True)


# -- a full disk -----------------------------------------------------------------------------------


def noise(size: int) -> str:
    return random.Random(size).randbytes(size // 2).hex()


def test_a_full_disk_loses_nothing_and_goes_on(open_store, small_disk):
    disk = small_disk("size=2m")
    store = open_store(disk / "memory.db")
    add(store, "p")
    kept: list[str] = []

    def until_it_is_full() -> None:
        for n in range(1000):
            play(store, f"t{n}", "p", reward=n % 2)
            store.record(NS, trajectory(f"big{n}", feedback=noise(20_000)), None, None, at())
            kept.append(f"t{n}")

    with pytest.raises(StoreFull, match=r"memory\.db: .*full.*nothing was written"):
        until_it_is_full()
    assert len(kept) > 5

    def nothing_is_lost() -> None:
        assert store.check() == []
        found = [t.id for t in store.trajectories(NS)]
        assert set(kept) <= set(found)
        assert len(found) - 2 * len(kept) in (0, 1)
        assert store.stats(NS).outcomes == len([id for id in found if id.startswith("t")])

    nothing_is_lost()
    for _ in range(3):  # it goes on refusing, and reading works
        with pytest.raises(StoreFull):
            store.record(NS, trajectory("big", feedback=noise(900_000)), None, None, at())
    nothing_is_lost()
    remount(disk, "size=8m")
    assert store.record(NS, trajectory("big", feedback=noise(900_000)), None, None, at())
    assert store.trajectory(NS, "big") is not None
    store.close()
    store = open_store(disk / "memory.db")
    assert store.check() == []
    assert set(kept) <= {t.id for t in store.trajectories(NS)}


async def test_an_update_on_a_full_disk_is_finished_when_there_is_room(open_memory, small_disk):
    disk = small_disk("size=1500k")
    memory = open_memory(disk / "memory.db", update="vanilla", build="script")
    recorded: list[str] = []

    async def until_it_is_full() -> None:
        while True:
            done = await memory.record(played(f"task {len(recorded)}", (f"take mug {len(recorded)}",)))
            recorded.append(done.trajectory_id)

    with pytest.raises(StoreFull):
        await until_it_is_full()
    with pytest.raises(StoreFull, match="nothing was written"):
        await memory.update()
    assert memory.store.check() == []
    remount(disk, "size=8m")
    await memory.update()
    evidence = [id for procedure in memory.procedures() for id in procedure.revision.evidence]
    assert sorted(evidence) == sorted(recorded)
    assert memory.store.waiting("default") == []


@pytest.mark.parametrize("size", ["4k", "16k", "64k"])
def test_a_disk_too_small_to_create_a_memory(open_store, small_disk, size):
    disk = small_disk(f"size={size}")
    with pytest.raises(StoreError, match=r"memory\.db"):
        open_store(disk / "memory.db")
    remount(disk, "size=4m")
    assert open_store(disk / "memory.db").check() == []


# -- held for too long -----------------------------------------------------------------------------


def test_a_file_that_is_held_for_too_long(open_store, tmp_path):
    open_store().record(NS, trajectory("t"), None, None, at())
    holder = sqlite3.connect(tmp_path / "memory.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    waiting = open_store(timeout=0.05)
    with pytest.raises(StoreBusy, match=r"memory\.db: another process held the file for too long; try again"):
        waiting.record(NS, trajectory("t2"), None, None, at())
    assert waiting.trajectory(NS, "t") is not None  # reading goes on
    holder.execute("COMMIT")
    assert waiting.record(NS, trajectory("t2"), None, None, at())
    holder.close()


def test_a_closed_store_says_so(open_store):
    store = open_store()
    store.close()
    store.close()
    with pytest.raises(StoreError, match=r"memory\.db was closed; open the memory again"):
        store.namespaces()
