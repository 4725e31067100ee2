"""The evaluation stream: play tasks in groups, record, and let the memory change only between groups."""

import asyncio
import hashlib
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from memp.errors import MempError, RecordError
from memp.memory import AsyncProceduralMemory
from memp.models.base import ChatModel
from memp.models.metered import Meter, Metered
from memp.recall import Recall
from memp.records import Receipt, Record, Skipped, Usage
from memp_bench.agents.episode import Episode, EpisodeFile, trajectory_of
from memp_bench.agents.react import play
from memp_bench.envs.base import Benchmark, Task
from memp_bench.studies.config import RunConfig
from memp_bench.studies.summary import Changes, Summary, summarise

ATTEMPTS = 3
Progress = Callable[[Episode], None]


class Interrupted(MempError):
    """The stream stopped before its end; everything so far is kept, and repeating the command goes on."""


class Stream:
    """One run in one folder: `run.json`, one file an episode, the run's own memory, and a line per finished group."""

    def __init__(
        self,
        config: RunConfig,
        benchmark: Benchmark,
        model: ChatModel,
        memory: AsyncProceduralMemory | None,
        out: Path,
        *,
        meter: Meter,
        workers: int = 2,
        on_episode: Progress | None = None,
    ) -> None:
        self.config = config
        self.out = out
        self._benchmark = benchmark
        self._model = Metered(model, meter)
        self._memory = memory
        self._meter = meter
        self._workers = asyncio.Semaphore(workers)
        self._on_episode = on_episode
        self._groups = out / "groups.jsonl"

    async def run(self, tasks: Sequence[Task]) -> Summary:
        """Play all tasks, resuming where an earlier run of the same folder stopped.

        Raises:
            BudgetExceeded, Interrupted: stopped early; everything so far is in the folder.
        """
        self.config.claim(self.out)
        started = time.monotonic()
        size = self.config.every or len(tasks)
        episodes: list[Episode] = []
        finished = _read_groups(self._groups)
        for number, start in enumerate(range(0, len(tasks), size)):
            before = self._meter.snapshot()
            group = await self._play_group(tasks[start : start + size], start)
            episodes += group
            if number not in finished:
                receipt = await self._learn(group)
                usage = {p: used for p, used in self._meter.since(before).items() if p != "act"}
                record = Group(group=number, games=len(group), receipt=receipt, usage=usage)
                with self._groups.open("a") as file:
                    file.write(record.model_dump_json() + "\n")
        return self._summary(episodes, size, time.monotonic() - started)

    # -- playing -----------------------------------------------------------------------------------

    async def _play_group(self, tasks: Sequence[Task], offset: int) -> list[Episode]:
        async with asyncio.TaskGroup() as group:
            playing = [group.create_task(self._episode(task, offset + n)) for n, task in enumerate(tasks)]
        episodes = [task.result() for task in playing]
        broken = [e for e in episodes if e.failure is not None and e.failure.boundary != "environment"]
        if broken:
            first = broken[0].failure
            raise Interrupted(
                f"{len(broken)} of {len(episodes)} games of this group could not be played, e.g. {broken[0].task_id}: "
                f"{first.message if first else ''}. Nothing is lost; repeat the command to go on"
            )
        return episodes

    async def _episode(self, task: Task, number: int) -> Episode:
        file = EpisodeFile(self.out / "episodes" / f"{number:05d}.jsonl")
        if file.path.exists():
            try:
                there = file.read()
            except RecordError:
                there = None  # killed before its header was written
            if there is not None and (there.counted or _hopeless(there)):
                return self._seen(there)
        async with self._workers:
            for _ in range(ATTEMPTS):
                episode = await self._attempt(task, file)
                if episode.counted or _hopeless(episode):
                    break
        if _hopeless(episode) and episode.failure is not None and episode.failure.boundary != "environment":
            raise Interrupted(f"{episode.failure.message}. Nothing is lost; repeat the command when this is mended")
        return self._seen(episode)

    def _seen(self, episode: Episode) -> Episode:
        if self._on_episode is not None:
            self._on_episode(episode)
        return episode

    async def _attempt(self, task: Task, file: EpisodeFile) -> Episode:
        env = self._benchmark.environment()
        try:
            with file:
                return await play(
                    env,
                    task,
                    self._model,
                    instructions=self._benchmark.instructions,
                    example=self._benchmark.example,
                    recall=self._recall,
                    max_steps=self.config.max_steps,
                    temperature=self.config.temperature,
                    seed=self.config.seed,
                    file=file,
                )
        finally:
            await env.close()

    async def _recall(self, task: str) -> Recall | None:
        return None if self._memory is None else await self._memory.retrieve(task)

    # -- learning ----------------------------------------------------------------------------------

    async def _learn(self, episodes: Sequence[Episode]) -> Receipt | None:
        """Record the group in the order of its tasks, then update. Both may be repeated after a crash."""
        if self._memory is None:
            return None
        for episode in episodes:
            if episode.counted:
                recall = self._memory.recall(episode.recall_id) if episode.recall_id else None
                name = hashlib.sha256(f"{self.config.digest}/{episode.task_id}".encode()).hexdigest()[:32]
                source = f"{self.config.benchmark}:{episode.task_id}"
                await self._memory.record(trajectory_of(episode, name, source=source), recall)
        if self.config.every is None:
            return None
        receipt = await self._memory.update()
        left = [item for item in receipt.skipped if item.reason.startswith("left for the next update")]
        if left:
            raise Interrupted(
                f"{len(left)} trajectories could not be learned from: {left[0].reason}. Nothing is lost; repeat the "
                "command to go on"
            )
        return receipt

    # -- result ------------------------------------------------------------------------------------

    def _summary(self, episodes: Sequence[Episode], size: int, wall_s: float) -> Summary:
        config = self.config
        groups = [episodes[start : start + size] for start in range(0, len(episodes), size)]
        curves = [summarise(group)["success_rate"] for group in groups]
        records = _read_groups(self._groups).values()
        usage = {"act": sum((e.usage.get("act", Usage()) for e in episodes), Usage())}
        for record in records:
            for purpose, used in record.usage.items():
                usage[purpose] = usage.get(purpose, Usage()) + used
        return Summary.parse(
            {
                "benchmark": config.benchmark,
                "split": config.split,
                "model": config.model,
                "simulated": self._model.simulated,
                "seed": config.seed,
                "memory": f"{config.build}/{config.retrieve}/{config.update}" if config.memory else "none",
                **summarise(episodes),
                "curve": [value for value in curves if value is not None],
                "usage": usage,
                "receipt": _changes(records),
                "failed": [
                    Skipped(subject=e.task_id, reason=e.failure.message if e.failure else e.reason)
                    for e in episodes
                    if not e.counted
                ],
                "wall_s": round(wall_s, 2),
                "out": str(self.out),
            }
        )


def _hopeless(episode: Episode) -> bool:
    return episode.failure is not None and not episode.failure.retryable


class Group(Record):
    """A finished group: written after its update, so that a resumed run does not update again."""

    group: int
    games: int
    receipt: Receipt | None
    usage: Mapping[str, Usage]
    """Of everything but acting, which is in the episodes."""


def _read_groups(file: Path) -> dict[int, Group]:
    """The finished groups; a line torn by a kill does not count."""
    groups = {}
    for line in file.read_text().splitlines() if file.exists() else ():
        try:
            group = Group.parse(line)
        except RecordError:
            continue
        groups[group.group] = group
    return groups


def _changes(groups: Iterable[Group]) -> Changes:
    receipts = [group.receipt for group in groups if group.receipt is not None]
    reasons = Counter(re.split("[:;]", item.reason)[0] for receipt in receipts for item in receipt.skipped)
    return Changes(
        updates=len(receipts),
        added=sum(len(r.added) for r in receipts),
        revised=sum(len(r.revised) for r in receipts),
        retired=sum(len(r.retired) for r in receipts),
        skipped=dict(reasons),
    )
