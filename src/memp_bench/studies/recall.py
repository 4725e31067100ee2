"""Retrieval scored alone: memories of a train split, the tasks of another, no agent. `memp study run recall`."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from memp.errors import MempError, MissingExtra, MissingKey, UnknownName
from memp.memory import AsyncProceduralMemory
from memp.models.base import ChatModel, Embedder
from memp.models.metered import Meter
from memp.models.registry import embedder as named_embedder
from memp_bench.agents.registry import check
from memp_bench.benchmarks import benchmark
from memp_bench.envs.base import Benchmark, Task
from memp_bench.envs.slots import PoolMaker, local_pool
from memp_bench.envs.travelplanner.benchmark import TravelPlanner
from memp_bench.envs.wording import reworded
from memp_bench.envs.wordings import household
from memp_bench.studies.cells import MemoryPlan
from memp_bench.studies.config import RunConfig
from memp_bench.studies.homes import Home, Spot
from memp_bench.studies.lexical import policy_to_score
from memp_bench.studies.memories import Bench, made, make
from memp_bench.studies.relevance import Agreement, Subject, ndcg, precision, subject_of
from memp_bench.studies.results import Interval, RecallResults, RecallScore
from memp_bench.studies.spec import Learned, Place, Size, Study
from memp_bench.studies.statistics import Bootstrap

PRECISION_AT: Final = (1, 5, 10)
NDCG_AT: Final = (5, 10)
_K = max(*PRECISION_AT, *NDCG_AT)
_BY_WORDS: Final = ("random", "bm25")
"""Policies that use no vectors: their figures are the same with every embedder, and stand under `none`."""
_NO_LIMIT: Final = 10**12


async def score_recall(
    study: Study,
    size: Size,
    *,
    smoke: bool,
    workers: int,
    advance: Callable[[str], None],
    home: Home | None = None,
    data: Path | None = None,
    cache: Path | None = None,
    only: str = "",
    meter: Meter | None = None,
    pools: PoolMaker = local_pool,
) -> RecallResults:
    """Score every policy, embedder and wording of `size` on every place.

    Args:
        study, size, smoke: what to score.
        workers: games played at once while memories are made.
        advance: called with a note for each task learned from, and after each score.
        home: where memories are kept, to be used again by the next call; None makes them anew.
        data, cache, pools: the benchmarks' own (see `memp_bench.benchmarks`).
        only: places whose label holds this, in any case; a note names the others.
        meter: counts what embedders behind a wire take.

    Raises:
        EnvironmentFailed: data is missing.
        UnknownName: there is no such policy or wording.
        BudgetExceeded: a cap of `meter` is reached.
    """
    meter = meter or Meter()
    places = scored(size, only)
    notes = [f"{place.label} was left out by --only {only!r}" for place in size.places if place not in places]
    embedders = dict(_embedders(size.embedders, notes, meter))
    memories: dict[str, int] = {}
    scores: list[RecallScore] = []
    with TemporaryDirectory(prefix="memp-recall-") as temporary:
        home = home or Home(Path(temporary))
        for place in places:
            house = benchmark(
                place.benchmark,
                data=None if place.generated or place.benchmark == "household" else data,
                workers=workers,
                cache=cache,
                mode="sole-planning",
                generated=place.generated,
                pools=pools,
            )
            try:
                plan = plan_of(place, size)
                if made(home.folder / "memories", plan):
                    for _ in house.tasks(plan.learned.split, games=plan.learned.games, seed=0):
                        advance("learned")
                bench = Bench(house=house, meter=meter, workers=workers, model=_no_model, advance=advance)
                learned = await make(plan, home, bench)
                exam = await _exam(house, place, plan)
            finally:
                await house.close()
            memories[place.label] = learned.build.procedures
            for policy, name, embedder in _pairs(size.policies, embedders):
                for wording in size.wordings:
                    scores.append(await _score(home.learned(plan.slug), exam, wording, policy, name, embedder))
                    advance(f"{policy} {wording}")
    for embedder in embedders.values():
        await embedder.close()
    return RecallResults(
        study=study.name,
        smoke=smoke,
        title=study.title,
        question=study.question,
        memories=memories,
        scores=tuple(scores),
        notes=tuple(notes),
    )


def scored(size: Size, only: str) -> list[Place]:
    """The places whose label holds `only`.

    Raises:
        MempError: there is none.
    """
    found = [place for place in size.places if only.lower() in place.label.lower()]
    if not found:
        there = "; ".join(place.label for place in size.places)
        raise MempError(f"--only {only!r} is in no place's label; there are: {there}")
    return found


def steps(size: Size) -> int:
    """How many scores there are for a place."""
    return len(list(_pairs(size.policies, dict(_embedders(size.embedders, [], Meter()))))) * len(size.wordings)


class _Exam(NamedTuple):
    """The tasks of a place and what is useful for them."""

    house: Benchmark
    place: Place
    tasks: Sequence[Task]
    plain: Sequence[str]
    subjects: Sequence[Subject]
    known: dict[str, Subject]
    """What each memory is about, by the id of the task it was learned from."""

    def asked(self, wording: str) -> Sequence[str]:
        """The tasks in the words of `wording`."""
        if wording == "plain":
            return self.plain
        if isinstance(self.house, TravelPlanner):
            other = reworded(self.house, wording)
            assert isinstance(other, TravelPlanner)
            return [other.travel_task(task).query for task in self.tasks]
        return [household.reword(wording, said, task.id) for said, task in zip(self.plain, self.tasks, strict=True)]


async def _exam(house: Benchmark, place: Place, plan: MemoryPlan) -> _Exam:
    tasks = house.tasks(place.split, games=place.games, seed=0)
    plain = [await _said(house, task) for task in tasks]  # before subjects are told: a generated game is made by it
    learned = house.tasks(plan.learned.split, games=plan.learned.games, seed=0)
    known = {f"{house.name}:{task.id}": subject_of(house, task) for task in learned}
    return _Exam(house, place, tasks, plain, [subject_of(house, task) for task in tasks], known)


async def _said(house: Benchmark, task: Task) -> str:
    """The task in the benchmark's own words."""
    if isinstance(house, TravelPlanner):
        return house.travel_task(task).query
    environment = house.environment()
    try:
        return (await environment.reset(task)).task
    finally:
        await environment.close()


