"""R(task): every policy through the memory."""

import asyncio

import numpy as np
import pytest

from loopkit import trajectory
from memp.errors import ModelError, RecordError, UnknownName
from memp.recall import Recall
from memp.retrieve import Hit, RetrievePolicy, retrieve_policy
from memp.testing.chat import CharEmbedder, ScriptedChat

POLICIES = ("random", "query", "avefact", "structure")
TASKS = (
    "put a clean mug on the shelf",
    "put a hot egg in the fridge",
    "look at a bowl under the desklamp",
    "cool some bread and put it on the table",
    "put two soap bars in the drawer",
)


async def filled(memory, tasks=TASKS, **more):
    for n, task in enumerate(tasks):
        await memory.record(trajectory(task=task, actions=(f"do {n}", "end"), **more))
    await memory.update()
    return memory


def served(recall):
    return [item.procedure.task for item in recall.ranked]


class Table:
    """An embedder with given vectors; unknown texts are zero."""

    fingerprint, dimensions = "table:3", 3

    def __init__(self, **vectors):
        self.vectors = vectors

    async def embed(self, texts):
        rows = np.array([self.vectors.get(text, (0, 0, 0)) for text in texts], dtype=np.float32).reshape(-1, 3)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return rows / np.where(lengths > 0, lengths, 1)

    async def close(self):
        pass


# -- what all policies have in common --------------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES)
async def test_an_empty_memory_gives_an_empty_recall_of_the_same_type(open_memory, policy):
    memory = open_memory(retrieve=policy, model=ScriptedChat([]))  # a model call would raise
    recall = await memory.retrieve("anything")
    assert type(recall) is Recall
    assert (recall.ranked, recall.left_out, recall.render(), recall.policy) == ((), (), "", policy)
    await memory.record(trajectory(), recall)
    assert memory.recall(recall.id) == recall


@pytest.mark.parametrize("policy", POLICIES)
async def test_at_most_k_with_a_reason_each_and_logged(open_memory, policy):
    memory = await filled(open_memory(retrieve=policy, floor=-1))
    recall = await memory.retrieve("put a clean mug on the table", k=3)
    assert len(recall.ranked) == 3
    assert all(item.why for item in recall.ranked)
    assert memory.recalls()[0] == recall
    assert len((await memory.retrieve(TASKS[0], k=99)).ranked) >= 4


@pytest.mark.parametrize("policy", POLICIES)
async def test_filters_by_status_success_and_namespace(open_memory, policy):
    memory = await filled(open_memory(retrieve=policy, update="vanilla", floor=-1, k=50))
    await filled(memory, ("put a failed thing on the shelf",), reward=0.0)
    other = await filled(open_memory(retrieve=policy, namespace="other", k=50), ("put another mug on the shelf",))
    retired = next(p for p in memory.procedures() if p.task == TASKS[0])
    memory.retire(retired.id, reason="test")

    async def found(**options):
        return set(served(await memory.retrieve("put a mug on the shelf", **options)))

    assert await found(status="retired") == {TASKS[0]}
    assert TASKS[0] in await found(status="any")
    assert TASKS[0] not in await found()
    assert "put a failed thing on the shelf" in await found()
    assert "put a failed thing on the shelf" not in await found(only_success=True)
    assert TASKS[0] not in await found(only_success=True)
    assert served(await other.retrieve("put a mug on the shelf")) == ["put another mug on the shelf"]
    with pytest.raises(UnknownName, match="status"):
        await memory.retrieve("put", status="gone")


async def test_bad_questions(open_memory):
    memory = open_memory()
    with pytest.raises(RecordError, match="empty"):
        await memory.retrieve("  \n")
    with pytest.raises(ValueError, match="k is 0"):
        await memory.retrieve("x", k=0)
    with pytest.raises(ValueError, match="k is 0"):
        open_memory(k=0)
    with pytest.raises(UnknownName, match="Did you mean query"):
        retrieve_policy("qurey")


class Last:
    """A user's own policy: no inheritance."""

    name, uses_facts = "last", False

    async def rank(self, query, index, hidden):
        rows = [row for row in range(len(index)) if hidden is None or not hidden[row]]
        return [Hit(index.ids[row], 1.0, "it is new") for row in rows[::-1][: query.k]]


async def test_a_users_own_policy(open_memory):
    assert isinstance(Last(), RetrievePolicy)
    memory = await filled(open_memory(retrieve=Last(), k=2))
    recall = await memory.retrieve("x")
    assert served(recall) == [TASKS[4], TASKS[3]]
    assert [item.why for item in recall.ranked] == ["it is new"] * 2


# -- query -----------------------------------------------------------------------------------------


