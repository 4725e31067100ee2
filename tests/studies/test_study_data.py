"""Digests of the data a study reads: they change with the files, and say what to do where data are missing."""

import pytest

from memp.errors import EnvironmentFailed
from memp_bench.envs.base import Task
from memp_bench.studies.data import data_digests
from memp_bench.studies.spec import Learned, Place, Size

PLACES = (
    Place(label="dev", benchmark="alfworld", split="valid_seen"),
    Place(label="test", benchmark="alfworld", split="valid_unseen"),
    Place(label="houses", benchmark="household", split="seen"),
)
SIZE = Size(places=PLACES, learned={"alfworld": Learned(games=1), "household": Learned(games=1)})


@pytest.fixture
def digests(tmp_path):
    """Of a benchmark whose test split is not there."""
    for split in ("train", "valid_seen"):
        (tmp_path / split).write_text("a game")

    def listed(place, split, games, seed):
        if not (tmp_path / split).exists():
            raise EnvironmentFailed(f"no games of the split {split}")
        return [Task(id=split, family="f", payload={"game": str(tmp_path / split)})]

    def made(*wanted):
        return data_digests(SIZE, house=lambda place: pytest.fail("nobody asked for it"), listed=listed, wanted=wanted)

    return made


def test_what_is_missing_is_named_with_a_way_out(digests):
    with pytest.raises(EnvironmentFailed, match=r"test: no games of the split valid_unseen; --only TEXT runs"):
        digests("dev", "test", "houses")
    with pytest.raises(EnvironmentFailed, match=r"test: no games of the split valid_unseen$"):
        digests("test")


def test_a_place_that_is_not_run_may_lack_its_data(digests, tmp_path):
    before = digests("dev")
    assert set(before) == {"alfworld train", "alfworld valid_seen"}
    (tmp_path / "train").write_text("another game")
    after = digests("dev")
    assert after["alfworld valid_seen"] == before["alfworld valid_seen"]
    assert after["alfworld train"] != before["alfworld train"]
