import json

import pytest
from travelkit import PLAN, TASK, TRAVEL, plan_text, small_tables

from memp.testing.chat import ScriptedChat
from memp_bench.agents.react import play
from memp_bench.envs.base import Environment, ReadsReplies
from memp_bench.envs.travelplanner.evaluator import Evaluator
from memp_bench.envs.travelplanner.judging import NOT_DELIVERED
from memp_bench.envs.travelplanner.reading import RuleReader
from memp_bench.envs.travelplanner.sole import FINISHED, SolePlanning

TEXT = plan_text(PLAN)
DESCRIPTIONS = ("Restaurants in Birch", "Flight from Arden to Birch on 2022-03-01", "Taxi from Arden to Birch")


def environment(strategy):
    tables = small_tables()
    task = TRAVEL.model_copy(update={"reference_descriptions": DESCRIPTIONS})
    return SolePlanning(strategy, tables, RuleReader(), Evaluator(tables).judge, lambda _: task)


async def run(strategy, *replies):
    env = environment(strategy)
    assert isinstance(env, Environment)
    assert isinstance(env, ReadsReplies)
    agent = ScriptedChat(list(replies))
    return await play(env, TASK, agent, instructions="Plan."), agent


@pytest.mark.parametrize(
    "reply", [TEXT, f"Thought: first the flights.\nAction: think\nTravel Plan:\n{TEXT}", json.dumps(PLAN)]
)
@pytest.mark.parametrize("strategy", ["direct", "cot"])
async def test_the_first_reply_as_a_whole_is_the_plan(strategy, reply):
    episode, _ = await run(strategy, reply)
    assert (len(episode.steps), episode.reward) == (1, pytest.approx(9 / 10))
    assert episode.steps[0].action == reply
    assert "Diverse Restaurants" in episode.verdict


async def test_the_tables_are_given_to_the_agent_and_not_kept_on_record():
    episode, agent = await run("direct", TEXT)
    asked = agent.calls[0].messages[1].content
    assert asked.startswith(
        f"Task: {TRAVEL.query}\n\nGiven information: [{{'Description': 'Restaurants in Birch', 'Content': "
    )
    assert "F1000002" in asked
    assert "taxi, from Arden to Birch, duration: 4 hours 2 mins, distance: 1,401 km, cost: 1401" in asked
    assert "F1000002" not in episode.task + episode.start


@pytest.mark.parametrize("reply", ["", "I cannot plan this."])
async def test_a_reply_without_a_plan_ends_the_episode_too(reply):
    episode, _ = await run("direct", reply)
    assert (len(episode.steps), episode.reward, episode.verdict) == (1, 0.0, NOT_DELIVERED)


async def test_react_asks_for_costs_and_finishes_over_many_lines():
    day = json.dumps({"people_number": 2, **PLAN[0]}, indent=1)
    episode, _ = await run(
        "react",
        f"Thought 1: what does\nday 1 cost?\nAction 1: CostEnquiry[{day}]\nObservation 1: I guess $5\nThought 2: fine",
        "Thought 2: hm\nAction 2: Dance[all night]",
        "no action",
        f"Thought: done\nAction: Finish[{TEXT}]",
    )
    assert [step.observation for step in episode.steps][:2] == [
        "Cost: The cost of your plan is 340.0 dollars.",
        "Action Dance is not supported.",
    ]
    assert episode.steps[0].thought == "what does\nday 1 cost?"
    assert [step.error for step in episode.steps] == [None, "agent", "agent", None]
    assert (episode.steps[-1].observation, episode.reward) == (FINISHED, pytest.approx(9 / 10))


async def test_react_without_an_end_delivers_nothing():
    episode, _ = await run("react", *["Thought: x\nAction: CostEnquiry[x]"] * 30)
    assert (len(episode.steps), episode.reward, episode.verdict) == (30, 0.0, NOT_DELIVERED)
    assert episode.steps[0].observation == "The sub plan can not be parsed into json format, please check."


async def test_an_action_that_is_no_call_is_named_none_as_in_the_original():
    episode, _ = await run("react", "Action: write the plan", "Action: Finish[]")
    assert episode.steps[0].observation == "Action None is not supported."
    assert (episode.steps[1].observation, episode.verdict) == (FINISHED, NOT_DELIVERED)
