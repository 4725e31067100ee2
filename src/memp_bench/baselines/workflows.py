"""AWM's workflows (arXiv 2409.07429, section 2): a description and steps with variables; a rule that induces them."""

import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import BeforeValidator, Field

from memp.build.facts import facts_by_rule
from memp.build.rules import lift, script_by_rule
from memp.errors import RecordError
from memp.models.structured import json_object
from memp.records import Content, Record, Trajectory

AT_ONCE = 5
STEPS = 20

_HEAD, _STEP = "Workflow: ", "   - "


def _one_line(text: object) -> object:
    return " ".join(text.split()) if isinstance(text, str) else text


Line = Annotated[str, BeforeValidator(_one_line), Field(min_length=1, max_length=300)]


class Workflow(Record):
    """A commonly reused sub-routine: what it achieves, and the actions with variables in braces."""

    description: Line
    steps: tuple[Line, ...] = Field(min_length=2, max_length=STEPS)

    def __str__(self) -> str:
        return _HEAD + self.description + "".join(f"\n{_STEP}{step}" for step in self.steps)


class Workflows(Record):
    """A model's reply."""

    workflows: tuple[Workflow, ...] = Field(max_length=AT_ONCE)


def read_workflows(reply: str) -> tuple[Workflow, ...]:
    """The workflows in a model's reply; there may be none.

    Raises:
        ValueError: no JSON object, or a workflow that is none; says why.
    """
    try:
        return Workflows.parse(json_object(reply)).workflows
    except RecordError as error:
        raise ValueError(str(error)) from None


def workflows_of(content: Content) -> tuple[Workflow, ...]:
    """The workflows that a document holds."""
    lines = content.script.steps if content.script is not None else ()
    return tuple(found for line in lines if (found := read_workflow(line)) is not None)


def read_workflow(text: str) -> Workflow | None:
    """What `str(workflow)` wrote; None when it is something else (a person's own line)."""
    head, *steps = text.splitlines() or [""]
    try:
        return Workflow.parse(
            {"description": head.removeprefix(_HEAD), "steps": [s.strip().removeprefix("- ") for s in steps]}
        )
    except RecordError:
        return None


def workflows_by_rule(known: Sequence[Workflow], trajectory: Trajectory) -> tuple[Workflow, ...]:
    """A workflow without a model: the effective actions with the task's own words as variables.

    It is new when it has a step that no workflow has; otherwise there is nothing to add.
    """
    variables = {slot: value for slot, value in facts_by_rule(lift(trajectory.task)).items() if slot not in _VERBS}
    steps = [_abstract(step, variables) for step in script_by_rule(trajectory).steps][-STEPS:]
    if len(steps) < 2 or set(steps) <= {step for workflow in known for step in workflow.steps}:
        return ()
    description = _abstract(lift(trajectory.task), variables).strip(" .")
    return (Workflow(description=description[:300] or "(a task without words)", steps=tuple(s[:300] for s in steps)),)


_VERBS = ("action", "then", "count")
"""Slots of a task that are no things."""


def _abstract(text: str, variables: dict[str, str]) -> str:
    """`text` with the things of the task as `{slot}`, each by its last word: a `clean mug` is a clean `{object}`."""
    for slot, value in variables.items():
        said = rf"(?<![\w{{]){re.escape(value.rpartition(' ')[2])}(?![\w}}])"
        text = re.sub(said, "{" + slot.replace(" ", "-").replace("\\", "") + "}", text, flags=re.IGNORECASE)
    return text
