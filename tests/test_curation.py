"""A person pins, approves, rejects and undoes; every one of these is a revision."""

import json

import pytest
from click.testing import CliRunner

from loopkit import counter, ticking, trajectory
from memp import ProceduralMemory
from memp.errors import RecordError
from memp.update import Discard
from memp_bench.cli import main


@pytest.fixture
def memory(tmp_path):
    with ProceduralMemory(tmp_path / "m.db", approve=True, clock=ticking(), ids=counter()) as held:
        yield held


def learned(memory):
    """One procedure that a person has approved."""
    memory.record(trajectory())
    memory.update()
    (proposed,) = memory.queue()
    memory.approve(proposed.id)
    return proposed.id


def fail(memory, task="put a clean mug on the shelf"):
    memory.record(trajectory(task, ("go to sink 9",), reward=0.0), memory.retrieve(task))
    return memory.update()


def test_what_is_new_waits_and_is_not_served(memory):
    memory.record(trajectory())
    assert memory.update().queue == 1
    assert not memory.retrieve("put a clean mug on the shelf").ranked
    (waiting,) = memory.queue()
    assert waiting.status == "proposed"
    assert memory.approve(waiting.id).status == "active"
    assert memory.retrieve("put a clean mug on the shelf").ranked
    assert not list(memory.queue())


def test_procedures_of_a_status_or_of_several(memory):
    id = learned(memory)
    memory.record(trajectory("cool an egg", ("cool egg 1",)))
    memory.update()
    memory.record(trajectory("heat a pan", ("heat pan 1",)))
    memory.update()
    *_, last = memory.procedures()
    memory.retire(last.id, reason="for the test")
    assert [p.status for p in memory.procedures()] == ["active", "proposed", "retired"]
    assert [p.id for p in memory.procedures(status="active")] == [id]
    assert [p.status for p in memory.procedures(status=("retired", "active"))] == ["active", "retired"]
    assert not list(memory.procedures(status=()))


def test_a_correction_waits_while_the_old_revision_is_served(memory):
    id = learned(memory)
    before = memory.get(id).revision
    receipt = fail(memory)
    assert receipt.queue == 1
    head = memory.get(id)
    assert (head.status, head.revision.stands) == ("pending", before.number)
    (served,) = memory.retrieve("put a clean mug on the shelf").ranked
    assert served.procedure.revision == before
    again = fail(memory)  # the correction that waits is not corrected
    assert "pending: not corrected" in again.skipped[0].reason
    assert again.queue == 1


def test_approving_a_correction_serves_it(memory):
    id = learned(memory)
    fail(memory)
    correction = memory.get(id).content
    memory.approve(id, reason="right")
    (served,) = memory.retrieve("put a clean mug on the shelf").ranked
    assert served.procedure.content == correction
    assert [r.author.policy for r, _, _ in memory.history(id)] == [
        "proceduralization",
        "person",
        "adjustment",
        "person",
    ]


def test_rejecting_a_correction_returns_to_what_stood(memory):
    id = learned(memory)
    before = memory.get(id).content
    fail(memory)
    assert memory.get(id).content != before
    memory.reject(id)
    assert (memory.get(id).content, memory.get(id).status) == (before, "active")


def test_rejecting_a_new_procedure_retires_it(memory):
    memory.record(trajectory())
    memory.update()
    (waiting,) = memory.queue()
    assert memory.reject(waiting.id).status == "retired"
    with pytest.raises(RecordError, match="nothing of it waits"):
        memory.reject(waiting.id)


def test_a_pinned_procedure_is_left_alone_by_policies(tmp_path):
    with ProceduralMemory(tmp_path / "m.db", discard=Discard(served=1, success=1.0)) as memory:
        memory.record(trajectory())
        memory.update()
        (procedure,) = memory.procedures()
        memory.pin(procedure.id, reason="the house rule")
        receipt = fail(memory)
        assert "pinned: not corrected" in receipt.skipped[0].reason
        kept = memory.get(procedure.id)
        assert (kept.status, kept.content, kept.revision.pinned) == ("active", procedure.content, True)
        with pytest.raises(RecordError, match="pinned already"):
            memory.pin(procedure.id)
        memory.unpin(procedure.id)
        assert fail(memory).revised


def test_undo_since_returns_everything_and_retires_what_is_new(tmp_path):
    with ProceduralMemory(tmp_path / "m.db", clock=ticking()) as memory:
        memory.record(trajectory())
        memory.update()
        (old,) = memory.procedures()
        moment = memory._clock()
        fail(memory)
        memory.record(trajectory("cool an apple", ("go to fridge 1", "cool apple 1 with fridge 1")))
        memory.update()
        done = memory.undo_since(moment)
        assert len(done) == 2
        assert memory.get(old.id).content == old.content
        assert {p.status for p in memory.procedures() if p.id != old.id} == {"retired"}
        assert all("undo of everything since" in revision.reason for revision in done)
        assert memory.undo_since(memory._clock()) == []
        assert memory.store.check() == []


def run(*words):
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_commands(tmp_path):
    file = str(tmp_path / "m.db")
    with ProceduralMemory(file, approve=True) as memory:
        id = learned(memory)
        fail(memory)
        recall = memory.recalls(limit=1)[0]
    assert "1 changes wait" in run("stats", "--memory", file)
    assert id[:8] in run("memory", "queue", "--memory", file)
    assert json.loads(run("memory", "queue", "--json", "--memory", file))[0]["id"] == id
    assert "stands    revision 2 is served instead of it" in run("memory", "show", id, "--memory", file)
    assert "(active)" in run("memory", "approve", id, "--memory", file)
    assert "pinned" in run("memory", "pin", id[:8], "--memory", file)
    assert "pinned" in run("memory", "history", id, "--memory", file)
    assert "(active)" in run("memory", "unpin", id, "--memory", file)
    explained = run("why", recall.id[:10], "--memory", file)
    assert "lost (0)" in explained
    assert "won/served" in explained
    assert "cosine" in explained
    assert json.loads(run("why", "last", "--json", "--memory", file))["outcome"]["recall_id"] == recall.id
    assert recall.id[:8] in run("why", "--memory", file)
    assert "1 procedures were returned" in run("memory", "undo", "--since", "1h", "--memory", file)


@pytest.mark.parametrize("words", [["undo"], ["undo", "x", "--since", "2h"], ["undo", "--since", "yesterday"]])
def test_undo_needs_to_know_what(tmp_path, words):
    done = CliRunner().invoke(main, ["memory", *words, "--memory", str(tmp_path / "m.db")])
    assert done.exit_code == 2


def test_a_recall_that_is_not_there(tmp_path):
    file = tmp_path / "m.db"
    ProceduralMemory(file).close()
    done = CliRunner().invoke(main, ["why", "nothing", "--memory", str(file)])
    assert done.exit_code == 1
    assert "`memp why` lists them" in done.output
