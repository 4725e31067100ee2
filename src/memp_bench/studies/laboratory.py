"""Runs a study in a folder: learned memories first, then every cell as a stream; stopped at any moment, it goes on."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from memp.errors import BudgetExceeded, MempError, MissingExtra
from memp.models.base import ChatModel
from memp_bench.agents.registry import is_simulated
from memp_bench.envs.base import Benchmark, Task
from memp_bench.envs.slots import pool_maker
from memp_bench.studies import memories
from memp_bench.studies.accounts import working
from memp_bench.studies.cells import CellPlan, MemoryPlan, builder_of, cells, config_of, distinct, memory_of
from memp_bench.studies.config import RunConfig
from memp_bench.studies.data import data_digests
from memp_bench.studies.homes import Home
from memp_bench.studies.ledger import Ledger
from memp_bench.studies.outcome import Outcome
from memp_bench.studies.playing import Cell, play
from memp_bench.studies.results import RecallResults
from memp_bench.studies.spec import Limits, Place, Size, Study
from memp_bench.studies.stream import Interrupted


class Settings(NamedTuple):
    """How a study is run; nothing here changes what comes out."""

    out: Path
    workers: int = 8
    data: Path | None = None
    cache: Path | None = None
    only: str = ""
    """Cells whose label holds this, in any case."""
    remote: Mapping[str, Any] = {}
    """Options of models behind a wire: timeout, max_concurrency, price."""
    pool: str = "processes"
    """Where games are played (`memp_bench.envs.slots.pool_maker`)."""


class Laboratory:
    """One study of one size in one folder.

    Cells run one after the other, the episodes of a group at once. Everything that costs is written down as it
    happens, so that caps hold over all processes that ever worked in the folder.
    """

    def __init__(self, study: Study, size: Size, settings: Settings, *, limits: Limits | None = None) -> None:
        self.study, self.size, self.settings = study, size, settings
        self.out = settings.out
        self.limits = limits or size.limits
        self.plans = cells(study, size)
        self._pools = pool_maker(settings.pool)
        self._home = Home(self.out)
        self._houses: dict[tuple[object, ...], Benchmark] = {}
        self._tasks: dict[tuple[object, ...], Sequence[Task]] = {}
        self.chosen = tuple(plan for plan in self.plans if settings.only.lower() in plan.label.lower())
        if study.kind == "recall":
            from memp_bench.studies.recall import scored

            self._wanted = {place.label for place in scored(size, settings.only)}
            return
        self._wanted = {plan.place.label for plan in self.chosen}
        if not self.chosen:
            labels = "; ".join(plan.label for plan in self.plans[:5])
            raise MempError(f"--only {settings.only!r} is in no cell's label; the first are: {labels}")

    # -- what there is to do -----------------------------------------------------------------------------

    def check(self) -> None:
        """Whether every policy, embedder and model could be asked at all; sends nothing.

        Raises:
            UnknownName, MissingKey, MissingExtra: one could not.
        """
        from memp_bench.cli import parts

        if self.size.runner == "inspect" and find_spec("inspect_ai") is None:
            raise MissingExtra("bench", "the runner inspect")
        for plan in distinct(self.chosen):
            config = config_of(plan, self.size)
            parts.check_names(config)
            agent = parts.agent_model(config, **self.settings.remote)
            if config.memory:
                parts.builder_model(config, agent, **self.settings.remote)
            if (learned := memory_of(plan, self.size)) and learned.teacher:
                self._model(learned.teacher, config)

    def buys(self) -> bool:
        """Whether any model or embedder of the chosen cells is a real one."""
        backbones = {plan.backbone for plan in self.chosen}
        asked = {name for b in backbones for name in (b.agent, builder_of(b), b.teacher) if name not in ("rules", None)}
        embedders = {*(b.embedder for b in backbones), *(self.size.embedders if self.study.kind == "recall" else ())}
        return embedders != {"static"} or not all(map(is_simulated, filter(None, asked)))

    def house(self, place: Place) -> Benchmark:
        """The benchmark of a place, in its words. Places that differ in the split share it.

        Raises:
            EnvironmentFailed, MissingExtra: its data or engine is not there.
        """
        key = (place.benchmark, place.generated, place.mode, place.strategy, place.wording)
        if key not in self._houses:
            self._houses[key] = self._open(place)
        return self._houses[key]

    def _open(self, place: Place) -> Benchmark:
        from memp_bench.benchmarks import benchmark

        house = benchmark(
            place.benchmark,
            data=None if place.generated else self.settings.data,
            workers=self.settings.workers,
            cache=self.settings.cache,
            mode=place.mode or "two-stage",
            strategy=place.strategy or "direct",
            generated=place.generated,
            pools=self._pools,
        )
        if place.wording in (None, "plain"):
            return house
        from memp_bench.envs.wording import reworded

        return reworded(house, str(place.wording))

    def tasks(self, plan: CellPlan) -> list[Task]:
        """The cell's tasks in the order of its stream: the same for every arm and backbone of a seed."""
        from memp_bench.cli.run import in_stream_order

        return in_stream_order(self._listed(plan.place, plan.place.split, plan.place.games, plan.seed), plan.seed)

    def _listed(self, place: Place, split: str, games: int | None, seed: int) -> Sequence[Task]:
        """The tasks of a split, listed once: for that every game's file is read."""
        key = (place.benchmark, place.generated, split, games, seed)
        if key not in self._tasks:
            self._tasks[key] = self.house(place).tasks(split, games=games, seed=seed)
        return self._tasks[key]

    def memory_plans(self) -> dict[str, tuple[MemoryPlan, CellPlan]]:
        """The memories to learn, each with the first cell that needs it."""
        found: dict[str, tuple[MemoryPlan, CellPlan]] = {}
        for plan in distinct(self.chosen):
            if learned := memory_of(plan, self.size):
                found.setdefault(learned.slug, (learned, plan))
        return found

    def total(self) -> int:
        """Episodes to play (or scores to give) and training tasks to learn from, those that are done included."""
        if self.study.kind == "recall":
            from memp_bench.studies.recall import plan_of, scored, steps

            places = scored(self.size, self.settings.only)
            train = [(place, plan_of(place, self.size).learned) for place in places]
            learning = sum(len(self._listed(place, each.split, each.games, 0)) for place, each in train)
            return learning + len(places) * steps(self.size)
        training = sum(len(self._train(learned, plan)) for learned, plan in self.memory_plans().values())
        return training + sum(len(self.tasks(plan)) for plan in distinct(self.chosen))

    def _plain(self, plan: CellPlan) -> Benchmark:
        return self.house(plan.place.model_copy(update={"wording": None}))

    def _train(self, learned: MemoryPlan, plan: CellPlan) -> Sequence[Task]:
        return self._listed(plan.place, learned.learned.split, learned.learned.games, 0)

    def data_digests(self) -> dict[str, str]:
        """Digests of the data the study reads (`data.data_digests`)."""
        return data_digests(self.size, house=self.house, listed=self._listed, wanted=self._wanted)

    # -- running -----------------------------------------------------------------------------------------

    async def run(self, *, advance: Callable[[str], None], home: Home | None = None) -> None:
        """Run what is missing in the folder, which is this study's (`Manifest.claim`).

        `advance` is called with a note after every episode, also after those that are there already. Memories are in
        the folder, or where `home` says.

        Raises:
            Interrupted, BudgetExceeded: stopped early; everything so far is in the folder.
        """
        self._home = home or self._home
        async with working(self.out, self.limits, buys=self.buys()) as meter:
            for plan in distinct(self.chosen):
                await self._labelled(plan, meter, advance)

    async def recall(self, *, smoke: bool, advance: Callable[[str], None], home: Home | None = None) -> RecallResults:
        """Score retrieval in the folder, for a study of kind `recall`; arguments are as of `run`.

        Raises:
            BudgetExceeded: stopped early; memories that are finished, and embeddings, are in the folder.
        """
        from memp_bench.studies.recall import score_recall

        async with working(self.out, self.limits, buys=self.buys()) as meter:
            return await score_recall(
                self.study,
                self.size,
                smoke=smoke,
                workers=self.settings.workers,
                advance=advance,
                home=home or self._home,
                data=self.settings.data,
                cache=self.settings.cache,
                only=self.settings.only,
                meter=meter,
                pools=self._pools,
            )

    async def _labelled(self, plan: CellPlan, meter: Ledger, advance: Callable[[str], None]) -> None:
        """Run a cell; what stops it names the cell."""
        try:
            await self._cell(plan, meter, advance)
        except BudgetExceeded:
            raise
        except Interrupted as error:
            raise Interrupted(f"{plan.label}: {error}", hopeless=error.exit_code == 1) from None

    async def _cell(self, plan: CellPlan, meter: Ledger, advance: Callable[[str], None]) -> None:
        learned = memory_of(plan, self.size)
        if learned is not None:
            await self._memory(learned, plan, meter, advance)
        tasks, folder = self.tasks(plan), self.out / "runs" / plan.slug
        if Outcome.read(folder) is not None:
            for _ in tasks:
                advance(plan.label)
            return
        config = config_of(plan, self.size)
        config.claim(folder)
        cell = Cell(
            config,
            self.house(plan.place),
            folder,
            spot=self._home.cell(plan.slug),
            source=memories.source_of(self._home, learned) if learned else None,
            meter=meter,
            advance=partial(advance, plan.label),
            workers=self.settings.workers,
            player=self.size.runner,
            remote=self.settings.remote,
        )
        (await play(cell, tasks)).write(folder)

    async def _memory(self, learned: MemoryPlan, plan: CellPlan, meter: Ledger, advance: Callable[[str], None]) -> None:
        """Make the cell's learned memory, unless another cell had it made in this process."""
        bench = memories.Bench(self._plain(plan), meter, self.settings.workers, self._model, advance)
        first = self.memory_plans()[learned.slug][1].slug == plan.slug
        if memories.made(self.out / "memories", learned) is None:
            await memories.make(learned, self._home, bench)
        elif first:
            for _ in self._train(learned, plan):
                advance("learned")
        await memories.warm(learned, self._home, plan.backbone.embedder, bench)

    def _model(self, name: str, config: RunConfig) -> ChatModel:
        from memp_bench.cli import parts

        return parts.agent_model(config.model_copy(update={"model": name}), **self.settings.remote)

    async def close(self) -> None:
        """Stop the environments."""
        for house in {id(house): house for house in self._houses.values()}.values():
            await house.close()
        self._houses.clear()
