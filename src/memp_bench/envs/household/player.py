"""Makes the games it plays. Synchronous; runs in a worker process only."""

import os
import tempfile
from pathlib import Path

from memp.errors import EnvironmentFailed
from memp_bench.envs.base import Observation
from memp_bench.envs.engine.player import Engine, GamePlayer
from memp_bench.envs.household.draft import draw
from memp_bench.envs.household.files import content, game_path, is_intact, split_and_index
from memp_bench.envs.household.solve import Planner

_ATTEMPTS = 20


class HouseholdPlayer(GamePlayer):
    """A `GamePlayer` that makes a game of its folder when the file is missing or damaged.

    A game counts as made when the planner solved it and its plan was played to victory on this very engine.
    The same seed, split and index give the same bytes everywhere.

    Args:
        folder: where the games of `seed` are kept.
        seed: which houses.
        engine, cache: as for `GamePlayer`.
    """

    def __init__(self, folder: str, seed: int, engine: Engine = "fast", cache: str | None = None) -> None:
        super().__init__(engine, cache)
        self._folder = Path(folder)
        self._seed = seed
        self._planner: Planner | None = None

    def load(self, path: str | Path) -> tuple[str, Observation]:
        """Start the game at `path`, made now if need be.

        Raises:
            EnvironmentFailed: the path is not one of this folder's games, or `ensure` failed.
        """
        split, index = split_and_index(Path(path))
        if Path(path) != game_path(self._folder, split, index):
            raise EnvironmentFailed(f"{path} is not a household game of {self._folder}")
        return super().load(self.ensure(split, index))

    def ensure(self, split: str, index: int) -> str:
        """The path of an intact game file, which is made when it is missing or damaged.

        Raises:
            EnvironmentFailed: the folder cannot be written, or no draft could be won.
        """
        path = game_path(self._folder, split, index)
        if not is_intact(path):
            try:
                self._make(path, split, index)
            except OSError as error:
                raise EnvironmentFailed(
                    f"household game {path} cannot be written: {error}; free the place or name another cache"
                ) from None
        return str(path)

    def _make(self, path: Path, split: str, index: int) -> None:
        """Draw and solve until a game is won; then put its file in place in one move."""
        self._planner = self._planner or Planner()
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=".tmp")
        os.close(handle)
        try:
            for attempt in range(_ATTEMPTS):
                draft = draw(self._seed, split, index, attempt)
                plan = self._planner.solve(draft)
                if not plan:
                    continue
                Path(name).write_bytes(content(draft, plan, seed=self._seed, split=split, index=index))
                if self.wins(name, plan):
                    Path(name).replace(path)
                    return
        finally:
            Path(name).unlink(missing_ok=True)
        raise EnvironmentFailed(
            f"household {split} game {index} of seed {self._seed}: none of {_ATTEMPTS} drafts can be won"
        )

    def wins(self, path: str | Path, commands: list[str]) -> bool:
        """Whether the commands win the game at `path`, none of them refused and none too many."""
        _, seen = super().load(path)
        for command in commands:
            if seen.done:
                return False
            seen = self.step(command)
            if seen.invalid:
                return False
        return seen.done
