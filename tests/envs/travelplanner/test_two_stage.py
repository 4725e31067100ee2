import json

import pytest
from travelkit import PLAN, TASK, TRAVEL, plan_text, small_tables

from memp.errors import BudgetExceeded, EnvironmentFailed, ProviderDown, UnusableReply
from memp.models.metered import Budget, Meter, Metered
from memp.render import approximate_tokens
from memp.testing.chat import ScriptedChat
from memp_bench.agents.episode import trajectory_of
from memp_bench.agents.react import play
from memp_bench.envs.base import Environment
from memp_bench.envs.travelplanner.evaluator import Evaluator
from memp_bench.envs.travelplanner.judging import NOT_DELIVERED, NOT_JUDGED
from memp_bench.envs.travelplanner.planner import TOO_LONG, Planner
from memp_bench.envs.travelplanner.prompts import PLANNER
from memp_bench.envs.travelplanner.reading import ModelReader, RuleReader
from memp_bench.envs.travelplanner.session import MASK, REPEATED
from memp_bench.envs.travelplanner.tools import Tools
from memp_bench.envs.travelplanner.two_stage import TwoStage

COLLECT = [
    "FlightSearch[Arden, Birch, 2022-03-01]",
    "NotebookWrite[flights]",
    "RestaurantSearch[Birch]",
    "NotebookWrite[food]",
]


def environment(planner, reader=None, **options):
    tables = small_tables()
    planner = planner if isinstance(planner, Planner) else Planner(planner, **options)
    return TwoStage(Tools(tables), planner, reader or RuleReader(), Evaluator(tables).judge, lambda task: TRAVEL)


def says(*actions):
    return ScriptedChat([f"Thought: on\nAction: {action}" for action in actions])


async def run(env, agent, **options):
    return await play(env, TASK, agent, instructions="Plan.", **options)


async def test_from_the_query_to_a_judged_plan():
    planner = ScriptedChat([plan_text(PLAN)])
    agent = says(*COLLECT, "Planner[Arden to Birch]")
    env = environment(planner)
    assert isinstance(env, Environment)
    episode = await run(env, agent)
    assert (episode.status, episode.task, len(episode.steps)) == ("done", TRAVEL.query, 5)
    # The repeated restaurant is one of 8 + 2 checks (budget and house rule are asked for).
    assert episode.reward == pytest.approx(9 / 10)
    assert not episode.success
    assert episode.verdict == "Diverse Restaurants: The restaurant in day 2 dinner is repeated."
    assert [day["transportation"] for day in json.loads(episode.product)] == [day["transportation"] for day in PLAN]
    assert trajectory_of(episode, "t").feedback == episode.verdict
    assert (episode.usage["plan"].calls, episode.usage["act"].calls) == (1, 5)
    assert {call.purpose for call in planner.calls} == {"plan"}


async def test_the_planner_sees_the_notebook_and_the_agent_s_own_query_only():
    planner = ScriptedChat([plan_text(PLAN)])
    await run(environment(planner), says(*COLLECT, "AttractionSearch[Birch]", "Planner[go somewhere]"))
    rules, request = (message.content for message in planner.calls[0].messages)
    assert "Day 1:" in rules
    assert "F1000001" in request
    assert "Moss Grill" in request
    assert "Leaf Museum" not in request, "it was not written into the notebook"
    assert TRAVEL.query not in request
    assert request.endswith("Query: go somewhere\n\nTravel Plan:")
    assert planner.calls[0].temperature == 0


async def test_the_agent_sees_a_result_until_its_next_call():
    agent = says(*COLLECT, "Planner[x]")
    await run(environment(ScriptedChat(["no plan"])), agent)
    third, last = agent.calls[2].messages, agent.calls[4].messages
    assert "F1000001" in agent.calls[1].messages[-1].content
    assert [message.content for message in third[2:]][1] == f"Observation: {MASK}"
    assert "F1000001" not in str(last)
    assert "Moss Grill" not in str(last)
    assert f"Task: {TRAVEL.query}" in last[1].content


async def test_recalled_text_reaches_agent_and_planner():
    planner = ScriptedChat(["no plan"] * 2)
    env = environment(planner)
    await run(env, says("Planner[x]"), recalled="SLEEP WHERE YOU MAY STAY")
    assert "<memory>\nSLEEP WHERE YOU MAY STAY\n</memory>" in planner.calls[0].messages[0].content
    await run(env, says("Planner[x]"))
    assert "<memory>" not in planner.calls[1].messages[0].content, "nothing is left of the task before"


