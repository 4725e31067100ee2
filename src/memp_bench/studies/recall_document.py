"""The report of `recall`: retrieval scored alone, one section a place."""

from collections.abc import Sequence

from memp_bench.studies import charts
from memp_bench.studies.documents import Document, Figure, Part, Section
from memp_bench.studies.results import Interval, RecallResults, RecallScore
from memp_bench.studies.sheets import NOTHING, Entry, Row, Sheet

HOW = (
    "For every task, procedures are retrieved from the memory of the train split and graded by what makes one useful "
    "for it: the same kind of task, the same objects and places, the same constraints. No agent takes part.",
    "nDCG compares the order found with the best order possible, 0 to 1; brackets are 95 % bootstrap intervals over "
    "tasks. Precision is the share of the retrieved that are of the task's kind.",
    "“plain” are the tasks as they are; every other wording puts them in other words.",
)


def recall_document(results: RecallResults) -> Document:
    """The report of a study that scored retrieval."""
    places = list(dict.fromkeys(score.place for score in results.scores))
    facts = (
        *((f"Memory for {place}", f"{results.memories[place]:,} procedures") for place in sorted(results.memories)),
        *((f"Tasks of {place}", f"{_tasks(results.scores, place):,}") for place in places),
    )
    sections = tuple(_section(place, [score for score in results.scores if score.place == place]) for place in places)
    return Document(
        study=results.study,
        smoke=results.smoke,
        title=results.title,
        question=results.question,
        paper="",
        simulated=False,
        parts=(Part("Retrieval without an agent", "", facts, sections),) if sections else (),
        missing=(),
        notes=results.notes,
        how=HOW,
    )


def _tasks(scores: Sequence[RecallScore], place: str) -> int:
    return max(score.tasks for score in scores if score.place == place)


def depth(key: str) -> int:
    """The k of `@k`, to sort by; other keys come last."""
    return int(key[1:]) if key[1:].isdigit() else 10**9


class _Grid:
    """Scores of one place by (embedder, policy) and wording."""

    def __init__(self, scores: Sequence[RecallScore]) -> None:
        self.embedders = list(dict.fromkeys(score.embedder for score in scores))
        self.wordings = list(dict.fromkeys(score.wording for score in scores))
        self.scores = {(score.embedder, score.policy, score.wording): score for score in scores}
        self.policies = {
            embedder: list(dict.fromkeys(score.policy for score in scores if score.embedder == embedder))
            for embedder in self.embedders
        }

    def sheet(self, title: str, columns: Sequence[tuple[str, str]], what: str) -> Sheet:
        """A table of `what` (ndcg, precision, by_grade); `columns` are (wording, key)."""
        groups = tuple(
            (
                embedder,
                tuple(
                    Row(policy, tuple(self.entry(embedder, policy, wording, what, key) for wording, key in columns))
                    for policy in policies
                ),
            )
            for embedder, policies in self.policies.items()
        )
        heads = tuple(f"{wording} {key}" for wording, key in columns)
        return Sheet(title, ("Embedder", "Policy"), heads, groups)

    def entry(self, embedder: str, policy: str, wording: str, what: str, key: str) -> Entry:
        score = self.scores.get((embedder, policy, wording))
        value = getattr(score, what).get(key) if score else None
        if isinstance(value, Interval):
            return Entry(f"{value.value:.3f}", f"[{value.low:.3f}, {value.high:.3f}]") if value.n else NOTHING
        return NOTHING if value is None else Entry(f"{value:.3f}")

    def keys(self, what: str) -> list[str]:
        found = {key for score in self.scores.values() for key in getattr(score, what)}
        return sorted(found, key=lambda key: (depth(key), key))


def _section(place: str, scores: Sequence[RecallScore]) -> Section:
    grid = _Grid(scores)
    sheets = [
        grid.sheet(title, [(wording, key) for wording in grid.wordings for key in grid.keys(what)], what)
        for what, title in (("ndcg", "nDCG"), ("precision", "Precision"))
        if grid.keys(what)
    ]
    if grid.keys("by_grade"):
        columns = [(wording, key) for wording in grid.wordings for key in grid.keys("by_grade")]
        sheets.append(grid.sheet("Share of the ten retrieved that agree in", columns, "by_grade"))
    return Section(place, tuple(sheets[:2]), tuple(_figure(grid, key) for key in grid.keys("ndcg")), tuple(sheets[2:]))


def _figure(grid: _Grid, key: str) -> Figure:
    groups = [
        (
            f"embedder {embedder}",
            [
                charts.Row(
                    policy,
                    tuple(
                        charts.Mark(wording, n + 1, _value(grid.scores.get((embedder, policy, wording)), key))
                        for n, wording in enumerate(grid.wordings)
                    ),
                )
                for policy in policies
            ],
        )
        for embedder, policies in grid.policies.items()
    ]
    title = f"nDCG{key}"
    svg = charts.forest(title, groups, charts.Scale(title, digits=2, top=1.0))
    return Figure(title, "With 95 % intervals.", svg)


def _value(score: RecallScore | None, key: str) -> Interval | None:
    value = score.ndcg.get(key) if score else None
    return value if value is not None and value.n else None