async def test_query_ranks_by_cosine_and_says_so(open_memory):
    memory = open_memory(embedder=Table(new=(1, 0, 0), a=(1, 1, 0), b=(1, 0, 0), c=(0, 1, 0), d=(-1, 0, 0)))
    await filled(memory, "abcd")
    recall = await memory.retrieve("new")
    assert served(recall) == ["b", "a", "c"]
    assert [item.score for item in recall.ranked] == pytest.approx([1, 0.5**0.5, 0], abs=1e-6)
    assert recall.ranked[1].why == "cosine 0.707 with its task"
    (left,) = recall.left_out
    assert (left.score, left.why) == (-1.0, "score -1.000 is below the floor 0")
    assert served(await memory.retrieve("new", floor=0.7)) == ["b", "a"]
    assert served(await memory.retrieve("new", floor=-1.0)) == ["b", "a", "c", "d"]


async def test_ties_go_to_the_older_procedure(open_memory):
    memory = await filled(open_memory(update="vanilla"), ["the same task"] * 12)
    ids = [p.id for p in memory.procedures()]
    for _ in range(3):
        assert [item.procedure.id for item in (await memory.retrieve("the same task", k=5)).ranked] == ids[:5]


# -- random ----------------------------------------------------------------------------------------


async def test_random_is_seeded_and_independent_of_the_order_of_calls(open_memory, tmp_path):
    tasks = [f"task {n} of many" for n in range(30)]
    await filled(open_memory(), tasks)
    one, again, other = (open_memory(retrieve="random", seed=seed) for seed in (1, 1, 2))
    forwards = {task: served(await one.retrieve(task)) for task in tasks}
    backwards = {task: served(await again.retrieve(task)) for task in tasks[::-1]}
    assert forwards == backwards
    assert forwards != {task: served(await other.retrieve(task)) for task in tasks}
    assert len({tuple(names) for names in forwards.values()}) > 20
    drawn = {name for names in forwards.values() for name in names}
    assert len(drawn) > 25  # 150 draws of 30
    assert "seed 1" in (await one.retrieve("x")).ranked[0].why
    assert len((await one.retrieve("x", floor=0.9)).ranked) == 5  # chance has no score to fall below


# -- avefact ---------------------------------------------------------------------------------------


async def test_avefact_is_the_mean_over_shared_slots(open_memory):
    """By hand. New task: do=wash, what=mug, where=sink.

    one: do=wash (cos 1), what=cup (0.6)                -> shared do, what        -> (1 + 0.6) / 2 = 0.8
    two: do=wash (1), what=mug (1), where=shelf (0)      -> shared all three       -> 2 / 3
    three: what=mug (1), when=now                        -> shared what            -> 1
    four: when=now                                       -> shares nothing         -> dropped
    """
    vectors = Table(wash=(1, 0, 0), mug=(0, 1, 0), cup=(0.8, 0.6, 0), sink=(0, 0, 1), shelf=(1, 0, 0), now=(1, 1, 1))
    memory = open_memory(retrieve="avefact", embedder=vectors)
    for name, facts in {
        "one": {"do": "wash", "what": "cup"},
        "two": {"do": "wash", "what": "mug", "where": "shelf"},
        "three": {"what": "mug", "when": "now"},
        "four": {"when": "now"},
    }.items():
        await memory.record(trajectory(task=name, facts=facts))
    await memory.update()
    recall = await memory.retrieve("new", facts={"do": "wash", "what": "mug", "where": "sink"})
    assert [(item.procedure.task, round(item.score, 6)) for item in recall.ranked] == [
        ("three", 1.0),
        ("one", 0.8),
        ("two", round(2 / 3, 6)),
    ]
    assert recall.ranked[1].why == "mean cosine over 2 shared facts (do 1.00, what 0.60)"
    assert recall.facts == {"do": "wash", "what": "mug", "where": "sink"}


async def test_avefact_equals_a_plain_loop_over_facts(open_memory):
    embedder = CharEmbedder(32)
    memory = open_memory(retrieve="avefact", embedder=embedder, k=40, floor=-1)
    rng = np.random.default_rng(0)
    slots, values = ["a", "b", "c", "d"], ["mug", "cup", "shelf", "table", "clean mug"]
    told = [{s: str(rng.choice(values)) for s in slots if rng.random() < 0.5} or {"z": "mug"} for _ in range(40)]
    for n, facts in enumerate(told):
        await memory.record(trajectory(task=f"task {n}", facts=facts))
    await memory.update()
    new = {"a": "mug", "c": "clean cup", "e": "no one has this"}

    async def cosine(one, other):
        x, y = await embedder.embed([one, other])
        return float(x @ y)

    wanted = {}
    for n, facts in enumerate(told):
        if shared := facts.keys() & new.keys():
            wanted[f"task {n}"] = sum([await cosine(facts[s], new[s]) for s in shared]) / len(shared)
    recall = await memory.retrieve("new", facts=new)
    assert {i.procedure.task: pytest.approx(i.score, abs=2e-6) for i in recall.ranked} == wanted
    assert [i.score for i in recall.ranked] == sorted((i.score for i in recall.ranked), reverse=True)


