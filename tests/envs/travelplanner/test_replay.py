"""The 180 recorded two-stage episodes of Gemini-pro, action by action, against the tool environment."""

import re
from collections import Counter

import pytest
from travelkit import data_folder, real_tables, recorded

from memp.models.base import Reply
from memp.records import Usage
from memp.testing.chat import ScriptedChat
from memp_bench.agents.react import play
from memp_bench.envs.travelplanner.benchmark import TravelPlanner
from memp_bench.envs.travelplanner.judging import feedback, reward
from memp_bench.envs.travelplanner.planner import Planner
from memp_bench.envs.travelplanner.session import Session
from memp_bench.envs.travelplanner.tools import Tools
from memp_bench.envs.travelplanner.transcript import FILTERED, Transcript

EPISODES = "validation_gemini_two_stage_trajectories"


def replay(episode, tools):
    """What differs from the recording, step by step; and what happened, for counting."""
    session, transcript = Session(tools), Transcript()
    differences, seen = [], Counter()
    for step in episode["action_log"]:
        thought = re.sub(r"^Thought \d+: ?", "", step["thought"])
        action = re.sub(r"^Action \d+: ?", "", step["action"])
        turn = session.act("" if action == FILTERED else action)
        planned = turn.query is not None
        seen[turn.state] += 1
        seen["unknown legs"] += turn.unknown_leg
        seen["planner"] += planned
        seen["steps"] += 1
        transcript.add(thought, "" if action == FILTERED else action, turn, step["observation"] if planned else None)
        if turn.state != step["state"]:
            differences.append((episode["idx"], step["step"], "state", turn.state, step["state"]))
        if not planned and turn.observation != step["observation"]:  # what the planner said is the model's
            differences.append((episode["idx"], step["step"], "observation", turn.observation, step["observation"]))
    if transcript.text != episode["scratchpad"]:
        differences.append((episode["idx"], 0, "scratchpad", transcript.text, episode["scratchpad"]))
    return differences, seen


def replay_all(episodes):
    tools = Tools(real_tables())
    found, seen = [], Counter()
    for episode in episodes:
        differences, counted = replay(episode, tools)
        found += differences
        seen += counted
    return found, seen


def test_all_recorded_episodes_replay_state_by_state_and_to_the_last_blank():
    """No difference is left to explain: the packed tables know every leg that was asked for, and the whole scratchpad,
    with its masking, is equal. Only the 84 planner answers are the model's own and are taken from the recording."""
    episodes = recorded(EPISODES)
    found, seen = replay_all(episodes)
    assert found == []
    assert len(episodes) == 180
    assert seen == {
        "steps": 3873,
        "planner": 84,
        "Successful": 3824,
        "Illegal args. City Error": 40,
        "same action 3 times repeated": 5,
        "restaurants early stop due to 3 max retries.": 1,
        "flights early stop due to 3 max retries.": 1,
        "": 2,
    }


def test_a_wrong_table_or_rule_would_be_seen():
    episode = next(episode for episode in recorded(EPISODES) if episode["idx"] == 6)
    step = episode["action_log"][3]
    step["observation"] = step["observation"].replace("Chinese", "Chinook", 1)
    found, _ = replay(episode, Tools(real_tables()))
    assert [difference[:3] for difference in found] == [(6, 4, "observation")]


class Recorded:
    """Says what the recorded agent said, and compares what it is shown with the original's scratchpad."""

    name = "recorded:gemini-pro"
    simulated = False

    def __init__(self, episode, tools):
        self.steps = iter(episode["action_log"])
        self.session, self.transcript = Session(tools), Transcript()
        self.asked = 0

    async def complete(self, messages, *, purpose="act", temperature=None, max_tokens=None, stop=()):
        shown = "".join(f"\n{message.content}" for message in messages[2:])
        assert shown == re.sub(r"\n(Thought|Action|Observation) \d+: ", r"\n\1: ", self.transcript.text)
        step = next(self.steps)
        thought, action = (re.sub(r"^\w+ \d+: ?", "", step[part]) for part in ("thought", "action"))
        self.transcript.add(thought, action, self.session.act(action))
        self.asked += 1
        return Reply(text=f"Thought: {thought}\nAction: {action}", usage=Usage(calls=1), model="recorded")

    async def close(self):
        pass


@pytest.mark.slow
async def test_the_loop_shows_the_agent_what_the_original_showed_it():
    """All episodes through the one ReAct loop: at each step the history is the original scratchpad, masking included
    (with `Action:` in place of `Action 7:`). Two episodes are left out: an empty action is told in other words here."""
    travel = TravelPlanner(data_folder())
    tools, tasks = Tools(travel.tables), travel.tasks("validation")
    asked, passed = 0, []
    for episode in recorded(EPISODES):
        if any(step["state"] == "" for step in episode["action_log"]):
            continue
        agent = Recorded(episode, tools)
        travel.plan_with(Planner(ScriptedChat([episode["result"]]), limit=None))
        played = await play(travel.environment(), tasks[episode["idx"] - 1], agent, instructions="Collect.")
        assert played.status == "done", played.failure
        assert played.task == episode["query"]
        assert len(played.steps) == len(episode["action_log"])
        assert ("plan" in played.usage) == bool(episode["result"])
        asked += agent.asked
        passed += [episode["idx"]] * played.success
    assert asked == 3873 - 30 - 30
    assert passed == [episode["idx"] for episode in recorded(EPISODES) if (episode["eval"] or {}).get("final_pass")]


def test_the_reward_follows_the_recorded_verdicts():
    """Every recorded plan, judged: the share of passed checks, counted from the official verdict."""
    travel = TravelPlanner(data_folder())
    counted = Counter()
    for episode in recorded(EPISODES):
        task = travel.travel_task(travel.tasks("validation")[episode["idx"] - 1])
        verdict = travel.evaluator.judge(task, episode["plan"])
        given = episode["eval"] or {}
        official = {**(given.get("commonsense") or {}), **(given.get("hard") or {})}
        asked = 8 + {"easy": 1, "medium": 2, "hard": 4}[task.level]
        expected = sum(result is True for result, _ in official.values()) / asked
        assert reward(task, verdict) == pytest.approx(expected), episode["idx"]
        told = feedback(verdict)
        assert all(message in told for result, message in official.values() if result is False and message)
        counted["full"] += expected == 1
        counted["some"] += 0 < expected < 1
    assert counted == {"full": 1, "some": 68}
