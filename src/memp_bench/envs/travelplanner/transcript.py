"""The original's scratchpad: what its agent is shown of the episode so far. Kept for comparison with recordings."""

from memp_bench.envs.travelplanner.session import MASK, Turn

FILTERED = (
    "Your action is filtered due to content. Please make sure your action does not start with ['\\n', 'Thought', "
    "'Action', 'Observation'] and assume all the actions are permitted in this environment and take the action again."
)
"""Stands where an action was empty."""

NULL_OBSERVATION = (
    "No feedback from the environment due to the null action. Please make sure your action does not start with "
    "[Thought, Action, Observation]."
)


class Transcript:
    """Thoughts, actions and observations in one text, with masking."""

    def __init__(self) -> None:
        self.text = ""
        self._step = 0

    def add(self, thought: str, action: str, turn: Turn, observation: str | None = None) -> None:
        """Append a step; `observation` in place of the turn's own, where a planner answered."""
        self._step += 1
        self.text += f"\nThought {self._step}: {thought}\nAction {self._step}: {action or FILTERED}"
        if turn.stopped and turn.state.startswith("same action"):
            return
        self.text += f"\nObservation {self._step}: "
        if turn.masked:
            self.text = mask(self.text, turn.masked)
        seen = turn.observation if observation is None else observation
        self.text += seen if action else NULL_OBSERVATION


def mask(history: str, hidden: str) -> str:
    """`history` with `hidden` replaced wherever it stands."""
    return history.replace(hidden, MASK)
