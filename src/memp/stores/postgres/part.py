"""What the parts of the store have in common: where it is, and how rows are read."""

from collections.abc import Callable
from typing import Any, TypeVar

from memp.records import Procedure, Record
from memp.stores.postgres.errors import translated
from memp.stores.postgres.pool import Pool
from memp.stores.postgres.texts import plain
from memp.stores.statements import read_procedure

Row = tuple[Any, ...]
R = TypeVar("R", bound=Record)
T = TypeVar("T")


class Part:
    """A part of the store: some of its methods, on the same connections."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @property
    def place(self) -> str:
        """Where it is, without the password."""
        return self._pool.place

    def _one(self, read: Callable[[Any], T], rows: list[Row]) -> T | None:
        with translated(self.place):
            return read(rows[0][0]) if rows else None

    def _log(self, kind: type[R], rows: list[Row]) -> list[R]:
        with translated(self.place):
            return [kind.model_validate_json(body) for (body,) in rows]

    def _procedures(self, namespace: str, rows: list[Row]) -> list[Procedure]:
        with translated(self.place):
            return [read_procedure((plain(id), namespace, *rest)) for id, *rest in rows]
