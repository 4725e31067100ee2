"""The tables of docs/recall.md, from what `memp study run recall` wrote.

    memp study run recall --out runs/study-recall
    python tools/recall_tables.py runs/study-recall/tables.json docs/recall.md

The text of docs/recall.md before the line `<!-- tables -->` is kept, what follows is written anew.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from memp_bench.studies.results import Interval, RecallResults, RecallScore

MARK = "<!-- tables -->"


def tables(results: RecallResults) -> Iterator[str]:
    """The lines of all tables."""
    wordings = list(dict.fromkeys(score.wording for score in results.scores))
    for place, size in results.memories.items():
        scores = {(row(s), s.wording): s for s in results.scores if s.place == place}
        policies = list(dict.fromkeys(policy for policy, _ in scores))
        first = next(iter(scores.values()))
        yield f"\n### {place}: {first.tasks} tasks, {size} memories"

        def table(title: str, columns: list[str], entry: Callable[[str, str], str]) -> Iterator[str]:
            yield f"\n{title}\n\n| policy | {' | '.join(columns)} |\n|---|{'---:|' * len(columns)}"
            for policy in policies:  # noqa: B023 - read before the loop goes on
                yield f"| {policy} | {' | '.join(entry(policy, column) for column in columns)} |"

        def score(policy: str, wording: str) -> RecallScore:
            return scores[policy, wording]  # noqa: B023 - as above

        yield from table("nDCG@10 (95 % interval over tasks)", wordings, lambda p, w: interval(score(p, w).ndcg["@10"]))
        yield from table("nDCG@5", wordings, lambda p, w: share(score(p, w).ndcg["@5"].value))
        yield from table(
            "Precision @1 / @5 / @10",
            wordings,
            lambda p, w: " / ".join(share(score(p, w).precision[k]) for k in ("@1", "@5", "@10")),
        )
        yield from table(
            f"Share of the ten retrieved that agree in ..., {wordings[0]} → {wordings[-1]}",
            list(first.by_grade),
            lambda p, part: " → ".join(share(score(p, w).by_grade[part]) for w in (wordings[0], wordings[-1])),
        )


def row(score: RecallScore) -> str:
    """The policy; with it the embedder, unless that is the bundled one."""
    other = score.embedder not in ("none", "static")
    return f"{score.policy}, {score.embedder.rpartition(':')[2]}" if other else score.policy


def share(value: float) -> str:
    """`.84`, or `1.00`."""
    return f"{value:.2f}".removeprefix("0")


def interval(found: Interval) -> str:
    """`.84 (.82-.86)`."""
    return f"{share(found.value)} ({share(found.low)}–{share(found.high)})"


if __name__ == "__main__":
    source, page = Path(sys.argv[1]), Path(sys.argv[2])
    text, mark, _ = page.read_text(encoding="utf-8").partition(MARK)
    if not mark:
        sys.exit(f"{page} has no line {MARK}")
    made = "\n".join(tables(RecallResults.parse(source.read_text(encoding="utf-8"))))
    page.write_text(f"{text}{MARK}\n{made}\n", encoding="utf-8")
