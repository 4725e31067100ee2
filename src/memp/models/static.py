"""The default embedder: a static token table distilled from all-MiniLM-L6-v2, NumPy only (docs/embedder.md)."""

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import NamedTuple

import numpy as np

from memp.errors import ModelError
from memp.models.base import Vectors
from memp.models.wordpiece import WordPiece

DIMENSIONS = 128
"""Length of a vector of the bundled table."""

TABLE_HASH = "92df088cf87b9d8d"
"""First 16 hexadecimal digits of the SHA-256 of the bundled table; checked when it is loaded."""

MAX_TOKENS = 512
"""Tokens of a text that count; the rest is not read."""

MAX_CHARACTERS = 16_384
"""Characters of a text that are looked at, so that a megabyte costs no more than a page."""

_ROWS_AT_ONCE = 1_024
_TABLE = "static-minilm-l6.npz"


class Table(NamedTuple):
    """A token table in memory; both parts are shared between embedders and never written to."""

    vectors: Vectors
    """One row a token, shape (tokens, dimensions); its length is the token's weight. "[UNK]" is a zero row."""

    vocabulary: dict[str, int]
    """WordPiece token -> row."""

    digest: str
    """First 16 hexadecimal digits of the SHA-256 of the table's file."""


@cache
def bundled_table() -> Table:
    """The table that comes with memp, read once a process.

    Raises:
        ModelError: the file is missing or is not the one this version was built with.
    """
    try:
        content = (files("memp.models") / "data" / _TABLE).read_bytes()
    except OSError as error:
        raise ModelError(f"the table {_TABLE} cannot be read ({error}); reinstall memp", provider="static") from error
    if _digest(content) != TABLE_HASH:
        raise ModelError(f"the table {_TABLE} is damaged; reinstall memp", provider="static")
    return parse_table(content, digest=TABLE_HASH)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def parse_table(content: bytes, *, digest: str | None = None) -> Table:
    """Read a table as `tools/distil_static.py` writes it: int8 rows, a float16 scale a row, tokens by line.

    `digest` spares computing it where it is known.
    """
    with np.load(BytesIO(content), allow_pickle=False) as stored:
        vectors = stored["rows"] * stored["scales"].astype(np.float32)[:, None]
        tokens = stored["tokens"].tobytes().decode().split("\n")
    vectors.flags.writeable = False
    return Table(vectors, {token: row for row, token in enumerate(tokens)}, digest or _digest(content))


class StaticEmbedder:
    """Embeds a text as the normalised sum of its tokens' rows: no model call, no network, no waiting.

    The first text loads the table (some 30 ms). A text without a known word, such as "", is a zero row: its
    similarity to everything is 0. Word order does not count, and only the first 512 tokens do. `table` replaces
    the bundled one, for a table distilled from another model or for another domain (`parse_table`).
    """

    def __init__(self, table: Table | None = None) -> None:
        self._table = table
        self._wordpiece: WordPiece | None = None

    @property
    def fingerprint(self) -> str:
        """Identity of the vector space: name and version, dimensions, hash of the table."""
        digest = TABLE_HASH if self._table is None else self._table.digest
        return f"static-minilm-l6/1:{self.dimensions}:{digest}"

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return DIMENSIONS if self._table is None else int(self._table.vectors.shape[1])

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed `texts` without ever suspending; see `encode`."""
        return self.encode(texts)

    async def close(self) -> None:
        """Nothing is held open."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Embed `texts`; shape (len(texts), dimensions), float32, rows of length 1 (0 without a known word).

        A row depends on its text alone, to the last bit, however the texts are batched.

        Raises:
            ModelError: the bundled table cannot be read.
        """
        if isinstance(texts, str):
            raise TypeError("encode() takes a list of texts; for one text pass [text]")
        table = bundled_table() if self._table is None else self._table
        if self._wordpiece is None:
            self._wordpiece = WordPiece(table.vocabulary)
        ids = self._wordpiece.ids
        out = np.zeros((len(texts), table.vectors.shape[1]), np.float32)
        tokens: list[int] = []
        rows: list[int] = []
        starts: list[int] = []
        for row, text in enumerate(texts):
            found = ids(text[:MAX_CHARACTERS])[:MAX_TOKENS]
            if found:
                rows.append(row)
                starts.append(len(tokens))
                tokens += found
            if len(tokens) > _ROWS_AT_ONCE:
                out[rows] = _pooled(table.vectors, tokens, starts)
                tokens, rows, starts = [], [], []
        if tokens:
            out[rows] = _pooled(table.vectors, tokens, starts)
        return out


def _pooled(vectors: Vectors, tokens: list[int], starts: list[int]) -> Vectors:
    """Unit sums of the rows `tokens`, one sum from each of `starts` to the next."""
    sums = np.add.reduceat(vectors.take(tokens, axis=0), starts, axis=0)
    lengths = np.sqrt(np.einsum("ij,ij->i", sums, sums))[:, None]
    unit: Vectors = np.divide(sums, lengths, out=sums, where=lengths > 0)
    return unit
