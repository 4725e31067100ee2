"""Forgetting on request, near-duplicates, and capacity, on real memories."""

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from loopkit import MUG, counter, ticking, trajectory
from memp import ProceduralMemory
from memp.cli.memory import memory as command
from memp.errors import RecordError
from memp.evidence import Worth
from memp.forgetting import Capacity, Forgetting
from memp.forgetting.capacity import victims
from memp.stores.sqlite import SqliteStore

MARKER = "frobozzmarker"
SECRET = f"put the {MARKER} on the shelf"


@pytest.fixture
def made(tmp_path):
    """Makes memories on one file; they are closed at the end."""
    opened = []

    def make(**options):
        options = {"build": "script", "update": "validation", "clock": ticking(), **options}
        memory = ProceduralMemory(tmp_path / "m.db", **options)
        opened.append(memory)
        return memory

    yield make
    for memory in opened:
        memory.close()


def play(memory, task, *, reward=1.0, id=None, **more):
    recall = memory.retrieve(task)
    memory.record(trajectory(task, reward=reward, **({"id": id} if id else {}), **more), recall)
    return recall


def files(path):
    return b"".join(Path(f"{path}{end}").read_bytes() for end in ("", "-wal") if Path(f"{path}{end}").exists())


def test_soft_retires_and_restore_brings_back(made):
    memory = made()
    play(memory, SECRET)
    play(memory, MUG)
    memory.update()
    forgotten = memory.forget(task=SECRET)
    (id,) = forgotten.retired
    assert forgotten.erased is None
    assert [r.procedure.task for r in memory.retrieve(SECRET).ranked] == [MUG]
    assert "forgotten on request" in memory.get(id).revision.reason
    memory.restore(id)
    assert memory.retrieve(SECRET).ranked[0].procedure.id == id
    assert memory.receipts()[0].operation == "forget"


def test_hard_leaves_no_byte_and_open_memories_notice(made, tmp_path):
    memory, other = made(), made()
    play(memory, SECRET)
    play(memory, MUG, id="kept")
    memory.update()
    assert len(other.retrieve(SECRET).ranked) == 2  # its index holds both
    assert MARKER.encode() in files(tmp_path / "m.db")
    erased = memory.forget(task=SECRET, hard=True).erased
    assert (erased.trajectories, erased.procedures, erased.left) == (1, 1, ())
    assert "put mug on shelf" in erased.elsewhere  # the other procedure says it too
    assert MARKER.encode() not in files(tmp_path / "m.db")
    for held in (memory, other):
        assert [r.procedure.task for r in held.retrieve("mug", log=False).ranked] == [MUG]
    assert memory.store.check() == []
    assert memory.evidence().overall.served == 0


def test_a_task_that_was_under_way_is_kept_without_what_was_erased(made):
    memory = made()
    play(memory, SECRET)
    play(memory, "wash the cup")
    memory.update()
    recall = memory.retrieve(MUG)
    assert len(recall.ranked) == 2
    memory.forget(task=SECRET, hard=True)
    memory.record(trajectory(id="late"), recall)
    (outcome,) = [o for o in memory.outcomes() if o.trajectory_id == "late"]
    assert len(outcome.credited) == 1
    assert memory.store.check() == []


def test_only_one_of_both_and_only_what_is_there(made):
    memory = made()
    play(memory, MUG)
    for wrong in ({}, {"trajectory_id": "a", "task": "b"}, {"task": "no such"}, {"trajectory_id": "no such"}):
        with pytest.raises(RecordError):
            memory.forget(**wrong)


WRITER = """
import sys
from memp import ProceduralMemory
from memp.stores.connection import Connection
def pause(self):
    print("erased", flush=True)
    sys.stdin.read()
Connection.scrub = pause
ProceduralMemory(sys.argv[1]).forget(task=sys.argv[2], hard=True)
"""


def test_killed_between_erasing_and_overwriting(made, tmp_path):
    memory = made()
    play(memory, SECRET)
    memory.update()
    memory.close()
    path = tmp_path / "m.db"
    child = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), SECRET], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout.readline() == b"erased\n"
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    again = made()
    assert again.store.trajectory("default", SECRET) is None
    assert again.stats().trajectories == 0
    assert MARKER.encode() in files(path)  # in freed pages, or in the log
    assert any("forget --finish" in line for line in again.store.check())
    assert CliRunner().invoke(command, ["forget", "--finish", "-m", str(path)]).exit_code == 0
    assert MARKER.encode() not in files(path)
    assert again.store.check() == []


