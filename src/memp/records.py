"""What is stored and what crosses a boundary: frozen, validated records.

The names are the field's (Mem^p, arXiv 2508.06433, section 2): a trajectory tau is a sequence of
steps with a reward r in [0, 1]; a procedure is the memory unit m_p built from it.
"""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from memp.errors import RecordError

MAX_TEXT = 1_000_000
"""Longest single text in a record, in characters. An agent cannot have read more in one step."""

ErrorKind = Literal["agent", "environment", "provider", "memory"]
"""The one boundary a failure is attributed to."""

Status = Literal["active", "probation", "pending", "proposed", "quarantined", "retired"]
"""What a revision's procedure is good for now. Whatever it is, it is kept with its history.

`active` is served. `probation`: a correction on trial, served to a part of the recalls beside the revision it wants to
replace. `pending`: a correction that waits for a person; the revision before it is served meanwhile. `proposed`: a new
procedure that waits for a person. `quarantined`: not served, for it does harm or looks like an attack. `retired`: not
served any more.
"""

SERVABLE: Final = ("active", "probation", "pending")
"""Procedures in one of these states are served, at the revision that stands."""


def new_id() -> str:
    """A fresh id for records whose maker does not care: 32 hexadecimal digits."""
    return uuid.uuid4().hex


def now() -> datetime:
    """The current time in UTC."""
    return datetime.now(UTC)


def _aware(when: datetime) -> datetime:
    if when.tzinfo is None:
        raise ValueError("the time has no time zone; use datetime.now(UTC)")
    return when.astimezone(UTC)


Text = Annotated[str, Field(max_length=MAX_TEXT)]
"""A string that can be stored: bounded, valid Unicode. Control characters are kept and escaped when shown.

No validator in Python: a recall of ten procedures holds hundreds of texts.
"""

Name = Annotated[str, Field(min_length=1, max_length=200)]
"""A short non-empty string: ids, namespaces, slots."""

When = Annotated[datetime, AfterValidator(_aware)]
"""A point in time with a zone, kept in UTC."""

Reward = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
"""How well it went, 0 to 1."""


class Record(BaseModel):
    """Base of all records: immutable, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def parse(cls, data: object) -> Self:
        """Validate `data` (a mapping or a JSON string) and return the record.

        Raises:
            RecordError: says which field was wrong and why, on one line a field.
        """
        try:
            if isinstance(data, str | bytes):
                return cls.model_validate_json(data)
            return cls.model_validate(data)
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(str(part) for part in e['loc']) or cls.__name__}: {_problem(e)}" for e in error.errors()
            )
            raise RecordError(f"not a {cls.__name__}: {problems}") from None


def _problem(error: ErrorDetails) -> str:
    """What is wrong, in words that say what to do."""
    text = error["input"]
    if error["type"] == "string_unicode" and isinstance(text, str):
        at = next((n for n, character in enumerate(text) if "\ud800" <= character <= "\udfff"), 0)
        return f"character {at} is half of a surrogate pair and is not text; decode with errors='replace'"
    if error["type"] == "string_too_long" and error["ctx"]["max_length"] == MAX_TEXT:
        return f"the text has {len(text):,} characters, the limit is {MAX_TEXT:,}; keep the part the agent read"
    return error["msg"]


class Usage(Record):
    """What model calls consumed. `cost` is in US dollars and None when unknown, never a guessed 0."""

    calls: int = Field(0, ge=0)
    input_tokens: int = Field(0, ge=0)
    output_tokens: int = Field(0, ge=0)
    cost: float | None = Field(None, ge=0, allow_inf_nan=False)

    @property
    def tokens(self) -> int:
        """Input and output tokens together."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: "Usage") -> "Usage":
        if not self.calls:
            return other
        if not other.calls:
            return self
        known = self.cost is not None and other.cost is not None
        return Usage(
            calls=self.calls + other.calls,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cost=(self.cost or 0.0) + (other.cost or 0.0) if known else None,
        )


class Step(Record):
    """One round of a trajectory: what the agent thought and did, and what it then saw."""

    action: Text
    observation: Text = ""
    thought: Text = ""
    reward: float | None = Field(None, allow_inf_nan=False)
    error: ErrorKind | None = None
    """Set when the step had no effect and why: `agent` = the action was refused or unparsable."""
    feedback: Text = ""
    """What a judge said about this step, if anything."""
    origin: Text = ""
    """Where the observation's text comes from (`web:example.org`, `mail`); empty: from where the agent works, and
    trusted. What is distilled from an origin that the memory does not trust is shown as data, never as instructions."""


class Trajectory(Record):
    """What an agent did and how it went (tau and r). Never changed, never lost.

    `start` is the first observation (s0), before any action.
    """

    id: Name = Field(default_factory=new_id)
    task: Text = Field(min_length=1)
    start: Text = ""
    steps: tuple[Step, ...] = Field(min_length=1)
    reward: Reward
    agent: Text = ""
    """The model that acted, or `expert`."""
    source: Text = ""
    """Where it comes from: benchmark, split and game, a file, a session."""
    feedback: Text = ""
    """What a judge said about the whole."""
    facts: Mapping[Name, Text] = Field(default_factory=dict)
    """Known facts of the task, slot -> value, when the caller has them."""
    tags: Mapping[Name, Text] = Field(default_factory=dict)
    """Labels for people and reports (family, level); policies never read them."""
    usage: Mapping[Name, Usage] = Field(default_factory=dict)
    """Consumption by purpose."""
    started_at: When | None = None
    finished_at: When | None = None


