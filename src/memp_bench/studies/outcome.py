"""What is kept of a finished cell, beside its episodes: enough to make tables of it again without its benchmark."""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from memp.errors import RecordError
from memp.models.base import ChatModel, Message, Reply
from memp.models.wrapped import Wrapped
from memp.records import Record, Usage
from memp_bench.agents.episode import Episode, EpisodeFile
from memp_bench.envs.base import Benchmark, MeasuresTasks, Rate
from memp_bench.studies.journal import Group, Journal
from memp_bench.studies.players import Interrupted
from memp_bench.studies.results import Build

FILE: Final = "outcome.json"
TOO_MANY: Final = 5
"""So many games without a single usable reply say that the backbone will give none."""

_EXCUSES = re.compile(
    r"\s*(sorry|i am sorry|i['’]?m (very |really |so )?sorry|i can ?not\b|i can['’]?t\b|i won['’]?t\b|as an ai\b|"
    r"i(['’]m| am) (unable|not able)|unfortunately,? i\b)",
    re.IGNORECASE,
)


class Outcome(Record):
    """A finished cell. Written last, so that where it is, the cell is whole."""

    simulated: bool
    groups: tuple[int, ...]
    """Tasks in each group."""
    rates: Mapping[str, Mapping[str, Rate]] = {}
    updates: Build | None = None
    skipped: Mapping[str, int] = {}
    """Why updates took nothing from a trajectory (the first words) -> how often."""
    damaged: int = 0
    """Games of the split that cannot be played at all and were left out."""

    @classmethod
    def read(cls, folder: Path) -> "Outcome | None":
        """That of a cell's folder; None while it is not finished."""
        try:
            return cls.parse((folder / FILE).read_text(encoding="utf-8"))
        except (OSError, RecordError):
            return None

    def write(self, folder: Path) -> None:
        """Write it, whole or not at all."""
        part = folder / f"{FILE}.part"
        part.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
        part.replace(folder / FILE)

    def episodes(self, folder: Path) -> list[list[Episode]]:
        """The groups of episodes, without the providers' own JSON.

        Raises:
            RecordError: a file is missing or damaged.
        """
        files = iter(sorted((folder / "episodes").glob("*.jsonl")))
        return [[_lean(_read(folder, next(files, None))) for _ in range(size)] for size in self.groups]


def _read(folder: Path, file: Path | None) -> Episode:
    if file is None:
        raise RecordError(f"{folder} is incomplete: episode files are missing; remove the folder and resume")
    return EpisodeFile(file).read()


def _lean(episode: Episode) -> Episode:
    replies = tuple(reply.model_copy(update={"raw": None}) for reply in episode.replies)
    return episode.model_copy(update={"replies": replies})


def rates_of(house: Benchmark, episodes: Iterable[Episode]) -> Mapping[str, Mapping[str, Rate]]:
    """What every counted episode adds to the benchmark's own metrics; empty where it has none."""
    if not isinstance(house, MeasuresTasks):
        return {}
    return house.rates({episode.task_id: episode.product for episode in episodes if episode.counted})


def updates_of(folder: Path, *, procedures: int, trajectories: int) -> tuple[Build, Mapping[str, int]]:
    """What the updates of a finished run did, and what they left out and why."""
    receipts = [group.receipt for group in Journal(folder / "groups.jsonl").read().values() if group.receipt]
    skipped = Counter(re.split("[:;]", item.reason)[0] for receipt in receipts for item in receipt.skipped)
    used = written(folder / "written.jsonl")
    build = Build(
        procedures=procedures,
        trajectories=trajectories,
        added=sum(len(receipt.added) for receipt in receipts),
        revised=sum(len(receipt.revised) for receipt in receipts),
        retired=sum(len(receipt.retired) for receipt in receipts),
        calls=used.calls,
        tokens=used.tokens,
        cost=used.cost,
    )
    return build, dict(sorted(skipped.items()))


def group_sizes(folder: Path) -> tuple[int, ...]:
    """Tasks in each group of a finished run."""
    groups: Mapping[int, Group] = Journal(folder / "groups.jsonl").read()
    return tuple(groups[number].games for number in sorted(groups))


# -- what writing a memory used ------------------------------------------------------------------------


class _Written(Record):
    """One request and what its answer used."""

    request: str
    usage: Usage


class Noted(Wrapped):
    """A model whose answers are written down by request: one that had to be asked again, because its answer was lost
    in a crash, counts once. So what a memory took to write does not depend on interruptions."""

    def __init__(self, model: ChatModel, file: Path) -> None:
        super().__init__(model)
        self._file = file

    async def asked(self, messages: Sequence[Message], purpose: str, ask: Callable[[], Awaitable[Reply]]) -> Reply:
        """The reply, once its usage is in the file."""
        reply = await ask()
        said = "\0".join([purpose, *(f"{message.role}\n{message.content}" for message in messages)])
        line = _Written(request=hashlib.sha256(said.encode()).hexdigest()[:24], usage=reply.usage)
        file = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:  # the line break first: the line before may be torn
            os.write(file, b"\n" + line.model_dump_json().encode())
        finally:
            os.close(file)
        return reply


def written(file: Path) -> Usage:
    """What is written down there, each request once."""
    once: dict[str, Usage] = {}
    for line in file.read_bytes().splitlines() if file.exists() else ():
        try:
            entry = _Written.parse(line)
        except RecordError:
            continue  # torn by a kill
        once.setdefault(entry.request, entry.usage)
    return sum((once[request] for request in sorted(once)), Usage())


# -- replies of no use ---------------------------------------------------------------------------------


def useless(reply: Reply) -> bool:
    """Whether a reply is a refusal, or empty."""
    text = reply.text.strip()
    return reply.stop == "refusal" or not text or bool(_EXCUSES.match(text) and "Action:" not in text)


class Watch:
    """Stops a cell whose backbone gives nothing but refusals, empty replies and replies without an action."""

    def __init__(self, tasks: int) -> None:
        self._enough = min(TOO_MANY, tasks)
        self._games = self._good = 0

    def add(self, episode: Episode) -> None:
        """Look at an episode.

        Raises:
            Interrupted: it is one too many.
        """
        if not episode.counted or not episode.replies:
            return
        pairs = list(zip(episode.replies, episode.steps, strict=False))
        self._games += 1
        self._good += sum(1 for reply, step in pairs if step.action and not useless(reply))
        if self._games >= self._enough and not self._good:
            said = " ".join(episode.replies[-1].text.split())[:120] or "(nothing)"
            refused = sum(useless(reply) for reply, _ in pairs)
            kind = "refusals or empty replies" if refused == len(pairs) else "replies without an action"
            raise Interrupted(
                f"{episode.model} gave nothing but {kind} in the first {self._games} games, e.g. {said!r}; no episode "
                "would say anything about memory. Check the model's name, its chat template and its filters, or "
                "begin elsewhere (--out) with another model",
                hopeless=True,
            )