def test_killed_anywhere_is_all_or_nothing(made, tmp_path):
    memory = made()
    for n in range(40):
        play(memory, f"{SECRET} number {n}", actions=("look", f"take {MARKER} {n}"))
    play(memory, SECRET)
    memory.update()
    before = memory.stats()
    memory.close()
    path = tmp_path / "m.db"
    code = "import sys; from memp import ProceduralMemory as P; m = P(sys.argv[1]); print(1, flush=True); "
    code += "m.forget(task=sys.argv[2], hard=True); print(2, flush=True)"
    child = subprocess.Popen([sys.executable, "-c", code, str(path), SECRET], stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"1\n"
    time.sleep(0.02)
    child.kill()
    child.communicate()
    store = SqliteStore(path)
    now = store.stats("default")
    assert (before.trajectories - now.trajectories, before.outcomes - now.outcomes) in ((0, 0), (1, 1))
    assert [line for line in store.check() if "freed pages" not in line] == []
    store.close()


def test_near_duplicates_become_one_with_the_evidence_of_all(made):
    memory = made(update="vanilla")
    for id in ("a", "b"):
        play(memory, MUG, id=id)
        memory.update()
    play(memory, "sweep the floor of the hall", id="c", actions=("go to hall 1", "use broom 1"))
    memory.update()
    ids = [procedure.id for procedure in memory.procedures()]
    merged = memory.merge()
    assert dict(merged.into) == {ids[0]: (ids[1],)}
    stays, gone = memory.get(ids[0]), memory.get(ids[1])
    assert stays.revision.evidence == ("a", "b")
    assert stays.revision.merged == ((ids[1], 1),)
    assert (gone.status, gone.revision.reason) == ("retired", f"merged into {ids[0]}")
    assert memory.merge().into == {}
    receipt = memory.receipts()[0]
    assert (receipt.operation, receipt.retired, receipt.revised) == ("merge", (ids[1],), ((ids[0], 2),))


def test_outcomes_of_what_was_merged_count_for_what_stays(made):
    memory = made(update="vanilla", k=1)
    for id in ("a", "b"):
        memory.record(trajectory(id=id))
    memory.update()
    first, second = [procedure.id for procedure in memory.procedures()]
    play(memory, MUG, id="c", reward=0.0)
    memory.retire(first, reason="so that the other one is served")
    play(memory, MUG, id="d")
    memory.restore(first)
    memory.merge()
    memory._ledger.refresh()
    (stays,) = memory.procedures(status="active")
    lift = Worth(memory._ledger, "").procedure(stays.id, stays.revision.number)
    assert stays.id == second  # at its revision it was served most often
    assert (lift.served, lift.served_won) == (2, 1)


def test_erasing_what_was_merged_takes_the_merge_back(made):
    memory = made(update="vanilla")
    for id in ("a", "b"):
        memory.record(trajectory(id=id))
    memory.update()
    memory.merge()
    first, second = [procedure.id for procedure in memory.procedures()]
    memory.forget("a", hard=True)
    assert [procedure.id for procedure in memory.procedures()] == [second]
    back = memory.get(second)
    assert (back.status, back.revision.evidence) == ("active", ("b",))
    assert memory.store.check() == []
    assert first not in memory.get(second).model_dump_json()


def test_pinned_ones_are_never_merged(made):
    memory = made(update="vanilla")
    for id in ("a", "b"):
        memory.record(trajectory(id=id))
    memory.update()
    memory.pin(next(memory.procedures()).id)
    assert memory.merge().into == {}


THINGS = ("mug", "plate", "spoon", "letter", "candle", "carrot", "towel", "hammer")


def served(memory, thing, reward, times):
    for _ in range(times):
        play(memory, f"put the {thing} away", reward=reward, actions=(f"take {thing} 1", f"drop {thing} 1"))


def filled(made, **options):
    memory = made(k=1, ids=counter(), **options)
    for thing in THINGS:
        memory.record(trajectory(f"put the {thing} away", actions=(f"take {thing} 1", f"drop {thing} 1"), id=thing))
    memory.update()
    return memory


def active(memory):
    return {procedure.revision.evidence[0] for procedure in memory.procedures(status="active")}


def test_what_is_worth_least_makes_room(made):
    memory = filled(made)
    served(memory, "mug", 1.0, 6)  # the oldest of all, and the most useful
    served(memory, "spoon", 0.0, 6)
    served(memory, "plate", 1.0, 2)
    memory._memory.capacity = Capacity(count=5, grace=0.0)
    receipt = memory.update()
    assert len(receipt.retired) == 3
    assert {"mug", "plate"} <= active(memory)
    gone = {p.revision.evidence[0] for p in memory.procedures(status="retired")}
    assert gone == {"spoon", "letter", "candle"}  # what fails, and of those never used the older ones
    reason = memory.get(receipt.retired[0]).revision.reason
    assert "8 procedures are more than 5" in reason
    assert "times as often as its family, used 6.0 times lately" in reason
    memory.restore(receipt.retired[0])
    assert memory.get(receipt.retired[0]).status == "active"


def test_what_fails_goes_before_what_works_as_often(made):
    memory = filled(made)
    for thing in THINGS:
        served(memory, thing, 0.0 if thing == "towel" else 1.0, 4)
    memory._memory.capacity = Capacity(count=7, grace=0.0)
    memory.update()
    assert active(memory) == set(THINGS) - {"towel"}


def test_the_newest_are_spared_and_the_pinned_stay(made):
    memory = filled(made)
    pinned = next(memory.procedures())
    memory.pin(pinned.id)
    memory._memory.capacity = Capacity(count=3, grace=0.25)
    memory.update()
    assert active(memory) == {"mug", "towel", "hammer"}


@pytest.mark.parametrize("kind", ["bytes", "tokens"])
def test_bytes_and_tokens(made, kind):
    memory = filled(made)
    size = {
        "bytes": lambda p: len(p.content.model_dump_json().encode()),
        "tokens": lambda p: p.revision.tokens,
    }[kind]
    total = sum(map(size, memory.procedures()))
    memory._memory.capacity = Capacity(**{kind: total // 2})
    memory.update()
    left = [size(p) for p in memory.procedures(status="active")]
    assert total // 2 - max(left) - 10 <= sum(left) <= total // 2


def test_each_procedure_is_measured_once_however_many_go(made):
    memory, measured = filled(made), []

    class Counting(Capacity):
        def sizes(self, procedure):
            measured.append(procedure.id)
            return super().sizes(procedure)

    memory._ledger.refresh()
    held = list(memory.procedures())
    going = victims(held, Counting(count=1, bytes=1), memory._ledger, Worth(memory._ledger, ""))
    assert len(going) == len(held) == len(THINGS)  # nothing is as small as one byte
    assert sorted(measured) == sorted(procedure.id for procedure in held)
    assert going[0][1].startswith(f"{len(THINGS)} procedures are more than 1; ")
    assert " bytes are more than 1; " in going[-1][1]


def test_what_is_retired_is_not_read_to_make_room(made):
    class Reading(SqliteStore):
        def find(self, namespace, ids):
            read.extend(ids)
            return super().find(namespace, ids)

    memory, read = filled(made), []
    gone = next(memory.procedures()).id
    memory.retire(gone, reason="for the test")
    with closing(Reading(memory.store.path)) as store:
        held = Forgetting(store, memory.namespace, ticking(), counter())
        assert len(held.make_room(Capacity(tokens=1)).retired) == len(THINGS) - 1
        assert gone not in read


def test_duplicates_make_room_first(made):
    memory = filled(made)
    served(memory, "mug", 1.0, 1)
    memory.record(trajectory("put the mug away", actions=("take mug 2", "drop mug 2"), id="again"))
    memory.update()
    memory._memory.capacity = Capacity(count=8)
    receipt = memory.update()
    assert active(memory) == set(THINGS)
    assert (len(receipt.retired), len(receipt.revised)) == (1, 1)


def test_another_namespace_is_left_alone(made):
    memory, other = filled(made), made(namespace="other")
    for thing in THINGS:
        other.record(trajectory(f"put the {thing} away", id=thing))
    other.update()
    memory._memory.capacity = Capacity(count=1)
    memory.update()
    assert len(active(other)) == len(THINGS)


def test_on_the_command_line(made, tmp_path):
    memory = filled(made, update="vanilla")
    play(memory, SECRET, id="s")
    memory.update()
    memory.close()
    path = str(tmp_path / "m.db")

    def run(*arguments, **more):
        return CliRunner().invoke(command, [*arguments, "-m", path], **more)

    asked = run("forget", "--task", SECRET, "--hard", input="n\n")
    assert asked.exit_code == 1
    assert run("forget", "--task", SECRET).output.startswith("1 procedures retired")
    done = run("forget", "--task", SECRET, "--hard", "--yes")
    assert done.exit_code == 0, done.output
    assert "erased for good: 1 trajectories, 1 procedures" in done.output
    assert "found none" in done.output
    assert run("forget", "--hard").exit_code == 2
    assert run("merge").output.startswith("0 procedures were merged")
    assert "trajectories compacted" in run("compact").output
    assert run("compact", "--json").output.startswith("{")