class Script(Record):
    """The abstract procedure: what to do for tasks of this kind, without instance detail."""

    goal: Text = Field(min_length=1, max_length=2_000)
    applies_when: tuple[Text, ...] = ()
    does_not_apply_when: tuple[Text, ...] = ()
    steps: tuple[Text, ...] = Field(min_length=1, max_length=100)
    pitfalls: tuple[Text, ...] = ()
    """What went wrong before and how to avoid it."""

    @model_validator(mode="after")
    def _no_blank_lines(self) -> Self:
        for field in ("applies_when", "does_not_apply_when", "steps", "pitfalls"):
            if not all(map(str.strip, getattr(self, field))):
                raise ValueError(f"{field} holds an empty line")
        return self


class Content(Record):
    """What a procedure says at one revision: the verbatim trajectory, the script, or both."""

    task: Text = Field(min_length=1)
    facts: Mapping[Name, Text] = Field(default_factory=dict)
    trajectory_id: Name | None = None
    """The trajectory to show verbatim; None when only the script speaks."""
    script: Script | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.trajectory_id is None and self.script is None:
            raise ValueError("a procedure needs a trajectory, a script or both")
        return self


class Author(Record):
    """Who wrote a revision: a policy (with model and prompt version, if one was used) or a person."""

    policy: Name
    model: Text = ""
    prompt: Text = ""
    """Name and version of the prompt, for example `script/1`."""


class Revision(Record):
    """One state of a procedure. Append-only: undo is a new revision."""

    procedure_id: Name
    number: int = Field(ge=1)
    parent: int | None = Field(None, ge=1)
    content: Content
    status: Status = "active"
    reason: Text = Field(min_length=1)
    evidence: tuple[Name, ...] = ()
    """Ids of the trajectories that led to it."""
    author: Author
    at: When
    tokens: int = Field(0, ge=0)
    """About how long it is in a prompt, in tokens."""
    stands: int | None = Field(None, ge=1)
    """On probation or pending: the revision that is served beside it, or instead of it."""
    pinned: bool = False
    """Only a person changes it: no policy revises, retires, merges, evicts or quarantines it."""
    tainted: tuple[Name, ...] = ()
    """Untrusted origins that its text may come from; empty once a person or evidence vouches for it."""
    merged: tuple[tuple[Name, int], ...] = ()
    """Procedures (id, revision) that it took up because they said the same: their outcomes count for it."""


class Procedure(Record):
    """The memory unit m_p at its current revision, with that revision's counters."""

    id: Name
    namespace: Name
    created_at: When
    revision: Revision
    served: int = Field(0, ge=0)
    """Outcomes credited to the current revision."""
    succeeded: int = Field(0, ge=0)
    """Those of them that were successes."""
    built_from_success: bool = True

    @property
    def content(self) -> Content:
        """What it says now."""
        return self.revision.content

    @property
    def task(self) -> str:
        """The task it was built from."""
        return self.revision.content.task

    @property
    def script(self) -> Script | None:
        """The abstract procedure, if there is one."""
        return self.revision.content.script

    @property
    def status(self) -> Status:
        """Whether it is served."""
        return self.revision.status


class Outcome(Record):
    """How a task with a recall went. Credit goes to every procedure that was served, by id and revision."""

    recall_id: Name
    trajectory_id: Name
    reward: Reward
    success: bool
    credited: tuple[tuple[Name, int], ...] = ()
    """Procedure id and revision of everything that was served."""
    withheld: tuple[tuple[Name, int], ...] = ()
    """Likewise what would have been served, had the recall not been withheld to measure what memory is worth."""
    agent: Text = ""
    """The model that acted: evidence is per model."""
    family: Text = ""
    """Kind of the task, where the trajectory has a tag `family`."""
    task_key: Text = ""
    """Names the task's words, so that tasks that came with memory and without are found."""
    steps: int = Field(0, ge=0)
    tokens: int | None = Field(None, ge=0)
    """Of the whole task; None when the trajectory does not say."""
    at: When


class Skipped(Record):
    """Something an operation did not do, and why. Nothing is dropped silently."""

    subject: Text
    """Id of the trajectory or procedure."""
    reason: Text


class Receipt(Record):
    """What one operation did."""

    id: Name
    operation: Name
    policy: Name
    added: tuple[Name, ...] = ()
    revised: tuple[tuple[Name, int], ...] = ()
    """Procedure id and the number of the new revision."""
    retired: tuple[Name, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    usage: Mapping[Name, Usage] = Field(default_factory=dict)
    """By purpose: script, facts, adjust, embed."""
    quarantined: tuple[Name, ...] = ()
    """Procedures that are not served any more, for they do harm or look like an attack."""
    redacted: Mapping[Name, int] = Field(default_factory=dict)
    """What was taken out before storing, by kind (`api key`, `email`) and how often."""
    queue: int = Field(0, ge=0)
    """Changes that wait for a person (`memp memory queue`)."""
    at: When
