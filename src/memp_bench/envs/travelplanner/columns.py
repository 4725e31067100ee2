"""Reads a large CSV file column by column with NumPy, in bounded memory.

The original flight table has 3.8 million rows in 300 MB; as Python strings it would take gigabytes. Here a column is a
vocabulary of its distinct values and a small integer a row; a column of unique values is an array of bytes.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from memp.errors import EnvironmentFailed
from memp_bench.envs.travelplanner.table import Cell

NA = frozenset(
    [
        "",
        "#N/A",
        "#N/A N/A",
        "#NA",
        "-1.#IND",
        "-1.#QNAN",
        "-NaN",
        "-nan",
        "1.#IND",
        "1.#QNAN",
        "<NA>",
        "N/A",
        "NA",
        "NULL",
        "NaN",
        "None",
        "n/a",
        "nan",
        "null",
    ]
)
"""Texts that stand for a missing value (those of pandas 2)."""

_BLOCK = 1 << 24  # bytes read at once
_ROWS = 50_000  # rows parsed at once where a file has quotes
_MIX = np.uint64(0x9E3779B97F4A7C15)
_MASKS = np.array([(1 << 8 * n) - 1 for n in range(9)], dtype=np.uint64)  # keeps the first n bytes of a word

Fields = tuple[bytes, NDArray[np.int64], NDArray[np.int64]]
"""A block of rows: its bytes and 8 spare ones; where each field starts; how long it is (both: rows, columns)."""


@dataclass(frozen=True, slots=True)
class Coded:
    """A column as a vocabulary and one code a row."""

    values: list[Cell]
    codes: NDArray[Any]

    def take(self, rows: Iterable[int]) -> list[Cell]:
        """The values of some rows."""
        return [self.values[self.codes[row]] for row in rows]


def typed(texts: Iterable[str], *, whole: bool = True) -> list[Cell]:
    """Numbers where every text is one (floats unless `whole` and every one is an integer), else the texts."""
    found = list(texts)
    for kind in (int, float) if whole else (float,):
        try:
            return [kind(text) for text in found]
        except ValueError:
            continue
    return list(found)


def read_columns(
    file: BinaryIO, *, coded: Iterable[str], unique: str, name: str
) -> tuple[dict[str, Coded], NDArray[np.bytes_]]:
    """The columns `coded` and the column `unique` of all rows without a missing value in any column.

    Raises:
        EnvironmentFailed: a column is missing, or a row has too many fields; says where.
    """
    header = next(csv.reader([file.readline().decode("utf-8-sig")]), [])
    wanted = list(coded)
    missing = [column for column in (*wanted, unique) if column not in header]
    if missing:
        raise EnvironmentFailed(f"{name} has no column {', '.join(map(repr, missing))}; it has {', '.join(header)}")
    encoders = {header.index(column): _Encoder() for column in wanted}
    at = header.index(unique)
    texts: list[NDArray[np.bytes_]] = []
    for block in _blocks(file, len(header), name):
        keep = _add(block, encoders)
        texts.append(_bytes(block, at)[keep])
    columns = {header[n]: encoder.finish() for n, encoder in encoders.items()}
    return columns, np.concatenate(texts) if texts else np.zeros(0, "S1")


def _add(block: Fields, encoders: "dict[int, _Encoder]") -> NDArray[np.bool_]:
    """Encode a block; True for the rows that were kept."""
    _, start, length = block
    keep: NDArray[np.bool_] = np.all(length > 0, axis=1)
    codes = {}
    missing = np.array([key(text) for text in NA], np.uint64)
    for n in range(start.shape[1]):
        keys = hashes(block, n)
        if n in encoders:
            codes[n] = encoders[n].encode(block, n, keys)
            keep &= ~encoders[n].missing()[codes[n]]
        else:
            keep &= ~np.isin(keys, missing)
    for n, encoder in encoders.items():
        encoder.keep(codes[n][keep])
    return keep


def _blocks(file: BinaryIO, width: int, name: str) -> Iterator[Fields]:
    while block := file.read(_BLOCK):
        block += file.readline()
        if b'"' in block:  # a quoted field may hold commas and line ends: the rest goes through the csv module
            rest = io.TextIOWrapper(file, "utf-8", newline="")
            try:
                yield from _parsed(chain(io.StringIO(block.decode(), newline=""), rest), width, name)
            finally:
                rest.detach()  # the caller closes the file
            return
        fields = _split(block, width)
        if fields is None:
            yield from _parsed(io.StringIO(block.decode(), newline=""), width, name)
        else:
            yield fields


def _split(block: bytes, width: int) -> Fields | None:
    """The fields of rows without quotes; None where a row is not `width` fields long."""
    data = block.replace(b"\r\n", b"\n") if b"\r" in block else block
    if not data.endswith(b"\n"):
        data += b"\n"
    seen = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero((seen == ord(",")) | (seen == ord("\n")))
    if len(ends) % width:
        return None
    starts = np.empty_like(ends)
    starts[0] = 0
    starts[1:] = ends[:-1] + 1
    line_ends = seen[ends].reshape(-1, width) == ord("\n")
    if line_ends[:, :-1].any() or not line_ends[:, -1].all():
        return None
    return data + bytes(8), starts.reshape(-1, width), (ends - starts).reshape(-1, width)


def _parsed(lines: Iterable[str], width: int, name: str) -> Iterator[Fields]:
    reader = csv.reader(lines)
    while batch := [row for row in islice(reader, _ROWS) if row]:
        if any(len(row) > width for row in batch):
            raise EnvironmentFailed(f"{name}: a row before line {reader.line_num} has more than {width} fields")
        cells = [cell.encode() for row in batch for cell in (*row, *[""] * (width - len(row)))]
        length = np.fromiter(map(len, cells), np.int64, len(cells))
        start = np.cumsum(length) - length
        yield b"".join(cells) + bytes(8), start.reshape(-1, width), length.reshape(-1, width)


def hashes(block: Fields, column: int) -> NDArray[np.uint64]:
    """A 64-bit key of each field: equal for equal texts, different for different ones of up to 8 bytes, never 0."""
    data, starts, lengths = block
    start, length = starts[:, column], lengths[:, column]
    words = np.ndarray((len(data) - 7,), "<u8", data, 0, (1,))  # the 8 bytes from each position on
    keys = _mixed(length.astype(np.uint64) ^ _MIX, words[start] & _MASKS[np.minimum(length, 8)])
    for offset in range(8, int(length.max(initial=0)), 8):
        rows = np.flatnonzero(length > offset)
        word = words[start[rows] + offset] & _MASKS[np.minimum(length[rows] - offset, 8)]
        keys[rows] = _mixed(keys[rows], word)
    return keys


def _mixed(keys: NDArray[np.uint64], words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    mixed = (keys ^ words) * _MIX
    mixed ^= mixed >> np.uint64(29)
    mixed *= _MIX
    return mixed


def hashes_of(texts: NDArray[np.bytes_]) -> NDArray[np.uint64]:
    """The keys of an array of texts, block by block."""
    width = texts.dtype.itemsize
    found = [np.zeros(0, np.uint64)]
    for first in range(0, len(texts), _ROWS):
        part = texts[first : first + _ROWS]
        length = np.count_nonzero(part.view(np.uint8).reshape(-1, width), axis=1)[:, None]
        start = np.arange(len(part))[:, None] * width
        found.append(hashes((part.tobytes() + bytes(8), start, length), 0))
    return np.concatenate(found)


def key(text: str) -> np.uint64:
    """The key of one text, as `hashes` gives it."""
    raw = text.encode(errors="surrogatepass")
    fields = raw + bytes(8), np.zeros((1, 1), np.int64), np.full((1, 1), len(raw), np.int64)
    return np.uint64(hashes(fields, 0)[0])


def _bytes(block: Fields, column: int) -> NDArray[np.bytes_]:
    """The fields of a column as an array of bytes."""
    data, starts, lengths = block
    start, length = starts[:, column], lengths[:, column]
    width = max(int(length.max(initial=1)), 1)
    room = data + bytes(width)
    texts = np.ndarray((len(room) - width + 1,), f"S{width}", room, 0, (1,))[start]
    texts.view(np.uint8).reshape(-1, width)[np.arange(width) >= length[:, None]] = 0
    return texts


class _Encoder:
    """Gives each distinct text of a column a code, block by block."""

    def __init__(self) -> None:
        self._parts: list[NDArray[Any]] = []
        self._texts: list[str] = []
        self._keys = np.zeros(1, np.uint64)  # of each code; the last is spare
        self._order = np.zeros(0, np.int64)  # codes by key
        self._slots = np.zeros(1 << 16, np.int64)  # a code for the upper 16 bits of its key

    def encode(self, block: Fields, column: int, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """The codes of a block's fields, of which `keys` are the hashes."""
        codes: NDArray[np.int64] = self._slots[keys >> np.uint64(48)]
        odd = np.flatnonzero(self._keys[codes] != keys)  # new, or sharing a slot
        fresh, first, inverse = np.unique(keys[odd], return_index=True, return_inverse=True)
        self._learn(block, column, fresh, odd[first])
        codes[odd] = self._order[np.searchsorted(self._keys[self._order], fresh)][inverse]
        return codes

    def _learn(self, block: Fields, column: int, keys: NDArray[np.uint64], rows: NDArray[np.int64]) -> None:
        """Give codes to those of `keys` (distinct, first seen in `rows`) that have none."""
        new = ~np.isin(keys, self._keys[:-1])
        data, starts, lengths = block
        for row in rows[new]:
            begin = starts[row, column]
            self._texts.append(data[begin : begin + lengths[row, column]].decode())
        self._keys = np.concatenate([self._keys[:-1], keys[new], self._keys[-1:]])
        self._order = np.argsort(self._keys[:-1], kind="stable")
        self._slots[keys[new] >> np.uint64(48)] = np.arange(len(self._texts) - int(new.sum()), len(self._texts))

    def missing(self) -> NDArray[np.bool_]:
        """For each code, whether it stands for a missing value."""
        return np.array([text in NA for text in self._texts], bool)

    def keep(self, codes: NDArray[np.int64]) -> None:
        """Append these rows to the column, in as few bytes as their codes need."""
        self._parts.append(codes.astype(np.min_scalar_type(len(self._texts))))

    def finish(self) -> Coded:
        """The whole column."""
        missing = any(text in NA for text in self._texts)
        kept = ["0" if text in NA else text for text in self._texts]  # no row has their codes any more
        codes = np.concatenate(self._parts) if self._parts else np.zeros(0, np.uint8)
        return Coded(typed(kept, whole=not missing), codes)
