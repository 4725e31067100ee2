"""A document as Markdown: the same tables as on the page, without the charts."""

import re
from collections.abc import Iterator, Sequence

from memp_bench.studies.documents import LOUD, SMALL, Document, Part
from memp_bench.studies.sheets import Entry, Sheet
from memp_bench.studies.svg import plain

_MARKUP = re.compile(r"[\\`*\[\]<>|~#!&$]|(?<![^\W_])_|_(?![^\W_])")


def markdown_of(document: Document) -> str:
    """The whole document. Texts from studies are escaped, so that none of them becomes markup."""
    return "\n".join(_lines(document)).rstrip("\n") + "\n"


def escaped(text: str) -> str:
    """`text` on one line, free of Markdown's markup."""
    text = _MARKUP.sub(lambda found: f"\\{found[0]}", plain(text))
    return re.sub(r"^([-+=]|\d+(?=[.)]))", r"\\\1" if not text[:1].isdigit() else r"\1\\", text)


def _lines(document: Document) -> Iterator[str]:
    yield f"# {escaped(document.title)}"
    yield ""
    yield f"{escaped(document.question)}"
    yield ""
    yield f"Study `{document.study}`. {SMALL if document.smoke else 'Full size.'}"
    if document.paper:
        yield from ("", f"The paper (arXiv 2508.06433): {escaped(document.paper)}")
    if document.missing:
        yield ""
        yield f"**Stopped before its end: {_cells(document.missing)} missing** (listed below)."
    if not document.parts:
        yield ""
        yield "Nothing was counted."
    for part in document.parts:
        yield from _part(part)
    for title, items in (("Notes and failures", document.notes), ("Missing cells", document.missing)):
        yield from _listed(title, items)
    yield from _listed("How to read the figures", document.how)


def _cells(missing: Sequence[str]) -> str:
    return f"{len(missing)} cell{'' if len(missing) == 1 else 's'}"


def _listed(title: str, items: Sequence[str]) -> Iterator[str]:
    if items:
        yield from ("", f"## {title}", "")
        yield from (f"- {escaped(item)}" for item in items)


def _part(part: Part) -> Iterator[str]:
    yield from ("", f"## {part.title}", "")
    if part.warning:
        yield from (f"> **{LOUD}** {escaped(part.warning)}", "")
    yield from (f"- {escaped(name)}: {escaped(value)}" for name, value in part.facts)
    for section in part.sections:
        yield from ("", f"### {escaped(section.title)}")
        for sheet in (*section.sheets, *section.details):
            yield from ("", f"**{escaped(sheet.title)}**", "", *_table(sheet))


def _table(sheet: Sheet) -> Iterator[str]:
    stub = [name for name in sheet.stub if name]
    yield _line([*map(escaped, stub), *map(escaped, sheet.columns)])
    yield _line([*(":--" for _ in stub), *("--:" for _ in sheet.columns)])
    for group, rows in sheet.groups:
        for row in rows:
            names = [group, row.name] if sheet.stub[0] else [row.name]
            yield _line([*map(escaped, names), *map(_entry, row.entries)])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _entry(entry: Entry) -> str:
    paper = f"(paper {entry.paper})" if entry.paper else ""
    return " ".join(part for part in (entry.text, entry.span, paper) if part)
