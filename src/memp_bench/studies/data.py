"""Which data a study reads: digests, so that a study is not resumed on other data than it was begun with."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from memp.errors import EnvironmentFailed
from memp_bench.envs.base import Benchmark, Task
from memp_bench.envs.travelplanner.benchmark import TravelPlanner
from memp_bench.studies.manifest import digest
from memp_bench.studies.spec import Place, Size

Listed = Callable[[Place, str, int | None, int], Sequence[Task]]
"""The tasks of a place: split, how many, seed."""


def data_digests(
    size: Size, *, house: Callable[[Place], Benchmark], listed: Listed, wanted: Collection[str]
) -> dict[str, str]:
    """A digest for each set of tasks that is read from files: what they are called and what is in them.

    A place whose label is not `wanted` may lack its data; then there is no digest of it.

    Raises:
        EnvironmentFailed: data of a place that is wanted are not there.
    """
    games: dict[str, dict[str, str]] = {}
    found: dict[str, str] = {}
    for place in size.places:
        try:
            if place.benchmark == "travelplanner" and not place.generated:
                there = house(place)
                found["travelplanner"] = _folder(there.folder) if isinstance(there, TravelPlanner) else ""
            if place.benchmark == "alfworld":  # household and the generated country are made by the code
                _add_games(place, size, listed, games)
        except EnvironmentFailed as error:
            if place.label in wanted:
                rest = "" if len(wanted) == 1 else "; --only TEXT runs the places whose data are there"
                raise EnvironmentFailed(f"{place.label}: {error}{rest}") from None
    for name, files in games.items():
        parts = (part for id in sorted(files) for part in (id.encode(), Path(files[id]).read_bytes()))
        found[name] = digest(parts)
    return found


def _add_games(place: Place, size: Size, listed: Listed, games: dict[str, dict[str, str]]) -> None:
    """Add the files of a place's games and of those its memories are learned from."""
    asked = [(place.split, place.games, seed) for seed in size.seeds]
    if learned := size.learned.get(place.benchmark):
        asked.append((learned.split, learned.games, 0))
    for split, count, seed in asked:
        tasks = listed(place, split, count, seed)
        games.setdefault(f"alfworld {split}", {}).update((task.id, task.payload["game"]) for task in tasks)


def _folder(folder: Path) -> str:
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.suffix in (".gz", ".txt", ".csv"))
    return digest(part for file in files for part in (file.relative_to(folder).as_posix().encode(), file.read_bytes()))
