"""The 180 recorded two-stage episodes of Gemini-pro, action by action, against the tool environment."""

import re
from collections import Counter

from travelkit import real_tables, recorded

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
