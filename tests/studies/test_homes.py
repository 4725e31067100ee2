"""Where memories are: names, copies, and what a folder remembers."""

import numpy as np
import pytest

from loopkit import MUG, trajectory
from memp import ProceduralMemory
from memp.errors import MempError, StoreMissing
from memp.stores.connect import connect, without_password
from memp_bench.studies.homes import Home, Kept, Spot, start_from

TOY, SPACE = "openai:toy", "openai:toy:native"


@pytest.fixture(scope="module")
def url(server):
    made = server.create_database()
    yield made
    server.drop_database(made)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://owner:pa55@host:5432/db", "postgresql://owner@host:5432/db"),
        (
            "postgresql://owner:pa55@/db?host=/a@b&password=pa55&sslmode=require",
            "postgresql://owner@/db?host=/a@b&sslmode=require",
        ),
        ("postgresql://host/db?password=pa55", "postgresql://host/db"),
        ("postgresql://owner:pa/55@host/db", "postgresql://owner@host/db"),
        ("postgresql://owner:pa?55@host/db", "postgresql://owner@host/db"),
        ("--memory=postgresql://owner:pa55@host/db", "--memory=postgresql://owner@host/db"),
        ("postgresql://host:5432/db?host=/a@b", "postgresql://host:5432/db?host=/a@b"),
        ("http://localhost:8000/v1", "http://localhost:8000/v1"),
        ("household seen / able?", "household seen / able?"),
    ],
)
def test_an_address_is_shown_without_its_password(address, shown):
    assert without_password(address) == shown
    assert without_password(shown) == shown


def test_names_of_namespaces_fit_and_differ(tmp_path):
    folder = tmp_path / ("a very long name " * 10)
    one, other = (Kept.of("postgresql://u:p@h/d", folder) for _ in range(2))
    assert one.name != other.name
    assert one.address == "postgresql://u@h/d"
    home = Home(folder, "postgresql://u:p@h/d", one.name)
    spots = [home.cell("x" * 190 + end) for end in ("-01234567", "-76543210")] + [home.learned("x" * 190 + "-01234567")]
    assert len(set(spots)) == 3
    assert all(len(spot.namespace) <= 200 for spot in spots)
    assert Home(folder).cell("slug") == Spot(folder / "runs" / "slug" / "memory.db")


def learned(spot):
    """A memory of two procedures, whose tasks were embedded by somebody who costs."""
    with ProceduralMemory(connect(spot.place), namespace=spot.namespace) as memory:
        memory.record(trajectory(MUG, id="a"))
        memory.record(trajectory("heat an egg", ("go to stove 1", "heat egg 1"), id="b"))
        memory.update()
        memory.store.save_vectors(SPACE, [(MUG, np.ones(3, dtype=np.float32))], spot.namespace)
        return [entry.model_dump_json() for entry in memory.store.dump(spot.namespace)]


@pytest.mark.parametrize("kinds", ["file file", "file url", "url url", "url file"])
def test_a_run_starts_from_a_copy_once_and_whole(url, tmp_path, kinds):
    source, target = (
        Spot(tmp_path / f"{name}.db") if kind == "file" else Spot(url, f"{kinds} {name}")
        for kind, name in zip(kinds.split(), ("source", "target"), strict=True)
    )
    with pytest.raises(StoreMissing, match=r"there is no memory at .* any more, from which"):
        start_from(source, target, TOY)
    content = learned(source)
    start_from(source, target, TOY)
    with ProceduralMemory(connect(target.place), namespace=target.namespace) as memory:
        assert [entry.model_dump_json() for entry in memory.store.dump(target.namespace)] == content
        assert list(memory.store.vectors(SPACE, [MUG, "heat an egg"], target.namespace)) == [MUG]
        memory.record(trajectory("something more", id="c"))
    start_from(source, target, TOY)
    with ProceduralMemory(connect(target.place), namespace=target.namespace) as memory:
        assert memory.stats().trajectories == 3, "what was learned since stays"
        assert memory.retrieve(MUG).ranked[0].procedure.task == MUG
    assert len(list(tmp_path.glob("*.part*"))) == 0


def test_a_folder_remembers_where_its_memories_are(tmp_path):
    address = "postgresql://u:p@h/d"
    first = Home.settle(tmp_path / "there", address)
    assert Home.settle(tmp_path / "there", address) == first
    assert "p@" not in (tmp_path / "there" / "memories.json").read_text()
    assert Home.settle(tmp_path / "other", address).name != first.name
    with pytest.raises(MempError, match=r"begun with memories in postgresql://u@h/d, not files in the folder"):
        Home.settle(tmp_path / "there", None)
    with pytest.raises(MempError, match=r"in postgresql://u@h/d, not postgresql://u@h/e"):
        Home.settle(tmp_path / "there", "postgresql://u:p@h/e")
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "index.html").touch()
    assert Home.settle(tmp_path / "files", None).address is None
    with pytest.raises(MempError, match="begun with memories in files in the folder, not postgresql://u@h/d"):
        Home.settle(tmp_path / "files", address)
