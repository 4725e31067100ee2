import asyncio
import json
import time
from datetime import UTC, datetime

import pytest
from agentdoubles import Counter, Scripted

from memp.errors import AuthError, BudgetExceeded, EnvironmentFailed, ProviderDown, RecordError, StoreError
from memp.recall import Recall
from memp.records import Usage
from memp_bench.agents.episode import EpisodeFile, trajectory_of
from memp_bench.agents.react import MAX_SHOWN, NO_ACTION, play, system_prompt
from memp_bench.envs.base import Observation, Task

TASK = Task(id="valid/1", family="counting")
COUNT = "Thought: on\nAction: count"


async def run(env, model, **options):
    return await play(env, TASK, model, instructions="Count.", **options)


async def a_recall(task):
    assert task == "count to 3"
    return Recall(id="r1", namespace="n", task=task, policy="query", at=datetime.now(UTC))


async def test_a_memory_that_fails_is_not_a_failed_task():
    async def broken(task):
        raise StoreError("the file is gone")

    episode = await run(Counter(3), Scripted(COUNT), recall=broken)
    assert (episode.status, episode.failure.boundary, episode.failure.message) == (
        "failed",
        "memory",
        "the file is gone",
    )


async def test_plays_to_the_end_and_keeps_everything(tmp_path):
    heard = []
    model = Scripted(COUNT, COUNT, COUNT)
    episode = await run(
        Counter(3),
        model,
        recall=a_recall,
        on_step=lambda n, step: heard.append((n, step.action)),
    )
    assert (episode.status, episode.success, episode.reward, episode.counted) == ("done", True, 1.0, True)
    assert [(s.thought, s.action, s.observation, s.reward) for s in episode.steps][:1] == [
        ("on", "count", "You are at 1.", pytest.approx(1 / 3))
    ]
    assert heard == [(1, "count"), (2, "count"), (3, "count")]
    assert [reply.raw["id"] for reply in episode.replies] == [1, 2, 3]
    assert (episode.usage["act"].calls, episode.usage["act"].tokens) == (3, 36)
    assert (episode.task, episode.start, episode.recall_id) == ("count to 3", "You are at 0.", "r1")
    assert episode.config["max_steps"] == 30
    assert episode.started_at <= episode.finished_at


async def test_the_conversation_has_rules_memory_task_and_the_whole_history():
    model = Scripted(COUNT, COUNT)
    await run(Counter(2), model, recalled="REMEMBER", example="EXAMPLE", temperature=0.3)
    messages, purpose, temperature = model.asked[1]
    assert (purpose, temperature) == ("act", 0.3)
    assert [m.role for m in messages] == ["system", "user", "assistant", "user"]
    assert messages[0].content == system_prompt("Count.", "EXAMPLE", "REMEMBER")
    assert "<memory>\nREMEMBER\n</memory>" in messages[0].content
    assert messages[1].content == "Task: count to 2\n\nObservation: You are at 0."
    assert [m.content for m in messages[2:]] == [COUNT, "Observation: You are at 1."]
    assert len(model.asked[0][0]) == 2, "an earlier request must not change afterwards"


def test_without_example_and_memory_the_prompt_is_the_rules():
    assert system_prompt("Rules.\n") == "Rules."


async def test_an_unparsable_reply_costs_a_step_and_is_told():
    model = Scripted("I would count", "", COUNT)
    episode = await run(Counter(1), model)
    assert episode.success
    assert [(s.action, s.error, s.observation) for s in episode.steps[:2]] == [("", "agent", NO_ACTION)] * 2
    assert episode.steps[0].thought == "I would count"
    assert model.asked[1][0][-1].content == f"Observation: {NO_ACTION}"


async def test_an_invalid_action_is_the_agents_error():
    episode = await run(Counter(1), Scripted("Action: jump", COUNT))
    assert [s.error for s in episode.steps] == ["agent", None]


async def test_stops_after_max_steps_as_a_failed_task():
    episode = await run(Counter(9), Scripted(*[COUNT] * 30), max_steps=4)
    assert (episode.status, episode.success, len(episode.steps)) == ("done", False, 4)
    assert episode.reward == pytest.approx(4 / 9)
    assert trajectory_of(episode, "t1").reward == pytest.approx(4 / 9)


@pytest.mark.parametrize(
    ("error", "kind", "retryable"),
    [
        (ProviderDown("gone", provider="x", status=503), "ProviderDown", True),
        (AuthError("no"), "AuthError", False),
        (RuntimeError("defect"), "RuntimeError", False),
    ],
)
async def test_a_broken_provider_is_no_failed_task(error, kind, retryable):
    episode = await run(Counter(3), Scripted(COUNT, error))
    assert (episode.status, episode.counted, len(episode.steps)) == ("failed", False, 1)
    failure = episode.failure
    assert (failure.boundary, failure.kind, failure.retryable) == ("provider", kind, retryable)
    with pytest.raises(RecordError, match=r"failed .*play it again"):
        trajectory_of(episode, "t1")


async def test_a_broken_environment_is_no_failed_task(tmp_path):
    file = EpisodeFile(tmp_path / "e.jsonl")
    episode = await run(Counter(3, faults={2: EnvironmentFailed("worker died")}), Scripted(COUNT, COUNT), file=file)
    assert (episode.status, episode.failure.boundary, episode.failure.retryable) == ("failed", "environment", True)
    assert [s.error for s in episode.steps] == [None, "environment"]
    assert file.read() == episode