async def test_equal_means_more_shared_facts_first(open_memory):
    memory = open_memory(retrieve="avefact")
    for facts in ({"a": "x"}, {"a": "x", "b": "y"}, {"a": "x"}):
        await memory.record(trajectory(task=f"task {facts}", actions=("a", str(len(memory.receipts()))), facts=facts))
        await memory.update()
    recall = await memory.retrieve("new", facts={"a": "x", "b": "y"})
    assert [len(i.procedure.content.facts) for i in recall.ranked] == [2, 1, 1]
    ids = [p.id for p in memory.procedures()]
    assert [i.procedure.id for i in recall.ranked] == [ids[1], ids[0], ids[2]]


async def test_new_and_revised_facts_are_seen_at_once(open_memory):
    memory = open_memory(retrieve="avefact")
    await memory.record(trajectory(task="first", facts={"what": "mug"}))
    await memory.update()
    assert served(await memory.retrieve("q", facts={"what": "cup"}, floor=-1)) == ["first"]
    await memory.record(trajectory(task="second", facts={"what": "cup", "where": "sink"}))
    await memory.update()
    assert served(await memory.retrieve("q", facts={"what": "cup"}, floor=-1)) == ["second", "first"]
    assert served(await memory.retrieve("q", facts={"where": "sink"}, floor=-1)) == ["second"]


async def test_the_facts_of_the_new_task_come_from_the_model_once(open_memory):
    model = ScriptedChat(['{"What": "mug", "where": null, "n": 3}'])
    await filled(open_memory(retrieve="avefact", build="trajectory"), ("old",), facts={"what": "mug"})
    memory = open_memory(retrieve="avefact", model=model)
    recall = await memory.retrieve("fetch the mug")
    assert recall.facts == {"what": "mug", "n": "3"}
    assert served(recall) == ["old"]
    assert model.calls[0].purpose == "facts"
    assert memory.meter.usage["facts"].calls == 1
    await memory.retrieve("fetch the mug")
    assert len(model.calls) == 1


async def test_facts_that_cannot_be_had_are_an_error_of_the_provider(open_memory):
    await filled(open_memory(), ("old",))
    memory = open_memory(retrieve="avefact", model=ScriptedChat([ModelError("down", provider="p", status=500)]))
    with pytest.raises(ModelError, match="down"):
        await memory.retrieve("new")
    assert memory.recalls() == []


# -- the token budget ------------------------------------------------------------------------------


async def test_whole_procedures_within_the_budget_and_why_not(open_memory):
    memory = open_memory(build="trajectory", update="vanilla", k=10)
    for n, words in enumerate((50, 3_000, 60, 70, 2_000)):
        await memory.record(trajectory(task=f"the task {n}", actions=("word " * words, "end")))
    await memory.update()
    everything = await memory.retrieve("the task 0", max_tokens=100_000)
    assert len(everything.ranked) == 5
    for budget in (0, 30, 100, 150, 200, 300, 500, 4_000, 8_000):
        recall = await memory.retrieve("the task 0", max_tokens=budget)
        assert memory._count_tokens(recall.render()) <= budget
        assert len(recall.ranked) + len(recall.left_out) == 5
        for item in recall.left_out:
            assert f"of {budget} were left" in item.why
        for item in recall.ranked:  # whole
            shown = memory.trajectory(item.procedure.content.trajectory_id)
            assert all(step.action in recall.render() for step in shown.steps)
    some = await memory.retrieve("the task 0", max_tokens=700)
    assert served(some) == [task for task in served(everything) if task not in ("the task 1", "the task 4")]


# -- freshness and identity ------------------------------------------------------------------------


async def test_another_process_procedures_are_seen_at_the_next_retrieve(open_memory):
    reader, writer = open_memory(k=50), open_memory()  # two connections to one file
    assert served(await reader.retrieve(TASKS[0])) == []
    await filled(writer)
    assert set(served(await reader.retrieve(TASKS[0]))) == set(TASKS)
    procedure = next(p for p in writer.procedures() if p.task == TASKS[0])
    writer.retire(procedure.id, reason="test")
    assert TASKS[0] not in served(await reader.retrieve(TASKS[0]))
    writer.restore(procedure.id)
    first = (await reader.retrieve(TASKS[0])).ranked[0].procedure
    assert (first.task, first.revision.number) == (TASKS[0], 3)


