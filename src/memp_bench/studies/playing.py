"""Plays one cell: its memory, its stream of tasks, and what is kept of it at the end."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from memp.errors import StoreMissing
from memp.memory import AsyncProceduralMemory
from memp.models.base import ChatModel
from memp.models.metered import Metered
from memp.stores.base import Stats
from memp_bench.agents.episode import Episode, EpisodeFile
from memp_bench.envs.alfworld import ALIASES
from memp_bench.envs.base import Benchmark, PlansWithModel, Task
from memp_bench.studies.config import RunConfig
from memp_bench.studies.homes import Spot, start_from
from memp_bench.studies.journal import Journal
from memp_bench.studies.ledger import Ledger
from memp_bench.studies.outcome import Noted, Outcome, Watch, group_sizes, rates_of, updates_of
from memp_bench.studies.stream import Runner, Stream


class Cell(NamedTuple):
    """A cell that is to be played, and what that needs."""

    config: RunConfig
    house: Benchmark
    folder: Path
    spot: Spot
    """Where its memory is."""
    source: Spot | None
    """The learned memory that it starts from."""
    meter: Ledger
    advance: Callable[[], None]
    """Called after every episode."""
    workers: int
    player: Runner
    remote: Mapping[str, Any]
    """Options of models behind a wire."""


async def play(cell: Cell, tasks: Sequence[Task]) -> Outcome:
    """Play the cell, or go on where an earlier process stopped.

    Raises:
        Interrupted, BudgetExceeded: stopped early; everything so far is in the folder.
        StoreMissing: the memory is gone that it started from, or that it was played with so far.
    """
    from memp_bench.cli import parts

    async with parts.models_of(cell.config, **cell.remote) as (agent, writer):
        if isinstance(cell.house, PlansWithModel):
            cell.house.plan_with(Metered(agent, cell.meter))
        memory = _memory(cell, writer) if cell.config.memory else None
        try:
            await _stream(cell, agent, memory, len(tasks)).run(tasks)
            stats = memory.stats() if memory is not None else None
        finally:
            if memory is not None:
                await memory.close()
    return _outcome(cell, agent.simulated, stats)


def _memory(cell: Cell, writer: ChatModel | None) -> AsyncProceduralMemory:
    from memp_bench.cli import parts

    start_from(cell.source, cell.spot, cell.config.embedder)
    noted = Noted(writer, cell.folder / "written.jsonl") if writer is not None else None
    memory = parts.memory_of(cell.config, cell.spot, noted, cell.meter)
    known = _first_recall(cell.folder)
    if known is not None and not memory.store.recalls(memory.namespace, known):
        memory.store.close()
        raise StoreMissing(
            f"the memory at {cell.spot.told} is not there any more, with which tasks were played; bring it back, or "
            f"remove {cell.folder} to play the cell anew"
        )
    return memory


def _first_recall(folder: Path) -> str | None:
    """A recall that the run's memory must know if it is the one that tasks were played with."""
    if not Journal(folder / "groups.jsonl").read():
        return None
    episodes = (EpisodeFile(file).read() for file in sorted((folder / "episodes").glob("*.jsonl")))
    return next((episode.recall_id for episode in episodes if episode.recall_id), None)


def _stream(cell: Cell, agent: ChatModel, memory: AsyncProceduralMemory | None, tasks: int) -> Stream:
    from memp_bench.cli import parts

    watch, config = Watch(tasks), cell.config

    def seen(episode: Episode) -> None:
        watch.add(episode)
        cell.advance()

    return Stream(
        config,
        cell.house,
        agent,
        memory,
        cell.folder,
        meter=cell.meter,
        workers=cell.workers,
        player=cell.player,
        on_episode=seen,
        record=parts.may_learn(config.benchmark, config.split),
        longest=parts.LONGEST_SEEN.get(config.benchmark),
    )


def _outcome(cell: Cell, simulated: bool, stats: Stats | None) -> Outcome:
    split = ALIASES.get(cell.config.split, cell.config.split)
    damaged = sum(f"/{split}/" in item.subject for item in getattr(cell.house, "skipped", ()))
    done = Outcome(simulated=simulated, groups=group_sizes(cell.folder), damaged=damaged)
    if stats is not None:
        held = sum(stats.procedures.values())
        updates, skipped = updates_of(cell.folder, procedures=held, trajectories=stats.trajectories)
        done = done.model_copy(update={"updates": updates, "skipped": skipped})
    episodes = [episode for group in done.episodes(cell.folder) for episode in group]
    return done.model_copy(update={"rates": rates_of(cell.house, episodes)})
