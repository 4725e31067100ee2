"""Learned memories: made once, before the first cell that needs them, and shared by all that need the same."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from memp.errors import MempError, RecordError
from memp.memory import AsyncProceduralMemory
from memp.models.base import ChatModel
from memp.models.metered import Meter, Metered
from memp.records import Receipt, Record, Skipped, Trajectory, Usage
from memp_bench.agents.episode import Episode, EpisodeFile, trajectory_of
from memp_bench.envs.base import Benchmark, PlansWithModel, Task
from memp_bench.studies.cells import MemoryPlan
from memp_bench.studies.config import RunConfig
from memp_bench.studies.homes import Home, Spot
from memp_bench.studies.outcome import Noted, Watch, written
from memp_bench.studies.results import Build
from memp_bench.studies.stream import Stream

LEARNS_FROM_FAILURES: Final = ("expel",)
"""Update policies that are given all that a teacher played, failures beside successes."""


class Made(Record):
    """A memory that is finished. Written last, so that where it is, the memory is whole."""

    build: Build
    digest: str
    """Of what it says, whatever the ids and times in it."""
    skipped: int
    """Tasks and trajectories that gave nothing."""


class Bench(NamedTuple):
    """What making a memory needs of the laboratory."""

    house: Benchmark
    meter: Meter
    workers: int
    model: Callable[[str, RunConfig], ChatModel]
    """The model of that name."""
    advance: Callable[[str], None]


def made(folder: Path, plan: MemoryPlan) -> Made | None:
    """What was made; None while it is not finished."""
    try:
        return Made.parse((folder / f"{plan.slug}.json").read_text(encoding="utf-8"))
    except (OSError, RecordError):
        return None


def source_of(home: Home, plan: MemoryPlan) -> Spot | None:
    """Where the finished memory is, for cells to start from; None when there is nothing in it."""
    there = made(home.folder / "memories", plan)
    return None if there is not None and not there.build.trajectories else home.learned(plan.slug)


async def make(plan: MemoryPlan, home: Home, bench: Bench) -> Made:
    """Make the memory, or go on where an earlier process stopped.

    Raises:
        Interrupted, BudgetExceeded: stopped early; what was learned so far is in the folder.
        MempError: the data is not there.
    """
    from memp_bench.cli import parts

    folder = home.folder / "memories"
    if there := made(folder, plan):
        return there
    folder.mkdir(parents=True, exist_ok=True)
    notes = folder / f"{plan.slug}.written.jsonl"
    config = _config(plan)
    writer = None if plan.builder == "rules" else bench.model(plan.builder, config)
    tasks = bench.house.tasks(plan.learned.split, games=plan.learned.games, seed=0)
    played, played_skipped, acting = await _played(plan, folder, bench, tasks)
    noted = Noted(writer, notes) if writer is not None else None
    try:
        async with parts.memory_of(config, home.learned(plan.slug), noted, bench.meter) as memory:
            receipts, skipped = await _learn(plan, memory, bench, tasks, played)
            left_out = [*played_skipped, *skipped, *(item for receipt in receipts for item in receipt.skipped)]
            done = _made(memory, written(notes) + acting, left_out)
    finally:
        if writer is not None:
            await writer.close()
    part = folder / f"{plan.slug}.json.part"
    part.write_text(done.model_dump_json(indent=2) + "\n", encoding="utf-8")
    part.replace(folder / f"{plan.slug}.json")
    return done


async def warm(plan: MemoryPlan, home: Home, embedder: str, bench: Bench) -> None:
    """Have the memory's tasks embedded once, before cells take their copies: an embedder behind a wire costs."""
    from memp_bench.cli import parts

    if embedder == "static":
        return
    config = _config(plan).model_copy(update={"embedder": embedder, "retrieve": "query", "update": "vanilla"})
    async with parts.memory_of(config, home.learned(plan.slug), None, bench.meter) as memory:
        await memory.retrieve("which tasks are there", k=1, log=False)


def _config(plan: MemoryPlan) -> RunConfig:
    return RunConfig.parse(
        {
            "benchmark": plan.benchmark,
            "split": plan.learned.split,
            "games": plan.learned.games,
            "model": plan.teacher or plan.builder,
            "builder": plan.builder,
            "base_url": plan.base_url,
            "build": plan.build,
            "update": plan.update,
            "retrieve": plan.retrieve,
            "generated": plan.generated,
        }
    )


