"""Two-stage mode: the agent collects information with tools, a planner turns the notebook into a plan."""

from collections.abc import Callable

from memp.errors import EnvironmentFailed
from memp.records import Usage
from memp_bench.envs.base import Observation, Opening, Task
from memp_bench.envs.travelplanner.actions import one_line
from memp_bench.envs.travelplanner.judging import NOT_DELIVERED, Judge, outcome
from memp_bench.envs.travelplanner.planner import TOO_LONG, Planner
from memp_bench.envs.travelplanner.reading import PlanReader
from memp_bench.envs.travelplanner.session import MASK, Session
from memp_bench.envs.travelplanner.tasks import TravelTask
from memp_bench.envs.travelplanner.tools import Tools

START = "The notebook is empty."

Lookup = Callable[[Task], TravelTask]
"""The full task behind a task of the benchmark."""


class TwoStage:
    """Eight tools, a notebook, masked results, early stops; the last action, `Planner[...]`, brings the plan.

    The planner's own calls are on record under `plan` (and `parse`, where a model reads the plan). `counts` of the last
    observation hold `unknown_legs`: searches for flights of which the tables know nothing.
    """

    def __init__(self, tools: Tools, planner: Planner, reader: PlanReader, judge: Judge, lookup: Lookup) -> None:
        self._tools, self._planner, self._reader, self._judge, self._lookup = tools, planner, reader, judge, lookup
        self._task: TravelTask | None = None
        self._session = Session(tools)
        self._recalled = ""
        self._unknown_legs = 0

    async def reset(self, task: Task) -> Opening:
        """Start a task; the agent gets its query and nothing else.

        Raises:
            EnvironmentFailed: no such task.
        """
        self._task = self._lookup(task)
        self._session = Session(self._tools)
        self._recalled = ""
        self._unknown_legs = 0
        return Opening(task=self._task.query, observation=Observation(text=START, verdict=NOT_DELIVERED))

    def remember(self, recalled: str) -> None:
        """What a memory recalled for this task: the planner reads it as the agent does."""
        self._recalled = recalled

    async def step(self, action: str) -> Observation:
        """Do `action`.

        Raises:
            EnvironmentFailed: nothing was reset.
            ModelError: the planner, or the model that reads its plan, failed.
        """
        if self._task is None:
            raise EnvironmentFailed("step before reset: there is no task")
        turn = self._session.act(one_line(action))
        if turn.query is not None:
            return await self._plan(self._task, turn.query)
        self._unknown_legs += turn.unknown_leg
        return Observation(
            text=turn.state if turn.stopped else turn.observation,
            done=turn.stopped,
            invalid=turn.failed,
            masked=(turn.masked, MASK) if turn.masked else None,
            verdict=NOT_DELIVERED,
            counts=self._counts(),
        )

    async def _plan(self, task: TravelTask, query: str) -> Observation:
        text, planned = await self._planner.plan(self._session.notebook.text(), query, self._recalled)
        usage = {"plan": planned} if planned.calls else {}
        plan, parsed = (None, dict[str, Usage]()) if text == TOO_LONG else await self._reader.read(text)
        return outcome(task, plan, self._judge, text, usage={**usage, **parsed}, counts=self._counts())

    def _counts(self) -> dict[str, int]:
        return {"unknown_legs": self._unknown_legs} if self._unknown_legs else {}

    async def close(self) -> None:
        """End the episode."""
        self._task = None
