"""Quick trajectories, ids and clocks for tests of the loop."""

import itertools
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from memp.records import Step, Trajectory
from memp.update import Add, Skip

MUG = "put a clean mug on the shelf"
ACTIONS = ("go to sink 1", "clean mug 1 with sink 1", "go to shelf 1", "put mug 1 on shelf 1")
SCRIPT = {"goal": "A clean thing stands in its place.", "steps": ["Find it.", "Clean it.", "Put it there."]}


def trajectory(task: str = MUG, actions: tuple[str, ...] = ACTIONS, reward: float = 1.0, **more: Any) -> Trajectory:
    """A trajectory of `actions`, each of which shows something."""
    steps = tuple(Step(action=action, observation=f"done: {action}") for action in actions)
    return Trajectory(task=task, steps=steps, reward=reward, **more)


def script_reply(**more: Any) -> str:
    """A model's reply that is a valid script."""
    return json.dumps({**SCRIPT, **more})


def counter(prefix: str = "id") -> Callable[[], str]:
    """An id factory: id0001, id0002, ..."""
    numbers = itertools.count(1)
    return lambda: f"{prefix}{next(numbers):04d}"


def ticking() -> Callable[[], datetime]:
    """A clock that goes on by a second whenever it is read."""
    start, seconds = datetime(2026, 1, 1, tzinfo=UTC), itertools.count()
    return lambda: start + timedelta(seconds=next(seconds))


class OnlyWithoutRecall:
    """An update policy that learns what comes without a recall, and nothing from the tasks that follow."""

    name = "only-without-recall"

    async def changes(self, episode, tools):
        if episode.had_recall:
            return [Skip(subject=episode.trajectory.id, reason="not for this test")]
        return [Add(built=await tools.build(episode.trajectory), reason="the first")]
