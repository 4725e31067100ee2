"""The evaluation stream: play tasks in groups, record, and let the memory change only between groups."""

import hashlib
import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Literal

from memp.errors import MempError
from memp.memory import AsyncProceduralMemory
from memp.models.base import ChatModel
from memp.models.metered import Meter, Metered
from memp.records import Receipt, Skipped
from memp_bench.agents.episode import Episode, Failure, trajectory_of
from memp_bench.envs.base import Benchmark, Measures, Task
from memp_bench.envs.slots import SlotLost
from memp_bench.studies.config import RunConfig
from memp_bench.studies.journal import Group, Journal, left, merged, only_one
from memp_bench.studies.players import Episodes, GroupPlayer, Interrupted, LocalPlayer, NotesLearning, Progress
from memp_bench.studies.summary import Changes, Summary, summarise

__all__ = ["Interrupted", "Stream"]

Runner = Literal["local", "inspect"]


class Stream:
    """One run in one folder: `run.json`, one file an episode, the run's own memory, and how far it is.

    Once a group of tasks has been played its games are never played again, so the memory they were played with is
    the one they are learned into. `player` plays the groups: `local`, `inspect` (extra `bench`), or one of your own
    that leaves its episodes in `out`. `meter` counts everything the run uses; the summary's `usage` is its reading,
    so for a run that may be resumed give a `Ledger`. `record` False keeps the episodes out of the memory: for splits
    whose verdicts nobody may learn from, now or later. `longest` cuts observations in the memory (not in the files):
    tables of thousands of characters would leave no room for anything else.
    """

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
        player: Runner | GroupPlayer = "local",
        on_episode: Progress | None = None,
        record: bool = True,
        longest: int | None = None,
    ) -> None:
        self.config = config
        self.out = out
        self._benchmark = benchmark
        self._model = Metered(model, meter)
        self._memory = memory
        self._meter = meter
        self._episodes = Episodes(config, benchmark, memory, out)
        self._player = self._player_of(player, workers, on_episode)
        self._on_episode = on_episode
        self._record = record
        self._longest = longest
        self._journal = Journal(out / "groups.jsonl")

    async def run(self, tasks: Sequence[Task]) -> Summary:
        """Play all tasks, resuming where an earlier run of the same folder stopped.

        Raises:
            BudgetExceeded, Interrupted: stopped early; everything so far is in the folder.
            StoreError: the memory could not be read or written; likewise.
            MempError: the folder holds another run, or another process is at this one.
        """
        self.config.claim(self.out)
        with only_one(self.out):
            return await self._run(tasks)

    async def _run(self, tasks: Sequence[Task]) -> Summary:
        started = time.monotonic()
        size = self.config.every or max(1, len(tasks))
        groups: list[list[Episode]] = []
        for number, start in enumerate(range(0, len(tasks), size)):
            there = self._journal.read().get(number)
            chosen = list(enumerate(tasks[start : start + size], start))
            if there is None:
                groups.append(await self._play_group(chosen))
                there = Group(group=number, games=len(chosen), stage="played", before=self._newest_receipt())
                self._journal.add(there)
            else:
                groups.append([self._played(*task) for task in chosen])
            if there.stage == "played":
                before = self._meter.snapshot()
                receipt = await self._learn(groups[-1], there.before)
                if isinstance(self._player, NotesLearning):
                    await self._player.learned(start, self._meter.since(before))
                self._journal.add(Group(group=number, games=len(chosen), stage="learned", receipt=receipt))
        return self._summary(groups, time.monotonic() - started)

    # -- playing -----------------------------------------------------------------------------------

    def _player_of(self, player: Runner | GroupPlayer, workers: int, on_episode: Progress | None) -> GroupPlayer:
        if player == "local":
            return LocalPlayer(self._episodes, self._model, workers=workers, on_episode=on_episode)
        if player == "inspect":
            from memp_bench.studies.inspect_player import InspectPlayer

            return InspectPlayer(self._episodes, self._model, meter=self._meter, workers=workers, on_episode=on_episode)
        return player

    async def _play_group(self, tasks: Sequence[tuple[int, Task]]) -> list[Episode]:
        episodes = await self._player.play(tasks)
        if [episode.task_id for episode in episodes] != [task.id for _, task in tasks]:
            raise MempError(
                f"{type(self._player).__name__} gave {len(episodes)} episodes for {len(tasks)} tasks, or others: "
                "nothing was learned from them"
            )
        broken = [e for e in episodes if e.failure is not None and not _of_the_game(e.failure)]
        if broken:
            first = broken[0].failure
            raise Interrupted(
                f"{len(broken)} of {len(episodes)} games of this group could not be played, e.g. {broken[0].task_id}: "
                f"{first.message if first else ''}. Nothing is lost; repeat the command to go on"
            )
        return episodes

    def _played(self, number: int, task: Task) -> Episode:
        episode = self._episodes.read(number, task)
        if self._on_episode is not None:
            self._on_episode(episode)
        return episode

    # -- learning ----------------------------------------------------------------------------------

    def _newest_receipt(self) -> str | None:
        newest = [] if self._memory is None else self._memory.receipts(limit=1)
        return newest[0].id if newest else None

    async def _learn(self, episodes: Sequence[Episode], before: str | None) -> Receipt | None:
        """Record the group in the order of its tasks, then update. Both may be repeated after a crash.

        `before` is the memory's newest receipt from before the first try.
        """
        if self._memory is None or not self._record:
            return None
        for episode in episodes:
            if episode.counted:
                recall = self._memory.recall(episode.recall_id) if episode.recall_id else None
                name = hashlib.sha256(f"{self.config.digest}/{episode.task_id}".encode()).hexdigest()[:32]
                source = f"{self.config.benchmark}:{episode.task_id}"
                await self._memory.record(trajectory_of(episode, name, source=source, longest=self._longest), recall)
        if self.config.every is None:
            return None
        receipt = await self._memory.update()
        waiting = [item for item in receipt.skipped if left(item.reason)]
        if waiting:
            raise Interrupted(
                f"{len(waiting)} trajectories could not be learned from: {waiting[0].reason}. Nothing is lost; repeat "
                "the command to go on"
            )
        since = takewhile(lambda r: r.id != before, self._memory.receipts(limit=len(episodes) + 1_000))
        whole = merged([r for r in since if r.operation == "update"][::-1]) or receipt
        return whole.model_copy(update={"retired": self._retired(self._memory, episodes)})

    def _retired(self, memory: AsyncProceduralMemory, episodes: Sequence[Episode]) -> tuple[str, ...]:
        """Those served in this group that are retired now; a killed update may have come to some of them only."""
        recalls = [memory.recall(e.recall_id) for e in episodes if e.counted and e.recall_id]
        served = list(dict.fromkeys(item.procedure.id for recall in recalls for item in recall.ranked))
        retired = []
        for procedure in memory.store.find(memory.namespace, served):
            reason = memory.discarding.reason(procedure) if memory.discarding else None
            if reason:
                memory.retire(procedure.id, reason=reason, policy="discard")
            if reason or procedure.status == "retired":
                retired.append(procedure.id)
        return tuple(retired)

    # -- result ------------------------------------------------------------------------------------

    def _metrics(self, episodes: Sequence[Episode]) -> Mapping[str, float]:
        if not isinstance(self._benchmark, Measures):
            return {}
        return self._benchmark.measure({e.task_id: e.product for e in episodes if e.counted})

    def _summary(self, groups: Sequence[Sequence[Episode]], wall_s: float) -> Summary:
        config = self.config
        episodes = [episode for group in groups for episode in group]
        curves = [summarise(group)["success_rate"] for group in groups]
        return Summary.parse(
            {
                "benchmark": config.benchmark,
                "split": config.split,
                "model": config.model,
                "simulated": self._model.simulated,
                "seed": config.seed,
                "memory": f"{config.build}/{config.retrieve}/{config.update}" if config.memory else "none",
                **summarise(episodes),
                "metrics": self._metrics(episodes),
                "curve": [value for value in curves if value is not None],
                "usage": self._meter.usage,
                "receipt": _changes(self._journal.read().values()),
                "failed": [
                    Skipped(subject=e.task_id, reason=e.failure.message if e.failure else e.reason)
                    for e in episodes
                    if not e.counted
                ],
                "wall_s": round(wall_s, 2),
                "out": str(self.out),
            }
        )


def _of_the_game(failure: Failure) -> bool:
    """Whether it is the game that cannot be played. A machine that was lost under it says nothing of it."""
    return failure.boundary == "environment" and failure.kind != SlotLost.__name__


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
