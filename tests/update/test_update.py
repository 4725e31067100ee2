"""U(M, E, tau): the three policies, discarding, and what goes wrong on the way."""

import asyncio

import pytest

from loopkit import MUG, counter, script_reply, ticking, trajectory
from memp.build import Built
from memp.errors import AuthError, BadRequest, BudgetExceeded, Conflict, ProviderDown, RecordError, UnknownName
from memp.memory import AsyncProceduralMemory
from memp.models.metered import Budget, Meter
from memp.records import Author, Content, Script
from memp.testing.chat import CharEmbedder, ScriptedChat
from memp.update import Add, Discard, Revise, Skip, UpdatePolicy, update_policy

FAILED = ("go to sink 1", "sing")


async def learn(memory, *trajectories):
    for one in trajectories:
        await memory.record(one)
    return await memory.update()


async def attempt(memory, task, reward, **options):
    """Retrieve, act, record."""
    recall = await memory.retrieve(task, **options)
    told = trajectory(task=task, actions=FAILED if reward == 0 else ("go to sink 1", "win"), reward=reward)
    await memory.record(told, recall)
    return told, recall


def reasons(receipt):
    return {skipped.subject: skipped.reason for skipped in receipt.skipped}


# -- the policies ----------------------------------------------------------------------------------


async def test_vanilla_appends_successes_failures_and_repetitions(open_memory):
    memory = open_memory(update="vanilla")
    receipt = await learn(memory, trajectory(), trajectory(), trajectory(reward=0.0))
    assert len(receipt.added) == 3
    assert receipt.skipped == ()
    assert [p.built_from_success for p in memory.procedures()] == [True, True, False]
    assert (receipt.operation, receipt.policy) == ("update", "vanilla")
    assert memory.receipts()[0] == receipt


@pytest.mark.parametrize("policy", ["validation", "adjustment"])
async def test_validation_and_adjustment_keep_new_successes_only(open_memory, policy):
    memory = open_memory(update=policy)
    good, again, bad = trajectory(), trajectory(), trajectory(reward=0.2)
    other = trajectory(actions=("another way",))
    receipt = await learn(memory, good, again, bad, other)
    assert len(receipt.added) == 2
    assert "redundant: procedure " + receipt.added[0] in reasons(receipt)[again.id]
    assert "failed" in reasons(receipt)[bad.id]
    assert [p.revision.evidence for p in memory.procedures()] == [(good.id,), (other.id,)]
    assert "redundant" in (await learn(memory, trajectory())).skipped[0].reason  # also in a later group


async def test_validation_never_touches_what_is_there(open_memory):
    memory = open_memory(update="validation")
    await learn(memory, trajectory())
    told, _ = await attempt(memory, MUG, 0.0)
    receipt = await memory.update()
    assert receipt.revised == receipt.added == ()
    assert reasons(receipt) == {told.id: "failed; validation keeps successes only"}
    assert next(iter(memory.procedures())).revision.number == 1


async def test_what_counts_as_a_success_is_the_callers_choice(open_memory):
    memory = open_memory(update="validation", success_at=0.8)
    receipt = await learn(memory, trajectory(reward=0.79), trajectory(reward=0.8))
    assert len(receipt.added) == 1


async def test_adjustment_corrects_every_served_procedure_with_the_failure_as_evidence(open_memory):
    memory = open_memory()
    await learn(memory, *(trajectory(task=f"{MUG} {n}", actions=(f"go {n}", "wash", "end")) for n in "abc"))
    before = {p.id: p for p in memory.procedures()}
    told, recall = await attempt(memory, MUG, 0.0)
    assert len(recall.ranked) == 3
    receipt = await memory.update()
    assert set(receipt.revised) == {(id, 2) for id in before}
    assert receipt.added == ()
    for procedure in memory.procedures():
        old, new = before[procedure.id].revision, procedure.revision
        assert (new.number, new.parent, new.evidence) == (2, 1, (told.id,))
        assert new.author.policy == "adjustment"
        assert MUG in new.reason
        assert new.content.script.steps == old.content.script.steps
        assert new.content.trajectory_id == old.content.trajectory_id
        assert any("never achieved" in pitfall for pitfall in new.content.script.pitfalls)
        assert memory.history(procedure.id)[0][0] == old


