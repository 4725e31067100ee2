"""`memp memory`: looking at a memory and changing it, for people and for programs."""

import json

import pytest
from click.testing import CliRunner

from loopkit import trajectory
from memp_bench.cli import main


@pytest.fixture
def file(tmp_path, open_sync):
    """Two procedures; the first was served once, in a failure, and corrected. Its task holds an escape sequence."""
    path = tmp_path / "some.db"
    with open_sync(path) as memory:
        memory.record(trajectory("put a clean mug on the shelf\x1b[31m"))
        memory.record(
            trajectory("find the egg", actions=("go to fridge 1", "open fridge 1", "take egg 1 from fridge 1"))
        )
        memory.update()
        recall = memory.retrieve("put a clean plate on the shelf", k=1)
        memory.record(trajectory("put a clean plate on the shelf", actions=("go to sink 1",), reward=0.0), recall)
        memory.update()
        memory.retire(memory.search("egg")[0].id, reason="too easy")
    return path


@pytest.fixture
def memp(file):
    def run(*words):
        return CliRunner().invoke(main, ["memory", words[0], "-m", str(file), *words[1:]])

    return run


@pytest.fixture
def mug(memp):
    (id,) = (p["id"] for p in json.loads(memp("ls", "--json").stdout) if "mug" in p["revision"]["content"]["task"])
    return id


def test_ls(memp, mug, file):
    shown = memp("ls")
    assert shown.exit_code == 0, shown.output
    title, head, *rows = shown.stdout.splitlines()
    assert title == f"2 of 2 procedures in {file} (default)"
    assert head.split() == ["id", "status", "rev", "served", "won", "by", "task"]
    assert rows[0].split()[:6] == [mug[:8], "active", "2", "0", "0", "adjustment"]
    assert "retired" in rows[1]
    assert "\x1b" not in shown.stdout
    assert memp("ls", "--limit", "1").stdout.startswith("1 of 2 procedures")
    (one,) = json.loads(memp("ls", "--status", "retired", "--json").stdout)
    assert one["revision"]["content"]["task"] == "find the egg"


def test_an_empty_namespace_names_the_others(memp):
    shown = memp("ls", "-n", "elsewhere")
    assert shown.exit_code == 0
    assert "0 of 0 procedures" in shown.stdout
    assert "Other namespaces: default" in shown.stdout
    assert json.loads(memp("ls", "-n", "elsewhere", "--json").stdout) == []


def test_search(memp, mug):
    assert mug[:8] in memp("search", "clean", "mug").stdout
    assert memp("search", "zebra").stdout == "0 procedures with 'zebra'\n"
    assert [p["id"] for p in json.loads(memp("search", "mug", "--json").stdout)] == [mug]
    assert memp("search", '"unbalanced AND (').exit_code == 0


def test_show_takes_the_beginning_of_an_id(memp, mug):
    shown = memp("show", mug[:6])
    assert shown.exit_code == 0, shown.output
    for line in (
        f"{mug}  (default)",
        "why       took part in a failure",
        "by        adjustment",
        "facts     action = put, object = clean mug, in = shelf",
        "1. go to sink",
        "Pitfalls:",
        "Done before (reward 1):",
        "Action: go to sink 1",
    ):
        assert line in shown.stdout
    assert "\x1b" not in shown.stdout
    assert json.loads(memp("show", mug, "--json").stdout)["id"] == mug


def test_history_shows_what_changed_and_why(memp, mug):
    shown = memp("history", mug)
    assert shown.exit_code == 0, shown.output
    assert [line.split()[1] for line in shown.stdout.splitlines() if line.startswith("revision")] == ["1", "2"]
    assert "  why       succeeded with reward 1" in shown.stdout
    assert "  served    1, succeeded 0" in shown.stdout
    assert "  +Pitfalls:" in shown.stdout
    assert "\x1b" not in shown.stdout
    revisions = json.loads(memp("history", mug, "--json").stdout)
    assert [(r["number"], r["served"], r["author"]["policy"]) for r in revisions] == [
        (1, 1, "proceduralization"),
        (2, 0, "adjustment"),
    ]


