"""ALFWorld's household games (Shridhar et al., 2021) on the TextWorld engine."""

import os
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from memp.errors import EnvironmentFailed, UnknownName
from memp.records import Skipped
from memp_bench.envs import alfworld_data as data_files
from memp_bench.envs.alfred_rules import INSTRUCTIONS
from memp_bench.envs.base import Task
from memp_bench.envs.engine.player import Engine
from memp_bench.envs.slots import Pool, PoolMaker, local_pool
from memp_bench.envs.textworld import TextWorldEnvironment, game_pool

ALIASES = {"dev": "valid_seen", "test": "valid_unseen"}


def default_cache(environ: Mapping[str, str]) -> Path:
    """`$XDG_CACHE_HOME/memp`, by default `~/.cache/memp`."""
    return Path(environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "memp"


class AlfWorld:
    """The games of the original download, each exactly once, in a fixed order.

    Args:
        data: folder or archive with the games; None looks in the usual places (see `find_games`).
        engine: `fast`, or `stock` for TextWorld as shipped.
        workers: how many episodes may run at once.
        cache: folder for unpacked games and translations; None is `~/.cache/memp`.
        environ: environment variables; None is the process's.
        pools: where games are played.

    Raises:
        EnvironmentFailed: there are no games; says where they were looked for.
    """

    name = "alfworld"
    instructions = INSTRUCTIONS
    example = ""
    splits: Sequence[str] = data_files.SPLITS

    def __init__(
        self,
        data: str | Path | None = None,
        *,
        engine: Engine = "fast",
        workers: int = 8,
        cache: Path | None = None,
        environ: Mapping[str, str] | None = None,
        pools: PoolMaker = local_pool,
    ) -> None:
        environ = os.environ if environ is None else environ
        cache = (cache or default_cache(environ)).absolute()  # other machines have other working folders
        beside = tuple(place.parent / "shared" / "data" for place in (Path.cwd(), Path(__file__).parents[3]))
        found = data_files.find_games(Path(data) if data else None, cache=cache, environ=environ, places=beside)
        self.root = found.absolute()
        self.pool: Pool = game_pool(
            engine=engine, size=workers, cache=str(cache / "sas"), pools=pools, games=str(self.root)
        )
        self._skipped: dict[str, str] = {}

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """The damaged games that `tasks` met so far, and what is wrong with each."""
        return tuple(Skipped(subject=game, reason=why) for game, why in sorted(self._skipped.items()))

    def tasks(self, split: str, *, games: int | None = None, seed: int = 0) -> Sequence[Task]:
        """The games of a split, sorted by path; `games` takes a seeded sample of so many sound ones.

        Damaged games are left out and listed in `skipped`.

        Raises:
            UnknownName: no such split.
            EnvironmentFailed: the data holds no games of that split.
        """
        split = ALIASES.get(split, split)
        if split not in self.splits:
            raise UnknownName("split", split, [*self.splits, *ALIASES])
        paths = data_files.games(self.root, split)
        if not paths:
            raise EnvironmentFailed(f"no games of the split {split} in {self.root / split}")
        if games is not None:
            random.Random(seed).shuffle(paths)
        chosen: list[Path] = []
        for path in paths:
            if games is not None and len(chosen) >= games:
                break
            if self._is_sound(path):
                chosen.append(path)
        return [_task(self.root, path) for path in sorted(chosen)]

    def _is_sound(self, path: Path) -> bool:
        why = data_files.problem(path)
        if why:
            self._skipped[str(path)] = why
        return not why

    def environment(self) -> TextWorldEnvironment:
        """A new environment; its games run in the shared pool."""
        return TextWorldEnvironment(self.pool)

    async def close(self) -> None:
        """Stop the workers."""
        await self.pool.close()


def _task(root: Path, path: Path) -> Task:
    return Task(
        id=path.parent.relative_to(root).as_posix(),
        family=data_files.family(path),
        payload={"game": str(path)},
    )