async def test_two_failures_in_one_group_both_land_the_second_on_the_first(open_memory):
    memory = open_memory()
    await learn(memory, trajectory())
    one, _ = await attempt(memory, MUG, 0.0)
    two, _ = await attempt(memory, "put a dirty mug on the table", 0.0)
    receipt = await memory.update()
    (procedure,) = memory.procedures()
    assert receipt.revised == ((procedure.id, 2), (procedure.id, 3))
    assert [r.evidence for r, _, _ in memory.history(procedure.id)][1:] == [(one.id,), (two.id,)]
    pitfalls = procedure.script.pitfalls
    assert any(MUG in text for text in pitfalls)
    assert any("dirty mug" in text for text in pitfalls)


async def test_counters_start_afresh_and_the_old_revision_keeps_its_own(open_memory):
    memory = open_memory()
    await learn(memory, trajectory())
    for reward in (1.0, 1.0, 0.0):
        await attempt(memory, MUG, reward)
    await memory.update()
    (id,) = {p.id for p in memory.procedures() if p.task == MUG and p.revision.number == 2}
    assert [(r.number, served, won) for r, served, won in memory.history(id)] == [(1, 3, 2), (2, 0, 0)]
    assert (memory.get(id).served, memory.get(id).succeeded) == (0, 0)


async def test_credit_goes_to_the_revision_that_was_served(open_memory):
    memory = open_memory()
    await learn(memory, trajectory())
    recall = await memory.retrieve(MUG)  # revision 1
    await attempt(memory, MUG, 0.0)
    await memory.update()  # revision 2
    recorded = await memory.record(trajectory(task="late"), recall)
    (procedure,) = memory.procedures()
    assert recorded.outcome.credited == ((procedure.id, 1),)
    assert [(served, won) for _, served, won in memory.history(procedure.id)] == [(2, 1), (0, 0)]


async def test_failures_without_a_recall_are_kept_and_reported(open_memory):
    memory = open_memory()
    alone = trajectory(reward=0.0)
    await memory.record(alone)
    empty, _ = await attempt(memory, "another task", 0.0)
    receipt = await memory.update()
    assert reasons(receipt) == {
        alone.id: "failed, and no recall was recorded with it: kept as a trajectory, no procedure to correct",
        empty.id: "failed, and the recall was empty: kept as a trajectory, no procedure to correct",
    }
    assert list(memory.store.trajectories("default")) == [alone, empty]


async def test_a_retired_procedure_is_not_corrected(open_memory):
    memory = open_memory()
    await learn(memory, trajectory())
    await attempt(memory, MUG, 0.0)
    (procedure,) = memory.procedures()
    memory.retire(procedure.id, reason="test")
    assert reasons(await memory.update()) == {procedure.id: "retired: not corrected"}


class Forgetful:
    """A user's own policy: no inheritance."""

    name = "forgetful"

    async def changes(self, episode, tools):
        if episode.success:
            return [Skip(subject=episode.trajectory.id, reason="who cares")]
        built = await tools.build(episode.trajectory)
        content = Content(task="renamed", script=Script(goal="g", steps=("s",)))
        new = Built(content=content, author=Author(policy=self.name))
        return [
            Add(built=built, reason="a warning"),
            *(Revise(procedure=procedure, built=new, reason="renamed") for procedure in episode.served),
        ]


async def test_a_users_own_policy(open_memory):
    assert isinstance(Forgetful(), UpdatePolicy)
    memory = open_memory(update=Forgetful())
    receipt = await learn(memory, trajectory(), trajectory(reward=0.0))
    assert len(receipt.added) == len(receipt.skipped) == 1
    await attempt(memory, MUG, 0.0)
    receipt = await memory.update()
    assert receipt.policy == "forgetful"
    assert len(receipt.revised) == 1
    assert memory.search("renamed")[0].revision.author.policy == "forgetful"


def test_an_unknown_name_names_the_nearest():
    with pytest.raises(UnknownName, match="Did you mean adjustment"):
        update_policy("adjustement")


# -- discarding ------------------------------------------------------------------------------------


async def served_and_failed(memory, times):
    for n in range(times):
        recall = await memory.retrieve(MUG)
        await memory.record(trajectory(task=f"try {n}", reward=0.0), recall)


@pytest.mark.parametrize("policy", ["vanilla", "validation", "adjustment"])
async def test_no_policy_ever_discards_by_itself(open_memory, policy):
    memory = open_memory(update=policy)
    await learn(memory, trajectory())
    await served_and_failed(memory, 6)
    receipt = await memory.update()
    assert receipt.retired == ()
    assert all(p.status == "active" for p in memory.procedures())


