"""A report as a document: parts, sections, tables and charts, before it becomes a page or a Markdown file."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from memp_bench.studies import charts
from memp_bench.studies.curves import Line, curves
from memp_bench.studies.results import Cell, Interval, Results
from memp_bench.studies.sheets import (
    Sheet,
    by_backbone,
    cost_sheet,
    curve_sheet,
    families,
    family_sheet,
    head,
    main_sheet,
    making_sheet,
    measures_sheet,
    paired_sheet,
)
from memp_bench.studies.svg import LOOKS

SMALL = "Smoke size: it shows that everything runs, and is too small to conclude anything from."

LOUD = "SIMULATED: says nothing about any real model."

SIMULATED = (
    "The agents are instruments that read only the messages they are sent. These figures show that the loop works."
)

HOW = (
    "Every task of every seed is counted once. An episode that could not be played to its end (a crash, a provider "
    "that stayed away) is counted neither as solved nor as failed, and is listed.",
    "Brackets are 95 % intervals. Shares of tasks: Wilson's, at the effective sample size where tasks were played "
    "under several seeds. Means, micro rates (#CS, #HC) and differences: bootstrap over tasks, a task's seeds "
    "together. They say what other tasks of the kind might give; ± is one standard deviation over seeds. A bootstrap "
    "of fewer than about 30 tasks is somewhat narrow.",
    "A gain is the difference of success rates in percentage points, on tasks that both arms finished, task by task "
    "and seed by seed. Repairs: failed without, solved with. Regressions: solved without, failed with.",
    "p is from McNemar's exact test, two-sided. With several seeds a task's pairs are not independent: they are turned "
    "together (exact sign flips), and McNemar's p over single pairs, then too small, stands below. No p is corrected "
    "for the number of comparisons.",
    "Tokens per success are of all episodes counted, by seed; “memory included” adds what making the memory took.",
)

PAPER = (
    "“paper” beside a figure is what arXiv 2508.06433 prints for the same cell, by the same definition. The paper "
    "gives no intervals, and its runs used the model versions of their time."
)

DIAMOND = "Hollow diamonds: the paper's figures."


class Figure(NamedTuple):
    """A chart under its caption."""

    title: str
    note: str
    svg: str


class Section(NamedTuple):
    """One place: its tables, its charts, and the tables behind the charts."""

    title: str
    sheets: tuple[Sheet, ...]
    figures: tuple[Figure, ...]
    details: tuple[Sheet, ...]


class Part(NamedTuple):
    """What was measured in one way; simulated and real figures are parts of their own."""

    title: str
    warning: str
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]


class Document(NamedTuple):
    """All of a report that comes from its results alone."""

    study: str
    smoke: bool
    title: str
    question: str
    paper: str
    simulated: bool
    """Whether any part of it is."""
    parts: tuple[Part, ...]
    missing: tuple[str, ...]
    notes: tuple[str, ...]
    how: tuple[str, ...]


def runs_document(results: Results) -> Document:
    """The report of a study that played episodes."""
    parts = []
    for simulated in (False, True):
        cells = [cell for cell in results.cells if cell.simulated is simulated]
        if cells:
            parts.append(_part(results, cells, simulated=simulated))
    quotes = any(cell.paper for cell in results.cells)
    return Document(
        study=results.study,
        smoke=results.smoke,
        title=results.title,
        question=results.question,
        paper=results.paper,
        simulated=any(cell.simulated for cell in results.cells),
        parts=tuple(parts),
        missing=results.missing,
        notes=results.notes,
        how=(*HOW, PAPER) if quotes else HOW,
    )


def _unique(names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _part(results: Results, cells: Sequence[Cell], *, simulated: bool) -> Part:
    seeds = sorted({seed for cell in cells for seed in cell.seeds})
    places = _unique([cell.place for cell in cells])
    failed = sum(cell.failed for cell in cells)
    facts = (
        ("Places", " · ".join(places)),
        ("Backbones", " · ".join(_unique([cell.backbone for cell in cells]))),
        ("Arms", " · ".join(_unique([cell.arm for cell in cells]))),
        ("Seeds", ", ".join(map(str, seeds)) or "–"),
        ("Episodes counted", f"{sum(cell.episodes for cell in cells):,}"),
        ("Could not be played", f"{failed:,}"),
    )
    looks = _looks(results)
    sections = (_section(results, [cell for cell in cells if cell.place == place], place, looks) for place in places)
    title = "Simulated backbones" if simulated else "Real backbones"
    return Part(title, SIMULATED if simulated else "", facts, tuple(sections))


def _looks(results: Results) -> dict[str, int]:
    """Arm -> how it is drawn, the same all over the report; the base arm is the grey one."""
    others = [arm for arm in _unique([cell.arm for cell in results.cells]) if arm != results.base]
    return {results.base: 0} | {arm: 1 + n % (LOOKS - 1) for n, arm in enumerate(others)}


def _section(results: Results, cells: Sequence[Cell], place: str, looks: Mapping[str, int]) -> Section:
    sheets, details = [main_sheet(cells, results.base)], [measures_sheet(cells)]
    if any(cell.versus for cell in cells):
        sheets.append(paired_sheet(cells, results.base))
    if any(cell.tokens for cell in cells):
        sheets.append(cost_sheet(cells))
    if any(cell.build for cell in cells):
        sheets.append(making_sheet(cells))
    if families(cells):
        details.append(family_sheet(cells))
    lines, drawn = _curves(cells, looks, results)
    figures = [*drawn, *_forests(cells, looks), *_balance(cells, looks, results.base)]
    heats = [_heat(backbone, members) for backbone, members in by_backbone(cells).items() if families(members)]
    return Section(place, tuple(sheets), (*figures, *heats, *_tokens(cells, looks)), (*details, *lines))


def _forests(cells: Sequence[Cell], looks: Mapping[str, int]) -> list[Figure]:
    figures = []
    for measure in ("success", "commonsense_micro", "hard_micro", "steps"):
        if not any(measure in cell.measures for cell in cells):
            continue
        groups = [
            (backbone, [_row(cell, measure, looks) for cell in members])
            for backbone, members in by_backbone(cells).items()
        ]
        scale = charts.Scale(head(measure), share=measure != "steps")
        title = "Steps per episode" if measure == "steps" else head(measure).removesuffix(", %")
        note = "With 95 % intervals. " + (DIAMOND if any(measure in cell.paper for cell in cells) else "")
        figures.append(Figure(title, note.strip(), charts.forest(title, groups, scale)))
    return figures


def _row(cell: Cell, measure: str, looks: Mapping[str, int]) -> charts.Row:
    mark = charts.Mark(cell.arm, looks[cell.arm], _counted(cell.measures.get(measure)))
    return charts.Row(cell.arm, (mark,), cell.paper.get(measure))


def _counted(value: Interval | None) -> Interval | None:
    return value if value is not None and value.n else None


def _balance(cells: Sequence[Cell], looks: Mapping[str, int], base: str) -> list[Figure]:
    groups = [
        (
            backbone,
            [
                charts.Side(cell.arm, looks[cell.arm], cell.versus.repairs, cell.versus.regressions)
                for cell in members
                if cell.versus is not None and cell.versus.pairs
            ],
        )
        for backbone, members in by_backbone(cells).items()
    ]
    groups = [group for group in groups if group[1]]
    title = "Repairs and regressions"
    note = f"Tasks that “{base}” failed and the arm solved, and the other way round."
    return [Figure(title, note, charts.balance(title, groups))] if groups else []


CURVES = (("success", "Success"), ("steps", "Steps"))


def _curves(cells: Sequence[Cell], looks: Mapping[str, int], results: Results) -> tuple[list[Sheet], list[Figure]]:
    """Success and steps over the stream or over k: the tables and the charts."""
    if not any(cell.curve for cell in cells):
        return [], []
    over_k = results.curve == "k"
    across = "procedures recalled (k)" if over_k else "tasks played"
    groups = _over_k(cells) if over_k else _over_tasks(cells, looks)
    sheets = []
    for n, (measure, name) in enumerate(CURVES):
        table = [(heading, {line.name: dict(line.points) for line in lines[n]}) for heading, lines in groups]
        sheets.append(curve_sheet(f"{name}{'' if over_k else ' so far'}{'' if n else ', %'}", across, measure, table))
    figures = []
    for heading, lines in groups:
        for n, (measure, name) in enumerate(CURVES):
            title = f"{name} {'over k' if over_k else 'so far'}{heading and f': {heading}'}"
            note = "Bands are 95 % intervals. " + (DIAMOND if any(line.paper for line in lines[n]) else "")
            scale = charts.Scale(head(measure), share=n == 0)
            figures.append(Figure(title, note.strip(), curves(title, lines[n], scale, across)))
    return sheets, figures


Lines = tuple[list[Line], list[Line]]
"""Success and steps."""


def _over_tasks(cells: Sequence[Cell], looks: Mapping[str, int]) -> list[tuple[str, Lines]]:
    """A chart for each backbone, a line for each arm."""
    groups = []
    for backbone, members in by_backbone(cells).items():
        with_curve = [cell for cell in members if cell.curve]
        lines: Lines = (
            [Line(c.arm, looks[c.arm], tuple((p.x, p.success) for p in c.curve)) for c in with_curve],
            [Line(c.arm, looks[c.arm], tuple((p.x, p.steps) for p in c.curve)) for c in with_curve],
        )
        if with_curve:
            groups.append((backbone, lines))
    return groups


def _over_k(cells: Sequence[Cell]) -> list[tuple[str, Lines]]:
    """One chart, a line for each backbone through the cells of its arms."""
    lines: Lines = ([], [])
    for n, (backbone, members) in enumerate(by_backbone(cells).items()):
        points = sorted((point for cell in members for point in cell.curve), key=lambda point: point.x)
        for found, measure in zip(lines, ("success", "steps"), strict=True):
            values = tuple((point.x, point.success if measure == "success" else point.steps) for point in points)
            paper = tuple((c.curve[-1].x, c.paper[measure]) for c in members if c.curve and measure in c.paper)
            found.append(Line(backbone, 1 + n % (LOOKS - 1), values, paper))
    return [("", lines)]


def _heat(backbone: str, cells: Sequence[Cell]) -> Figure:
    names = families(cells)
    values = [[_counted(cell.families.get(name)) for cell in cells] for name in names]
    title = f"Success by kind of task, %: {backbone}"
    sizes = [value.n for row in values for value in row if value is not None]
    few, many = min(sizes, default=0), max(sizes, default=0)
    each = f"{few}" if few == many else f"{few} to {many}"
    episodes = "episode" if many == 1 else "episodes"
    note = f"Of {each} {episodes} each; intervals are in the table of that name." if sizes else ""
    return Figure(title, note, charts.heat(title, names, [cell.arm for cell in cells], values))


def _tokens(cells: Sequence[Cell], looks: Mapping[str, int]) -> list[Figure]:
    if not any("tokens" in cell.tokens for cell in cells):
        return []
    groups = [
        (backbone, [charts.Spread(cell.arm, looks[cell.arm], cell.tokens.get("tokens")) for cell in members])
        for backbone, members in by_backbone(cells).items()
    ]
    title = "Tokens per episode"
    note = "Bar: 10th to 90th percentile; mark and figure: median; upright line: mean."
    scale = charts.Scale("thousands of tokens", unit=1000.0)
    return [Figure(title, note, charts.strips(title, groups, scale))]
