"""Who plays a group of tasks: `GroupPlayer`, what every one of them needs, and the one without any framework."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable

from memp.errors import MempError, MissingExtra, RecordError
from memp.memory import AsyncProceduralMemory
from memp.models.base import ChatModel
from memp.recall import Recall
from memp.records import Usage
from memp_bench.agents.episode import Episode, EpisodeFile
from memp_bench.agents.react import play
from memp_bench.envs.base import Benchmark, Task
from memp_bench.envs.slots import PoolUnfit
from memp_bench.studies.config import RunConfig

ATTEMPTS = 3
"""How often a game is tried that a provider or an environment breaks."""

Progress = Callable[[Episode], None]


class Interrupted(MempError):
    """The stream stopped before its end; everything so far is kept, and repeating the command goes on.

    `exit_code` is 3, or 1 when repeating cannot help before something is mended (a wrong key, an unknown model).
    """

    def __init__(self, message: str, *, hopeless: bool = False) -> None:
        self.exit_code = 1 if hopeless else 3
        super().__init__(message)


class GroupPlayer(Protocol):
    """Plays a group of tasks, between two changes of the memory."""

    async def play(self, tasks: Sequence[tuple[int, Task]]) -> list[Episode]:
        """One episode a task, in the order given; a task is given with its index in the stream.

        Every episode is in the run's folder (`Episodes`) when this returns. Those that are there already, from an
        earlier process, are not played again. Those that could not be played are among them, not counted.

        Raises:
            BudgetExceeded, Interrupted: stopped early; everything so far is in the folder.
            StoreError: a file or the memory could not be written.
        """


@runtime_checkable
class NotesLearning(Protocol):
    """A player that also keeps what learning from its groups has used."""

    async def learned(self, start: int, used: Mapping[str, Usage]) -> None:
        """Note it, by purpose, for the group whose first task has the index `start`."""


@dataclass(frozen=True)
class Episodes:
    """The episodes of one run: how one is played, and the files they are in."""

    config: RunConfig
    benchmark: Benchmark
    memory: AsyncProceduralMemory | None
    out: Path
    """The run's folder."""

    def file(self, number: int) -> EpisodeFile:
        """The file of the episode with that index in the stream."""
        return EpisodeFile(self.out / "episodes" / f"{number:05d}.jsonl")

    def over(self, number: int, task: Task) -> Episode | None:
        """The episode, if an earlier process played it to an end that stands."""
        file = self.file(number)
        if not file.path.exists():
            return None
        try:
            there = file.read()
        except RecordError:
            return None  # killed before its header was written
        return there if there.task_id == task.id and (there.counted or broken_for_good(there)) else None

    def read(self, number: int, task: Task) -> Episode:
        """An episode of a group that is over.

        Raises:
            RecordError: its file is not there, or holds another game.
        """
        file = self.file(number)
        try:
            episode = file.read()
        except (OSError, RecordError) as error:
            raise RecordError(
                f"the run's episode {file.path} cannot be read ({error}); start again elsewhere"
            ) from None
        if episode.task_id != task.id:
            raise RecordError(f"{file.path} holds {episode.task_id}, not {task.id}: the games changed under the run")
        return episode

    async def attempt(self, number: int, task: Task, model: ChatModel) -> Episode:
        """Play it once.

        Raises:
            Interrupted: it broke in a way that others would too, until something is mended.
            BudgetExceeded, StoreError: as `play`.
        """
        env, file = self.benchmark.environment(), self.file(number)
        try:
            with file:
                episode = await play(
                    env,
                    task,
                    model,
                    instructions=self.benchmark.instructions,
                    example=self.benchmark.example,
                    recall=partial(self._recall, model.name),
                    max_steps=self.config.max_steps,
                    temperature=self.config.temperature,
                    seed=self.config.seed,
                    file=file,
                )
        finally:
            await env.close()
        if episode.failure is not None and not episode.failure.retryable and not broken_for_good(episode):
            raise Interrupted(
                f"{episode.failure.message}. Nothing is lost; repeat the command when this is mended", hopeless=True
            )
        return episode

    async def _recall(self, agent: str, task: str) -> Recall | None:
        return None if self.memory is None else await self.memory.retrieve(task, agent=agent)


class LocalPlayer:
    """Plays in this process and event loop, `workers` episodes at a time."""

    def __init__(
        self, episodes: Episodes, model: ChatModel, *, workers: int = 2, on_episode: Progress | None = None
    ) -> None:
        self._episodes = episodes
        self._model = model
        self._workers = asyncio.Semaphore(workers)
        self._on_episode = on_episode

    async def play(self, tasks: Sequence[tuple[int, Task]]) -> list[Episode]:
        """One episode a task, in the order given."""
        try:
            async with asyncio.TaskGroup() as group:
                playing = [group.create_task(self._episode(number, task)) for number, task in tasks]
        except BaseExceptionGroup as failed:
            raise first_of(failed) from None
        return [task.result() for task in playing]

    async def _episode(self, number: int, task: Task) -> Episode:
        episode = self._episodes.over(number, task)
        if episode is None:
            async with self._workers:
                for _ in range(ATTEMPTS):
                    episode = await self._episodes.attempt(number, task, self._model)
                    if final(episode):
                        break
        assert episode is not None
        if self._on_episode is not None:
            self._on_episode(episode)
        return episode


def final(episode: Episode) -> bool:
    """Whether another attempt would give nothing else."""
    return episode.counted or broken_for_good(episode)


def broken_for_good(episode: Episode) -> bool:
    """A game that cannot be played, now or later, while others may be."""
    failure = episode.failure
    if failure is None or failure.kind in (MissingExtra.__name__, PoolUnfit.__name__):
        return False
    return failure.boundary == "environment" and not failure.retryable


def first_of(failed: BaseExceptionGroup) -> BaseException:
    """The first error that was raised on purpose, or the first at all."""
    known, _ = failed.split(MempError)
    error: BaseException = known or failed
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
