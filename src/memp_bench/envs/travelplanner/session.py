"""One two-stage episode without its models: tools, notebook, masking and the early stops.

session = Session(Tools(tables))
session.act("FlightSearch[Buffalo, Atlanta, 2022-03-02]").observation
session.act("Planner[...]").query                     # not None: now ask the planner
"""

from collections import Counter
from dataclasses import dataclass
from typing import Final

from memp_bench.envs.travelplanner.actions import INVALID_ACTION, parse_action
from memp_bench.envs.travelplanner.notebook import Notebook
from memp_bench.envs.travelplanner.tools import Answer, Tools

MASK: Final = "Masked due to limited length. Make sure the data has been written in Notebook."
"""What stands in the agent's history for a result it no longer sees."""

NULL_ACTION: Final = "No feedback from the environment due to the null action."
MAX_RETRIES: Final = 3
REPEATED: Final = "same action 3 times repeated"

_KEYS: Final = {
    "FlightSearch": "flights",
    "AttractionSearch": "attractions",
    "AccommodationSearch": "accommodations",
    "RestaurantSearch": "restaurants",
    "CitySearch": "cities",
    "GoogleDistanceMatrix": "googleDistanceMatrix",
    "NotebookWrite": "notebook",
}
"""Each tool's counter of failures in a row."""

_INVALID: Final = "invalidAction"


@dataclass(frozen=True, slots=True)
class Turn:
    """What came of one action."""

    observation: str
    state: str
    """`Successful`, the kind of error, or why the episode was stopped."""
    masked: str | None = None
    """Text that the agent's history shows no longer: `MASK` takes its place, wherever it stands, before this turn's
    observation is added."""
    query: str | None = None
    """The planner is called with this query; its answer is the observation and the end."""
    stopped: bool = False
    """The episode ends here without a plan, before the action was done."""
    unknown_leg: bool = False

    @property
    def failed(self) -> bool:
        """Whether the action had no effect."""
        return self.state != "Successful"


class Session:
    """The rules of one episode. Knows nothing of steps, models or tasks."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self.notebook = Notebook()
        self._current: str | None = None  # the last search result
        self._failures: Counter[str] = Counter()
        self._last: str | None = None
        self._times = 0  # the last action was given so often in a row

    def act(self, action: str) -> Turn:
        """Do `action`, one line. After a turn with `query` or `stopped` the episode is over."""
        self._times = self._times + 1 if action == self._last else 1
        self._last = action
        if self._times == 3:
            return Turn("", REPEATED, stopped=True)
        if not action:
            return Turn(NULL_ACTION, "")
        call = parse_action(action)
        if call is not None and call.tool == "Planner":
            return Turn("", "Successful", query=call.argument)
        key = _KEYS.get(call.tool, _INVALID) if call else _INVALID
        stop = self._stop(key)
        if stop:
            return Turn("", stop, stopped=True)
        if call is not None and call.tool == "NotebookWrite":
            return self._turn(key, Answer(self.notebook.write(call.argument, self._current)))
        if call is not None and call.tool in self._tools:
            return self._turn(key, self._tools.run(call))
        return self._turn(key, Answer(INVALID_ACTION, _INVALID, masks=False))

    def _stop(self, key: str) -> str:
        """Why no further attempt is made with a tool, or nothing: three failures in a row are allowed."""
        if key == "accommodations":  # in the original this tool looks at the counter of invalid actions instead
            key = _INVALID
        return f"{key} early stop due to {MAX_RETRIES} max retries." if self._failures[key] >= MAX_RETRIES else ""

    def _turn(self, key: str, answer: Answer) -> Turn:
        masked = str(self._current).strip() if answer.masks else None  # `None` is text here, as in the original
        if answer.result is not None:
            self._current = answer.result
        if answer.state == "Successful":
            self._failures.clear()
        else:
            self._failures[key] += 1
        return Turn(answer.text, answer.state, masked, unknown_leg=answer.unknown_leg)
