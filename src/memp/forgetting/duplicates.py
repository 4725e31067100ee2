"""Near-duplicates: procedures that say the same for tasks that are almost the same."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

from memp.records import Procedure, Trajectory

ALIKE = 0.5
"""Least similarity of two tasks (`alike`) whose procedures say the same. Measured: docs/forgetting.md."""

_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"\s*\b\d+\b")


def alike(task: str, other: str) -> float:
    """How much of their words two tasks share, 0 to 1 (Dice's coefficient). Numbers name instances and do not count."""
    a, b = (Counter(_WORD.findall(_NUMBER.sub("", text).casefold())) for text in (task, other))
    total = a.total() + b.total()
    return 2 * (a & b).total() / total if total else 1.0


def groups(
    held: Iterable[Procedure], trajectory: Callable[[str], Trajectory | None], *, least: float = ALIKE
) -> list[list[Procedure]]:
    """Procedures that can become one, in order of creation, each group with the one that stays first.

    They do the same steps under the same conditions, and the task of each is like that of the one that stays: the one
    served most often, the oldest of equals. What is pinned, tainted, on trial or waiting is left alone.
    """
    same: dict[tuple[object, ...], list[Procedure]] = defaultdict(list)
    for procedure in held:
        revision = procedure.revision
        if revision.pinned or revision.tainted or revision.status != "active":
            continue
        same[_says(procedure, trajectory)].append(procedure)
    found: list[list[Procedure]] = []
    for members in same.values():
        rest = sorted(members, key=lambda procedure: -procedure.served)  # stable: the oldest of equals
        while len(rest) > 1:
            first = rest[0]
            near = [p for p in rest[1:] if alike(first.task, p.task) >= least]
            if near:
                found.append([first, *near])
            rest = [p for p in rest[1:] if p not in near]
    return found


def _says(procedure: Procedure, trajectory: Callable[[str], Trajectory | None]) -> tuple[object, ...]:
    """What it says to do, in a form in which instances, case and punctuation do not count."""
    script = procedure.content.script
    verbatim = procedure.content.trajectory_id
    done = trajectory(verbatim) if verbatim is not None else None
    acted = _plain(step.action for step in done.steps if step.error is None) if done else ()
    if script is None:
        return (acted, procedure.built_from_success)
    conditions = tuple(map(_plain, (script.applies_when, script.does_not_apply_when, script.pitfalls)))
    return (acted, _plain(script.steps), conditions, procedure.built_from_success)


def _plain(lines: Iterable[str]) -> Sequence[str]:
    return tuple(" ".join(_WORD.findall(_NUMBER.sub("", line).casefold())) for line in lines)
