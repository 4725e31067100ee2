"""ALFWorld: where games are found, which are taken, how they are played."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from memp.errors import EnvironmentFailed, UnknownName
from memp_bench.envs.alfworld import AlfWorld

GOOD = {"pddl_domain": "(d)", "grammar": "g", "pddl_problem": "(p)", "solvable": True, "walkthrough": ["look"]}
CLEAN = "pick_clean_then_place_in_recep-Apple-None-Fridge-3"


Opener = Callable[[Path], AlfWorld]


def put(folder: Path, content: object = GOOD) -> Path:
    folder.mkdir(parents=True)
    path = folder / "game.tw-pddl"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.fixture
def download(tmp_path: Path) -> Path:
    """As the original download leaves it, with three sound games and what goes wrong."""
    root = tmp_path / "data" / "json_2.1.1"
    for trial in ("trial_2", "trial_1"):
        put(root / "valid_seen" / CLEAN / trial)
    put(root / "valid_seen" / "look_at_obj_in_light-Pen-None-DeskLamp-301" / "trial_1")
    (root / "valid_seen" / CLEAN / "trial_1" / "traj_data.json").write_text("{}")
    (root / "valid_seen" / CLEAN / "trial_without_game").mkdir()
    put(root / "valid_seen" / "pick_and_place_with_movable_recep-Pen-Mug-Desk-301" / "trial_1")
    put(root / "valid_seen" / "pick_and_place_simple-AppleSliced-None-Fridge-3" / "trial_1")
    put(root / "train" / CLEAN / "trial_1")
    return tmp_path / "data"


@pytest.fixture
def open_at(tmp_path: Path) -> Opener:
    return lambda data: AlfWorld(data, cache=tmp_path / "cache", environ={})


def test_each_game_once_in_a_fixed_order(open_at: Opener, download: Path) -> None:
    tasks = open_at(download).tasks("valid_seen")
    assert [task.id.split("/", 1)[1] for task in tasks] == [
        "look_at_obj_in_light-Pen-None-DeskLamp-301/trial_1",
        f"{CLEAN}/trial_1",
        f"{CLEAN}/trial_2",
    ]
    assert [task.family for task in tasks] == ["examine", "clean", "clean"]
    assert tasks == open_at(download / "json_2.1.1").tasks("dev")
    assert all(Path(task.payload["game"]).is_absolute() for task in tasks)


def test_a_sample_is_seeded(open_at: Opener, download: Path) -> None:
    bench = open_at(download)
    samples = {seed: [task.id for task in bench.tasks("dev", games=2, seed=seed)] for seed in range(8)}
    assert samples[0] == [task.id for task in bench.tasks("dev", games=2, seed=0)]
    assert len({tuple(sample) for sample in samples.values()}) == 3
    assert len(bench.tasks("dev", games=99)) == 3


def test_damaged_games_are_skipped_named_and_counted(open_at: Opener, download: Path) -> None:
    seen = download / "json_2.1.1" / "valid_seen"
    cut = put(seen / CLEAN / "trial_3", json.dumps(GOOD)[:40])
    bare = put(seen / CLEAN / "trial_4", {key: value for key, value in GOOD.items() if key != "grammar"})
    lost = put(seen / CLEAN / "trial_5", {**GOOD, "solvable": False})
    bench = open_at(download)
    assert len(bench.tasks("valid_seen")) == 3
    assert len(bench.tasks("valid_seen", games=3, seed=4)) == 3, "a sample is filled up with sound games"
    reasons = {skipped.subject: skipped.reason for skipped in bench.skipped}
    assert set(reasons) == {str(cut), str(bare), str(lost)}
    assert "cannot be read" in reasons[str(cut)]
    assert reasons[str(bare)] == "grammar missing or empty"
    assert reasons[str(lost)] == "not marked as solvable"


def test_unknown_split_and_split_without_games(open_at: Opener, download: Path) -> None:
    with pytest.raises(UnknownName, match="Did you mean valid_seen"):
        open_at(download).tasks("valid_sen")
    with pytest.raises(EnvironmentFailed, match="no games of the split valid_unseen in"):
        open_at(download).tasks("test")


def test_a_folder_without_games_says_what_was_looked_for(open_at: Opener, tmp_path: Path) -> None:
    with pytest.raises(
        EnvironmentFailed, match=r"no ALFWorld games .*game\.tw-pddl or games\.tar\.xz.*nowhere.*--data"
    ):
        open_at(tmp_path / "nowhere")


def test_where_games_are_looked_for(download: Path, tmp_path: Path) -> None:
    for name in ("MEMP_DATA", "ALFWORLD_DATA"):
        bench = AlfWorld(cache=tmp_path / "cache", environ={name: str(download)})
        assert bench.root == download.resolve() / "json_2.1.1"


def pack(path: Path, names: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:xz") as tar:
        for name, content in names.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def test_an_archive_is_unpacked_once(open_at: Opener, tmp_path: Path) -> None:
    (tmp_path / "alfworld").mkdir()
    game = f"json_2.1.1/train/{CLEAN}/trial_1/game.tw-pddl"
    extra = {"json_2.1.1/run_me.sh": b"#!/bin/sh"}
    packed = pack(tmp_path / "alfworld" / "games.tar.xz", {game: json.dumps(GOOD).encode(), **extra})
    (task,) = open_at(tmp_path).tasks("train")
    path = Path(task.payload["game"])
    assert json.loads(path.read_text()) == GOOD
    assert not list((tmp_path / "cache").rglob("*.sh"))
    stamp = path.stat().st_mtime_ns
    assert open_at(packed).tasks("train")[0].id == task.id
    assert path.stat().st_mtime_ns == stamp


@pytest.mark.parametrize("name", ["../../evil/game.tw-pddl", "/tmp/evil/game.tw-pddl"])
def test_an_archive_cannot_write_elsewhere(open_at: Opener, tmp_path: Path, name: str) -> None:
    packed = pack(tmp_path / "games.tar.xz", {name: b"{}"})
    with pytest.raises(EnvironmentFailed, match="leaves its folder"):
        open_at(packed)
    assert not list((tmp_path / "cache").rglob("*.tw-pddl"))


def test_a_damaged_archive_is_named(open_at: Opener, tmp_path: Path) -> None:
    packed = pack(tmp_path / "games.tar.xz", {f"train/{CLEAN}/trial_1/game.tw-pddl": b"x" * 50_000})
    packed.write_bytes(packed.read_bytes()[:-60])
    with pytest.raises(EnvironmentFailed, match=r"cannot unpack .*games\.tar\.xz"):
        open_at(packed)
    assert not list((tmp_path / "cache" / "alfworld").iterdir())
