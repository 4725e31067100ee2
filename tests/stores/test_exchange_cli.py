import json

import pytest
from click.testing import CliRunner
from storekit import NS, add, play

from memp.cli.memory import memory


@pytest.fixture
def filled(open_store, tmp_path):
    store = open_store(tmp_path / "one.db")
    add(store, "p")
    play(store, "t", "p")
    add(store, "p", namespace="another")
    return tmp_path / "one.db"


def run(*words: object, **more: object):
    return CliRunner().invoke(memory, [str(word) for word in words], **more)


def test_out_and_in_and_out_again(filled, open_store, tmp_path):
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    done = run("export", one, "-m", filled)
    assert (done.exit_code, done.output) == (0, f"exported 5 entries of 2 namespaces to {one}\n")
    done = run("import", one, "-m", tmp_path / "two.db")
    assert done.exit_code == 0
    assert "imported 1 trajectories, 2 revisions, 1 recalls, 1 outcomes and 0 receipts into 2 namespaces" in done.output
    assert run("export", two, "-m", tmp_path / "two.db", "--json").exit_code == 0
    assert one.read_bytes() == two.read_bytes()
    again = json.loads(run("import", one, "-m", tmp_path / "two.db", "--json").output)
    assert (again["revisions"], again["skipped"]) == (0, 5)


def test_through_a_pipe(filled, open_store, tmp_path):
    out = run("export", "-", "-m", filled, "-n", NS)
    assert out.stdout_bytes.count(b"\n") == 6
    assert "exported 4 entries of namespace tests" in out.stderr
    done = run("import", "-", "-m", tmp_path / "two.db", "-n", "new", input=out.stdout_bytes)
    assert "into namespace new" in done.output
    assert open_store(tmp_path / "two.db").find("new", ["p"])


def test_errors_are_one_line(filled, tmp_path):
    file = tmp_path / "x.jsonl"
    file.write_text("nonsense\n")
    for words, said in (
        (("import", file, "-m", filled), "memp: "),
        (("import", tmp_path / "nowhere", "-m", filled), "there is no file"),
        (("export", file, "-m", filled, "-n", "nope"), "there is no namespace 'nope'"),
        (("export", file, "-m", tmp_path / "nowhere.db"), "there is no memory at"),
    ):
        done = run(*words)
        assert done.exit_code == 1
        assert said in done.stderr
        assert done.stderr.count("\n") == 1
    assert file.read_text() == "nonsense\n"
    assert not (tmp_path / "nowhere.db").exists()
