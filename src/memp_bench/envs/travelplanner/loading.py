"""Finds and reads the tables: the packed folder, or the layout of the original distribution."""

import csv
import gzip
import io
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import BinaryIO

from memp.errors import EnvironmentFailed
from memp_bench.envs.travelplanner.columns import NA, typed
from memp_bench.envs.travelplanner.flights import Flights, Leg
from memp_bench.envs.travelplanner.table import Table
from memp_bench.envs.travelplanner.tables import (
    ACCOMMODATIONS,
    ATTRACTIONS,
    RESTAURANTS,
    Cities,
    Distances,
    Places,
    Tables,
)

PACKED = {
    "accommodations": "accommodations.csv.gz",
    "restaurants": "restaurants.csv.gz",
    "attractions": "attractions.csv.gz",
    "distances": "distance.csv.gz",
    "flights": "flights_subset.csv.gz",
    "cities": "citySet.txt",
    "states": "citySet_with_states.txt",
}
"""The packed tables. `flight_legs_known.csv.gz` beside them says of which legs all flights are there."""

ORIGINAL = {
    "accommodations": "database/accommodations/clean_accommodations_2022.csv",
    "restaurants": "database/restaurants/clean_restaurant_2022.csv",
    "attractions": "database/attractions/attractions.csv",
    "distances": "database/googleDistanceMatrix/distance.csv",
    "flights": "database/flights/clean_Flights_2022.csv",
    "cities": "database/background/citySet.txt",
    "states": "database/background/citySet_with_states.txt",
}
"""The original distribution, unpacked. `train.csv` and `validation.csv` of the data set belong beside `database`."""

KNOWN_LEGS = "flight_legs_known.csv.gz"


def find_data(data: Path | None, *, environ: Mapping[str, str], places: Sequence[Path] = ()) -> Path:
    """The folder of the tables.

    Looked at in this order, the first that holds tables wins: `data` alone if given; `$MEMP_DATA`; `places`. A place
    may be the folder itself or one with `travelplanner` in it.

    Raises:
        EnvironmentFailed: no tables; lists where they were looked for.
    """
    if data is not None:
        looked = [data.expanduser()]
    else:
        named = environ.get("MEMP_DATA")
        looked = [*([Path(named).expanduser()] if named else []), *places]
    for place in looked:
        for folder in (place, place / "travelplanner"):
            if _layout(folder) is not None:
                return folder
    raise EnvironmentFailed(
        f"no TravelPlanner tables ({PACKED['flights']}, or {ORIGINAL['flights']}) in "
        f"{', '.join(map(str, looked)) or 'any place: none was given'}. Give the folder with --data or MEMP_DATA"
    )


def _layout(folder: Path) -> Mapping[str, str] | None:
    for layout in (PACKED, ORIGINAL):
        if (folder / layout["flights"]).is_file() or (folder / layout["accommodations"]).is_file():
            return layout
    return None


def load_tables(folder: Path) -> Tables:
    """Read all tables of `folder`, packed or original.

    Raises:
        EnvironmentFailed: a table is missing or damaged; says which and why.
    """
    layout = _layout(folder) or PACKED
    missing = [name for name in layout.values() if not (folder / name).is_file()]
    if missing:
        raise EnvironmentFailed(f"{folder} lacks {', '.join(missing)}; it needs {', '.join(layout.values())}")
    files = {name: folder / path for name, path in layout.items()}
    known = folder / KNOWN_LEGS
    with _opened(files["flights"]) as file:
        flights = Flights.read(file, str(files["flights"]), read_legs(known) if known.is_file() else None)
    return Tables(
        accommodations=Places(read_table(files["accommodations"], ACCOMMODATIONS)),
        restaurants=Places(read_table(files["restaurants"], RESTAURANTS)),
        attractions=Places(read_table(files["attractions"], ATTRACTIONS)),
        distances=_distances(files["distances"]),
        flights=flights,
        cities=_cities(files["cities"], files["states"]),
        source=str(folder),
    )


def read_table(path: Path, columns: Sequence[str]) -> Table:
    """The `columns` of a CSV file, without the rows that lack a value in any column of the file.

    Raises:
        EnvironmentFailed: the file is damaged or lacks a column.
    """
    raw = _read(path)
    absent = [name for name in columns if name not in raw]
    if absent:
        raise EnvironmentFailed(f"{path} has no column {', '.join(map(repr, absent))}; it has {', '.join(raw)}")
    gaps = {name: [row for row, text in enumerate(raw[name]) if text in NA] for name in _with_gaps(raw)}
    dropped = {row for rows in gaps.values() for row in rows}
    kept = [row for row in range(len(raw[columns[0]])) if row not in dropped]
    made = {}
    for name in columns:
        texts = raw[name] if not dropped else [raw[name][row] for row in kept]
        made[name] = typed(texts, whole=name not in gaps)  # pandas makes a column with gaps float
    return Table(made, kept)


def _with_gaps(raw: Mapping[str, Sequence[str]]) -> list[str]:
    return [name for name, texts in raw.items() if not NA.isdisjoint(texts)]


def read_legs(path: Path) -> Set[Leg]:
    """The legs of which all flights are known.

    Raises:
        EnvironmentFailed: the file is damaged.
    """
    table = read_table(path, ("origin", "destination", "date"))
    return set(zip(*(map(str, table[name]) for name in ("origin", "destination", "date")), strict=True))


def _distances(path: Path) -> Distances:
    raw = _read(path)
    try:
        origins, destinations, *known = (raw[name] for name in ("origin", "destination", "duration", "distance"))
    except KeyError as error:
        raise EnvironmentFailed(f"{path} has no column {error}; it has {', '.join(raw)}") from None
    durations, distances = (["" if text in NA else text for text in texts] for texts in known)
    pairs = list(zip(origins, destinations, strict=True))
    ways = list(zip(durations, distances, strict=True))
    return Distances(dict(zip(reversed(pairs), reversed(ways), strict=True)))  # of duplicates the first row stays


def _cities(names: Path, states: Path) -> Cities:
    pairs = [line.split("\t") for line in _lines(states)]
    if any(len(pair) != 2 for pair in pairs):
        raise EnvironmentFailed(f"{states}: a line is not `city TAB state`")
    return Cities(_lines(names), dict(pairs))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").strip("\n").split("\n")
    except (OSError, UnicodeError) as error:
        raise EnvironmentFailed(f"cannot read {path}: {error}") from None


def _read(path: Path) -> dict[str, Sequence[str]]:
    """The columns by name; blank lines do not count, short rows lack values."""
    try:
        with _opened(path) as file, io.TextIOWrapper(file, "utf-8-sig", newline="") as text:
            rows = list(filter(None, csv.reader(text)))
    except (UnicodeError, csv.Error) as error:
        raise EnvironmentFailed(f"cannot read {path}: {error}") from None
    if not rows:
        raise EnvironmentFailed(f"{path} is empty")
    header = rows[0]
    if any(len(row) > len(header) for row in rows):
        raise EnvironmentFailed(f"{path}: a row has more than {len(header)} fields")
    columns = list(zip_longest(*rows, fillvalue=""))
    return {name: column[1:] for name, column in zip(header, columns, strict=True)}


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            yield file  # type: ignore[misc]
    except (OSError, EOFError) as error:
        raise EnvironmentFailed(f"cannot read {path}: {error}") from None
