"""inspect-ai as the runner (extra `bench`): one `eval_set` a group, its log in the run's folder, its viewer opens it.

The episodes are the same as the local player's: the same function plays them, in the event loop that owns memory,
environments and models. inspect-ai runs in a thread with a loop of its own, one sample an episode; only the model's
calls pass through it.

Those calls go to our own `ChatModel`, registered with inspect as the provider `memp`, and not to inspect's providers.
So a call is counted once, also one that failed or whose reply could not be read, at our prices and before the cap is
passed; it is repeated by one party only (the SDK, as Retry-After says); simulated backbones work alike; the episode
file keeps the provider's own JSON. inspect counts it under the model and under the role `act`, and shows it in the
transcript, as any other. The one thing lost is that its adaptive concurrency sees no 429: `workers` is the bound.

Three habits keep the hazards away: the data set is static and the memory changes only after the samples have been
counted; a reply always comes with its usage (inspect would fetch a tokenizer from the network) and never from a
cache; one bad sample never ends the others, but leaves the log as failed (`continue_on_fail`), since `eval_set` takes
up again only what failed. With `fail_on_error=False` it would call the log done and never play that sample again.
"""

import hashlib
import importlib.util
import os
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from memp.errors import MempError, MissingExtra
from memp.models.base import ChatModel
from memp.models.metered import Meter
from memp.records import Usage
from memp_bench.agents.episode import Episode
from memp_bench.envs.base import Task
from memp_bench.studies.players import ATTEMPTS, Episodes, Progress, final
from memp_bench.studies.two_loops import Home, Stopped

_ONE_AT_A_TIME = threading.Lock()
"""inspect-ai keeps its own state per process: a second evaluation waits for the first."""


def check() -> None:
    """Whether groups could be played through inspect-ai at all; imports nothing.

    Raises:
        MissingExtra: it is not installed.
    """
    if importlib.util.find_spec("inspect_ai") is None:
        raise MissingExtra("bench", "running through inspect-ai")


class InspectPlayer:
    """Plays groups through inspect-ai, `workers` samples at a time; see the module for what goes where.

    Raises:
        MissingExtra: inspect-ai is not installed.
    """

    def __init__(
        self,
        episodes: Episodes,
        model: ChatModel,
        *,
        meter: Meter,
        workers: int = 2,
        on_episode: Progress | None = None,
    ) -> None:
        check()
        self._episodes = episodes
        self._model = model
        self._meter = meter
        self._workers = workers
        self._on_episode = on_episode

    async def play(self, tasks: Sequence[tuple[int, Task]]) -> list[Episode]:
        """One episode a task, in the order given; the group's log is in `inspect/FIRST-LAST` of the run's folder.

        Raises:
            BudgetExceeded, Interrupted, StoreError: as every player.
            MempError: inspect-ai failed, lost samples, or the log folder is another group's.
        """
        folder = self._claimed(tasks)
        before = self._meter.snapshot()
        group = Playing(self._episodes, tasks, self._model, self._on_episode)
        location = await group.home.beside(lambda: self._evaluate(group, folder))
        if group.home.stopped is not None:
            raise group.home.stopped
        played = [self._episodes.read(number, task) for number, task in tasks]
        await group.home.beside(lambda: _check(location, tasks, played))
        await self._note(group.home, location, "playing", self._meter.since(before))
        for (number, _), episode in zip(tasks, played, strict=True):
            group.report(number, episode)
        return played

    async def learned(self, start: int, used: Mapping[str, Usage]) -> None:
        """Write into the log of the group what learning from it has used."""
        for location in sorted(self._logs.glob(f"{start:05d}-*/*.eval")):
            await self._note(Home(), location, "learning", used)

    @property
    def _logs(self) -> Path:
        return self._episodes.out / "inspect"

    def _claimed(self, tasks: Sequence[tuple[int, Task]]) -> Path:
        """The group's folder.

        Raises:
            MempError: it holds another run's log, or another group's.
        """
        numbers = [number for number, _ in tasks]
        folder = self._logs / f"{min(numbers, default=0):05d}-{max(numbers, default=0):05d}"
        mark = folder / ".eval-set-id"  # where inspect-ai itself keeps it
        if mark.exists() and (there := mark.read_text().strip()) != self._name(tasks):
            raise MempError(
                f"{folder} holds inspect's log of another run or of other games ({there}, not {self._name(tasks)}); "
                "choose another --out or remove it"
            )
        if not mark.exists() and any(folder.glob("*.eval")):
            raise MempError(f"{folder} holds logs that are not this run's; choose another --out or remove it")
        return folder

    def _name(self, tasks: Sequence[tuple[int, Task]]) -> str:
        games = "\n".join(f"{number} {task.id}" for number, task in tasks)
        return f"{self._episodes.config.digest}-{hashlib.sha256(games.encode()).hexdigest()[:8]}"

    def _evaluate(self, group: "Playing", folder: Path) -> Path:
        """Run the evaluation; in a thread of its own. The path of its log."""
        from inspect_ai import eval_set

        from memp_bench.studies.inspect_task import task_of

        with _ONE_AT_A_TIME, _left_alone():
            try:
                _, logs = eval_set(
                    [task_of(group, self._workers)],
                    log_dir=str(folder),
                    eval_set_id=self._name([(number, group.tasks[number]) for number in group.tasks]),
                    retry_immediate=False,
                    retry_attempts=1,  # repeating the command is the retry; samples have their own
                    retry_on_error=ATTEMPTS - 1,
                    fail_on_error=True,
                    continue_on_fail=True,
                    max_samples=self._workers,
                    display="none",
                    log_level="notset",
                    log_format="eval",
                    log_realtime=False,
                    log_buffer=1,
                    ctl_server=False,
                )
            except Exception as error:
                if group.home.stopped is not None:
                    return folder
                raise MempError(f"inspect-ai could not play the group in {folder}: {error}") from error
        return _path(logs[0].location)

    async def _note(self, home: Home, location: Path, what: str, used: Mapping[str, Usage]) -> None:
        """Write usage into a log's metadata: of this step, and of the run so far."""
        usage = {
            f"usage of {what}": {purpose: used[purpose].model_dump() for purpose in sorted(used)},
            "usage so far": {purpose: usage.model_dump() for purpose, usage in self._meter.usage.items()},
        }
        await home.beside(lambda: _amend(location, usage))


