"""Sole-planning mode: all information is given, the agent writes the plan."""

from re import DOTALL, IGNORECASE, MULTILINE
from re import compile as pattern
from typing import Final, Literal

from memp.errors import EnvironmentFailed
from memp_bench.envs.base import Observation, Opening, Task
from memp_bench.envs.travelplanner.actions import one_line, parse_action
from memp_bench.envs.travelplanner.enquiry import cost_enquiry
from memp_bench.envs.travelplanner.judging import NOT_DELIVERED, Judge, outcome
from memp_bench.envs.travelplanner.reading import PlanReader
from memp_bench.envs.travelplanner.reference import reference_information
from memp_bench.envs.travelplanner.tables import Tables
from memp_bench.envs.travelplanner.tasks import TravelTask
from memp_bench.envs.travelplanner.two_stage import Lookup

Strategy = Literal["direct", "cot", "react"]
STRATEGIES: Final[tuple[Strategy, ...]] = ("direct", "cot", "react")

FINISHED: Final = "The plan is finished."
_ROUND = pattern(r"^(.*?)^[\s*_#>]*action\s*\d*[*_]*\s*:[*_]*\s*(.*)$", DOTALL | IGNORECASE | MULTILINE)
_NEXT = pattern(r"^[\s*_#>]*(?:observation|thought)\s*\d*[*_]*\s*:", IGNORECASE | MULTILINE)
_THOUGHT = pattern(r"^[\s*_#>]*thought\s*\d*[*_]*\s*:[*_]*\s*", IGNORECASE)


class SolePlanning:
    """`direct` and `cot`: the first reply as a whole is the plan. `react`: `CostEnquiry[...]` and `Finish[...]`."""

    def __init__(self, strategy: Strategy, tables: Tables, reader: PlanReader, judge: Judge, lookup: Lookup) -> None:
        self._strategy, self._tables, self._reader, self._judge = strategy, tables, reader, judge
        self._lookup = lookup
        self._task: TravelTask | None = None

    async def reset(self, task: Task) -> Opening:
        """Start a task; its tables are given beside the query.

        Raises:
            EnvironmentFailed: no such task.
        """
        self._task = found = self._lookup(task)
        # The original's train split prints restaurants with their row numbers.
        labels = task.id.startswith("train/")
        given = reference_information(found.reference_descriptions, self._tables, labels=labels)
        return Opening(
            task=found.query,
            observation=Observation(text="The plan is not written yet.", verdict=NOT_DELIVERED),
            given=f"Given information: {given}",
        )

    def read(self, reply: str) -> tuple[str, str | None]:
        """The thought and the action in `reply`, which may go over many lines; the whole reply where it is the plan."""
        if self._strategy != "react":
            return "", reply.strip()
        found = _ROUND.search(reply)
        if found is None:
            return _THOUGHT.sub("", reply).strip(), None
        action = _NEXT.split(found[2], maxsplit=1)[0].strip()
        return _THOUGHT.sub("", found[1]).strip(), action or None

    async def step(self, action: str) -> Observation:
        """Do `action`.

        Raises:
            EnvironmentFailed: nothing was reset.
            ModelError: the model that reads the plan failed.
        """
        if self._task is None:
            raise EnvironmentFailed("step before reset: there is no task")
        if self._strategy != "react":
            return await self._finish(self._task, action)
        if action.startswith("Finish[") and action.endswith("]"):  # the plan keeps its lines
            return await self._finish(self._task, action[len("Finish[") : -1])
        call = parse_action(one_line(action))
        if call is not None and call.tool == "CostEnquiry":
            text = cost_enquiry(call.argument, self._tables)
            return Observation(text=text, invalid=not text.startswith("Cost: The"), verdict=NOT_DELIVERED)
        tool = call.tool if call else None
        return Observation(text=f"Action {tool} is not supported.", invalid=True, verdict=NOT_DELIVERED)

    async def _finish(self, task: TravelTask, text: str) -> Observation:
        plan, usage = await self._reader.read(text)
        return outcome(task, plan, self._judge, FINISHED, usage=usage)

    async def close(self) -> None:
        """End the episode."""
        self._task = None