async def test_discard_is_a_step_of_its_own_with_the_papers_bound(open_memory):
    memory = open_memory(update="validation")
    await learn(memory, trajectory())
    (procedure,) = memory.procedures()
    await served_and_failed(memory, 2)
    assert memory.discard().retired == ()  # 2 < 3
    await memory.record(trajectory(task="won"), await memory.retrieve(MUG))
    assert memory.discard().retired == (procedure.id,)  # 1 of 3 < 0.5
    assert memory.receipts()[0].operation == "discard"
    (revision, _, _) = memory.history(procedure.id)[-1]
    assert (revision.status, revision.author.policy) == ("retired", "discard")
    assert revision.reason == "served 3 times with 1 successes, below 0.5 after at least 3"
    assert (await memory.retrieve(MUG)).ranked == ()
    memory.restore(procedure.id)
    assert memory.discard().retired == ()  # afresh
    assert len((await memory.retrieve(MUG)).ranked) == 1


async def test_half_is_not_below_half(open_memory):
    memory = open_memory(update="validation")
    await learn(memory, trajectory())
    for reward in (0.0, 0.0, 1.0, 1.0):
        await memory.record(trajectory(task="t", reward=reward), await memory.retrieve(MUG))
    assert memory.discard().retired == ()
    assert len(memory.discard(Discard(served=4, success=0.51)).retired) == 1


async def test_an_update_that_was_asked_to_discard_says_what_it_retired(open_memory):
    memory = open_memory(update="validation", discard=Discard(served=2, success=0.5))
    await learn(memory, trajectory())
    (procedure,) = memory.procedures()
    await served_and_failed(memory, 2)
    assert (await memory.update()).retired == (procedure.id,)
    assert memory.get(procedure.id).revision.author.policy == "discard"


async def test_a_repaired_procedure_is_not_discarded_on_old_evidence(open_memory):
    memory = open_memory(update="adjustment", discard=Discard(served=2, success=0.5))
    await learn(memory, trajectory())
    await served_and_failed(memory, 3)
    receipt = await memory.update()
    assert receipt.revised
    assert receipt.retired == ()


# -- curation --------------------------------------------------------------------------------------


async def test_undo_is_a_revision(open_memory):
    memory = open_memory()
    await learn(memory, trajectory())
    await attempt(memory, MUG, 0.0)
    await memory.update()
    (procedure,) = memory.procedures()
    undone = memory.undo(procedure.id, reason="not its fault")
    assert (undone.number, undone.parent, undone.reason) == (3, 2, "not its fault")
    history = [revision for revision, _, _ in memory.history(procedure.id)]
    assert history[2].content == history[0].content != history[1].content
    assert memory.undo(procedure.id, to=2).content == history[1].content
    with pytest.raises(RecordError, match="cannot return to revision 9; it is at 4"):
        memory.undo(procedure.id, to=9)
    await learn(memory, trajectory(task="new", actions=("x",)))
    fresh = next(p for p in memory.procedures() if p.task == "new")
    with pytest.raises(RecordError, match="only its first revision"):
        memory.undo(fresh.id)


async def test_retire_and_restore(open_memory):
    memory = open_memory()
    await learn(memory, trajectory())
    (procedure,) = memory.procedures()
    memory.retire(procedure.id[:8], reason="outdated")
    assert list(memory.procedures(status="active")) == []
    with pytest.raises(RecordError, match="retired already"):
        memory.retire(procedure.id, reason="again")
    assert memory.restore(procedure.id).number == 3
    assert memory.get(procedure.id).content == procedure.content
    with pytest.raises(RecordError, match="no procedure 'nobody'"):
        memory.get("nobody")


# -- every t tasks ---------------------------------------------------------------------------------


async def test_every_t_updates_by_itself(open_memory):
    memory = open_memory(every=3)
    receipts = [(await memory.record(trajectory(task=f"task {n}"))).receipt for n in range(7)]
    assert [receipt is not None for receipt in receipts] == [False, False, True, False, False, True, False]
    assert len(receipts[2].added) == 3
    with pytest.raises(ValueError, match="every is 0"):
        open_memory(every=0)


async def test_what_an_update_had_to_leave_does_not_make_every_record_an_update(open_memory):
    model = ScriptedChat([ProviderDown("down", provider="p")] * 12)
    memory = open_memory(every=2, model=model)
    due = [(await memory.record(trajectory(task=f"task {n}"))).receipt for n in range(6)]
    assert [receipt is not None for receipt in due] == [False, True, False, True, False, True]
    assert len(model.calls) == 2 + 4 + 6
    assert memory.stats().waiting == 6
    assert len((await open_memory().update()).added) == 6