async def _score(
    spot: Spot, exam: _Exam, wording: str, policy: str, embedder_name: str, embedder: Embedder
) -> RecallScore:
    chosen = policy_to_score(policy)
    memory = AsyncProceduralMemory(
        spot.place, namespace=spot.namespace, retrieve=chosen, embedder=embedder, k=_K, max_tokens=_NO_LIMIT
    )
    try:
        sources = _sources(memory)
        about = [exam.known[source] for source in sources.values()]
        found: list[Sequence[Agreement]] = []
        gains: dict[int, list[float]] = {k: [] for k in NDCG_AT}
        for asked, subject in zip(exam.asked(wording), exam.subjects, strict=True):
            recall = await memory.retrieve(asked, floor=float("-inf"), log=False)
            there = [subject.agreement(exam.known[sources[item.procedure.id]]) for item in recall.ranked]
            best = [subject.agreement(other).grade for other in about]
            found.append(there)
            for k, values in gains.items():
                values.append(ndcg([item.grade for item in there], best, k))
    finally:
        memory.store.close()
    return RecallScore(
        place=exam.place.label,
        wording=wording,
        policy=policy,
        embedder=embedder_name,
        tasks=len(exam.tasks),
        precision={
            f"@{k}": fmean(precision([item.kind for item in there], k) for there in found) for k in PRECISION_AT
        },
        ndcg={f"@{k}": _interval(values) for k, values in gains.items()},
        by_grade=_shares(found),
    )


def _sources(memory: AsyncProceduralMemory) -> dict[str, str]:
    """Procedure -> the task it was learned from, as `benchmark:id`."""
    sources = {}
    for procedure in memory.procedures():
        trajectory = memory.trajectory(procedure.revision.evidence[0])
        sources[procedure.id] = trajectory.source if trajectory is not None else ""
    return sources


def _shares(found: Sequence[Sequence[Agreement]]) -> dict[str, float]:
    """Of all places of all orders: what share agrees in each part."""
    names = next((item.parts for there in found for item in there), {})
    return {name: fmean(precision([item.parts[name] for item in there], _K) for there in found) for name in names}


def _interval(values: Sequence[float]) -> Interval:
    low, high = Bootstrap(seed="memp recall").mean(values)
    return Interval(value=fmean(values), low=low, high=high, n=len(values))


def plan_of(place: Place, size: Size) -> MemoryPlan:
    """The memory of a place: of its own `learned`, or of what the issue measured with."""
    gold = place.benchmark == "travelplanner"
    learned = size.learned.get(place.benchmark) or Learned(
        source="gold" if gold else "expert", games=None if gold else 300
    )
    return MemoryPlan(
        benchmark=place.benchmark,
        learned=learned,
        build="proceduralization",
        retrieve="avefact",
        builder="rules",
        update="vanilla",
        generated=place.generated,
    )


def _embedders(names: Sequence[str], notes: list[str], meter: Meter) -> Iterator[tuple[str, Embedder]]:
    """The embedders that can be asked; a note about each of the others."""
    for name in names:
        try:
            found = named_embedder(name, meter=meter)
            check(found)
        except (MissingKey, MissingExtra, UnknownName) as error:
            notes.append(f"The embedder {name} was left out: {error}")
        else:
            yield name, found


def _pairs(policies: Sequence[str], embedders: dict[str, Embedder]) -> Iterator[tuple[str, str, Embedder]]:
    """(policy, the embedder's name in the table, embedder)."""
    for policy in policies:
        for name, embedder in embedders.items():
            if policy in _BY_WORDS:
                yield policy, "none", embedder
                break
            yield policy, name, embedder


def _no_model(name: str, config: RunConfig) -> ChatModel:
    raise MempError(f"no model takes part in recall, and {name} was asked for: learn from expert or gold")
