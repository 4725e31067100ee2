"""The builder's side of a simulated backbone: scripts, facts, corrections, insights, workflows, from messages alone.

It reads the record, task or procedure out of the library's prompts, as any model would, and answers with the JSON
they ask for. What it answers comes from the library's own rules, so a run with it must equal a run with rules: a
rehearsal of everything a real builder goes through (prompts, validation, retries, accounting, the wire).
"""

import json
import re
from collections.abc import Iterator, Sequence

from memp.build.facts import facts_by_rule
from memp.build.rules import adjust_by_rule, script_by_rule
from memp.errors import RecordError
from memp.models.base import Message
from memp.records import Content, Script, Step, Trajectory
from memp_bench.baselines.insights import Operations, operations_by_rule
from memp_bench.baselines.workflows import Workflows, read_workflow, workflows_by_rule

_TASK = re.compile(r"<task>\n(.*)\n</task>", re.DOTALL)
_RECORD = re.compile(r'<record reward="([^"]*)">\nTask: (.*)\n</record>', re.DOTALL)
_PROCEDURE = re.compile(r"<procedure>\n(.*)\n</procedure>", re.DOTALL)
_INSIGHTS = re.compile(r"<insights>\n(.*)\n</insights>\n\n<trials>", re.DOTALL)
_TRIAL = re.compile(
    r'^<trial n="\d+" outcome="(failed|succeeded)" reward="([^"]*)">\nTask: (.*?)\n</trial>$', re.DOTALL | re.MULTILINE
)
_WORKFLOWS = re.compile(r"<workflows>\n(.*)\n</workflows>\n\n<record ", re.DOTALL)
_PART = re.compile(r"^(Start|Thought|Action|Observation|Feedback on the whole|Feedback): ?", re.MULTILINE)
_SECTION = re.compile(
    r"^(?:(Earlier task|Goal): |(Applies when|Does not apply when|Steps|Pitfalls):$|(?:Done|Tried) before \(.*\):$)",
    re.MULTILINE,
)
_ITEM = re.compile(r"^(?:- |\d+\. )", re.MULTILINE)
_SHOWN = "shown"
"""Stands for the verbatim trajectory of a procedure: its id is not in the text, and rules do not need it."""
_NOTHING = ("Nothing happens.", "Your reply had no line 'Action:")
"""How observations begin that say the action had no effect."""


def build_reply(messages: Sequence[Message]) -> str | None:
    """The JSON that a prompt of the library or of a baseline asks for; None when it is none of these."""
    system = next((message.content for message in messages if message.role == "system"), "")
    asked = next((message.content for message in messages if message.role == "user"), "")
    if "JSON object" not in system:
        return None
    try:
        return _answer(asked)
    except RecordError:
        return None


def _answer(asked: str) -> str | None:
    if listed := _INSIGHTS.match(asked):
        return _insights(listed[1], asked)
    if document := _WORKFLOWS.match(asked):
        return _workflows(document[1], asked)
    if found := _TASK.search(asked):
        return json.dumps(facts_by_rule(found[1]), ensure_ascii=False)
    record = read_record(asked)
    if record is None:
        return None
    if found := _PROCEDURE.search(asked):
        return _json(adjust_by_rule(read_procedure(found[1]), record))
    return _json(script_by_rule(record))


def _insights(listed: str, asked: str) -> str | None:
    """Operations on a list of insights (ExpeL)."""
    trials = [(found[1], _trajectory(found[2], found[3])) for found in _TRIAL.finditer(asked)]
    failed = next((trial for outcome, trial in trials if outcome == "failed"), None)
    succeeded = [trial for outcome, trial in trials if outcome == "succeeded"]
    if not succeeded:
        return None
    operations = operations_by_rule(_items(listed), succeeded, failed)
    return Operations(operations=operations).model_dump_json(exclude_defaults=True)


def _workflows(document: str, asked: str) -> str | None:
    """Workflows that a document does not have yet (AWM)."""
    record = read_record(asked)
    if record is None:
        return None
    written = re.split(r"^(?=Workflow: )", document, flags=re.MULTILINE)
    known = [found for text in written if (found := read_workflow(text)) is not None]
    return Workflows(workflows=workflows_by_rule(known, record)).model_dump_json()


def _json(script: Script) -> str:
    return json.dumps(script.model_dump(), ensure_ascii=False)


def read_record(text: str) -> Trajectory | None:
    """The trajectory in a prompt, as `memp.render.render_trajectory` wrote it; None when there is none.

    Raises:
        RecordError: there is one, but it does not hold together.
    """
    found = _RECORD.search(text)
    if found is None:
        return None
    return _trajectory(found[1], found[2])


def _trajectory(reward: str, told: str) -> Trajectory:
    task, *parts = _PART.split(told + "\n")
    start, feedback, steps = "", "", list[dict[str, str]]()
    thought = ""
    for label, said in zip(parts[::2], (part.removesuffix("\n") for part in parts[1::2]), strict=True):
        if label == "Start":
            start = said
        elif label == "Feedback on the whole":
            feedback = said
        elif label == "Thought":
            thought = said
        elif label == "Action":
            steps.append({"action": said, "thought": thought})
            thought = ""
        elif steps:
            steps[-1][label.lower()] = said
    return Trajectory.parse(
        {
            "task": task.removesuffix("\n"),
            "start": start,
            "steps": tuple(map(_step, steps)),
            "reward": reward,
            "feedback": feedback,
        }
    )


def _step(parts: dict[str, str]) -> Step:
    refused = parts.get("observation", "").startswith(_NOTHING)
    return Step.parse({**parts, "error": "agent" if refused else None})


def read_procedure(text: str) -> Content:
    """The procedure in a prompt, as `memp.render.render_content` wrote it.

    Raises:
        RecordError: it does not hold together.
    """
    said: dict[str, str] = {}
    for name, body in _sections(text):
        said.setdefault(name, body)
    script = None
    if "Goal" in said:
        script = Script.parse(
            {
                "goal": said["Goal"],
                "applies_when": _items(said.get("Applies when", "")),
                "does_not_apply_when": _items(said.get("Does not apply when", "")),
                "steps": _items(said.get("Steps", "")),
                "pitfalls": _items(said.get("Pitfalls", "")),
            }
        )
    return Content.parse({"task": said.get("Earlier task", ""), "script": script, "trajectory_id": _SHOWN})


def _sections(text: str) -> Iterator[tuple[str, str]]:
    """(heading, what stands under it), up to the verbatim trajectory."""
    marks = list(_SECTION.finditer(text))
    for mark, end in zip(marks, [*(mark.start() for mark in marks[1:]), len(text)], strict=True):
        name = mark[1] or mark[2]
        if name is None:
            return
        yield name, text[mark.end() : end].strip("\n")


def _items(text: str) -> tuple[str, ...]:
    return tuple(item.strip("\n") for item in _ITEM.split(text)[1:])
