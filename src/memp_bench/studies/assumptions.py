"""What an episode takes where none was measured: assumptions, each with its source, in one place."""

from typing import Final, NamedTuple

from memp_bench.agents.registry import is_simulated
from memp_bench.studies.config import RunConfig


class Use(NamedTuple):
    """Calls and tokens, per episode or per trajectory."""

    calls: float
    input_tokens: float
    output_tokens: float

    def times(self, factor: float) -> "Use":
        """So many times as much."""
        return Use(self.calls * factor, self.input_tokens * factor, self.output_tokens * factor)


class Shape(NamedTuple):
    """How an episode of a benchmark goes. Every call sends the whole conversation so far again."""

    first: int
    """Tokens of the first prompt, without a recall."""
    turn: int
    """Tokens by which each turn lengthens the prompt, without what the agent wrote."""
    steps: tuple[float, float]
    """Without memory, with."""
    plan: tuple[int, int] = (0, 0)
    """Tokens in and out of the call that writes the plan, where there is one."""
    trajectory: int = 300
    """Tokens of one as it is shown to who writes procedures."""


_HOUSE: Final = Shape(first=320, turn=20, steps=(23.1, 16.7), trajectory=300)
SHAPES: Final = {
    "alfworld": _HOUSE,
    "household": _HOUSE,
    "travelplanner": Shape(first=540, turn=55, steps=(18.3, 16.9), plan=(5_400, 700), trajectory=600),
}
SOLE_PLANNING: Final = Shape(first=6_800, turn=0, steps=(1, 1), trajectory=600)
RECALLED: Final = {
    ("alfworld", "script"): 150,
    ("alfworld", "trajectory"): 295,
    ("alfworld", "proceduralization"): 445,
    ("travelplanner", "script"): 560,
    ("travelplanner", "trajectory"): 580,
    ("travelplanner", "proceduralization"): 1_060,
}
"""Tokens of a recalled procedure."""
DOCUMENTS: Final = {"expel": 600, "awm": 3_000}
"""Tokens of what baselines always recall."""
WRITTEN: Final = {False: 80, True: 20}
"""Tokens an agent writes a call: a real one, a simulated one."""
SECONDS: Final = {False: 2.0, True: 0.07}
"""Of a call."""
LEARNING: Final = {
    "script": Use(1, 400, 250),
    "facts": Use(1, 250, 60),
    "adjust": Use(1, 850, 300),
    "embed": Use(1, 30, 0),
}
"""A call of each purpose; the trajectory comes on top of the input of `script` and `adjust`."""
UPDATES: Final = {
    "vanilla": (1.0, 0.0),
    "validation": (0.74, 0.0),
    "adjustment": (0.77, 1.8),
    "expel": (0.13, 0.0),
    "awm": (0.75, 0.0),
}
"""Procedures written and corrected for each task played (t does not matter); ExpeL draws insights from 8 at a time."""

SOURCES: Final = (
    "steps: the paper's Table 1, mean over its backbones and memories (ALFWorld 23.1 without, 16.7 with; TravelPlanner "
    "18.3, 16.9)",
    "first prompt, length of a turn, of a trajectory and of a recalled one: our runs of sim:novice on the real tasks "
    "(18 games of ALFWorld, 9 of TravelPlanner; characters / 4)",
    "what an agent writes a call: 80 tokens for a real one, a guess; 20 for a simulated one, measured (the paper's one "
    "case has 142 to 185 tokens a step, of agent and environment together)",
    "a script written by a model: 150 tokens when recalled, a guess",
    "procedures written and corrected for each task: our simulated runs from an empty memory (docs/results.md); "
    "ExpeL's by its group of 8, AWM's as for validation",
    "prompts that ask for a script, facts or a correction: the length of ours, and a guess at the answers",
    "2 seconds a call of a real model, a guess; 0.07 of a simulated one on two loaded cores, measured",
)


def recalled(config: RunConfig) -> float:
    """Tokens of a recall, within its budget."""
    if not config.memory:
        return 0.0
    if config.retrieve == "awm":
        return min(DOCUMENTS["awm"], config.max_tokens)
    where = "travelplanner" if config.benchmark == "travelplanner" else "alfworld"
    build = "trajectory" if config.retrieve == "expel" else config.build
    each = RECALLED.get((where, build), RECALLED[where, "proceduralization"])
    return min(config.k * each + DOCUMENTS.get(config.retrieve, 0), config.max_tokens)


def shape_of(config: RunConfig) -> Shape:
    """How its episodes go."""
    if (config.options or {}).get("mode") == "sole-planning":
        return SOLE_PLANNING
    return SHAPES[config.benchmark]


def acting(config: RunConfig) -> Use:
    """The agent's calls in one episode, and that of its planner."""
    shape, written, recall = shape_of(config), WRITTEN[is_simulated(config.model)], recalled(config)
    steps = min(shape.steps[config.memory], config.max_steps)
    asked = steps * (shape.first + recall) + (shape.turn + written) * steps * (steps - 1) / 2
    if not any(shape.plan):
        return Use(steps, asked, steps * (written if shape.turn else 700))
    planned, plan = shape.plan
    return Use(steps + 1, asked + planned + recall, steps * written + plan)


def asking(purpose: str, config: RunConfig) -> Use:
    """One call that writes or reads memory."""
    use = LEARNING[purpose]
    long = shape_of(config).trajectory if purpose in ("script", "adjust") else 0
    return Use(use.calls, use.input_tokens + long, use.output_tokens)
