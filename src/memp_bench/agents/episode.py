"""What is kept of one episode, and the file it is saved to after every step."""

import errno
import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Self

from pydantic import Field

from memp.errors import MempError, RecordError, StoreError, StoreFull
from memp.models.base import Reply
from memp.records import Record, Step, Text, Trajectory, Usage, When

EpisodeStatus = Literal["done", "failed", "stopped", "incomplete"]
"""`done`: played to its end, counts. `failed`: provider or environment broke, does not count, to be retried.
`stopped`: a budget or the user ended it. `incomplete`: read from a file whose process was killed."""


class Failure(Record):
    """What broke an episode, attributed to one boundary."""

    boundary: Literal["provider", "environment", "memory"]
    kind: str
    """Class of the error, for example `RateLimited`."""
    message: Text
    retryable: bool = True
    """False when repeating cannot help (no key, unknown model, a damaged game)."""


class EpisodeStart(Record):
    """What is known before the first step: the header of an episode file."""

    task_id: str
    family: str
    task: Text = ""
    """The task in words; empty when the environment could not be set up."""
    start: Text = ""
    """The first observation."""
    model: str
    simulated: bool
    recall_id: str | None = None
    recalled: Text = ""
    """The text recalled from memory, as the agent read it."""
    config: Mapping[str, Any] = Field(default_factory=dict)
    """Settings of the loop (max_steps, temperature, seed) and of the caller."""
    memp_version: str
    started_at: When


class EpisodeEnd(Record):
    """The final line of an episode file."""

    status: EpisodeStatus
    failure: Failure | None = None
    reason: Text = ""
    """Why it was stopped."""
    reward: float = Field(0.0, ge=0, le=1)
    success: bool = False
    verdict: Text = ""
    """What the environment's judge said about the whole."""
    product: Text = ""
    """What was made, where that is more than the steps (a plan, as JSON)."""
    counts: Mapping[str, int] = Field(default_factory=dict)
    """What the environment counted."""
    usage: Mapping[str, Usage] = Field(default_factory=dict)
    finished_at: When | None = None


class Episode(EpisodeStart, EpisodeEnd):
    """One task played by one agent. Only `done` episodes count; the others keep their steps as data."""

    steps: tuple[Step, ...] = ()
    replies: tuple[Reply, ...] = ()
    """The model's replies, one a step, with the provider's raw JSON."""
    attempt: int = Field(1, ge=1)
    """Number of this attempt within its file."""

    @property
    def counted(self) -> bool:
        """Whether it says something about the agent."""
        return self.status == "done"


def trajectory_of(episode: Episode, id: str, *, source: str = "", longest: int | None = None) -> Trajectory:
    """The episode as a trajectory for the memory. Observations are cut to `longest` characters, if given, but for the
    last, which is the result.

    Raises:
        RecordError: the episode was not played to its end, so its reward means nothing.
    """
    if not episode.counted:
        why = episode.failure.message if episode.failure else episode.reason or "its file ends early"
        raise RecordError(f"episode {episode.task_id} is {episode.status} ({why}): it is no trajectory; play it again")
    steps = episode.steps
    if longest is not None:
        steps = (*(_cut(step, longest) for step in steps[:-1]), *steps[-1:])
    return Trajectory(
        id=id,
        task=episode.task,
        start=episode.start,
        steps=steps,
        reward=episode.reward,
        agent=episode.model,
        source=source or episode.task_id,
        feedback=episode.verdict,
        tags={"family": episode.family} if episode.family else {},
        usage=episode.usage,
        started_at=episode.started_at,
        finished_at=episode.finished_at,
    )


def _cut(step: Step, longest: int) -> Step:
    seen = step.observation
    if len(seen) <= longest:
        return step
    return step.model_copy(update={"observation": f"{seen[:longest]} [cut: {len(seen):,} characters in all]"})