def test_undo_retire_and_restore_append_revisions(memp, mug):
    assert memp("undo", mug).stdout == f"{mug} is at revision 3 (active): undo to revision 1\n"
    assert memp("retire", mug, "--reason", "a test").stdout == f"{mug} is at revision 4 (retired): a test\n"
    assert json.loads(memp("restore", mug, "--json").stdout)["number"] == 5
    assert memp("undo", mug, "--to", "2", "--reason", "better").stdout.endswith("revision 6 (active): better\n")
    assert len(json.loads(memp("history", mug, "--json").stdout)) == 6
    again = memp("restore", mug)
    assert (again.exit_code, again.stdout) == (1, "")
    assert again.stderr == f"memp: procedure {mug} is active already\n"
    assert "cannot return to revision 9" in memp("undo", mug, "--to", "9").stderr
    assert memp("retire", mug).exit_code == 2  # a reason is required


def test_stats(memp):
    shown = memp("stats").stdout
    table, _, operations = shown.partition("latest operations")
    figures = {
        line.strip().rpartition(" ")[0].strip(): line.split()[-1] for line in table.splitlines()[1:] if line.strip()
    }
    assert (figures["procedures, active"], figures["procedures, retired"]) == ("1", "1")
    assert operations.count(" update ") == 2
    counts = json.loads(memp("stats", "--json").stdout)
    assert (counts["trajectories"], counts["outcomes"], counts["waiting"]) == (3, 1, 0)
    assert counts["procedures"] == {"active": 1, "retired": 1}


@pytest.mark.parametrize(
    "words", [["ls"], ["search", "x"], ["show", "x"], ["history", "x"], ["stats"], ["undo", "x"], ["export", "out"]]
)
def test_a_missing_file_is_one_line_and_none_is_made(tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["memory", *words, "-m", "nowhere.db"])
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "memp: there is no memory at nowhere.db; create one by recording into it\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["show", "history", "undo", "restore"])
def test_a_wrong_id_is_one_line(memp, command):
    done = memp(command, "zzz")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "memp: no procedure 'zzz' in namespace 'default'; `memp memory ls` lists them\n"


def test_what_is_no_memory_is_left_as_it_was(tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text("shopping: eggs")
    done = CliRunner().invoke(main, ["memory", "ls", "-m", str(file)])
    assert done.exit_code == 1
    assert "is not a memp memory" in done.stderr
    assert file.read_text() == "shopping: eggs"


def test_a_failed_import_makes_no_memory(tmp_path):
    done = CliRunner().invoke(main, ["memory", "import", str(tmp_path / "no.jsonl"), "-m", str(tmp_path / "new.db")])
    assert done.exit_code == 1
    assert "there is no file" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_out_and_in_again_keeps_everything(memp, mug, tmp_path):
    assert memp("export", str(tmp_path / "all.jsonl")).exit_code == 0
    target = str(tmp_path / "copy.db")
    assert CliRunner().invoke(main, ["memory", "import", str(tmp_path / "all.jsonl"), "-m", target]).exit_code == 0
    copied = CliRunner().invoke(main, ["memory", "history", mug, "-m", target, "--json"])
    assert copied.stdout == memp("history", mug, "--json").stdout
    done = CliRunner().invoke(main, ["doctor", "--memory", target])
    assert "memory               default: 2 procedures" in done.stdout


def test_doctor(tmp_path):
    done = CliRunner().invoke(main, ["doctor", "--json"])
    findings = {f["name"]: f for f in json.loads(done.stdout)}
    assert {"memp", "SQLite", "bundled embedder"} <= set(findings)
    assert all(f["ok"] is not False for f in findings.values())
    missing = CliRunner().invoke(main, ["doctor", "--memory", str(tmp_path / "no.db")])
    assert missing.exit_code == 1
    assert "there is no memory at" in missing.stderr
