"""What a study found, on the screen."""

from memp.cli.output import table
from memp_bench.studies.results import RecallResults, Results


def show_results(results: Results | RecallResults) -> None:
    """Print the tables in short; simulated backbones have a table of their own."""
    if isinstance(results, RecallResults):
        _show_recall(results)
    else:
        _show_runs(results)


def _show_runs(results: Results) -> None:
    for simulated in (False, True):
        rows = []
        for cell in results.cells:
            if cell.simulated != simulated:
                continue
            success, steps, tokens = (cell.measures.get(name) for name in ("success", "steps", "tokens"))
            versus = f"+{cell.versus.repairs} -{cell.versus.regressions}" if cell.versus else ""
            percent = (
                f"{100 * success.value:.1f} [{100 * success.low:.1f}, {100 * success.high:.1f}]" if success else ""
            )
            rows.append(
                (
                    cell.place,
                    cell.backbone,
                    cell.arm,
                    cell.episodes,
                    percent,
                    f"{steps.value:.1f}" if steps else "",
                    f"{tokens.value:,.0f}" if tokens else "",
                    versus,
                )
            )
        if rows:
            label = " (simulated backbones: says nothing about any real model)" if simulated else ""
            columns = ["place", "backbone", "arm", "episodes", "success % [95 %]", "steps", "tokens", "repairs"]
            table(f"{results.title}{label}", columns, rows)


def _show_recall(results: RecallResults) -> None:
    rows = []
    for score in results.scores:
        precision, ndcg = score.precision.get("@10", 0.0), score.ndcg.get("@10")
        figures = (f"{precision:.3f}", f"{ndcg.value:.3f}" if ndcg else "")
        rows.append((score.place, score.wording, score.policy, score.embedder, score.tasks, *figures))
    table(results.title, ["place", "wording", "policy", "embedder", "tasks", "precision@10", "nDCG@10"], rows)