async def _learn(
    plan: MemoryPlan,
    memory: AsyncProceduralMemory,
    bench: Bench,
    tasks: Sequence[Task],
    played: list[Trajectory] | None,
) -> tuple[list[Receipt], list[Skipped]]:
    from memp_bench.envs.travelplanner.benchmark import TravelPlanner
    from memp_bench.envs.travelplanner.memories import learnable
    from memp_bench.studies.learn import learn, remember

    if played is not None and plan.update in LEARNS_FROM_FAILURES:
        return await remember(memory, played), []
    if played is not None:
        least = plan.learned.above
        good = [t for t in played if (memory.succeeded(t) if least is None else t.reward > least)]
        kept = {t.id for t in good}
        failed = [Skipped(subject=t.id, reason=f"its reward is {t.reward:.2f}") for t in played if t.id not in kept]
        return await remember(memory, good), failed
    if isinstance(bench.house, TravelPlanner):
        gold, skipped = learnable(bench.house, tasks, facts=plan.builder == "rules")
        receipts = await remember(memory, gold)
        for task in tasks:
            bench.advance(task.family)
        return receipts, skipped
    if plan.learned.source == "gold":
        raise MempError(f"{plan.benchmark} has no annotators' plans to learn from; its source is expert or played")
    return await learn(memory, bench.house, tasks, on_task=bench.advance)


async def _played(
    plan: MemoryPlan, folder: Path, bench: Bench, tasks: Sequence[Task]
) -> tuple[list[Trajectory] | None, list[Skipped], Usage]:
    """What the teacher does in the training tasks without memory; None when nobody plays.

    Played once for all memories that need it: builds are compared on the same trajectories.
    """
    if plan.teacher is None:
        return None, [], Usage()
    config = _teaching(plan)
    out = folder / f"{plan.benchmark}-played-{config.digest[:10]}"
    await _play(config, out, bench, tasks)
    episodes = [EpisodeFile(out / "episodes" / f"{number:05d}.jsonl").read() for number in range(len(tasks))]
    used = sum((u for episode in episodes if episode.counted for u in episode.usage.values()), Usage())
    lost = [Skipped(subject=e.task_id, reason="could not be played") for e in episodes if not e.counted]
    return [_told(config, episode) for episode in episodes if episode.counted], lost, used


def _teaching(plan: MemoryPlan) -> RunConfig:
    """The teacher's run."""
    return _config(plan).model_copy(
        update={
            "memory": False,
            "base_url": plan.teacher_base_url,
            "options": plan.options,
            "max_steps": plan.max_steps or 30,
            "temperature": plan.temperature,
            **{what: RunConfig.model_fields[what].default for what in ("builder", "build", "retrieve", "update")},
        }
    )


async def _play(config: RunConfig, out: Path, bench: Bench, tasks: Sequence[Task]) -> None:
    teacher, watch = bench.model(config.model, config), Watch(len(tasks))
    if isinstance(bench.house, PlansWithModel):
        bench.house.plan_with(Metered(teacher, bench.meter))

    def seen(episode: Episode) -> None:
        watch.add(episode)
        bench.advance("learning")

    try:
        stream = Stream(
            config, bench.house, teacher, None, out, meter=bench.meter, workers=bench.workers, on_episode=seen
        )
        await stream.run(tasks)
    finally:
        await teacher.close()


def _told(config: RunConfig, episode: Episode) -> Trajectory:
    """What the teacher did, as a trajectory of a name that follows from the run."""
    from memp_bench.cli import parts

    return trajectory_of(
        episode,
        hashlib.sha256(f"{config.digest}/{episode.task_id}".encode()).hexdigest()[:32],
        source=f"{config.benchmark}:{episode.task_id}",
        longest=parts.LONGEST_SEEN.get(config.benchmark),
    )


def _made(memory: AsyncProceduralMemory, used: Usage, left_out: Sequence[Skipped]) -> Made:
    """What there is to say of a finished memory."""
    procedures = list(memory.procedures())
    digest = hashlib.sha256()
    for said in sorted(procedure.revision.content.model_dump_json() for procedure in procedures):
        digest.update(said.encode() + b"\n")
    build = Build(
        procedures=len(procedures),
        trajectories=memory.stats().trajectories,
        added=len(procedures),
        revised=0,
        retired=0,
        calls=used.calls,
        tokens=used.tokens,
        cost=used.cost,
    )
    return Made(build=build, digest=digest.hexdigest()[:16], skipped=len({item.subject for item in left_out}))
