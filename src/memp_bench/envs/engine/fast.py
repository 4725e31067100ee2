"""The fast engine: TextWorld's PDDL environment without the work it repeats.

The stock engine translates the same game four times per reset, two of them for a replanner that players do not
use, and parses the same grammar at every step. Here each pure function is computed once; everything that makes
the output (planner state, rules, order of commands, matching of the player's text) is the stock code, which is
subclassed and left untouched, so both engines can live in one process. `tests/envs/test_fast_engine.py` compares
every output; `benchmarks/engine.py` measures.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from os import PathLike
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fast_downward
import textworld
from textworld.core import EnvInfos, GameState
from textworld.envs.pddl import logic as stock_logic
from textworld.envs.pddl.pddl import PddlEnv
from textworld.logic import Proposition, Type, TypeHierarchy, Variable

from memp_bench.envs.engine.grammar import parse_document
from memp_bench.envs.engine.translation import Translation, Translator

VERIFIED = {"textworld": "1.7.0", "fast-downward-textworld": "20.6.4"}
"""The versions whose output the fast engine was compared with."""


def unverified() -> str:
    """What is installed instead of the verified versions, or an empty string when all is well."""
    wrong = []
    for package, wanted in VERIFIED.items():
        try:
            found = version(package)
        except PackageNotFoundError:
            found = "not installed"
        if found != wanted:
            wrong.append(f"{package} {found} (verified: {wanted})")
    return ", ".join(wrong)


class FastLogic(stock_logic.GameLogic):  # type: ignore[misc]
    """The rules of a game, from a shared parse."""

    def __init__(self, domain: str, grammar: str) -> None:
        self.domain = domain
        self.types = TypeHierarchy()
        self.actions, self.grammar = parse_document(grammar)


class FastState(stock_logic.PddlState):  # type: ignore[misc]
    """The state of a game, set up from a translation. Replanning translates when it is first asked for."""

    def __init__(self, library: Any, problem: str, logic: FastLogic, translation: Translation) -> None:
        self._facts: defaultdict[Any, set[Any]] = defaultdict(set)
        self._vars_by_name: dict[str, Any] = {}
        self._vars_by_type: defaultdict[str, set[Any]] = defaultdict(set)
        self._var_counts: Counter[str] = Counter()
        self._logic = logic
        self.downward_lib = library
        self.pddl_problem = problem
        self.sas = translation.sas
        self._applied: list[tuple[int, int]] = []
        self._can_replan = False
        self._actions = {
            name: SimpleNamespace(
                name=name, parameters=[SimpleNamespace(name=hole, type_name=kind) for hole, kind in holes]
            )
            for name, holes in translation.actions
        }
        for name, above in translation.types:
            try:
                logic.types.add(Type(name, above))
            except ValueError:  # known since the game was loaded
                continue
        self.name2type = dict(translation.objects)
        library.load_sas(self.sas.encode())
        self.add_facts(self._start(translation))

    def _start(self, translation: Translation) -> list[Any]:
        facts = [
            Proposition(name, [Variable(argument, self.name2type[argument]) for argument in arguments])
            for name, arguments in translation.facts
        ]
        atoms = (stock_logic.Atom * self.downward_lib.get_state_size())()
        self.downward_lib.get_state(atoms)
        shown = (atom.get_fact(self.name2type) for atom in atoms)
        return facts + [fact for fact in shown if not fact.is_negation]

    @property
    def touched(self) -> bool:
        """Whether an action was applied since the start."""
        return bool(self._applied)

    def apply(self, action: Any) -> Any:
        """As the stock engine, and remember it for a later replan."""
        changes = super().apply(action)
        self._applied.append((action.id, self._operators[action.id].nb_effect_atoms))
        return changes

    def replan(self, infos: Any) -> Any:
        """A plan from here, as the stock engine finds it."""
        if not self._can_replan:
            _, sas = fast_downward.pddl2sas(self._logic.domain, self.pddl_problem, optimize=True)
            self.downward_lib.load_sas(self.sas.encode())
            self.downward_lib.load_sas_replan(sas.encode())
            for number, effects in self._applied:
                self.downward_lib.apply_operator(number, (stock_logic.Atom * effects)())
            self._can_replan = True
        return super().replan(infos)


class FastPddlEnv(PddlEnv):  # type: ignore[misc]
    """`textworld.envs.PddlEnv` with the fast logic and state; `step` is the stock one."""

    def __init__(self, infos: EnvInfos | None = None, *, translator: Translator | None = None) -> None:
        super().__init__(infos)
        self._translator = translator or Translator()

    def load(self, filename_or_data: str | PathLike[str] | Mapping[str, Any]) -> None:
        """Load a game file or its content."""
        self._game_file: str | None = None
        if isinstance(filename_or_data, Mapping):
            data = dict(filename_or_data)
        else:
            self._game_file = str(filename_or_data)
            data = json.loads(Path(filename_or_data).read_text())
        self._game_data = data
        self.walkthrough = data.get("walkthrough")
        self._logic = FastLogic(domain=data["pddl_domain"], grammar=data["grammar"])
        self._pddl_state = self._new_state()
        self._entity_infos = self._get_entity_infos()

    def _new_state(self) -> FastState:
        problem = self._game_data["pddl_problem"]
        translation = self._translator(self._game_data["pddl_domain"], problem)
        return FastState(self.downward_lib, problem, self._logic, translation)

    def reset(self) -> GameState:
        """Start the loaded game again."""
        if self._pddl_state.touched:
            self._pddl_state = self._new_state()
        self.prev_state = None
        self.state = GameState()
        self._last_action = None
        self._moves = 0
        context = {
            "state": self._pddl_state,
            "variables": {},
            "mapping": {},
            "entity_infos": self._entity_infos,
        }
        self.state.feedback = self._logic.grammar.derive("#intro#", context)
        self.state.raw = self.state.feedback
        self._gather_infos()
        if "walkthrough" in self.request_infos.extras:
            self.state["extra.walkthrough"] = self.walkthrough or self._pddl_state.replan(self._entity_infos)
        return self.state


def new_env(infos: textworld.EnvInfos, *, cache: Path | None) -> FastPddlEnv:
    """A fast environment whose translations are kept under `cache`."""
    return FastPddlEnv(infos, translator=Translator(cache))
