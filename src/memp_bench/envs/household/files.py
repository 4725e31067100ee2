"""Game files: where they are kept, what is in them, whether they are intact."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from memp.errors import EnvironmentFailed
from memp_bench.envs.household.draft import GENERATOR, Draft, family_of
from memp_bench.envs.household.problem import alfred_files, grammar_for

_NAME = re.compile(r"(\d+)-[a-z_]+\.tw-pddl")


def game_folder(cache: Path, seed: int) -> Path:
    """Where the games of a seed are kept."""
    return cache / "household" / f"v{GENERATOR}-{seed}"


def game_path(folder: Path, split: str, index: int) -> Path:
    """Where game number `index` of a split is kept."""
    return folder / split / f"{index:04d}-{family_of(index)}.tw-pddl"


def split_and_index(path: Path) -> tuple[str, int]:
    """What `game_path` was asked for.

    Raises:
        EnvironmentFailed: it is not the path of a household game.
    """
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise EnvironmentFailed(f"{path} is not the path of a household game (SPLIT/INDEX-FAMILY.tw-pddl)")
    return path.parent.name, int(match[1])


def is_intact(path: Path) -> bool:
    """Whether the file is there and holds what was written."""
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(data, dict) and data.pop("sha256", "") == _digest(data)


def content(draft: Draft, plan: list[str], *, seed: int, split: str, index: int) -> bytes:
    """The file: the keys of ALFWorld's games, what was drawn, and a checksum over both."""
    goal, layout = draft.goal, draft.house.layout
    data: dict[str, Any] = {
        "pddl_domain": alfred_files()[0],
        "grammar": grammar_for(goal),
        "pddl_problem": draft.problem,
        "solvable": True,
        "walkthrough": plan,
        "household": {
            "seed": seed,
            "split": split,
            "index": index,
            "family": goal.family,
            "object": goal.obj,
            "target": goal.target,
            "room": layout.room,
            "layout": layout.number,
        },
    }
    return json.dumps({**data, "sha256": _digest(data)}).encode()


def _digest(data: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
