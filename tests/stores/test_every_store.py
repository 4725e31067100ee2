"""What a memory that proves it helps promises, on every store: nothing of it may depend on where it is kept."""

import pytest

from loopkit import MUG, OnlyWithoutRecall, counter, ticking, trajectory
from memp import ProceduralMemory
from memp.errors import RecordError
from memp.evidence import Drift
from memp.forgetting import Capacity
from memp.records import Step, Trajectory
from memp.stores.base import Checks
from memp.stores.postgres import PostgresStore
from memp.stores.sqlite import SqliteStore
from memp.testing.chat import CharEmbedder
from memp.testing.store import MemoryStore
from memp.update import Adjustment, Guard, Skip

STORES = ("sqlite", "memory", "postgres")


@pytest.fixture(params=STORES)
def made(request, tmp_path):
    """Makes memories, clients of one store each; they are closed at the end."""
    opened, shared = [], MemoryStore()
    url = request.getfixturevalue("url") if request.param == "postgres" else None

    def client():
        if request.param == "memory":
            return shared.client()
        return SqliteStore(tmp_path / "memory.db") if url is None else PostgresStore(url)

    def make(**options):
        options = {"embedder": CharEmbedder(), "clock": ticking(), "ids": counter(f"m{len(opened)}-"), **options}
        opened.append(ProceduralMemory(client(), **options))
        return opened[-1]

    yield make
    for memory in opened:
        memory.close()


class NothingWon(Adjustment):
    """Corrects, and learns nothing new from successes with a recall."""

    async def changes(self, episode, tools):
        if episode.success and episode.had_recall:
            return [Skip(subject=episode.trajectory.id, reason="won")]
        return await super().changes(episode, tools)


def learned(memory, *tasks):
    for task in tasks:
        memory.record(trajectory(task, (f"do {task}",), id=f"first {task}"))
    memory.update()
    return [procedure.id for procedure in memory.procedures()]


def attempt(memory, task, reward, actions=("act",), **more):
    recall = memory.retrieve(task)
    memory.record(trajectory(task, actions, reward, **more), recall)
    return recall


def served(items):
    return [(item.procedure.id, item.procedure.revision, item.score, item.why) for item in items]


def whole(memory):
    """The store is sound, and all it holds as text."""
    assert not isinstance(memory.store, Checks) or memory.store.check() == []
    return "\n".join(entry.model_dump_json() for entry in memory.store.dump(memory.namespace))


# -- evidence ------------------------------------------------------------------------------------------


def test_what_is_withheld_is_logged_and_credits_nobody(made):
    memory = made(holdout=0.4, update=OnlyWithoutRecall(), agent="m1", k=1)
    (id,) = learned(memory, MUG)
    recalls = [attempt(memory, f"{MUG}, number {n}", float(n % 3 > 0)) for n in range(40)]
    memory.update()
    kept_back = [recall for recall in recalls if recall.withheld]
    assert 8 <= len(kept_back) <= 24
    logged = {recall.id: recall for recall in memory.recalls(limit=100)}
    outcomes = {outcome.recall_id: outcome for outcome in memory.outcomes(limit=100)}
    for recall in recalls:
        there, outcome = logged[recall.id], outcomes[recall.id]
        assert (served(there.ranked), served(there.withheld)) == (served(recall.ranked), served(recall.withheld))
        assert there.note == recall.note
        assert outcome.credited == (((id, 1),) if recall.ranked else ())
        assert outcome.withheld == (((id, 1),) if recall.withheld else ())
    assert memory.get(id).served == len(recalls) - len(kept_back)
    (lift,) = made(agent="m1").evidence().procedures  # another client says the same
    assert (lift.served, lift.withheld) == (len(recalls) - len(kept_back), len(kept_back))
    won = sum(outcome.success for outcome in outcomes.values() if outcome.withheld)
    assert lift.withheld_won == won


