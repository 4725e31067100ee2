"""The demo: one simulated agent plays the same games without memory, with its own, and with an expert's."""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, pstdev

from memp.memory import AsyncProceduralMemory
from memp.models.metered import Meter
from memp.records import Record
from memp_bench.agents.episode import Episode, EpisodeFile
from memp_bench.agents.registry import backbone
from memp_bench.envs.base import Benchmark
from memp_bench.studies.config import RunConfig
from memp_bench.studies.ledger import Ledger
from memp_bench.studies.stream import Stream
from memp_bench.studies.summary import Summary

NONE, OWN, EXPERT = "no memory", "own memory", "expert's memory"
ARMS = (NONE, OWN, EXPERT)
"""Without; with a memory that starts empty; with one that starts from expert trajectories. Both go on learning.

The own memory measures itself (a share of its recalls is withheld) and corrects with a guard; the expert's is corrected
as the paper does.
"""

HOLDOUT = 0.1
"""Share of the recalls of its own memory that are withheld, so that `memp evidence` has something to say."""


class Spread(Record):
    """A figure over seeds."""

    mean: float
    sd: float


class Arm(Record):
    """One arm over all seeds."""

    name: str
    success: Spread
    """Share of games won."""
    late_success: Spread
    """The same in the second half of the stream, when there is something to recall."""
    steps: Spread
    tokens: Spread
    """Tokens a game, recalled text included."""
    curves: tuple[tuple[float, ...], ...]
    """For each seed, the share won so far after each group."""
    repairs: int
    """Games lost without memory and won in this arm, over all seeds."""
    regressions: int
    """Games won without memory and lost in this arm."""


class Demo(Record):
    """What the demo found."""

    model: str
    seeds: tuple[int, ...]
    games: int
    every: int
    arms: tuple[Arm, ...]
    runs: tuple[tuple[Summary, ...], ...]
    """For each seed, one summary an arm."""


def demo_config(model: str, games: int, every: int, seed: int, arm: str) -> RunConfig:
    """One arm of one seed. All arms play the same games in the same order."""
    return RunConfig(
        benchmark="household",
        split="seen",
        games=games,
        seed=seed,
        model=model,
        memory=arm != NONE,
        source="expert" if arm == EXPERT else None,
        every=every if arm != NONE else None,
        holdout=HOLDOUT if arm == OWN else 0.0,
        guard=arm == OWN,
        k=5,
    )


async def run_demo(
    house: Benchmark,
    out: Path,
    *,
    model: str,
    games: int,
    every: int,
    seeds: Sequence[int],
    workers: int,
    make_memory: Callable[[RunConfig, Path, Meter], AsyncProceduralMemory],
    on_episode: Callable[[Episode], None],
) -> Demo:
    """Play all arms for every seed; a repeated call goes on where the last one stopped."""
    runs = []
    for seed in seeds:
        pair = []
        for arm in ARMS:
            config = demo_config(model, games, every, seed, arm)
            folder = arm_folder(out, seed, arm)
            config.claim(folder)
            meter = Ledger(folder / "usage.jsonl")
            memory = make_memory(config, folder, meter) if config.memory else None
            try:
                agent = backbone(model, seed=seed)
                stream = Stream(
                    config, house, agent, memory, folder, meter=meter, workers=workers, on_episode=on_episode
                )
                pair.append(await stream.run(house.tasks(config.split, games=games, seed=seed)))
            finally:
                if memory is not None:
                    await memory.close()
        runs.append(tuple(pair))
    return _demo(out, model, games, every, tuple(seeds), tuple(runs))


def arm_folder(out: Path, seed: int, arm: str) -> Path:
    """Where one arm of one seed is."""
    return out / "runs" / f"seed-{seed}" / arm.replace("'s", "").replace(" ", "-")


def episodes_of(out: Path, seed: int, arm: str) -> list[Episode]:
    """The episodes of one arm of one seed, in the order of their tasks."""
    return [EpisodeFile(file).read() for file in sorted((arm_folder(out, seed, arm) / "episodes").glob("*.jsonl"))]


def telling_pair(out: Path, seeds: Sequence[int]) -> tuple[Episode, Episode] | None:
    """The same game without and with memory: lost and won, as late in a stream and as short as there is."""
    pairs = [
        (number, without, remembering)
        for seed in seeds
        for number, (without, remembering) in enumerate(
            zip(episodes_of(out, seed, NONE), episodes_of(out, seed, EXPERT), strict=True)
        )
        if remembering.recalled
    ]
    best = max(
        pairs,
        key=lambda pair: (pair[2].success and not pair[1].success, len(pair[1].steps) - len(pair[2].steps), pair[0]),
        default=None,
    )
    return None if best is None else best[1:]


def _demo(
    out: Path,
    model: str,
    games: int,
    every: int,
    seeds: tuple[int, ...],
    runs: tuple[tuple[Summary, ...], ...],
) -> Demo:
    won = {arm: [[e.success for e in episodes_of(out, seed, arm)] for seed in seeds] for arm in ARMS}
    arms = tuple(_arm(arm, [run[n] for run in runs], won[arm], won[NONE], every) for n, arm in enumerate(ARMS))
    return Demo(model=model, seeds=seeds, games=games, every=every, arms=arms, runs=runs)


def _arm(
    name: str,
    summaries: Sequence[Summary],
    won: Sequence[Sequence[bool]],
    without: Sequence[Sequence[bool]],
    every: int,
) -> Arm:
    games = [game for seed, base in zip(won, without, strict=True) for game in zip(base, seed, strict=True)]
    return Arm(
        name=name,
        success=_spread([fmean(seed) for seed in won]),
        late_success=_spread([fmean(seed[len(seed) // 2 :]) for seed in won]),
        steps=_spread([s.mean_steps or 0.0 for s in summaries]),
        tokens=_spread([s.mean_tokens or 0.0 for s in summaries]),
        curves=tuple(tuple(fmean(seed[: i + every]) for i in range(0, len(seed), every)) for seed in won),
        repairs=sum(after and not before for before, after in games),
        regressions=sum(before and not after for before, after in games),
    )


def _spread(values: Sequence[float]) -> Spread:
    return Spread(mean=fmean(values), sd=pstdev(values))
