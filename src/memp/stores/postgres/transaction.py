"""Statements of one transaction in one namespace."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from memp.stores.postgres import statements as sql
from memp.stores.postgres.texts import safe

if TYPE_CHECKING:
    from memp.stores.postgres.wire import Answer, Wire

_MARKS: Final = 50
_REMEMBERED: Final = 3_600_000_000
"""Microseconds for which a client may ask whether its transaction was committed."""


class Transaction:
    """Sends statements of one transaction in one namespace, all that nothing is read between in one round trip."""

    def __init__(self, wire: "Wire", namespace: str) -> None:
        self._wire = wire
        self._namespace = namespace
        self._whole = self
        self.mark: tuple[str, int] | None = None
        """A namespace that is held, and the number that says there that this was committed."""
        self.undo = False
        """Set to leave everything as it was."""

    def send(self, statement: str, **values: Any) -> "Answer":
        """Send a statement about the namespace."""
        return self._wire.send(statement, {"ns": self._namespace, **values})

    def inside(self, namespace: str) -> "Transaction":
        """The same transaction for another namespace; `enter` it before it is used."""
        other = Transaction(self._wire, safe(namespace))
        other._whole = self._whole
        return other

    def enter(self) -> None:
        """From here on this namespace is seen."""
        self.send(sql.ENTER)

    def hold(self, numbers: int) -> Callable[[], int]:
        """Keep other writers out of the namespace until the end, and take numbers of its clock.

        Returns a function that waits for it and gives the number before the first.
        """
        answer = self.send(sql.TICK, n=numbers)

        def held() -> int:
            row = answer.row()
            assert row is not None
            last = int(row[0])
            if self._whole.mark is None:
                self._whole.mark = (self._namespace, last)
                self.send(sql.MARK, number=last)
                if last % _MARKS == 0:
                    self.send(sql.DROP_MARKS, number=last - _REMEMBERED)
            return last - numbers

        return held