@pytest.mark.parametrize(
    ("actions", "last", "steps"),
    [
        (["NotebookWrite[a]"] * 3, REPEATED, 3),
        ([f"Dance[{n}]" for n in range(4)], "invalidAction early stop due to 3 max retries.", 4),
        ([f"CitySearch[{n}]" for n in range(30)], "Invalid State", 30),
    ],
)
async def test_episodes_without_a_plan(actions, last, steps):
    episode = await run(environment(ScriptedChat([])), says(*actions))
    assert (episode.status, episode.reward, episode.verdict, episode.product) == ("done", 0.0, NOT_DELIVERED, "")
    assert (episode.steps[-1].observation, len(episode.steps)) == (last, steps)


async def test_refused_actions_are_the_agent_s_errors():
    episode = await run(
        environment(ScriptedChat(["no"])), says("CitySearch[Woods]", "AttractionSearch[Rome]", "Dance[]", "Planner[x]")
    )
    assert [step.error for step in episode.steps] == [None, "agent", "agent", "agent"]


async def test_a_planner_that_refuses_delivers_nothing():
    episode = await run(environment(ScriptedChat(["The information is not enough."])), says("Planner[x]"))
    assert (episode.reward, episode.verdict, episode.product) == (0.0, NOT_DELIVERED, "")
    assert episode.steps[-1].observation == "The information is not enough."


async def test_a_plan_outside_the_sandbox_says_that_hard_constraints_were_not_judged():
    plan = plan_text(PLAN).replace("Moss Grill", "Moon Grill")
    episode = await run(environment(ScriptedChat([plan])), says("Planner[x]"))
    assert episode.verdict.splitlines()[-1] == NOT_JUDGED
    assert episode.reward == pytest.approx(6 / 10)


async def test_a_prompt_beyond_the_limit_is_not_sent():
    limit = approximate_tokens(PLANNER) + 50  # enough for an empty notebook
    planner = ScriptedChat(["no plan"])
    episode = await run(environment(planner, limit=limit), says(*COLLECT, "Planner[x]"))
    assert (episode.steps[-1].observation, episode.reward, planner.calls) == (TOO_LONG, 0.0, [])
    assert "plan" not in episode.usage
    episode = await run(environment(planner, limit=limit), says("Planner[x]"))
    assert (episode.steps[-1].observation, len(planner.calls)) == ("no plan", 1)


async def test_the_limit_counts_with_the_tokenizer_it_is_given():
    planner = Planner(ScriptedChat(["plan"] * 2), limit=10, count=lambda text: 10)
    assert (await planner.plan("[]", "x"))[0] == "plan"
    planner = Planner(ScriptedChat(["plan"] * 2), limit=10, count=lambda text: 11)
    assert (await planner.plan("[]", "x"))[0] == TOO_LONG
    assert (await Planner(ScriptedChat(["plan"]), limit=None, count=lambda text: 10**9).plan("[]", "x"))[0] == "plan"


async def test_searches_of_unknown_legs_are_counted_on_the_episode():
    agent = says(*(f"FlightSearch[Arden, Birch, 2022-03-{day}]" for day in (20, 21, "01")), "Planner[x]")
    episode = await run(environment(ScriptedChat(["no"])), agent)
    assert episode.counts == {"unknown_legs": 2}


async def test_a_model_may_read_the_plan_and_is_corrected_once():
    reader = ScriptedChat(['[{"days": 1, "lunch": ["a"]}]', f"Here: {json.dumps(PLAN)}"])
    episode = await run(environment(ScriptedChat(["in prose"]), ModelReader(reader)), says("Planner[x]"))
    assert json.loads(episode.product) == PLAN
    assert (episode.usage["parse"].calls, episode.usage["plan"].calls) == (2, 1)
    assert "'lunch' must be a string" in reader.calls[1].messages[-1].content
    assert reader.calls[0].messages[-1].content == "in prose"


async def test_a_model_that_reads_no_plan_delivers_none():
    plan, usage = await ModelReader(ScriptedChat(["[]"])).read("sorry")
    assert (plan, usage["parse"].calls) == (None, 1)
    assert await ModelReader(ScriptedChat([])).read("  ") == (None, {})
    with pytest.raises(UnusableReply):
        await ModelReader(ScriptedChat(["[" * 100_000 + "]"] * 3)).read("a plan")


async def test_a_planner_that_is_down_is_no_failed_task():
    episode = await run(environment(ScriptedChat([ProviderDown("gone")])), says("Planner[x]"))
    assert (episode.status, episode.failure.boundary, episode.failure.retryable) == ("failed", "provider", True)


async def test_the_planner_s_calls_count_against_the_budget():
    planner = Metered(ScriptedChat(["no"]), Meter(Budget(calls=0)))
    with pytest.raises(BudgetExceeded):
        await run(environment(planner), says("Planner[x]"))


async def test_a_step_before_a_reset_is_refused():
    with pytest.raises(EnvironmentFailed, match="reset"):
        await environment(ScriptedChat([])).step("CitySearch[Woods]")
