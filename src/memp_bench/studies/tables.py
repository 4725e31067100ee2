"""From episodes to results: every figure of a study, with how sure it is.

Nothing here depends on the clock, on ids, or on the order in which episodes came to their end: the same episodes give
the same `Results`, byte for byte.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain

from memp_bench.studies.played import Played, Row, Runs, remarks, runs_of
from memp_bench.studies.pooling import Kind, Score, distribution, exact, interval
from memp_bench.studies.results import Build, Cell, Comparison, Distribution, Interval, Point, Results
from memp_bench.studies.spec import Arm, Size, Study
from memp_bench.studies.statistics import Bootstrap, mcnemar, sign_flips

__all__ = ["TOKENS_PER_SUCCESS", "WITH_BUILDING", "Played", "results_of"]

TOKENS_PER_SUCCESS = "tokens_per_success"
WITH_BUILDING = "tokens_per_success_with_building"


def results_of(
    study: Study,
    size: Size,
    *,
    smoke: bool,
    played: Sequence[Played],
    missing: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> Results:
    """The results of a study from what was played, in the order of its places, backbones and arms.

    Cells of which nothing was played are left out (`missing` names them). Only episodes played to their end count;
    in comparisons an episode that could not be played takes its counterpart out, too.

    Raises:
        RecordError: a cell is not of this study, or an episode would count twice.
    """
    found = runs_of(size, played)
    bootstrap = Bootstrap()
    cells, said = [], list(notes)
    for (place, backbone, arm), runs in found.items():
        base = found.get((place, backbone, study.base)) if arm != study.base else None
        curve: tuple[Point, ...] = ()
        if study.curve == "groups":
            curve = _over_groups(runs, _every(runs.arm, size), bootstrap)
        elif study.curve == "k":
            curve = _over_k(runs, [there for at, there in found.items() if at[:2] == (place, backbone)], bootstrap)
        cells.append(_cell(study, runs, base, curve, bootstrap))
        said += [f"{place}, {backbone}, {arm}: {text}" for text in remarks(runs, base)]
    return Results(
        study=study.name,
        smoke=smoke,
        title=study.title,
        question=study.question,
        paper=study.paper,
        base=study.base,
        curve=study.curve,
        cells=tuple(cells),
        missing=tuple(missing),
        notes=tuple(said),
    )


# -- a cell --------------------------------------------------------------------------------------------


def _cell(study: Study, runs: Runs, base: Runs | None, curve: tuple[Point, ...], bootstrap: Bootstrap) -> Cell:
    first, counted = runs.runs[0], runs.counted
    simulated = any(run.simulated or any(e.simulated for g in run.groups for e in g) for run in runs.runs)
    at = (first.place, first.backbone, first.arm)
    return Cell(
        place=first.place,
        backbone=first.backbone,
        arm=first.arm,
        simulated=simulated,
        seeds=tuple(runs.rows),
        episodes=len(counted),
        failed=sum(map(len, runs.rows.values())) - len(counted),
        measures=_measures(runs, bootstrap) if counted else {},
        families=_families(runs, bootstrap),
        curve=curve,
        tokens=_tokens(runs) if counted else {},
        build=_building(runs.runs),
        versus=_versus(study.base, runs, base, bootstrap) if base is not None else None,
        # The paper's figures are of real models: a simulated one has nothing to stand beside.
        paper={f.measure: f.value for f in study.paper_figures if (f.place, f.backbone, f.arm) == at and not simulated},
    )


def _measures(runs: Runs, bootstrap: Bootstrap) -> dict[str, Interval]:
    kinds: dict[str, Kind] = {"success": "share", "steps": "mean", "tokens": "mean", "calls": "mean"}
    kinds |= dict.fromkeys(runs.counted[0].rates, "share")
    return {name: interval(runs.scores(name), kind, bootstrap) for name, kind in kinds.items()}


def _families(runs: Runs, bootstrap: Bootstrap) -> dict[str, Interval]:
    found = {}
    for family in sorted({row.family for row in runs.counted}):
        members = {seed: [row for row in rows if row.family == family] for seed, rows in runs.rows.items()}
        found[family] = interval(runs.scores("success", members), "share", bootstrap)
    return found


def _tokens(runs: Runs) -> dict[str, Distribution]:
    found = {
        name: distribution([row.figures[name] for row in runs.counted]) for name in ("tokens", "calls", "recalled")
    }
    each: dict[str, list[float]] = {TOKENS_PER_SUCCESS: [], WITH_BUILDING: []}
    for run in runs.runs:
        of_seed = [row.figures for row in runs.rows[run.seed] if row.counted]
        if won := sum(figures["success"] for figures in of_seed):  # a seed without success has no price
            used = sum(figures["tokens"] for figures in of_seed)
            building = sum(part.tokens for part in (run.learned, run.updates) if part is not None)
            each[TOKENS_PER_SUCCESS].append(used / won)
            each[WITH_BUILDING].append((used + building) / won)
    return found | {name: distribution(values) for name, values in each.items() if values}


def _building(runs: Sequence[Played]) -> Build | None:
    """Memories that seeds have in common count once; what updates did is each seed's own."""
    parts: list[Build] = []
    for run in runs:
        if run.learned is not None and run.learned not in parts:
            parts.append(run.learned)
    parts += [_own(run.updates, run.learned) for run in runs if run.updates is not None]
    if not parts:
        return None
    names = ("procedures", "trajectories", "added", "revised", "retired", "calls", "tokens")
    known = all(part.cost is not None or not part.calls for part in parts)
    return Build(
        **{name: sum(getattr(part, name) for part in parts) for name in names},
        cost=exact(sum(part.cost or 0.0 for part in parts)) if known else None,
    )