async def test_updates_of_one_memory_do_not_overlap(open_memory):
    class Slow(ScriptedChat):
        async def complete(self, *args, **options):
            await asyncio.sleep(0.01)
            return await super().complete(*args, **options)

    model = Slow(lambda _: script_reply())
    memory = open_memory(model=model)
    for n in range(4):
        await memory.record(trajectory(task=f"task {n}"))
    receipts = await asyncio.gather(memory.update(), memory.update())
    assert [len(receipt.added) for receipt in receipts] == [4, 0]
    assert len(model.calls) == 4


async def test_two_memories_on_one_file_take_each_trajectory_once(open_memory):
    one, two = (open_memory(ids=counter(prefix)) for prefix in "ab")
    for n in range(10):
        await one.record(trajectory(task=f"task {n}"))
    receipts = await asyncio.gather(one.update(), two.update())
    assert sum(len(receipt.added) for receipt in receipts) == 10
    assert sorted(p.task for p in one.procedures()) == [f"task {n}" for n in range(10)]


# -- models that fail ------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ProviderDown("down", provider="p", status=503), AuthError("no", provider="p")])
async def test_a_failed_provider_leaves_it_for_the_next_update(open_memory, error):
    memory = open_memory(model=ScriptedChat([error, script_reply()]))
    told = trajectory()
    receipt = await learn(memory, told)
    assert receipt.added == ()
    assert reasons(receipt)[told.id].startswith("left for the next update: p: ")
    assert memory.stats().waiting == 1
    assert len((await memory.update()).added) == 1


async def test_what_comes_after_a_passing_failure_waits_so_that_the_order_stays(open_memory):
    def answer(messages):
        if "task 1" in messages[1].content and down:
            raise down.pop()
        return script_reply()

    down = [ProviderDown("down", provider="p", status=503)]
    model = ScriptedChat(answer)
    memory = open_memory(model=model)
    receipt = await learn(memory, *(trajectory(task=f"task {n}") for n in range(4)))
    assert len(receipt.added) == 1
    assert len(receipt.skipped) == 3
    assert len(model.calls) == 4  # asked for at once; the replies are kept
    await memory.update()
    assert [p.task for p in memory.procedures()] == [f"task {n}" for n in range(4)]
    assert len(model.calls) == 5


async def test_a_refused_request_does_not_hold_up_the_others(open_memory):
    def answer(messages):
        if "task 1" in messages[1].content:
            raise BadRequest("too long", provider="p", status=400)
        return script_reply()

    memory = open_memory(model=ScriptedChat(answer))
    receipt = await learn(memory, *(trajectory(task=f"task {n}") for n in range(4)))
    assert len(receipt.added) == 3
    assert memory.stats().waiting == 1


async def test_a_budget_stops_before_the_next_call_and_keeps_everything(open_memory):
    meter = Meter(Budget(calls=2))
    model = ScriptedChat(lambda _: script_reply())
    memory = open_memory(model=model, meter=meter)
    receipt = await learn(memory, *(trajectory(task=f"task {n}") for n in range(5)))
    assert len(model.calls) == 2
    assert len(receipt.added) == 2
    assert len(receipt.skipped) == 3
    assert all("the cap of 2 calls is reached" in s.reason for s in receipt.skipped)
    assert receipt.usage["script"].calls == 2
    richer = open_memory(model=model)
    assert len((await richer.update()).added) == 3


async def test_one_unusable_correction_does_not_lose_the_others(open_memory):
    def answer(messages):
        return "no" if "task a" in messages[1].content.split("</procedure>")[0] else script_reply(goal="corrected")

    await learn(open_memory(), *(trajectory(task=f"task {n}", actions=(f"go {n}",)) for n in "abc"))
    memory = open_memory(model=ScriptedChat(answer))
    await attempt(memory, "task d", 0.0)
    receipt = await memory.update()
    assert sorted(p.task for p in memory.procedures() if p.script.goal == "corrected") == ["task b", "task c"]
    (skipped,) = receipt.skipped
    assert memory.get(skipped.subject).task == "task a"
    assert "given up: " in skipped.reason
    assert receipt.usage["adjust"].calls == 5
    assert memory.stats().waiting == 0


