"""TravelPlanner as a benchmark: `TravelPlanner(data, planner=model)`."""

import json
import os
import random
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import Final, Literal

from memp.errors import EnvironmentFailed, UnknownName
from memp.models.base import ChatModel
from memp_bench.envs.base import Environment, Rate, Task
from memp_bench.envs.travelplanner import prompts
from memp_bench.envs.travelplanner.evaluator import Evaluator
from memp_bench.envs.travelplanner.loading import find_data, load_tables
from memp_bench.envs.travelplanner.metrics import METRICS, summarise
from memp_bench.envs.travelplanner.planner import Planner
from memp_bench.envs.travelplanner.reading import ModelReader, PlanReader, RuleReader
from memp_bench.envs.travelplanner.sole import STRATEGIES, SolePlanning, Strategy
from memp_bench.envs.travelplanner.tables import Tables
from memp_bench.envs.travelplanner.tasks import SPLITS, TravelTask, load_tasks
from memp_bench.envs.travelplanner.tools import Tools
from memp_bench.envs.travelplanner.two_stage import TwoStage
from memp_bench.envs.travelplanner.verdict import Mode as Evaluation
from memp_bench.envs.travelplanner.verdict import Verdict

Mode = Literal["two-stage", "sole-planning"]
MODES: Final[tuple[Mode, ...]] = ("two-stage", "sole-planning")

_INSTRUCTIONS: Final = {"direct": prompts.PLANNER, "cot": prompts.PLANNER_COT, "react": prompts.PLANNER_REACT}


