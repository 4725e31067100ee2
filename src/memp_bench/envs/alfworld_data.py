"""Where ALFWorld's games are found, and the list of them.

The layout is that of the original download: `json_2.1.1/SPLIT/TASK/TRIAL/game.tw-pddl`. The games may also come
packed (`games.tar.xz`); then they are unpacked once into the cache.
"""

import hashlib
import json
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from memp.errors import EnvironmentFailed
from memp_bench.envs.engine.player import game_problem

SPLITS = ("train", "valid_seen", "valid_unseen")
GAME = "game.tw-pddl"
PACKED = "games.tar.xz"
FAMILIES = {
    "pick_and_place_simple": "put",
    "pick_clean_then_place_in_recep": "clean",
    "pick_heat_then_place_in_recep": "heat",
    "pick_cool_then_place_in_recep": "cool",
    "look_at_obj_in_light": "examine",
    "pick_two_obj_and_place": "put_two",
}
"""ALFWorld's task types and the names used in the literature's tables."""

_NOT_IN_BENCHMARK = ("movable", "Sliced")  # the original loader leaves these out, by the same names
_LARGEST = 20_000_000  # bytes of one file in an archive; the games have 40-200 kB
_MOST = 100_000  # files in an archive


def find_games(data: Path | None, *, cache: Path, environ: Mapping[str, str], places: tuple[Path, ...] = ()) -> Path:
    """The folder that holds the splits.

    Looked at in this order, the first that holds games wins: `data` alone if given; `$MEMP_DATA`;
    `$ALFWORLD_DATA`; `places`; `~/.cache/alfworld`. A place may be the folder of the splits, a folder with
    `json_2.1.1`, `alfworld` or `games.tar.xz` in it, or the archive itself.

    Raises:
        EnvironmentFailed: no games; lists where they were looked for.
    """
    if data is not None:
        looked = [data.expanduser()]
    else:
        named = [environ[name] for name in ("MEMP_DATA", "ALFWORLD_DATA") if environ.get(name)]
        looked = [*(Path(name).expanduser() for name in named), *places, Path("~/.cache/alfworld").expanduser()]
    for place in looked:
        found = _games_at(place.resolve(), cache)
        if found is not None:
            return found
    raise EnvironmentFailed(
        f"no ALFWorld games ({SPLITS[0]}/*/*/{GAME} or {PACKED}) in {', '.join(map(str, looked))}. "
        "Give the folder or the archive with --data or MEMP_DATA, or fetch the games with alfworld-download"
    )


def _games_at(place: Path, cache: Path) -> Path | None:
    if place.is_file():
        return _folder_of_splits(unpack(place, cache))
    found = _folder_of_splits(place)
    if found is not None:
        return found
    packed = [path for path in (place / PACKED, place / "alfworld" / PACKED) if path.is_file()]
    return _folder_of_splits(unpack(packed[0], cache)) if packed else None


def _folder_of_splits(place: Path) -> Path | None:
    for folder in (place, place / "json_2.1.1", place / "alfworld", place / "alfworld" / "json_2.1.1"):
        if any(next((folder / split).glob(f"*/*/{GAME}"), None) for split in SPLITS):
            return folder
    return None


def unpack(archive: Path, cache: Path) -> Path:
    """Unpack the games of `archive` into a folder of `cache` named after its content, once.

    Only game and trajectory files with plain relative paths are written.

    Raises:
        EnvironmentFailed: the archive is damaged, or a path in it leaves the folder.
    """
    with archive.open("rb") as file:
        target = cache / "alfworld" / hashlib.file_digest(file, "sha256").hexdigest()[:16]
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=target.parent, prefix=".unpacking-"))
    try:
        with tarfile.open(archive) as tar:
            for member in _safe_members(tar, archive):
                path = fresh / member.name
                path.parent.mkdir(parents=True, exist_ok=True)
                content = tar.extractfile(member)
                assert content is not None
                path.write_bytes(content.read())
        if not target.is_dir():  # else another process was faster
            fresh.rename(target)
    except (tarfile.TarError, EOFError, OSError) as error:
        if not target.is_dir():
            raise EnvironmentFailed(f"cannot unpack {archive} into {target}: {error}") from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return target


def _safe_members(tar: tarfile.TarFile, archive: Path) -> Iterator[tarfile.TarInfo]:
    for number, member in enumerate(tar):
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts:
            raise EnvironmentFailed(f"{archive} is not a games archive: {member.name!r} leaves its folder")
        if number >= _MOST or member.size > _LARGEST:
            raise EnvironmentFailed(f"{archive} is not a games archive: {member.name!r} is too much")
        if member.isfile() and path.name in (GAME, "traj_data.json"):
            yield member


def games(root: Path, split: str) -> list[Path]:
    """The games of a split, each once, sorted by path; without those that the original leaves out."""
    found = sorted((root / split).glob(f"*/*/{GAME}"))
    return [path for path in found if not any(word in str(path.parent.parent.name) for word in _NOT_IN_BENCHMARK)]


def family(game: Path) -> str:
    """The family of a game, from the name of its task's folder."""
    kind = game.parent.parent.name.partition("-")[0]
    return FAMILIES.get(kind, kind)


def problem(game: Path) -> str:
    """Why a game cannot be played, or an empty string. Reads the file; does not run it."""
    try:
        data = json.loads(game.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return f"cannot be read: {error}"
    wrong = game_problem(data)
    if wrong:
        return wrong
    return "" if data.get("solvable") else "not marked as solvable"
