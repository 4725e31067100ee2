"""Plays PDDL games one after another, in text. Synchronous; runs in a worker process only."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from memp.errors import EnvironmentFailed, MissingExtra, UnknownName
from memp_bench.envs.base import Observation

log = logging.getLogger(__name__)

Engine = Literal["fast", "stock"]
"""`fast` computes pure functions once; `stock` is TextWorld as shipped. Their output is identical."""

GAME_KEYS = ("pddl_domain", "grammar", "pddl_problem")
"""What a game file must hold."""

_TASK = "Your task is to: "
_ARRIVE = "You arrive at "
NOTHING = "Nothing happens."
"""What the engine answers to a command that it does not understand or that is not possible now."""


def read_game(path: str | Path) -> dict[str, Any]:
    """The content of a game file.

    Raises:
        EnvironmentFailed: it cannot be read or is not a game; names the file and what is wrong.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EnvironmentFailed(f"game {path} cannot be read: {error}") from None
    problem = game_problem(data)
    if problem:
        raise EnvironmentFailed(f"game {path} is damaged: {problem}")
    return dict(data)


def game_problem(data: object) -> str:
    """Why `data` is not a game, or an empty string."""
    if not isinstance(data, Mapping):
        return "it is not a JSON object"
    missing = [key for key in GAME_KEYS if not isinstance(data.get(key), str) or not data[key].strip()]
    return f"{', '.join(missing)} missing or empty" if missing else ""


def split_intro(text: str) -> tuple[str, str]:
    """The task and the first observation in the engine's opening text, without its banner."""
    before, _, task = text.partition(_TASK)
    lines = before.strip()
    if lines.startswith("-="):
        lines = lines.partition("\n")[2].strip()
    return task.strip(), lines


def clean(text: str) -> str:
    """An observation as the literature shows it: what is there, without the arrival.

    ReAct's `process_ob` drops the first sentence of texts that start with `You arrive at loc`; this engine names
    the place (`You arrive at diningtable 2. On the diningtable 2, ...`), so the rule is applied to `You arrive at`.
    """
    if text.startswith(_ARRIVE):
        return text.partition(". ")[2].strip() or text.strip()
    return text.strip()


class GamePlayer:
    """Plays games with one engine object, which is reused because each new one leaks ~5 MB.

    `cache` is the folder for translations of the fast engine (None: in memory only).
    """

    def __init__(self, engine: Engine = "fast", cache: str | Path | None = None) -> None:
        if engine not in get_args(Engine):
            raise UnknownName("engine", engine, get_args(Engine))
        try:
            self._env = _new_env(engine, Path(cache) if cache else None)
        except ImportError as error:
            raise MissingExtra("alfworld", f"the TextWorld engine ({error})") from None
        self.state: Any = None
        """The engine's full state, for experts; not for agents."""

    def load(self, path: str | Path) -> tuple[str, Observation]:
        """Start the game at `path`: the task in words and the first observation.

        Raises:
            EnvironmentFailed: the file is not a game that the engine can play.
        """
        game = read_game(path)
        try:
            self._env.load(game)
            self.state = self._env.reset()
        except EnvironmentFailed as error:
            raise EnvironmentFailed(f"game {path} is damaged: {error}") from None
        except Exception as error:  # noqa: BLE001 - the boundary: any text in the file reaches a parser
            raise EnvironmentFailed(f"game {path} is damaged: {type(error).__name__}: {error}") from None
        task, text = split_intro(self.state.feedback)
        if not task:
            raise EnvironmentFailed(f"game {path} is damaged: its opening names no task")
        return task, self._observe(text)

    def step(self, action: str) -> Observation:
        """Do `action` in the game that was loaded last."""
        if self.state is None:
            raise EnvironmentFailed("no game was loaded")
        self.state, _, _ = self._env.step(action)
        return self._observe(clean(self.state.feedback))

    def handcoded(self, path: str | Path, max_steps: int) -> tuple[str, Observation, list[tuple[str, Observation]]]:
        """The game at `path` as ALFWorld's hand-coded expert plays it: task, first observation, rounds.

        Raises:
            EnvironmentFailed: not a game, or not named as the expert needs it.
        """
        from memp_bench.envs.engine.handcoded import actions

        infos = self._env.request_infos
        infos.facts = True
        try:
            task, first = self.load(path)
            rounds: list[tuple[str, Observation]] = []
            for action in actions(Path(path), self, max_steps):
                rounds.append((action, self.step(action)))
                if rounds[-1][1].done:
                    break
        finally:
            infos.facts = False
        return task, first, rounds

    def _observe(self, text: str) -> Observation:
        won = bool(self.state["won"])
        return Observation(
            text=text,
            reward=1.0 if won else 0.0,
            done=won or bool(self.state["lost"]),
            invalid=self.state.feedback == NOTHING,
            admissible=tuple(self.state["admissible_commands"]),
        )


def _new_env(engine: Engine, cache: Path | None) -> Any:
    import textworld
    from alfworld.agents.environment.alfred_tw_env import AlfredDemangler
    from textworld.envs.pddl.pddl import PddlEnv

    infos = textworld.EnvInfos(won=True, admissible_commands=True)
    if engine == "fast":
        from memp_bench.envs.engine import fast

        other = fast.unverified()
        if not other:
            return AlfredDemangler(fast.new_env(infos, cache=cache))
        log.warning("the fast engine is not verified with %s: the stock engine is used", other)
    return AlfredDemangler(PddlEnv(infos))