@pytest.mark.parametrize("policy", ["query", "avefact"])
async def test_another_embedder_reindexes_and_vectors_of_two_never_mix(open_memory, policy):
    small, large = CharEmbedder(16), CharEmbedder(48)
    await filled(open_memory(embedder=small, retrieve=policy), TASKS[:3])
    new = open_memory(embedder=large, retrieve=policy, floor=-1)
    await filled(new, TASKS[3:])  # written and read with the large one only
    old = open_memory(embedder=small, retrieve=policy, floor=-1)
    for memory, embedder in ((new, large), (old, small), (new, large)):  # there and back
        recall = await memory.retrieve(TASKS[3])
        assert recall.ranked[0].procedure.task == TASKS[3]
        if policy == "query":
            assert len(recall.ranked) == 5
            vectors = await embedder.embed([TASKS[3], *served(recall)])
            assert [i.score for i in recall.ranked] == pytest.approx(vectors[1:] @ vectors[0], abs=2e-6)


async def test_only_new_tasks_are_embedded(open_memory):
    class Counting(CharEmbedder):
        seen = ()

        async def embed(self, texts):
            self.seen += tuple(texts)
            return await super().embed(texts)

    await filled(open_memory(embedder=(first := Counting())), TASKS[:3])
    await open_memory(embedder=first).retrieve("q1")
    again = open_memory(embedder=(second := Counting()))
    await again.retrieve("q2")
    assert second.seen == ("q2",)  # the file keeps the vectors
    await filled(again, TASKS[3:])
    await again.retrieve("q3")
    assert second.seen == ("q2", *sorted(TASKS[3:]), "q3")


@pytest.mark.parametrize(
    ("vectors", "message"),
    [(np.ones((1, 5)), "shape"), (np.full((1, 3), np.nan), "finite"), (np.ones((2, 3)), "shape")],
)
async def test_an_embedder_that_answers_nonsense_is_named(open_memory, vectors, message):
    class Broken(Table):
        async def embed(self, texts):
            return vectors

    await filled(open_memory(embedder=Table()), ("old",))
    memory = open_memory(embedder=Broken())
    with pytest.raises(ModelError, match=rf"embedder table:3.*{message}"):
        await memory.retrieve("new")
    assert served(await open_memory(embedder=Table(old=(1, 0, 0), new=(1, 0, 0))).retrieve("new")) == ["old"]


async def test_vectors_that_are_not_of_length_one_are_made_so(open_memory):
    class Long(Table):
        async def embed(self, texts):
            return await super().embed(texts) * np.float32(7)

    memory = await filled(open_memory(embedder=Long(a=(1, 0, 0), b=(1, 1, 0), q=(1, 0, 0))), "ab")
    assert [i.score for i in (await memory.retrieve("q")).ranked] == pytest.approx([1, 0.5**0.5], abs=1e-6)


@pytest.mark.parametrize("policy", POLICIES)
async def test_retrieving_while_others_learn(open_memory, policy):
    """Embedders that take their time: the index grows and changes while a recall is under way."""

    class Slow(CharEmbedder):
        async def embed(self, texts):
            await asyncio.sleep(0.001 * (len(texts[0]) % 4))
            return await super().embed(texts)

    memory = open_memory(embedder=Slow(), retrieve=policy, k=100, floor=-1)

    async def learn(n):
        await filled(memory, (f"put thing number {n} on the shelf" + "." * n,))
        if n % 3 == 0:
            memory.retire(next(iter(memory.procedures(status="active"))).id, reason="test")
        return await memory.retrieve(f"put thing {n} on the shelf" + "." * n)

    recalls = await asyncio.gather(*(learn(n) for n in range(24)))
    assert all(type(recall) is Recall for recall in recalls)
    last = await memory.retrieve("put a thing on the shelf")
    assert sorted(served(last)) == sorted(p.task for p in memory.procedures(status="active"))
    assert len(last.ranked) == 16


class Gated(CharEmbedder):
    """Waits for a gate each before it embeds what is slow."""

    def __init__(self, gates):
        super().__init__()
        self.gates = gates

    async def embed(self, texts):
        if self.gates and any("slow" in text for text in texts):
            await self.gates.pop(0).wait()
        return await super().embed(texts)


async def test_who_asked_earlier_and_is_answered_later_undoes_nothing(open_memory):
    """The first recall reads the procedure as active, the second as retired, and is answered first."""
    gates = []
    memory = open_memory(build="script", update="vanilla", embedder=Gated(gates))
    await memory.record(trajectory(task="a slow task"))
    await memory.update()
    first, second = asyncio.Event(), asyncio.Event()
    gates += [first, second]
    earlier = asyncio.create_task(memory.retrieve("one"))
    while len(gates) == 2:
        await asyncio.sleep(0)
    memory.retire(next(memory.procedures()).id, reason="test")
    later = asyncio.create_task(memory.retrieve("two"))
    while gates:
        await asyncio.sleep(0)
    second.set()
    assert (await later).ranked == ()
    first.set()
    assert (await earlier).ranked == ()
    assert (await memory.retrieve("three")).ranked == ()