class Playing:
    """A group while it is played: the side of it that lives in the home loop."""

    def __init__(
        self, episodes: Episodes, tasks: Sequence[tuple[int, Task]], model: ChatModel, on_episode: Progress | None
    ) -> None:
        self.home = Home()
        self.episodes = episodes
        self.tasks = dict(tasks)
        self.model = model
        self._on_episode = on_episode
        self._attempts: Counter[int] = Counter()
        self._reported: set[int] = set()

    async def episode(self, number: int, model: ChatModel) -> tuple[Episode, bool]:
        """One attempt, and whether it is the last that is worth making. What breaks for all stops the group."""
        task = self.tasks[number]
        try:
            episode = self.episodes.over(number, task) or await self.episodes.attempt(number, task, model)
            self._attempts[number] += 1
            last = final(episode) or self._attempts[number] >= ATTEMPTS
            if last:
                self.report(number, episode)
        except Exception as error:
            self.home.stop(error)
            raise Stopped(str(error)) from error
        return episode, last

    def report(self, number: int, episode: Episode) -> None:
        """Say that an episode is there, once."""
        if self._on_episode is not None and number not in self._reported:
            self._on_episode(episode)
        self._reported.add(number)


@contextmanager
def _left_alone() -> Iterator[None]:
    """Keep inspect-ai from what is not its own: stdout, and the variables of a `.env` nearby.

    It reports to rich's console whatever its `display` says. And it loads the nearest `.env` in the middle of a run:
    another key or server for the models that are made after it.
    """
    import rich

    console, switch = rich.get_console(), "PYTHON_DOTENV_DISABLED"
    quiet, before = console.quiet, os.environ.get(switch)
    console.quiet, os.environ[switch] = True, "1"
    try:
        yield
    finally:
        console.quiet = quiet
        if before is None:
            del os.environ[switch]
        else:
            os.environ[switch] = before


def _path(location: str) -> Path:
    return Path(location.removeprefix("file://"))


def _check(location: Path, tasks: Sequence[tuple[int, Task]], played: Sequence[Episode]) -> None:
    """Whether the log holds every sample once, with the outcome that the episode has.

    Raises:
        MempError: it does not. Nothing may be learned from the group.
    """
    from inspect_ai.log import read_eval_log_sample_summaries

    found = {str(sample.id): sample.error for sample in read_eval_log_sample_summaries(str(location))}
    expected = {sample_id(number) for number, _ in tasks}
    if set(found) != expected:
        raise MempError(
            f"inspect-ai's log {location} has {len(found)} samples, of {len(expected)}; nothing was learned from them. "
            "Repeat the command to go on"
        )
    for (number, task), episode in zip(tasks, played, strict=True):
        if episode.counted and (error := found[sample_id(number)]):
            raise MempError(f"inspect-ai failed on {task.id}, which was played: {error}; repeat the command to go on")


def sample_id(number: int) -> str:
    """What the episode with that index in the stream is called in the log; sorts like the index."""
    return f"{number:05d}"


def _amend(location: Path, metadata: Mapping[str, Any]) -> None:
    """Add to a log's metadata."""
    from inspect_ai.log import MetadataEdit, ProvenanceData, edit_eval_log, read_eval_log, write_eval_log

    edit = MetadataEdit(metadata_set=dict(metadata))
    log = edit_eval_log(read_eval_log(str(location)), [edit], ProvenanceData(author="memp"))
    write_eval_log(log, str(location))
