"""Runs a study in a folder: learned memories first, then every cell as a stream; stopped at any moment, it goes on."""

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from memp.errors import BudgetExceeded, MempError, MissingExtra
from memp.models.base import ChatModel
from memp.models.metered import Metered
from memp_bench.agents.episode import Episode
from memp_bench.agents.registry import is_simulated
from memp_bench.envs.alfworld import ALIASES
from memp_bench.envs.base import Benchmark, PlansWithModel, Task
from memp_bench.envs.slots import pool_maker
from memp_bench.studies import memories
from memp_bench.studies.accounts import working
from memp_bench.studies.cells import CellPlan, MemoryPlan, builder_of, cells, config_of, distinct, memory_of
from memp_bench.studies.config import RunConfig
from memp_bench.studies.data import data_digests
from memp_bench.studies.ledger import Ledger
from memp_bench.studies.outcome import Noted, Outcome, Watch, group_sizes, rates_of, updates_of
from memp_bench.studies.results import RecallResults
from memp_bench.studies.spec import Limits, Place, Size, Study
from memp_bench.studies.stream import Interrupted, Stream


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

    async def run(self, *, advance: Callable[[str], None]) -> None:
        """Run what is missing in the folder, which is this study's (`Manifest.claim`).

        `advance` is called with a note after every episode, also after those that are there already.

        Raises:
            Interrupted, BudgetExceeded: stopped early; everything so far is in the folder.
        """
        async with working(self.out, self.limits, buys=self.buys()) as meter:
            for plan in distinct(self.chosen):
                await self._labelled(plan, meter, advance)

    async def recall(self, *, smoke: bool, advance: Callable[[str], None]) -> RecallResults:
        """Score retrieval in the folder, for a study of kind `recall`; `advance` is called as by `run`.

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
                folder=self.out / "memories",
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
        from memp_bench.cli import parts

        folder = self.out / "runs" / plan.slug
        learned = memory_of(plan, self.size)
        bench = memories.Bench(self._plain(plan), meter, self.settings.workers, self._model, advance)
        if learned is not None:
            await self._memory(learned, bench, plan)
        tasks = self.tasks(plan)
        if Outcome.read(folder) is not None:
            for _ in tasks:
                advance(plan.label)
            return
        config = config_of(plan, self.size)
        config.claim(folder)
        house = self.house(plan.place)
        agent = parts.agent_model(config, **self.settings.remote)
        writer = parts.builder_model(config, agent, **self.settings.remote) if config.memory else None
        if isinstance(house, PlansWithModel):
            house.plan_with(Metered(agent, meter))
        watch, memory = Watch(len(tasks)), None

        def seen(episode: Episode) -> None:
            watch.add(episode)
            advance(plan.label)

        try:
            if config.memory:
                source = memories.file_of(self.out / "memories", learned) if learned else None
                parts.start_from(source, folder / "memory.db")
                noted = Noted(writer, folder / "written.jsonl") if writer is not None else None
                memory = parts.memory_of(config, folder / "memory.db", noted, meter)
            stream = Stream(
                config,
                house,
                agent,
                memory,
                folder,
                meter=meter,
                workers=self.settings.workers,
                player=self.size.runner,
                on_episode=seen,
                record=parts.may_learn(config.benchmark, config.split),
                longest=parts.LONGEST_SEEN.get(config.benchmark),
            )
            await stream.run(tasks)
            stats = memory.stats() if memory is not None else None
        finally:
            for model in {id(m): m for m in (agent, writer) if m is not None}.values():
                await model.close()
            if memory is not None:
                await memory.close()
        split = ALIASES.get(config.split, config.split)
        damaged = sum(f"/{split}/" in item.subject for item in getattr(house, "skipped", ()))
        done = Outcome(simulated=agent.simulated, groups=group_sizes(folder), damaged=damaged)
        if stats is not None:
            held = sum(stats.procedures.values())
            updates, skipped = updates_of(folder, procedures=held, trajectories=stats.trajectories)
            done = done.model_copy(update={"updates": updates, "skipped": skipped})
        episodes = [episode for group in done.episodes(folder) for episode in group]
        done.model_copy(update={"rates": rates_of(house, episodes)}).write(folder)

    async def _memory(self, learned: MemoryPlan, bench: memories.Bench, plan: CellPlan) -> None:
        """Make the cell's learned memory, unless another cell had it made in this process."""
        folder = self.out / "memories"
        first = self.memory_plans()[learned.slug][1].slug == plan.slug
        if memories.made(folder, learned) is None:
            await memories.make(learned, folder, bench)
        elif first:
            for _ in self._train(learned, plan):
                bench.advance("learned")
        await memories.warm(learned, folder, plan.backbone.embedder, bench)

    def _model(self, name: str, config: RunConfig) -> ChatModel:
        from memp_bench.cli import parts

        return parts.agent_model(config.model_copy(update={"model": name}), **self.settings.remote)

    async def close(self) -> None:
        """Stop the environments."""
        for house in {id(house): house for house in self._houses.values()}.values():
            await house.close()
        self._houses.clear()
