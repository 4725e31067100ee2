"""After a change of the world, what was learned before it retires, unless it still works."""

from loopkit import counter, ticking, trajectory
from memp import ProceduralMemory
from memp.evidence import Drift

THINGS = ("mug", "plate", "spoon", "letter")


def opened(tmp_path, **more):
    options = {"clock": ticking(), "ids": counter(), **more}
    return ProceduralMemory(tmp_path / "m.db", build="script", update="validation", k=1, drift=Drift(), **options)


def play(memory, thing, reward, **more):
    task = f"put the {thing} away"
    done = trajectory(task, (f"take {thing} 1", f"drop {thing} 1"), reward, tags={"family": "put"}, **more)
    memory.record(done, memory.retrieve(task))


def lived(memory, *, still=("plate",)):
    """Learn, work for a time, then have all but what is in `still` fail."""
    for thing in THINGS:
        play(memory, thing, 1.0, id=f"first {thing}")
    memory.update()
    for _ in range(12):
        for thing in THINGS:
            play(memory, thing, 1.0)
    assert memory.update().retired == ()
    for _ in range(5):
        for thing in THINGS:
            play(memory, thing, float(thing in still))


def test_what_does_not_work_any_more_retires(tmp_path):
    with opened(tmp_path) as memory:
        lived(memory)
        receipt = memory.update()
        left = {p.task for p in memory.procedures(status="active")}
        assert left == {"put the plate away"}
        assert len(receipt.retired) == 3
        revision = memory.get(receipt.retired[0]).revision
        assert revision.author.policy == "drift"
        assert revision.reason.startswith("the world seems to have changed at 2026-01-01")
        assert "99 % were won before" in revision.reason


def test_a_process_that_starts_later_does_not_act_on_the_change_again(tmp_path):
    """Or it would retire what was confirmed when the change was noticed, and failed by chance long after."""
    with opened(tmp_path) as memory:
        lived(memory)
        assert len(memory.update().retired) == 3
        for _ in range(6):
            play(memory, "plate", 0.0)
        assert memory.update().retired == ()
    with opened(tmp_path, ids=counter("later")) as memory:
        play(memory, "plate", 0.0)
        assert memory.update().retired == ()
        assert [p.task for p in memory.procedures(status="active")] == ["put the plate away"]


def test_a_process_that_starts_later_acts_on_a_change_that_nobody_acted_on(tmp_path):
    with opened(tmp_path) as memory:
        lived(memory)
    with opened(tmp_path, ids=counter("later")) as memory:
        assert len(memory.update().retired) == 3


def test_what_is_pinned_stays(tmp_path):
    with opened(tmp_path) as memory:
        play(memory, "mug", 1.0)
        memory.update()
        id = next(memory.procedures()).id
        memory.pin(id)
        lived(memory)
        memory.update()
        assert memory.get(id).status == "active"


def test_what_is_learned_after_it_is_served(tmp_path):
    with opened(tmp_path) as memory:
        lived(memory, still=())
        memory.update()
        assert list(memory.procedures(status="active")) == []
        memory.record(trajectory("put the mug away", ("take mug 1 from shelf 2", "drop mug 1")))
        memory.update()
        (served,) = memory.retrieve("put the mug away").ranked
        assert served.procedure.script.steps[0] == "take mug from shelf"