def _own(updates: Build, learned: Build | None) -> Build:
    """What updates brought in: what the memory held in the end, less what it started from."""
    if learned is None:
        return updates
    held = {name: getattr(updates, name) - getattr(learned, name) for name in ("procedures", "trajectories")}
    return updates.model_copy(update={name: max(0, more) for name, more in held.items()})


# -- beside the base arm -------------------------------------------------------------------------------


def _pairs(runs: Runs, base: Runs) -> dict[int, list[tuple[Row, Row]]]:
    """(with, without) for every task counted in both, by seed."""
    found = {}
    for seed in runs.rows:
        without = {row.task: row for row in base.rows.get(seed, ()) if row.counted}
        found[seed] = [(row, without[row.task]) for row in runs.rows[seed] if row.counted and row.task in without]
    return found


def _versus(name: str, runs: Runs, base: Runs, bootstrap: Bootstrap) -> Comparison | None:
    pairs = _pairs(runs, base)

    def difference(figure: str, kind: Kind) -> Interval:
        scores = {
            seed: [Score(a.task, a.figures[figure] - b.figures[figure]) for a, b in there]
            for seed, there in pairs.items()
        }
        return interval(scores, kind, bootstrap)

    changes: Counter[int] = Counter()
    net: Counter[str] = Counter()  # repairs less regressions of each task
    for with_, without in chain.from_iterable(pairs.values()):
        change = with_.figures["success"] - without.figures["success"]
        changes[change] += 1
        net[with_.task] += change
    if not changes:
        return None
    return Comparison(
        base=name,
        pairs=changes.total(),
        repairs=changes[1],
        regressions=changes[-1],
        success=difference("success", "difference"),
        p=exact(mcnemar(changes[1], changes[-1])),
        p_tasks=exact(sign_flips(list(net.values()))),
        steps=difference("steps", "mean"),
        tokens=difference("tokens", "mean"),
    )


# -- curves --------------------------------------------------------------------------------------------


def _every(arm: Arm, size: Size) -> int | None:
    """After how many tasks a point is set: the arm's own t, or that of the arm that updates most often."""
    return arm.every or min((other.every for other in size.arms if other.every), default=None)


def _over_groups(runs: Runs, every: int | None, bootstrap: Bootstrap) -> tuple[Point, ...]:
    """What was reached after each group of tasks, counted from the start; as far as all seeds have come."""
    length = min(map(len, runs.rows.values()))
    ends = [*range(every or length, length, every or length), length] if length else []
    points = []
    for end in ends:
        so_far = {seed: rows[:end] for seed, rows in runs.rows.items()}
        if any(row.counted for rows in so_far.values() for row in rows):
            points.append(_point(end, runs, so_far, bootstrap))
    return tuple(points)


def _over_k(runs: Runs, others: Sequence[Runs], bootstrap: Bootstrap) -> tuple[Point, ...]:
    """Where a cell stands on the line over k: its own point, and that of playing without memory at k = 0.

    `others` are all cells of the place and backbone. On the line are the arms that differ in k alone from the first
    arm with a memory; there is none where no two of them do.
    """
    with_memory = [there.arm for there in others if there.arm.memory != "none"]
    line = [arm for arm in with_memory if _but_k(arm) == _but_k(with_memory[0])]
    if len(line) < 2 or not runs.counted or (runs.arm not in line and runs.arm.memory != "none"):
        return ()
    return (_point(runs.arm.k if runs.arm in line else 0, runs, runs.rows, bootstrap),)


def _but_k(arm: Arm) -> dict[str, object]:
    return arm.model_dump(exclude={"label", "k"})


def _point(x: float, runs: Runs, rows: Mapping[int, Sequence[Row]], bootstrap: Bootstrap) -> Point:
    return Point(
        x=x,
        success=interval(runs.scores("success", rows), "share", bootstrap),
        steps=interval(runs.scores("steps", rows), "mean", bootstrap),
    )