def test_what_does_harm_is_quarantined(made):
    memory = made(holdout=0.3, update=OnlyWithoutRecall(), agent="m1", k=1)
    good, bad = learned(memory, "wash the dishes", "repair an engine")
    for n in range(40):
        for task, rate in (("wash the dishes", 1), ("repair an engine", 0)):
            recall = memory.retrieve(f"{task}, number {n}")
            won = float(rate if recall.ranked else n % 2)
            memory.record(trajectory(f"{task}, number {n}", ("act",), won, tags={"family": task}), recall)
        if (receipt := memory.update()).quarantined:
            break
    assert receipt.quarantined == (bad,)
    assert memory.get(good).status == "active"
    other = made()
    assert other.get(bad).status == "quarantined"
    assert bad not in {item.procedure.id for item in other.retrieve("repair an engine").ranked}
    whole(memory)


# -- corrections ---------------------------------------------------------------------------------------

TASK = "put a hot pan on the desk"
ACTIONS = ("go to rack 1", "take pan 1 from rack 1", "go to stove 1", "heat pan 1 with stove 1", "go to desk 1")
LOST = (*ACTIONS[:4], "go to kiln 1", "heat pan 1 with kiln 1")
"""The stove does not heat; the kiln does, but too late."""


def played(actions, reward, refused=(), task=TASK):
    steps = [
        Step(
            action=a, observation="Nothing happens." if a in refused else "ok", error="agent" if a in refused else None
        )
        for a in actions
    ]
    return Trajectory(task=task, start="You see a rack, a stove, a kiln, a desk.", steps=steps, reward=reward)


def corrected(made):
    """A memory whose one procedure has a correction on trial."""
    memory = made(build="script", guard=Guard(), update=NothingWon())
    memory.record(played(ACTIONS, 1.0))
    memory.update()
    memory.record(played(LOST, 0.0, refused=ACTIONS[3:4]), memory.retrieve(TASK))
    receipt = memory.update()
    (id,) = [procedure.id for procedure in memory.procedures()]
    assert receipt.revised == ((id, 2),)
    return memory, id


def test_blame_corrects_the_step_and_tries_it_beside_the_old_one(made):
    memory, id = corrected(made)
    head = memory.get(id)
    assert (head.status, head.revision.stands) == ("probation", 1)
    assert "step 4 (heat pan with stove) was tried as written" in head.revision.reason
    assert "heat pan with kiln" in head.script.steps
    other = made(guard=Guard())
    numbers = {other.retrieve(f"{TASK}, number {n}").ranked[0].procedure.revision.number for n in range(20)}
    assert numbers == {1, 2}
    memory.record(played(("go to kiln 1", "go to desk 1"), 0.0), memory.retrieve(TASK))
    (skipped,) = memory.update().skipped
    assert memory.get(id).revision.number == 2, skipped.reason


@pytest.mark.parametrize(("with_it", "ends", "says"), [(1.0, "promoted", "kiln"), (0.0, "withdrawn", "stove")])
def test_a_trial_ends_with_promotion_or_withdrawal(made, with_it, ends, says):
    memory, id = corrected(made)
    for n in range(20):
        task = f"{TASK}, number {n}"
        recall = memory.retrieve(task)
        reward = with_it if recall.ranked[0].procedure.revision.number == 2 else 1.0 - with_it
        memory.record(played(("look", f"act {n}"), reward, task=task), recall)
        memory.update()
        if memory.get(id).status == "active":
            break
    head = made().get(id)
    assert head.revision.reason.startswith(f"{ends}: ")
    assert head.revision.author.policy == "trial"
    assert says in " ".join(head.script.steps)
    whole(memory)


# -- bounds --------------------------------------------------------------------------------------------


def test_what_is_worth_least_makes_room(made):
    memory = made(k=1, update=OnlyWithoutRecall())
    learned(memory, "fetch the mug", "sweep the hall", "boil an egg", "fold a shirt")
    for task, won, times in (("fetch the mug", 1.0, 6), ("boil an egg", 0.0, 6), ("fold a shirt", 1.0, 3)):
        for _ in range(times):
            attempt(memory, task, won)
    memory._memory.capacity = Capacity(count=2, grace=0.0)
    assert len(memory.update().retired) == 2
    kept = made(k=4).retrieve("fetch the mug").ranked
    assert {item.procedure.task for item in kept} == {"fetch the mug", "fold a shirt"}
    whole(memory)


