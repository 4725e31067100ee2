"""Every shipped study, from its file to its report, with one game in each place of its smoke size."""

import json
import re
from itertools import product

import pytest
from click.testing import CliRunner

from memp_bench.cli import main
from memp_bench.studies import catalog

pytestmark = [pytest.mark.engine, pytest.mark.slow]
FILES = ("report.html", "report.md", "tables.csv", "tables.json", "provenance.json")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """The same few games for all of them."""
    pytest.importorskip("textworld", reason="needs the extra alfworld")
    return tmp_path_factory.mktemp("cache")


def shortened(name):
    """The shipped file with as few games and seeds in its smoke size as there can be."""
    text = catalog.file_of(name).read_text(encoding="utf-8")
    full, mark, smoke = text.partition("\n[smoke]\n")
    smoke, there = re.subn(r"\bgames = \d+", "games = 1", smoke)
    assert there, "nothing was shortened"
    return full + mark + re.sub(r"seeds = \[.*?\]", "seeds = [0]", smoke)


@pytest.mark.parametrize("name", catalog.names())
def test_it_runs_to_its_report(name, cache, tmp_path):
    (tmp_path / "short.toml").write_text(shortened(name), encoding="utf-8")
    words = ["run", tmp_path / "short.toml", "--smoke", "--out", tmp_path / "out", "--cache", cache, "--json"]
    done = CliRunner().invoke(main, ["study", *map(str, words)])
    assert done.exit_code == 0, done.output
    results = json.loads(done.stdout)["results"]
    size = catalog.load(name).smoke
    if name == "recall":
        pairs = len(size.places) * len(size.policies) * len(size.wordings)
        assert len(results["scores"]) == pairs
        assert all(score["tasks"] == 1 for score in results["scores"])
    else:
        assert not results["missing"]
        found = {(cell["place"], cell["backbone"], cell["arm"]): cell for cell in results["cells"]}
        grid = product(size.places, size.backbones, size.arms)
        assert set(found) == {tuple(part.label for part in parts) for parts in grid}
        assert all(cell["episodes"] == 1 and cell["simulated"] for cell in found.values())
    assert all((tmp_path / "out" / file).stat().st_size > 200 for file in FILES)
    spent = json.loads((tmp_path / "out" / "provenance.json").read_text())["spent"]
    assert spent["wall_s"] > 0
    assert spent.get("cost", 0.0) == 0.0
