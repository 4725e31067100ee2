"""What an update did is on record with it, even when it is killed."""

import pytest

from loopkit import trajectory
from memp.errors import StoreError
from memp.stores.sqlite import SqliteStore


class Killed(BaseException):
    pass


class Mortal(SqliteStore):
    """Dies after so many writes, and writes nothing more."""

    lives = 2

    def write(self, *args, **more):
        if not self.lives:
            raise Killed
        self.lives -= 1
        return super().write(*args, **more)

    def log_receipt(self, namespace, receipt):
        if not self.lives:
            raise Killed
        super().log_receipt(namespace, receipt)


async def test_a_killed_update_leaves_a_receipt_for_each_trajectory_it_took(open_memory, tmp_path):
    dying = open_memory(Mortal(tmp_path / "memory.db"), update="validation")
    told = [trajectory(f"task {n}", reward=reward) for n, reward in enumerate((1.0, 0.0, 1.0))]
    for one in told:
        await dying.record(one)
    with pytest.raises(Killed):
        await dying.update()
    memory = open_memory(update="validation")
    (second, first) = memory.receipts()
    assert (len(first.added), first.skipped) == (1, ())
    assert [item.subject for item in second.skipped] == [told[1].id]
    whole = await memory.update()
    assert (len(whole.added), whole.skipped) == (1, ())
    assert [receipt.id for receipt in memory.receipts()] == [whole.id, second.id, first.id]
    assert {p.id for p in memory.procedures()} == {*first.added, *whole.added}


async def test_the_receipt_of_a_whole_update_takes_the_place_of_its_parts(open_memory):
    memory = open_memory(update="vanilla")
    for n in range(12):
        await memory.record(trajectory(f"task {n}"))
    receipt = await memory.update()
    assert memory.receipts() == [receipt]
    assert len(receipt.added) == 12


class Unanswered(SqliteStore):
    """The third write is committed, and the answer does not arrive; then it goes on."""

    writes = 0

    def write(self, *args, **more):
        self.writes += 1
        done = super().write(*args, **more)
        if self.writes == 3:
            raise StoreError("the connection was lost while the transaction was committed")
        return done


async def test_what_was_committed_without_an_answer_keeps_its_receipt(open_memory, tmp_path):
    memory = open_memory(Unanswered(tmp_path / "memory.db"), update="vanilla")
    for n in range(4):
        await memory.record(trajectory(f"task {n}"))
    with pytest.raises(StoreError, match="connection was lost"):
        await memory.update()
    await memory.update()
    named = [id for receipt in memory.receipts() for id in receipt.added]
    assert sorted(named) == sorted(p.id for p in memory.procedures())
    assert len(named) == 4
