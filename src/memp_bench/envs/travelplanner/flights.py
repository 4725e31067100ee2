"""The flight table, indexed by leg (origin, destination, date) and by flight number."""

from collections import Counter
from collections.abc import Mapping, Set
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from memp_bench.envs.travelplanner.columns import Coded, hashes_of, key, read_columns
from memp_bench.envs.travelplanner.table import Table

NUMBER = "Flight Number"
COLUMNS = (
    NUMBER,
    "Price",
    "DepTime",
    "ArrTime",
    "ActualElapsedTime",
    "FlightDate",
    "OriginCityName",
    "DestCityName",
    "Distance",
)
Leg = tuple[str, str, str]
"""Origin, destination, date as `YYYY-MM-DD`."""


class Flights:
    """All flights. `known` is the set of legs of which everything is known; None: of all legs (the original table).

    A leg that is not known may have flights that this table lacks. `asked_unknown` counts searches for such legs.
    """

    def __init__(self, numbers: NDArray[np.bytes_], columns: Mapping[str, Coded], known: Set[Leg] | None) -> None:
        self._numbers, self._columns, self._known = numbers, columns, known
        self.asked_unknown: Counter[Leg] = Counter()
        self._codes = {
            name: {value: code for code, value in enumerate(columns[name].values)}
            for name in ("OriginCityName", "DestCityName", "FlightDate")
        }
        legs = self._leg_keys()
        self._by_leg = _sorted_rows(legs)
        self._legs = legs[self._by_leg]
        slots = _slot(hashes_of(numbers))
        self._by_slot = np.argsort(slots, kind="stable").astype(np.int32)
        self._slot_ends = np.cumsum(np.bincount(slots, minlength=1 << 16))

    @classmethod
    def read(cls, file: BinaryIO, name: str, known: Set[Leg] | None = None) -> "Flights":
        """The flights of a CSV file, without those with a missing value.

        Raises:
            EnvironmentFailed: it is not a flight table.
        """
        columns, numbers = read_columns(file, coded=COLUMNS[1:], unique=NUMBER, name=name)
        return cls(numbers, columns, known)

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def complete(self) -> bool:
        """Whether every leg is known."""
        return self._known is None

    def _leg_keys(self) -> NDArray[np.int64]:
        origin, destination, date = (self._columns[name] for name in self._codes)
        keys = origin.codes.astype(np.int64) * len(destination.values) + destination.codes
        return np.asarray(keys * len(date.values) + date.codes)

    def knows(self, origin: str, destination: str, date: str) -> bool:
        """Whether the table holds all flights of that leg (perhaps none)."""
        leg = (origin, destination, date)
        return self._known is None or leg in self._known or bool(self._rows(*leg))

    def search(self, origin: str, destination: str, date: str) -> Table:
        """The flights of a leg in file order; an empty table where there are none or nothing is known."""
        rows = self._rows(origin, destination, date)
        if not rows and self._known is not None and (origin, destination, date) not in self._known:
            self.asked_unknown[origin, destination, date] += 1
        return self._table(rows)

    def by_number(self, number: str) -> Table:
        """The flights of that number, on any leg and day, in file order."""
        slot = int(_slot(key(number)))
        rows = self._by_slot[self._slot_ends[slot - 1] if slot else 0 : self._slot_ends[slot]]
        raw = number.encode(errors="surrogatepass")
        return self._table(
            [row for row, its in zip(rows.tolist(), self._numbers[rows].tolist(), strict=True) if its == raw]
        )

    def _rows(self, origin: str, destination: str, date: str) -> list[int]:
        codes = [
            known.get(value, -1) for known, value in zip(self._codes.values(), (origin, destination, date), strict=True)
        ]
        if min(codes) < 0:
            return []
        destinations, dates = len(self._codes["DestCityName"]), len(self._codes["FlightDate"])
        wanted = (codes[0] * destinations + codes[1]) * dates + codes[2]
        first, last = np.searchsorted(self._legs, [wanted, wanted + 1])
        return [int(row) for row in self._by_leg[first:last]]

    def _table(self, rows: list[int]) -> Table:
        columns = {NUMBER: [self._numbers[row].decode() for row in rows]}
        return Table({**columns, **{name: self._columns[name].take(rows) for name in COLUMNS[1:]}}, rows)


def _slot(keys: NDArray[np.uint64] | np.uint64) -> NDArray[np.uint16]:
    """The upper 16 bits: few enough to sort by counting."""
    return np.asarray(keys >> np.uint64(48)).astype(np.uint16)


def _sorted_rows(keys: NDArray[np.int64]) -> NDArray[np.int32]:
    """Row numbers by key, equal keys in file order; 16 bits at a time, which NumPy sorts by counting."""
    rows = np.arange(len(keys), dtype=np.int32)
    for shift in range(0, max(int(keys.max(initial=0)).bit_length(), 1), 16):
        digits = (keys[rows] >> shift).astype(np.uint16)
        rows = rows[np.argsort(digits, kind="stable")]
    return rows
