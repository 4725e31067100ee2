"""What the suite found, for people and for programs."""

from collections import Counter
from collections.abc import Iterable, Mapping

from memp.records import Name, Record, Text
from memp.testing.store_conformance.rule import Result


class Report(Record):
    """How every rule went for one store."""

    store: Name
    results: tuple[Result, ...]
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether no rule failed. Rules of what the store says it lacks were skipped."""
        return not any(result.status == "failed" for result in self.results)

    @property
    def counts(self) -> Mapping[str, int]:
        """How many rules passed, failed and were skipped."""
        found = Counter(result.status for result in self.results)
        return {status: found[status] for status in ("passed", "failed", "skipped")}

    def summary(self) -> Text:
        """The counts, and a line for every rule that did not pass."""
        counted = ", ".join(f"{number} {status}" for status, number in self.counts.items())
        lines = [f"{self.store}: {counted} of {len(self.results)} rules, {self.seconds:.1f} s"]
        for result in self.results:
            if result.status != "passed":
                lines.append(f"  {result.status}: {result.group}: {result.rule}: {result.reason}")
        return "\n".join(lines)

    def markdown(self) -> Text:
        """The report as a Markdown table."""
        return comparison([self])


def comparison(reports: Iterable[Report]) -> str:
    """One Markdown table for several stores: a row a rule, a column a store, and why rules failed or were skipped."""
    reports = list(reports)
    lines = [
        "| group | rule | | " + " | ".join(_cell(report.store) for report in reports) + " |",
        "|---|---|---|" + "---|" * len(reports),
    ]
    notes: dict[str, None] = {}
    for row in zip(*(report.results for report in reports), strict=True):
        rule = row[0]
        needs = "required" if rule.required else f"with {', '.join(rule.needs)}"
        found = " | ".join(_said(report.store, result, notes) for report, result in zip(reports, row, strict=True))
        lines.append(f"| {rule.group} | `{rule.rule}`: {_cell(rule.says)} | {needs} | {found} |")
    counted = " | ".join(f"{report.counts['passed']} of {len(report.results)}" for report in reports)
    lines.append(f"| | passed | | {counted} |")
    took = " | ".join(f"{report.seconds:.1f} s" for report in reports)
    lines.append(f"| | time | | {took} |")
    return "\n".join([*lines, "", *notes])


def _said(store: str, result: Result, notes: dict[str, None]) -> str:
    if result.status == "failed":
        notes[f"- {store}, `{result.rule}`: failed: {_cell(result.reason)}"] = None
    elif result.status == "skipped":
        notes[f"- {store}, skipped: {_cell(result.reason)}"] = None
    return f"{result.status} ({result.seconds * 1000:.0f} ms)" if result.status == "passed" else f"**{result.status}**"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