async def test_a_game_that_cannot_be_set_up_is_recorded(tmp_path):
    file = EpisodeFile(tmp_path / "e.jsonl")
    episode = await run(Counter(reset_fault=EnvironmentFailed("damaged game")), Scripted(), file=file)
    assert (episode.status, episode.steps, episode.failure.message) == ("failed", (), "damaged game")
    assert file.read() == episode


@pytest.mark.parametrize("stop", [BudgetExceeded("cap of 1 call"), asyncio.CancelledError()])
async def test_budget_and_cancellation_save_the_episode_and_go_on_up(tmp_path, stop):
    file = EpisodeFile(tmp_path / "e.jsonl")
    with pytest.raises(type(stop)):
        await run(Counter(3), Scripted(COUNT, stop), file=file)
    episode = file.read()
    assert (episode.status, len(episode.steps), episode.counted) == ("stopped", 1, False)
    assert episode.reason in {"cap of 1 call", "cancelled"}


async def test_text_that_is_no_unicode_or_endless_is_cut_to_what_can_be_stored(tmp_path):
    class Loud(Counter):
        async def step(self, action):
            return Observation(text="x" * (MAX_SHOWN + 5) + "\ud83d", done=True)

    file = EpisodeFile(tmp_path / "e.jsonl")
    episode = await run(Loud(), Scripted("Thought: \ud83d\x00\nAction: count \udc00"), file=file)
    assert episode.steps[0].observation.endswith(f"[cut: {MAX_SHOWN + 6:,} characters in all]")
    assert episode.steps[0].action == "count ?"
    assert file.read().steps == episode.steps
    assert all(json.loads(line) for line in file.path.read_text().splitlines())


async def test_the_loop_itself_costs_less_than_two_milliseconds_a_step(tmp_path):
    steps = 300
    model = Scripted(*[COUNT] * steps)
    model.asked = type("Nothing", (list,), {"append": lambda self, item: None})()
    start = time.process_time()
    await run(Counter(steps), model, max_steps=steps, file=EpisodeFile(tmp_path / "e.jsonl"))
    assert (time.process_time() - start) / steps < 0.002


class Judged(Counter):
    """Hides its earlier answers, uses a model of its own, and judges what it sees."""

    async def step(self, action):
        seen = await super().step(action)
        return seen.model_copy(
            update={
                "masked": (f"You are at {self.n - 1}.", "(hidden)"),
                "verdict": f"{self.goal - self.n} to go",
                "product": f'["{self.n}"]',
                "counts": {"counted": self.n},
                "usage": {"plan": Usage(calls=1, input_tokens=5, output_tokens=1)},
            }
        )


async def test_an_environment_may_hide_what_the_agent_saw_before():
    model = Scripted(COUNT, "Thought: You are at 1.\nAction: count", COUNT)
    episode = await run(Judged(3), model)
    assert [message.content for message in model.asked[2][0]][1:] == [
        "Task: count to 3\n\nObservation: You are at 0.",  # the task is never touched
        COUNT,
        "Observation: (hidden)",
        "Thought: (hidden)\nAction: count",
        "Observation: You are at 2.",
    ]
    assert [message.content for message in model.asked[1][0]][-1] == "Observation: You are at 1.", "an earlier request"
    assert [step.observation for step in episode.steps] == [f"You are at {n}." for n in (1, 2, 3)], (
        "the record keeps all"
    )


async def test_verdict_product_counts_and_models_of_the_environment_are_on_record(tmp_path):
    file = EpisodeFile(tmp_path / "e.jsonl")
    episode = await run(Judged(3), Scripted(COUNT, "no action here", COUNT), max_steps=3, file=file)
    assert (episode.verdict, episode.product, episode.counts) == ("1 to go", '["2"]', {"counted": 2})
    assert (episode.usage["plan"].calls, episode.usage["act"].calls) == (2, 3)
    assert file.read() == episode
    assert trajectory_of(episode, "t").feedback == "1 to go"


async def test_a_model_of_the_environment_that_fails_is_the_provider_and_a_cap_is_a_cap():
    episode = await run(Counter(3, faults={1: ProviderDown("gone")}), Scripted(COUNT))
    assert (episode.status, episode.failure.boundary, episode.failure.retryable) == ("failed", "provider", True)
    assert episode.steps[-1].error == "provider"
    with pytest.raises(BudgetExceeded):
        await run(Counter(3, faults={1: BudgetExceeded("no more")}), Scripted(COUNT))


async def test_an_environment_may_read_replies_itself():
    class Whole(Counter):
        def read(self, reply):
            return "", reply.strip() or None

    episode = await run(Whole(1), Scripted("", "count"))
    assert [(step.action, step.error) for step in episode.steps] == [("", "agent"), ("count", None)]
    assert episode.success


async def test_material_given_with_the_task_is_read_and_not_recorded_and_recall_reaches_the_environment():
    class Given(Counter):
        async def reset(self, task):
            self.recalled = None
            return (await super().reset(task)).model_copy(update={"given": "TABLES"})

        def remember(self, recalled):
            assert self.steps == 0
            self.recalled = recalled

    env, model = Given(1), Scripted(COUNT)
    episode = await run(env, model, recalled="REMEMBER")
    assert model.asked[0][0][1].content == "Task: count to 1\n\nTABLES\n\nObservation: You are at 0."
    assert "TABLES" not in episode.model_dump_json()
    assert env.recalled == "REMEMBER"
