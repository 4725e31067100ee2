"""ALFWorld's hand-coded expert. Unlike the planner it does not see the whole state: it searches, as an agent must."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from memp.errors import EnvironmentFailed


def new_agent(game: Path, max_steps: int) -> Any:
    """The expert for `game`, whose goal is read from the name of the task's folder (TYPE-OBJECT-MOVABLE-TARGET-SCENE).

    Raises:
        EnvironmentFailed: the folder is not named as ALFWorld names it.
    """
    from alfworld.agents.expert import HandCodedTWAgent

    parts = game.parent.parent.name.split("-")
    if len(parts) != 5:
        raise EnvironmentFailed(f"the hand-coded expert needs ALFWorld's folder names, not {game.parent.parent.name!r}")
    kind, thing, movable, target, _ = (part if part != "None" else "" for part in parts)
    lamp = kind == "look_at_obj_in_light"
    agent = HandCodedTWAgent(max_steps=max_steps)
    agent.task_params = {
        "task_type": kind,
        "object_target": thing.lower(),
        "mrecep_target": movable.lower(),
        "parent_target": "" if lamp else target.lower(),
        "toggle_target": target.lower() if lamp else "",
        "object_sliced": False,
    }
    agent.policy = agent.get_task_policy(agent.task_params)(agent.task_params, max_steps=max_steps)
    return agent


def actions(game: Path, player: Any, max_steps: int) -> Iterator[str]:
    """What the expert does, one action at a time; `player.state` must be the state after the action before.

    Ends when the expert gives up or `max_steps` are used. Seeds the process's random source, which the expert uses.
    """
    from alfworld.agents.expert import HandCodedAgentFailed, HandCodedAgentTimeout

    random.seed(f"{game.parent.parent.name}/{game.parent.name}")
    agent = new_agent(game, max_steps)
    agent.observe(player.state["feedback"])
    action = "look"  # as ALFWorld's own wrapper opens
    for _ in range(max_steps):
        yield action
        try:
            wanted = agent.act(player.state, 0, player.state["won"], action)
        except (HandCodedAgentFailed, HandCodedAgentTimeout, IndexError, KeyError):  # the last two are its bugs
            return
        action = wanted if wanted in player.state["admissible_commands"] else "look"
