"""What the paper's official code gets wrong, one test per defect; each would fail on the defect.

Some are covered in more depth elsewhere; here they stand together, named after the defect.
"""

import os
import re
from pathlib import Path

import pytest

import memp
from loopkit import MUG, script_reply, trajectory
from memp.build.prompt import load_prompt
from memp.errors import ProviderDown
from memp.recall import Recall
from memp.testing.chat import CharEmbedder, ScriptedChat
from memp.update import Discard


async def learn(memory, *trajectories):
    for one in trajectories:
        await memory.record(one)
    return await memory.update()


async def fail(memory, task=MUG, times=1):
    for n in range(times):
        recall = await memory.retrieve(task)
        await memory.record(trajectory(task=f"{task} ({'abc'[n]})", actions=("sing",), reward=0.0), recall)


async def test_duplicates_do_not_share_the_first_ones_reward(open_memory):
    """There: reward credited by position of the first equal memory."""
    memory = open_memory(update="vanilla", k=1)
    await learn(memory, trajectory(), trajectory())  # two equal memories
    first, second = memory.procedures()
    memory.retire(first.id, reason="so that the second is served")
    await fail(memory)
    assert (memory.get(first.id).served, memory.get(second.id).served) == (0, 1)
    assert [(served, won) for _, served, won in memory.history(first.id)] == [(0, 0), (0, 0)]


async def test_all_k_are_credited_and_revised_not_only_the_top_one(open_memory):
    """There: only the top-1 of k retrieved memories."""
    memory = open_memory(k=3)
    await learn(memory, *(trajectory(task=f"{MUG} {n}", actions=(f"go {n}",)) for n in "abc"))
    await fail(memory)
    assert [p.served for p in memory.procedures()] == [1, 1, 1]
    await memory.update()
    assert [p.revision.number for p in memory.procedures()] == [2, 2, 2]


async def test_a_repaired_memory_is_not_deleted_on_old_evidence(open_memory):
    """There: counters are not reset after a rewrite."""
    memory = open_memory()
    await learn(memory, trajectory())
    (procedure,) = memory.procedures()
    await fail(memory, times=3)
    await memory.update()
    assert memory.get(procedure.id).served == 0
    assert memory.discard(Discard(served=3, success=0.5)).retired == ()
    assert [served for _, served, _ in memory.history(procedure.id)] == [3, 0, 0, 0]


async def test_a_revision_keeps_the_history(open_memory):
    """There: the memory is overwritten."""
    memory = open_memory()
    await learn(memory, trajectory())
    (before,) = memory.procedures()
    await fail(memory)
    await memory.update()
    (first, _, _), (second, _, _) = memory.history(before.id)
    assert first == before.revision
    assert second.content != first.content
    assert memory.undo(before.id).content == first.content


async def test_a_second_failure_of_the_same_memory_in_one_group_is_not_lost(open_memory):
    """There: the memory is found by its exact text, which the first failure has changed."""
    memory = open_memory()
    await learn(memory, trajectory())
    await fail(memory, times=2)
    await memory.update()
    (procedure,) = memory.procedures()
    assert procedure.revision.number == 3
    assert any("(a)" in text for text in procedure.script.pitfalls)
    assert any("(b)" in text for text in procedure.script.pitfalls)


async def test_two_memories_of_the_same_name_keep_their_own_facts(open_memory):
    """There: vectors of facts are keyed by a name that is not unique."""
    memory = open_memory(retrieve="avefact", update="vanilla", floor=-1)
    for what in ("mug", "egg"):
        await memory.record(trajectory(task="the same task", facts={"what": what}))
    await memory.update()
    recall = await memory.retrieve("new", facts={"what": "egg"})
    assert [(r.procedure.content.facts["what"], r.score == 1) for r in recall.ranked] == [("egg", True), ("mug", False)]


@pytest.mark.parametrize("policy", ["random", "query", "avefact"])
async def test_new_memories_are_visible_at_once(open_memory, policy):
    """There: vectors come from a pickle that is never refreshed."""
    memory, other = open_memory(retrieve=policy, floor=-1, k=9), open_memory()
    await memory.retrieve(MUG)
    await learn(memory, trajectory())
    assert len((await memory.retrieve(MUG)).ranked) == 1
    await learn(other, trajectory(task="put a clean cup on the shelf"))
    assert len((await memory.retrieve(MUG)).ranked) == 2


async def test_a_failure_of_a_worker_is_reported_and_nothing_is_lost(open_memory):
    """There: exceptions of workers are printed and the item is gone."""
    memory = open_memory(model=ScriptedChat([ProviderDown("overloaded", provider="p", status=529)] * 2))
    told = [trajectory(task=f"task {n}") for n in range(2)]
    receipt = await learn(memory, *told)
    assert [s.subject for s in receipt.skipped] == [t.id for t in told]
    assert all("overloaded" in s.reason for s in receipt.skipped)
    assert [w.trajectory for w in memory.store.waiting("default")] == told


