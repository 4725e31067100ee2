"""Reports: the same numbers in every form, simulated and real apart, nothing of a study's text becomes markup."""

import csv
import io
import json
import re
import sys
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from reportkit import (
    HOSTILE,
    SHAPES,
    build_study,
    cell,
    empty,
    mixed_study,
    provenance,
    recall_study,
    results,
    update_study,
)

from memp_bench.studies.report import write_report
from memp_bench.studies.results import RecallResults, Results
from memp_bench.studies.sheets import show

VOID = {"meta", "line", "rect", "circle", "polygon", "path", "br", "link", "img"}


class Page(HTMLParser):
    """What a browser would see: tags in balance, tables as rows of words, and where each table stands."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.tables, self.headings, self.words = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append((self.headings[-2:] if self.headings else [], []))
        if tag == "tr":
            self.tables[-1][1].append([])
        if tag in ("td", "th"):
            self.tables[-1][1][-1].append("")
        if tag in ("h2", "h3"):
            self.headings.append("")

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)
        if {"td", "th"} & set(self.open):
            row = self.tables[-1][1][-1]
            row[-1] = " ".join(f"{row[-1]} {data}".split())
        if {"h2", "h3"} & set(self.open):
            self.headings[-1] += data

    def rows(self):
        return [row for _, rows in self.tables for row in rows]


def written(folder, found):
    return {path.name: path.read_text(encoding="utf-8") for path in write_report(folder, found, provenance())}


def long_form(text):
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    return {name: written(tmp_path_factory.mktemp(name), make()) for name, make in SHAPES.items()}


@pytest.mark.parametrize("name", SHAPES)
def test_the_page_holds_together_and_needs_nothing_from_outside(reports, name):
    page = Page(reports[name]["report.html"])
    assert page.open == []
    assert {"script", "link", "img", "iframe"}.isdisjoint(tag for tag, _ in page.seen)
    links = [value for _, attrs in page.seen for key, value in attrs.items() if key in ("href", "src", "xlink:href")]
    assert all(link.startswith("#") for link in links)
    targets = {attrs["id"] for _, attrs in page.seen if "id" in attrs}
    assert {link[1:] for link in links} <= targets
    assert "url(" not in reports[name]["report.html"]


@pytest.mark.parametrize("name", SHAPES)
def test_every_chart_is_well_formed_named_and_described(reports, name):
    charts = re.findall(r"<svg .*?</svg>(?=</figure>)", reports[name]["report.html"], re.DOTALL)
    assert charts
    for chart in charts:
        root = ElementTree.fromstring(chart)
        assert [child.tag for child in root[:2]] == ["title", "desc"]
        assert all(child.text for child in root[:2])
        wide, high = map(float, root.attrib["viewBox"].split()[2:])
        assert wide >= 400
        for node in root.iter():
            for key in ("x", "cx", "x1", "x2"):
                assert -0.1 <= float(node.get(key, 0)) <= wide + 0.1
            for key in ("y", "cy", "y1", "y2"):
                assert -0.1 <= float(node.get(key, 0)) <= high + 0.1


@pytest.mark.parametrize("make", [build_study, mixed_study])
def test_the_same_numbers_in_every_form(tmp_path, make):
    found = make()
    files = written(tmp_path, found)
    assert Results.parse(files["tables.json"]) == found
    rows, page = long_form(files["tables.csv"]), Page(files["report.html"])
    lines = files["report.md"].splitlines()
    looked = 0
    for item in found.cells:
        if HOSTILE in (item.place, item.backbone, item.arm):
            continue
        names = {"place": item.place, "backbone": item.backbone, "arm": item.arm}
        kind = "simulated" if item.simulated else "real"
        mine = [row for row in rows if names.items() <= row.items() and row["simulated"] == kind]
        for measure, value in item.measures.items():
            (row,) = [row for row in mine if (row["part"], row["measure"]) == ("measure", measure)]
            assert [float(row[key]) for key in ("value", "low", "high")] == [value.value, value.low, value.high]
            if not value.n:
                continue
            shown = f"{show(measure, value.value)} [{show(measure, value.low)}, {show(measure, value.high)}]"
            assert any(line.startswith(f"| {item.backbone} | {item.arm} |") and shown in line for line in lines)
            assert any(row[0] == item.arm and any(entry.startswith(shown) for entry in row) for row in page.rows())
            looked += 1
        if item.versus is not None:
            gain = show("success", item.versus.success.value, signed=True)
            for row in page.rows():
                if row[0] == item.arm and any(entry.startswith(f"{gain} [") for entry in row):
                    assert str(item.versus.repairs) in row
                    assert str(item.versus.regressions) in row
                    break
            else:
                pytest.fail(f"no gain {gain} on the page")
    assert looked > 15


def test_with_several_seeds_the_cautious_p_stands_first(reports):
    lines = [line for line in reports["mixed"]["report.md"].splitlines() if "McNemar 0.021" in line]
    assert lines
    assert all(re.search(r"\| 0\.210 McNemar 0\.021 \|$", line) for line in lines)
    rows = long_form(reports["mixed"]["tables.csv"])
    assert {"0.021", "0.21"} <= {row["value"] for row in rows if row["measure"] in ("p", "p_tasks")}


def test_the_papers_figure_stands_beside_ours(reports):
    page = Page(reports["build"]["report.html"])
    assert any("71.93" in entry and "paper" in entry for row in page.rows() for entry in row)
    assert "(paper 71.93)" in reports["build"]["report.md"]
    papers = [row for row in long_form(reports["build"]["tables.csv"]) if row["part"] == "paper"]
    assert {float(row["value"]) for row in papers if row["measure"] == "commonsense_micro"} == {0.7193}
    assert "by the same definition" in reports["build"]["report.html"]
    assert "by the same definition" not in reports["update"]["report.html"]


def test_simulated_and_real_never_share_a_table(reports):
    found = mixed_study()
    real = {cell.backbone for cell in found.cells if not cell.simulated}
    page = Page(reports["mixed"]["report.html"])
    kinds = set()
    for headings, rows in page.tables:
        groups = {row[0].removeprefix("Backbone ") for row in rows if len(row) == 1}
        assert not (groups & real and groups - real)
        if groups:
            kinds.add(bool(groups & real))
            simulated = not groups & real
            assert simulated == any("simulated" in heading.lower() for heading in headings)
    assert kinds == {True, False}
    assert reports["mixed"]["report.html"].count("SIMULATED: says nothing about any real model") == 1
    markdown = reports["mixed"]["report.md"]
    before, after = markdown.split("## Simulated backbones")
    assert "| novice |" not in before
    assert "| GPT-4o |" not in after
    assert "SIMULATED: says nothing about any real model" in after
    assert "SIMULATED" not in reports["build"]["report.html"] + reports["build"]["report.md"]


def test_texts_of_a_study_never_become_markup(reports):
    page, markdown = reports["mixed"]["report.html"], reports["mixed"]["report.md"]
    seen = Page(page)
    assert "<script" not in page
    assert page.count("</style>") == 1
    assert any("<script>alert(1)</script>" in words for words in seen.words)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", page + markdown + reports["mixed"]["tables.csv"])
    assert not re.search(r"(?<!\\)<script", markdown)
    assert not re.search(r"(?<!\\)\[a", markdown)
    columns = None
    for line in markdown.splitlines():
        if not line.startswith("|"):
            columns = None
            continue
        here = len(re.findall(r"(?<!\\)\|", line))
        assert here == (columns or here), line
        columns = here


def test_a_spreadsheet_runs_no_text_of_a_study(tmp_path):
    found = results([cell("=1+1", "@b", "-none", 0.5, base="-none")], base="-none")
    (row, *_) = long_form(written(tmp_path, found)["tables.csv"])
    assert (row["place"], row["backbone"], row["arm"]) == ("'=1+1", "'@b", "'-none")


def test_equal_results_give_equal_bytes_whatever_the_order_of_their_mappings(tmp_path):
    first = build_study()

    def turned(value):
        if isinstance(value, dict):
            return {key: turned(item) for key, item in reversed(value.items())}
        return [turned(item) for item in value] if isinstance(value, list) else value

    second = Results.parse(turned(json.loads(first.model_dump_json())))
    assert second == first
    one, two = written(tmp_path / "one", first), written(tmp_path / "two", second)
    other = provenance().model_copy(update={"commit": "f" * 40, "spent": {"calls": 1.0}})
    write_report(tmp_path / "three", first, other)
    for name in ("report.md", "tables.csv", "tables.json"):
        assert one[name] == two[name] == (tmp_path / "three" / name).read_text(encoding="utf-8")
    assert one["report.html"] == two["report.html"]
    assert "f" * 40 in (tmp_path / "three" / "report.html").read_text(encoding="utf-8")


def test_where_it_comes_from_is_on_the_page_alone(reports):
    files, source = reports["build"], provenance()
    for text in (
        *source.commands,
        source.commit,
        *source.data.values(),
        *source.memories.values(),
        "$41.50",
        "123,456",
    ):
        assert text in files["report.html"]
        assert text not in files["report.md"] + files["tables.csv"] + files["tables.json"]
    assert json.loads(files["provenance.json"])["spent"] == dict(source.spent)


def test_an_unknown_cost_is_never_a_zero(tmp_path):
    free = provenance().model_copy(update={"spent": {"calls": 3.0}})
    page = write_report(tmp_path, build_study(), free)[0].read_text(encoding="utf-8")
    assert "<dt>Cost</dt><dd>unknown</dd>" in page


def test_what_is_simulated_was_not_bought(tmp_path):
    free = provenance().model_copy(update={"spent": {"calls": 3.0, "cost": 0.0}})
    page = write_report(tmp_path, update_study(), free)[0].read_text(encoding="utf-8")
    assert "<dt>Cost</dt><dd>none: simulated, nothing was bought</dd>" in page
    page = write_report(tmp_path, build_study(), free)[0].read_text(encoding="utf-8")
    assert "<dt>Cost</dt><dd>$0.00</dd>" in page


def test_a_stopped_study_says_what_is_missing(reports):
    for name in ("report.html", "report.md"):
        assert "Stopped before its end" in reports["mixed"][name]
    assert "alfworld-dev__gpt-4o__script__s0" in reports["mixed"]["report.html"]
    assert "The cap of $20 was reached." in reports["mixed"]["report.html"]
    assert "Stopped" not in reports["build"]["report.html"]


def test_a_study_of_which_nothing_was_counted(tmp_path):
    files = written(tmp_path / "none", results([], missing=("a", "b")))
    assert "Nothing was counted" in files["report.html"]
    assert "Nothing was counted" in files["report.md"]
    files = written(tmp_path / "empty", results([empty("p", "b", "none"), empty("p", "b", "script")]))
    assert "none counted" in files["report.html"]
    assert "| b | script | 0 | – | – |" in files["report.md"]


def test_a_smoke_size_says_that_it_is_small(tmp_path, reports):
    files = written(tmp_path, build_study().model_copy(update={"smoke": True}))
    for name in ("report.html", "report.md"):
        assert "too small to conclude anything from" in files[name]
        assert "too small to conclude" not in reports["build"][name]
    assert {row["size"] for row in long_form(files["tables.csv"])} == {"smoke"}


def test_curves_over_the_stream_and_over_k(reports):
    rows = long_form(reports["update"]["tables.csv"])
    points = [row for row in rows if row["part"] == "curve" and row["measure"] == "success"]
    assert len(points) == 2 * 4 * 14
    assert 'class="band"' in reports["update"]["report.html"]
    table = reports["quantity"]["report.md"].split("procedures recalled (k)")[1]
    assert re.findall(r"^\| (\d+) \|", table, re.MULTILINE)[:7] == ["0", "1", "2", "5", "10", "15", "20"]


def test_retrieval_alone(reports):
    files, found = reports["recall"], recall_study()
    assert RecallResults.parse(files["tables.json"]) == found
    rows = long_form(files["tables.csv"])
    page = Page(files["report.html"])
    assert len(rows) == len(found.scores) * (1 + 2 + 3 + 3)
    for score in found.scores:
        value = score.ndcg["@10"]
        shown = f"{value.value:.3f} [{value.low:.3f}, {value.high:.3f}]"
        assert any(row[0] == score.policy and shown in row for row in page.rows())
        assert any(
            f"| {score.embedder} | {score.policy} |" in line and shown in line
            for line in files["report.md"].splitlines()
        )
    assert "300 procedures" in files["report.html"]


def test_without_jinja_all_but_the_page_is_written(tmp_path, monkeypatch, reports):
    written(tmp_path, build_study())
    monkeypatch.setitem(sys.modules, "jinja2", None)
    files = written(tmp_path, build_study())
    assert "memp[report]" in files["report.html"]
    for name in ("report.md", "tables.csv", "tables.json", "provenance.json"):
        assert files[name] == reports["build"][name]


def test_a_figure_that_is_no_number_is_shown_as_none():
    assert show("steps", float("nan")) == "–"
    assert show("success", -0.0004, signed=True) == "0.0"
    assert show("success", -0.042, signed=True) == "−4.2"
    assert show("tokens", 12_345.6) == "12,346"
