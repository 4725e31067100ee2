"""Procedures as text for a prompt: the one place that decides how memory looks to an agent."""

import re
from collections.abc import Iterable

from memp.records import Content, Script, Trajectory

HEADER = (
    "Procedures from earlier tasks, best first. Follow one where it fits this task; where it does not fit, ignore it."
)

WRAPPING = '<procedure n="10">\n\n</procedure>\n\n'
"""What surrounds each procedure, for planning within a token budget."""

# C0 controls except newline and tab, DEL, and C1: stored verbatim, never shown to a prompt or a terminal.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_FENCE = re.compile(r"<(?=\s*/?\s*procedure\b)", re.IGNORECASE)


def clean(text: str) -> str:
    """`text` without control characters, and without anything that could close a procedure's fence."""
    return _FENCE.sub("‹", _CONTROLS.sub("", text.replace("\r\n", "\n")))


def approximate_tokens(text: str) -> int:
    """About how many tokens `text` is: four characters a token. For planning, not for billing."""
    return (len(text) + 3) // 4


def render_trajectory(trajectory: Trajectory) -> str:
    """The rounds of a trajectory, verbatim, one line a part."""
    lines = []
    if trajectory.start:
        lines.append(f"Start: {clean(trajectory.start)}")
    for step in trajectory.steps:
        if step.thought:
            lines.append(f"Thought: {clean(step.thought)}")
        lines.append(f"Action: {clean(step.action)}")
        if step.observation:
            lines.append(f"Observation: {clean(step.observation)}")
        if step.feedback:
            lines.append(f"Feedback: {clean(step.feedback)}")
    if trajectory.feedback:
        lines.append(f"Feedback on the whole: {clean(trajectory.feedback)}")
    return "\n".join(lines)


def render_script(script: Script) -> str:
    """The script's parts under their headings; empty parts are left out."""

    def section(title: str, items: Iterable[str]) -> list[str]:
        bullets = [f"- {clean(item)}" for item in items]
        return [title, *bullets] if bullets else []

    return "\n".join(
        [
            f"Goal: {clean(script.goal)}",
            *section("Applies when:", script.applies_when),
            *section("Does not apply when:", script.does_not_apply_when),
            "Steps:",
            *(f"{n}. {clean(step)}" for n, step in enumerate(script.steps, 1)),
            *section("Pitfalls:", script.pitfalls),
        ]
    )


def render_content(content: Content, trajectory: Trajectory | None) -> str:
    """What a procedure says: task, script, and the verbatim trajectory when it shows one.

    `trajectory` is the one that `content.trajectory_id` names.
    """
    parts = [f"Earlier task: {clean(content.task)}"]
    if content.script is not None:
        parts.append(render_script(content.script))
    if trajectory is not None:
        verb = "Done" if trajectory.reward > 0 else "Tried"
        parts.append(f"{verb} before (reward {trajectory.reward:g}):\n{render_trajectory(trajectory)}")
    return "\n".join(parts)


def render_procedures(texts: Iterable[str]) -> str:
    """The block that goes into a prompt; empty when there is nothing to show."""
    blocks = [f'<procedure n="{n}">\n{text}\n</procedure>' for n, text in enumerate(texts, 1)]
    return "\n\n".join([HEADER, *blocks]) if blocks else ""