async def test_error_text_of_a_provider_is_never_stored_as_a_memory(open_memory):
    """There: what the API says when it fails becomes the script."""
    texts = ['{"error": {"message": "Rate limit reached"}}', "Error: 500 Internal Server Error", ""]
    memory = open_memory(model=ScriptedChat(texts))
    receipt = await learn(memory, trajectory())
    assert list(memory.procedures()) == []
    assert "given up" in receipt.skipped[0].reason


async def test_a_failure_without_a_retrieved_memory_is_kept_and_reported(open_memory):
    """There: it is dropped."""
    memory = open_memory()
    told = trajectory(reward=0.0)
    recall = await memory.retrieve(MUG)  # empty
    await memory.record(told, recall)
    receipt = await memory.update()
    assert receipt.skipped[0].subject == told.id
    assert memory.trajectory(told.id) == told


@pytest.mark.parametrize("policy", ["random", "query", "avefact"])
async def test_an_empty_memory_does_not_crash_and_every_policy_answers_with_the_same_type(open_memory, policy):
    """There: the index crashes, and the type depends on the policy."""
    memory = open_memory(retrieve=policy)
    assert type(await memory.retrieve(MUG)) is Recall
    assert await memory.update() == memory.receipts()[0]
    await learn(memory, trajectory())
    for procedure in memory.procedures():
        memory.retire(procedure.id, reason="empty again")
    recall = await memory.retrieve(MUG)
    assert (type(recall), recall.ranked) == (Recall, ())


def test_prompts_hold_no_solution_of_any_benchmark():
    """There: one benchmark's prompts with hand-written solutions are used on another."""
    for package, name in (("memp.build", "script"), ("memp.build", "facts"), ("memp.update", "adjust")):
        prompt = load_prompt(package, name)
        text = prompt.system + prompt.user
        assert not re.search(
            r"\b(fridge|microwave|lamp|sink|shelf|flight|hotel|restaurant|city)\b", text, re.IGNORECASE
        )
        assert prompt.label == f"{name}/{prompt.version}"
        assert re.fullmatch(r"\d+", prompt.version)


async def test_a_revision_prompt_shows_this_procedure_and_this_failure_only(open_memory):
    """There: solutions leak into the revision prompt."""
    await learn(open_memory(), trajectory(), trajectory(task="an unrelated secret", actions=("hush",)))
    model = ScriptedChat(lambda _: script_reply())
    memory = open_memory(model=model, k=1)
    await fail(memory)
    await memory.update()
    (call,) = model.calls
    asked = "\n".join(message.content for message in call.messages)
    assert MUG in asked
    assert "Action: sing" in asked
    assert "secret" not in asked
    assert "hush" not in asked


async def test_a_group_writes_what_is_new_and_nothing_else(open_memory):
    """There: the whole index and the whole file are written again for every group."""

    class Counting(CharEmbedder):
        texts = 0

        async def embed(self, texts):
            self.texts += len(texts)
            return await super().embed(texts)

    memory = open_memory(embedder=(embedder := Counting()), update="vanilla")
    await learn(memory, *(trajectory(task=f"old task {n}") for n in range(100)))
    await memory.retrieve("x")
    embedder.texts, pages = 0, wal_pages(memory)
    await learn(memory, trajectory(task="new task"))
    await memory.retrieve("y")
    assert embedder.texts == 2  # the new task and the query
    assert wal_pages(memory) - pages < 40


def wal_pages(memory):
    """Pages written so far (the log is not folded back below 1,000)."""
    return Path(memory.store.path + "-wal").stat().st_size // 4096


async def test_a_write_is_whole_or_not_at_all(open_memory, monkeypatch):
    """There: files are rewritten in place; a crash leaves half a memory."""
    memory = open_memory()
    await learn(memory, *(trajectory(task=f"{MUG} {n}", actions=(f"go {n}",)) for n in "abc"))
    await fail(memory)
    write, calls = memory.store.write, []

    def dies(namespace, writes, **options):
        calls.append(len(writes))
        bad = writes[2].model_copy(update={"revision": writes[2].revision.model_copy(update={"number": 1})})
        return write(namespace, [*writes[:2], bad], **options)  # the third of three cannot be written

    monkeypatch.setattr(memory.store, "write", dies)
    with pytest.raises(memp.RecordError, match="cannot follow"):
        await memory.update()
    monkeypatch.undo()
    assert calls[0] == 3
    assert [p.revision.number for p in memory.procedures()] == [1, 1, 1]
    assert memory.stats().waiting == 1
    assert len((await memory.update()).revised) == 3


async def test_the_environment_is_left_as_it_was(open_memory):
    """There: keys in the environment are overwritten."""
    before = dict(os.environ)
    memory = open_memory(model=ScriptedChat(lambda _: script_reply()))
    await learn(memory, trajectory())
    await memory.retrieve(MUG)
    assert dict(os.environ) == before
    library = Path(memp.__file__).parent
    written = re.compile(r"os\.environ\s*\[[^\]]+\]\s*=|os\.putenv|environ\.update|environ\.setdefault")
    assert [str(p) for p in library.rglob("*.py") if written.search(p.read_text(encoding="utf-8"))] == []