def test_near_duplicates_become_one_and_undo_takes_it_back(made):
    memory = made(build="script", update="vanilla", k=1)
    for id in ("a", "b"):
        memory.record(trajectory(id=id))
    memory.update()
    first, second = [procedure.id for procedure in memory.procedures()]
    attempt(memory, MUG, 1.0, id="c")
    assert dict(memory.merge().into) == {first: (second,)}
    stays, gone = memory.get(first), memory.get(second)
    assert stays.revision.evidence == ("a", "b")
    assert (gone.status, gone.revision.reason) == ("retired", f"merged into {first}")
    memory.restore(second)
    memory.undo(first)
    assert {procedure.id for procedure in made().procedures(status="active")} == {first, second}
    assert memory.get(first).content == stays.content
    whole(memory)


def test_what_stops_working_after_a_change_retires(made):
    memory = made(k=1, update=OnlyWithoutRecall(), drift=Drift())
    tasks = ("fetch the mug", "sweep the hall", "boil an egg")
    learned(memory, *tasks)
    for before in (True, False):
        for _ in range(12 if before else 6):
            for task in tasks:
                attempt(memory, task, float(before or task == "sweep the hall"), tags={"family": "home"})
        receipt = memory.update()
        assert len(receipt.retired) == (0 if before else 2)
    assert [procedure.task for procedure in made().procedures(status="active")] == ["sweep the hall"]
    assert memory.get(receipt.retired[0]).revision.author.policy == "drift"
    whole(memory)


# -- a person ------------------------------------------------------------------------------------------


def test_a_person_approves_rejects_pins_and_undoes(made):
    memory = made(approve=True, clock=(clock := ticking()))
    memory.record(trajectory())
    assert memory.update().queue == 1
    assert not made().retrieve(MUG).ranked
    (id,) = [waiting.id for waiting in memory.queue()]
    memory.approve(id)
    moment = clock()
    stood = memory.get(id).content
    attempt(memory, MUG, 0.0, ("go to sink 9",))
    memory.update()
    assert (memory.get(id).status, memory.get(id).revision.stands) == ("pending", 2)
    assert made().retrieve(MUG).ranked[0].procedure.content == stood
    memory.reject(id)
    memory.pin(id)
    attempt(memory, MUG, 0.0, ("go to sink 9",))
    assert "pinned: not corrected" in memory.update().skipped[0].reason
    memory.unpin(id)
    numbers = [revision.number for revision, _, _ in memory.history(id)]
    assert numbers == list(range(1, len(numbers) + 1)), "every change is a revision"
    memory.undo_since(moment)
    assert (memory.get(id).content, memory.get(id).status) == (stood, "active")
    assert len(memory.history(id)) == len(numbers) + 1
    with pytest.raises(RecordError, match="nothing to approve"):
        memory.approve(id)
    whole(memory)


# -- forgetting ----------------------------------------------------------------------------------------

MARKER = "frobozzmarker"
SECRET = f"put the {MARKER} on the shelf"


def test_forgetting_for_good_leaves_no_trace(made):
    memory, other = made(build="script", k=2), made(build="script", k=2)
    for task in (SECRET, MUG):
        memory.record(trajectory(task, id=f"first {task == MUG}"))
    memory.update()
    for n in range(4):
        attempt(memory, (SECRET, MUG)[n % 2], float(n < 2), ("take it", f"put {(MARKER, 'mug')[n % 2]} 1 down"))
    memory.update()
    memory.store.save_draft("default", "k", f"a reply about {MARKER}")
    assert len(other.retrieve(SECRET, log=False).ranked) == 2
    under_way = memory.retrieve(MUG)
    assert MARKER in whole(memory)
    erased = memory.forget(task=SECRET, hard=True).erased
    assert erased.trajectories == 3
    assert erased.left == ()
    memory.record(trajectory(id="late"), under_way)  # served what is gone now
    assert MARKER not in whole(memory)
    for held in (memory, other):
        assert {item.procedure.task for item in held.retrieve(SECRET, log=False).ranked} == {MUG}
        assert list(held.store.search("default", MARKER, 5)) == []
    fingerprint = CharEmbedder().fingerprint
    assert SECRET not in memory.store.vectors(fingerprint, [SECRET, MUG], "default")
    (outcome,) = [o for o in memory.outcomes() if o.trajectory_id == "late"]
    assert all(memory.get(id).task == MUG for id, _ in outcome.credited)