class TravelPlanner:
    """45 train and 180 validation tasks over one set of tables, which is read at the first need.

    Args:
        data: folder of the packed tables or of the original distribution; None looks at `MEMP_DATA`, then beside the
            working folder and the repository.
        mode: `two-stage` (collect with tools, then plan) or `sole-planning` (all information given).
        strategy: how sole-planning asks: `direct`, `cot`, `react`.
        planner: writes the plan in two-stage mode; a `Planner` where its limits are to differ.
        reader: a model that turns plans into JSON, as in the paper; None for rules.
        evaluation: `official` or `strict` judgement of plans.
        environ: environment variables; None is the process's.
    """

    def __init__(
        self,
        data: Path | None = None,
        mode: Mode = "two-stage",
        *,
        strategy: Strategy = "direct",
        planner: ChatModel | Planner | None = None,
        reader: ChatModel | None = None,
        evaluation: Evaluation = "official",
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.mode, self.strategy = check_mode(mode), check_strategy(strategy)
        self.evaluation = evaluation
        self._data, self._environ = data, environ
        self._planner: Planner | None = None
        self._rewrite: Callable[[str, TravelTask], str] | None = None
        if planner is not None:
            self.plan_with(planner)
        self._reader: PlanReader = ModelReader(reader) if reader is not None else RuleReader()

    def plan_with(self, planner: ChatModel | Planner) -> None:
        """Have `planner` write the plans of environments made from now on (two-stage mode)."""
        self._planner = planner if isinstance(planner, Planner) else Planner(planner)

    def reworded(self, rewrite: Callable[[str, TravelTask], str]) -> "TravelPlanner":
        """This benchmark with other queries: `rewrite` is given a task's id and the task. All else is shared."""
        other = copy(self)
        other._rewrite = rewrite
        other.__dict__.pop("_tasks", None)  # read with the queries as they were
        return other

    @property
    def name(self) -> str:
        """`travelplanner`."""
        return "travelplanner"

    @property
    def instructions(self) -> str:
        """The tools and the loop, or how to write a plan; the wording is ours."""
        return prompts.AGENT if self.mode == "two-stage" else _INSTRUCTIONS[self.strategy]

    @property
    def example(self) -> str:
        """None: both modes are zero-shot but for the layout of a plan."""
        return ""

    @property
    def splits(self) -> Sequence[str]:
        """`train` and `validation`; the test split has no public answers."""
        return SPLITS

    @cached_property
    def folder(self) -> Path:
        """Where the data is.

        Raises:
            EnvironmentFailed: nowhere; lists the places.
        """
        beside = [place.parent / "shared" / "data" for place in (Path.cwd(), Path(__file__).parents[4])]
        environ = os.environ if self._environ is None else self._environ
        return find_data(self._data, environ=environ, places=beside)

    @cached_property
    def tables(self) -> Tables:
        """The tables, read once.

        Raises:
            EnvironmentFailed: they are missing or damaged.
        """
        return load_tables(self.folder)

    @cached_property
    def _tools(self) -> Tools:
        return Tools(self.tables)

    @cached_property
    def evaluator(self) -> Evaluator:
        """Judges plans on these tables."""
        return Evaluator(self.tables, self.evaluation)

    @cached_property
    def _tasks(self) -> dict[str, TravelTask]:
        tasks = {f"{split}/{task.idx}": task for split in SPLITS for task in load_tasks(self.folder, split)}
        rewrite = self._rewrite
        if rewrite is None:
            return tasks
        return {id: task.model_copy(update={"query": rewrite(id, task)}) for id, task in tasks.items()}

    @property
    def unknown_legs(self) -> int:
        """How often a flight was searched on a leg of which the tables know nothing, in all episodes so far."""
        return self.tables.flights.asked_unknown.total()

    def tasks(self, split: str, *, games: int | None = None, seed: int = 0) -> Sequence[Task]:
        """The tasks of a split in the benchmark's order.

        `games` takes a sample chosen by `seed`, as many of each family (level and days) give or take one; a larger
        sample with the same seed begins with the smaller one.

        Raises:
            UnknownName: no such split.
            EnvironmentFailed: the data is missing or damaged.
        """
        if split not in SPLITS:
            raise UnknownName("split", split, SPLITS)
        chosen = [
            Task(id=id, family=f"{task.level}/{task.days}")
            for id, task in self._tasks.items()
            if id.startswith(f"{split}/")
        ]
        return tuple(chosen if games is None else _sample(chosen, games, f"memp travelplanner {split} {seed}"))

    def travel_task(self, task: Task) -> TravelTask:
        """Everything about a task: for the environment and the judge, not for agents.

        Raises:
            EnvironmentFailed: no such task.
        """
        found = self._tasks.get(task.id)
        if found is None:
            raise EnvironmentFailed(
                f"there is no task {task.id!r} in {self.folder}; tasks are named like validation/17"
            )
        return found

    def measure(self, products: Mapping[str, str]) -> Mapping[str, float]:
        """The six metrics over the tasks that were played: task id -> plan as JSON, empty where none was delivered."""
        tasks = [self._tasks[id] for id in products]
        verdicts = [self._judge(*item) for item in products.items()]
        scores = summarise(tasks, verdicts)
        return {name: getattr(scores, name).value for name in METRICS}

    def rates(self, products: Mapping[str, str]) -> Mapping[str, Mapping[str, Rate]]:
        """What each task adds to the six metrics: constraints kept of those asked for, or one plan of one."""
        found = {}
        for id, product in products.items():
            scores = summarise([self._tasks[id]], [self._judge(id, product)])
            found[id] = {name: getattr(scores, name) for name in METRICS}
        return found

    def _judge(self, id: str, product: str) -> Verdict:
        return self.evaluator.judge(self._tasks[id], json.loads(product) if product else None)

    def environment(self) -> Environment:
        """A new environment.

        Raises:
            EnvironmentFailed: the data is missing or damaged, or two-stage mode has no planner.
        """
        judge, lookup = self.evaluator.judge, self.travel_task
        if self.mode == "sole-planning":
            return SolePlanning(self.strategy, self.tables, self._reader, judge, lookup)
        if self._planner is None:
            raise EnvironmentFailed("two-stage mode needs a model that plans: TravelPlanner(planner=...)")
        return TwoStage(self._tools, self._planner, self._reader, judge, lookup)

    async def close(self) -> None:
        """Nothing is held: models belong to whoever gave them."""


def check_mode(mode: str) -> Mode:
    """`mode` if there is one of that name.

    Raises:
        UnknownName: there is none.
    """
    for known in MODES:
        if mode == known:
            return known
    raise UnknownName("mode", mode, MODES)


def check_strategy(strategy: str) -> Strategy:
    """`strategy` if there is one of that name.

    Raises:
        UnknownName: there is none.
    """
    for known in STRATEGIES:
        if strategy == known:
            return known
    raise UnknownName("strategy", strategy, STRATEGIES)


def _sample(tasks: list[Task], games: int, seed: str) -> list[Task]:
    if games < 0:
        raise ValueError(f"games must not be negative, it is {games}")
    families: dict[str, list[Task]] = {}
    for task in tasks:
        families.setdefault(task.family, []).append(task)
    for family, members in families.items():
        random.Random(f"{seed} {family}").shuffle(members)
    most = max(map(len, families.values()), default=0)
    turns = [members[turn] for turn in range(most) for members in families.values() if turn < len(members)]
    return turns[:games]
