"""A study's figures in long form: a CSV row for every cell and measure, unrounded."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping

from memp_bench.studies.recall_document import depth
from memp_bench.studies.results import Cell, Interval, RecallResults, RecallScore, Results
from memp_bench.studies.sheets import ordered, spread_order
from memp_bench.studies.svg import plain

Figures = tuple[float | None, float | None, float | None, int | None, float | None]
"""value, low, high, n, sd."""

RUN_COLUMNS = ("study", "size", "simulated", "place", "backbone", "arm", "part", "measure", "key")
RECALL_COLUMNS = ("study", "size", "place", "wording", "policy", "embedder", "measure", "key")
FIGURES = ("value", "low", "high", "n", "sd")


def csv_of(results: Results | RecallResults) -> str:
    """The CSV file of a study. Shares are 0 to 1; empty fields do not apply.

    Texts that a spreadsheet would run as a formula get an apostrophe in front.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    recall = isinstance(results, RecallResults)
    writer.writerow((*(RECALL_COLUMNS if recall else RUN_COLUMNS), *FIGURES))
    start = (_safe(results.study), "smoke" if results.smoke else "full")
    for names, figures in _scores(results) if isinstance(results, RecallResults) else _cells(results):
        writer.writerow((*start, *names, *("" if value is None else value for value in figures)))
    return out.getvalue()


def _safe(text: str) -> str:
    text = plain(text)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def _cells(results: Results) -> Iterator[tuple[tuple[str, ...], Figures]]:
    for cell in results.cells:
        kind = "simulated" if cell.simulated else "real"
        names = (kind, _safe(cell.place), _safe(cell.backbone), _safe(cell.arm))
        for part, measure, key, figures in _cell(cell):
            yield (*names, part, _safe(measure), _safe(key)), figures


def _cell(cell: Cell) -> Iterator[tuple[str, str, str, Figures]]:
    yield "run", "episodes", "", _just(cell.episodes)
    yield "run", "failed", "", _just(cell.failed)
    yield "run", "seeds", "", _just(len(cell.seeds))
    for name in ordered(cell.measures):
        yield "measure", name, "", _interval(cell.measures[name])
    for name in ordered(cell.paper):
        yield "paper", name, "", _just(cell.paper[name])
    yield from _versus(cell)
    for name in sorted(cell.families):
        yield "family", "success", name, _interval(cell.families[name])
    for point in cell.curve:
        yield "curve", "success", f"{point.x:g}", _interval(point.success)
        yield "curve", "steps", f"{point.x:g}", _interval(point.steps)
    for name in spread_order([cell]):
        of = cell.tokens[name]
        for key, value in (("mean", of.mean), ("p10", of.p10), ("p50", of.p50), ("p90", of.p90)):
            yield "distribution", name, key, (value, None, None, of.n, None)
    if cell.build is not None:
        for name, value in cell.build.model_dump().items():
            yield "making", name, "", _just(value)


def _versus(cell: Cell) -> Iterator[tuple[str, str, str, Figures]]:
    versus = cell.versus
    if versus is None:
        return
    for name, value in (("success", versus.success), ("steps", versus.steps), ("tokens", versus.tokens)):
        yield "difference", name, versus.base, _interval(value)
    for name, number in (("pairs", versus.pairs), ("repairs", versus.repairs), ("regressions", versus.regressions)):
        yield "difference", name, versus.base, _just(number)
    yield "difference", "p", versus.base, (versus.p, None, None, versus.pairs, None)
    if versus.p_tasks is not None:
        yield "difference", "p_tasks", versus.base, (versus.p_tasks, None, None, versus.pairs, None)


def _scores(results: RecallResults) -> Iterator[tuple[tuple[str, ...], Figures]]:
    for score in results.scores:
        names = tuple(map(_safe, (score.place, score.wording, score.policy, score.embedder)))
        yield (*names, "tasks", ""), _just(score.tasks)
        for measure, key, figures in _score(score):
            yield (*names, measure, _safe(key)), figures


def _score(score: RecallScore) -> Iterator[tuple[str, str, Figures]]:
    for key in _by_depth(score.ndcg):
        yield "ndcg", key, _interval(score.ndcg[key])
    for measure, values in (("precision", score.precision), ("by_grade", score.by_grade)):
        for key in _by_depth(values):
            yield measure, key, _just(values[key])


def _by_depth(keys: Mapping[str, object]) -> Iterable[str]:
    return sorted(keys, key=lambda key: (depth(key), key))


def _just(value: float | None) -> Figures:
    return value, None, None, None, None


def _interval(value: Interval) -> Figures:
    return value.value, value.low, value.high, value.n, value.sd
