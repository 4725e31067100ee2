"""Find a plan with the engine's own planner. Runs in a worker process only: the translator changes globals."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from memp_bench.envs.household.draft import Draft
from memp_bench.envs.household.problem import alfred_files
from memp_bench.envs.household.tables import LAMP

_COMMANDS = {
    "gotolocation": "go to {3}",
    "openobject": "open {2}",
    "closeobject": "close {2}",
    "pickupobject": "take {2} from {3}",
    "putobject": "move {2} to {3}",
    "cleanobject": "clean {3} with {2}",
    "heatobject": "heat {3} with {2}",
    "coolobject": "cool {3} with {2}",
    "toggleobject": "use {2}",
}
"""Planner action -> the player's command; numbers are the action's parameters in `alfred.pddl`, from 0."""


class Planner:
    """The engine's planner. One object is reused: the library is loaded once and never closed, because closing it
    tears down state that it shares with the engine's own copy in this process (which then crashes).
    """

    def __init__(self) -> None:
        import fast_downward

        self._library = fast_downward.load_lib()

    def solve(self, draft: Draft) -> list[str]:
        """Commands that win the game, or an empty list when the planner finds none.

        Only the things that the goal names are given to the planner: the others are not in the way, and the plan
        comes 2 to 50 times sooner. It is not taken on trust: the caller plays it in the whole game.
        """
        import fast_downward

        named = tuple(thing for thing in draft.house.things if thing.kind in (draft.goal.obj, LAMP))
        problem = replace(draft, house=replace(draft.house, things=named)).problem
        _, sas = fast_downward.pddl2sas(alfred_files()[0], problem, optimize=True)
        self._library.load_sas(sas.encode())
        self._library.load_sas_replan(sas.encode())
        if not self._library.replan(False):
            return []
        operators = (fast_downward.Operator * self._library.get_last_plan_length())()
        self._library.get_last_plan(operators)
        names = shown_names([thing.id for thing in draft.house.things])
        names.update(shown_names([receptacle.id for receptacle in draft.house.layout.receptacles]))
        return [_command(operator.name, names) for operator in operators]


def _command(step: str, names: dict[str, str]) -> str:
    action, *parameters = step.split()
    return _COMMANDS[action].format(*(names.get(parameter, parameter) for parameter in parameters))


def shown_names(ids: Iterable[str]) -> dict[str, str]:
    """Id in lower case -> the name the player reads (`cabinet 2`), numbered as ALFWorld's `AlfredDemangler` does.

    Within a kind the ids are sorted, and the last one is number 1.
    """
    kinds: dict[str, list[str]] = defaultdict(list)
    for name in (name.lower() for name in ids):
        basin = "basin" if "basin" in name else ""
        kinds[name.split("_bar_", 1)[0] + basin].append(name)
    return {
        name: f"{kind} {number}"
        for kind, members in kinds.items()
        for number, name in enumerate(sorted(members, reverse=True), start=1)
    }
