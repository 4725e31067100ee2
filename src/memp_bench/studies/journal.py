"""How far a run is: one line when a group of tasks has been played, one more when it has been learned from."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from memp.errors import MempError, RecordError
from memp.records import Receipt, Record


class Group(Record):
    """A group of tasks whose games are over. From then on none of them is played again."""

    group: int
    games: int
    stage: Literal["played", "learned"]
    before: str | None = None
    """`played`: the newest receipt in the memory, so that those of this group are found after a crash."""
    receipt: Receipt | None = None
    """`learned`: what the group changed in the memory; None when it was not to change."""


class Journal:
    """The file `groups.jsonl` of a run."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def read(self) -> dict[int, Group]:
        """The latest line of each group; a line torn by a kill does not count."""
        groups: dict[int, Group] = {}
        for line in self._file.read_bytes().splitlines() if self._file.exists() else ():
            try:
                group = Group.parse(line)
            except RecordError:
                continue
            groups[group.group] = group
        return groups

    def add(self, group: Group) -> None:
        """Append a line, after the end of a torn one."""
        torn = self._file.exists() and not self._file.read_bytes().endswith(b"\n")
        with self._file.open("ab") as file:
            file.write((b"\n" if torn else b"") + group.model_dump_json().encode() + b"\n")


def merged(receipts: list[Receipt]) -> Receipt | None:
    """Several receipts of one group's update, oldest first, as one: it was interrupted, and then went on.

    What an interrupted update left for the next one is not skipped: the next one took it.
    """
    if not receipts:
        return None
    last = receipts[-1]
    skipped = [item for r in receipts for item in r.skipped if r is last or not left(item.reason)]
    return last.model_copy(
        update={
            "added": tuple(id for r in receipts for id in r.added),
            "revised": tuple(item for r in receipts for item in r.revised),
            "retired": tuple(id for r in receipts for id in r.retired),
            "skipped": tuple(skipped),
        }
    )


def left(reason: str) -> bool:
    """Whether a receipt says that a trajectory still waits for an update."""
    return reason.startswith("left for the next update")


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Keep other processes out of a run while this one is at it. Ends with the process, also after kill -9.

    Raises:
        MempError: another process is at it.
    """
    try:
        import fcntl
    except ImportError:  # not on this system: the user must take care
        yield
        return
    file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise MempError(
                f"another process is at the run in {folder}; wait for it, or choose another --out"
            ) from None
        yield
    finally:
        os.close(file)