class EpisodeFile:
    """JSON Lines: a header, one line a step, an end. Appended and handed to the system at every line.

    A process killed at any moment leaves a readable prefix. A further attempt is appended to the same file;
    `read` returns the last attempt.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def begin(self, start: EpisodeStart) -> None:
        """Open the file and write the header of a new attempt.

        Raises:
            StoreFull: the disk is full (also from `add` and `end`).
            StoreError: the file cannot be written.
        """
        self.close()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("ab")
            if self._file.tell() and not self.path.read_bytes().endswith(b"\n"):
                self._file.write(b"\n")  # the last write of an earlier attempt was torn
        except OSError as error:
            raise self._unwritable(error) from error
        self._write("episode", start)

    def add(self, step: Step, reply: Reply) -> None:
        """Write one step."""
        self._write("step", step, reply)

    def end(self, end: EpisodeEnd) -> None:
        """Write the final line and close the file."""
        self._write("end", end)
        self.close()

    def close(self) -> None:
        """Close the file; without `end` the episode reads as incomplete."""
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):  # what could not be flushed was reported by the write
                file.close()

    def _write(self, kind: str, record: Record, reply: Reply | None = None) -> None:
        if self._file is None:
            raise MempError(f"episode file {self.path} is not open: call begin() first")
        # A provider's JSON may hold half surrogate pairs, which only escaped ASCII can carry.
        tail = f',"reply":{json.dumps(reply.model_dump(), default=str)}' if reply is not None else ""
        try:
            self._file.write(f'{{"kind":"{kind}","data":{record.model_dump_json()}{tail}}}\n'.encode())
            self._file.flush()
        except OSError as error:
            self.close()
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> StoreError:
        kind = StoreFull if error.errno == errno.ENOSPC else StoreError
        return kind(f"episode file {self.path} cannot be written: {error.strerror}; free space or name another folder")

    def read(self) -> Episode:
        """The last attempt; status `incomplete` when its end is missing.

        Raises:
            RecordError: the file holds no episode.
        """
        start: EpisodeStart | None = None
        end = EpisodeEnd(status="incomplete")
        steps: list[Step] = []
        replies: list[Reply] = []
        attempt = 0
        for line in self._lines():
            kind, data = line["kind"], line["data"]
            if kind == "episode":
                start, end, steps, replies = EpisodeStart.parse(data), EpisodeEnd(status="incomplete"), [], []
                attempt += 1
            elif kind == "step":
                steps.append(Step.parse(data))
                replies.append(Reply.parse(line["reply"]))
            elif kind == "end":
                end = EpisodeEnd.parse(data)
        if start is None:
            raise RecordError(f"{self.path} holds no episode: its header is missing")
        return episode_from(start, end, steps, replies, attempt=attempt)

    def _lines(self) -> list[dict[str, Any]]:
        """The whole lines; a torn one (a write cut by a kill) is left out."""
        lines = []
        for raw in self.path.read_bytes().splitlines():
            try:
                line = json.loads(raw)
            except ValueError:
                continue
            if isinstance(line, dict) and "kind" in line and "data" in line:
                lines.append(line)
        return lines


def episode_from(
    start: EpisodeStart, end: EpisodeEnd, steps: list[Step], replies: list[Reply], *, attempt: int = 1
) -> Episode:
    """Put an episode together from its parts."""
    parts = {name: getattr(start, name) for name in EpisodeStart.model_fields}
    parts |= {name: getattr(end, name) for name in EpisodeEnd.model_fields}
    return Episode(**parts, steps=tuple(steps), replies=tuple(replies), attempt=attempt)


def ended(
    status: EpisodeStatus,
    reward: float,
    replies: list[Reply],
    at: datetime,
    *,
    usage: Mapping[str, Usage] | None = None,
    **more: Any,
) -> EpisodeEnd:
    """An end with the usage of `replies` summed up, beside what the environment used."""
    acting = sum((reply.usage for reply in replies), Usage())
    used = dict(usage or {}) | ({"act": acting} if replies else {})
    return EpisodeEnd(status=status, reward=reward, usage=used, finished_at=at, **more)