async def test_replies_that_were_paid_for_are_not_asked_for_again(open_memory):
    """A failure with three procedures served; the provider goes down after the second correction."""
    await learn(open_memory(), *(trajectory(task=f"task {n}", actions=(f"go {n}",)) for n in "abc"))
    first = ScriptedChat([script_reply(goal="one"), script_reply(goal="two"), ProviderDown("down", provider="p")])
    memory = open_memory(model=first)
    await attempt(memory, "task d", 0.0)
    assert (await memory.update()).revised == ()  # all or nothing
    assert [p.revision.number for p in memory.procedures()] == [1, 1, 1]
    second = ScriptedChat([script_reply(goal="three")])
    again = open_memory(model=second)  # another process
    receipt = await again.update()
    assert len(receipt.revised) == 3
    assert len(second.calls) == 1
    assert {p.script.goal for p in again.procedures()} == {"one", "two", "three"}


async def test_an_interrupted_update_goes_on_where_it_was_and_its_receipt_is_kept(open_memory):
    class Killed(BaseException):
        pass

    class Interrupts(ScriptedChat):
        async def complete(self, *args, **options):
            if len(self.calls) == 2:
                raise Killed
            return await super().complete(*args, **options)

    await learn(open_memory(), trajectory())
    memory = open_memory(model=Interrupts([script_reply(goal=f"goal {n}") for n in range(9)]))
    for n in range(3):
        await attempt(memory, f"{MUG} {n}", 0.0)
    with pytest.raises(Killed):
        await memory.update()
    (procedure,) = memory.procedures()
    assert memory.receipts()[0].revised == ((procedure.id, 2), (procedure.id, 3))
    assert memory.stats().waiting == 1
    model = ScriptedChat([script_reply(goal="last")])
    receipt = await open_memory(model=model).update()
    assert receipt.revised == ((procedure.id, 4),)


async def test_a_broken_policy_of_the_user_is_told_and_loses_nothing(open_memory):
    class Broken:
        name = "broken"

        async def changes(self, episode, tools):
            if episode.trajectory.task == "task 2":
                raise ZeroDivisionError
            return [Add(built=await tools.build(episode.trajectory), reason="r")]

    memory = open_memory(update=Broken())
    for n in range(4):
        await memory.record(trajectory(task=f"task {n}"))
    with pytest.raises(ZeroDivisionError):
        await memory.update()
    assert len(memory.receipts()[0].added) == 2
    assert memory.stats().waiting == 2
    assert len((await open_memory().update()).added) == 2


async def test_somebody_revises_the_procedure_while_the_model_thinks(open_memory):
    other = open_memory()
    await learn(other, trajectory())
    (procedure,) = other.procedures()

    def answer(messages):
        if len(model.calls) == 1:
            other.retire(procedure.id, reason="meanwhile")
            other.restore(procedure.id)
        return script_reply(goal=f"goal {len(model.calls)}")

    model = ScriptedChat(answer)
    memory = open_memory(model=model)
    await attempt(memory, MUG, 0.0)
    receipt = await memory.update()
    assert receipt.revised == ((procedure.id, 4),)
    assert [r.parent for r, _, _ in memory.history(procedure.id)] == [None, 1, 2, 3]
    assert len(model.calls) == 1  # what the procedure says had not changed: the reply still holds


async def test_a_procedure_that_keeps_changing_is_left(open_memory, monkeypatch):
    memory = open_memory()
    await learn(memory, trajectory())
    told, _ = await attempt(memory, MUG, 0.0)

    def busy(*args, **options):
        raise Conflict("again")

    monkeypatch.setattr(memory.store, "write", busy)
    assert reasons(await memory.update()) == {told.id: "left for the next update: its procedures keep changing"}
    monkeypatch.undo()
    assert len((await memory.update()).revised) == 1


async def test_the_same_inputs_give_the_same_memory(tmp_path):
    def contents(name):
        async def run():
            async with AsyncProceduralMemory(
                tmp_path / name, embedder=CharEmbedder(), ids=counter(), clock=ticking()
            ) as memory:
                for n in range(6):
                    recall = await memory.retrieve(f"task {n}")
                    told = trajectory(task=f"task {n}", id=f"t{n}", reward=float(n % 3 > 0))
                    await memory.record(told, recall)
                    if n % 2:
                        await memory.update()
                return [p.model_dump() for p in memory.procedures()], [r.model_dump() for r in memory.receipts()]

        return run()

    assert await contents("a.db") == await contents("b.db")


async def test_budget_in_retrieve_is_the_callers_to_handle(open_memory):
    await learn(open_memory(), trajectory())
    memory = open_memory(retrieve="avefact", model=ScriptedChat(["{}"]), meter=Meter(Budget(calls=0)))
    with pytest.raises(BudgetExceeded):
        await memory.retrieve("new")
