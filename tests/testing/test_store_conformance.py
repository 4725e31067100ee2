"""The suite for stores: those that come with memp keep every rule, and every rule has a store that breaks it."""

import threading
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import broken_clients
import broken_logs
import broken_procedures
import pytest

from memp.testing.store import MemoryStore
from memp.testing.store_conformance import RULES, Harness, Report, Rule, comparison, store_conformance
from memp.testing.store_conformance.__main__ import main
from memp.testing.store_conformance.stores import memory, sqlite_file, sqlite_memory

BROKEN = broken_procedures.BROKEN | broken_logs.BROKEN
ELSEWHERE = {
    "processes_lose_nothing": broken_clients.ForgetfulElsewhere,
    "a_killed_client_loses_nothing": broken_clients.Late,
}
SLOW = {
    "an_index_is_not_overtaken",
    "a_ledger_is_not_overtaken",
    "find_keeps_the_order_asked_for",
    "filters_leave_enough",
    "the_nearest_are_found",
    "trajectories_may_be_read_while_writing",
    "vectors_are_exact",
}
"""Checked in tests of their own only."""
ONE_BY_ONE = {rule.group for rule in RULES} - {"together"}
"""Groups of rules that are about one client at a time, but for a few."""


def by_name(name: str) -> Rule:
    return next(rule for rule in RULES if rule.name == name)


# -- stores that keep the rules --------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("make", [memory, sqlite_memory, sqlite_file], ids=lambda make: make.__name__)
def test_a_store_keeps_the_rule(make, rule):
    result = rule.run(make)
    if result.status == "skipped" and (make is not sqlite_file or "similarity" in rule.needs):  # all that a file lacks
        pytest.skip(result.reason)
    assert result.status == "passed", result.reason


# -- stores that break them ------------------------------------------------------------------------


def test_every_rule_has_a_store_that_breaks_it():
    assert set(BROKEN) | set(ELSEWHERE) == {rule.name for rule in RULES}
    assert len({rule.name for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_store_breaks_its_rule_and_no_other(name):
    broken = BROKEN[name]
    own = by_name(name)
    rules = [r for r in RULES if r.name == name or (r.name not in SLOW and r.group in {own.group} | ONE_BY_ONE)]
    failed = {r.rule: r.reason for r in store_conformance(broken.make, rules=rules).results if r.status == "failed"}
    assert name in failed, "the rule did not notice"
    assert set(failed) <= {name} | broken.also, failed


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_broken_store_breaks_its_rule_of_processes(name, tmp_path):
    @contextmanager
    def make():
        connect = partial(ELSEWHERE[name], tmp_path / "memory.db")
        store = connect()
        yield Harness(store, connect)
        store.close()

    result = by_name(name).run(make)
    assert result.status == "failed", result
    assert "expected" in result.reason or "acknowledged" in result.reason


def test_what_hangs_has_failed():
    hung = threading.Event()

    @contextmanager
    def make():
        yield MemoryStore()
        hung.wait(20)

    result = by_name("writing_nothing_is_fine").run(make, timeout=0.05)
    hung.set()
    assert (result.status, result.reason) == ("failed", "did not end within 0.05 s")


def test_an_error_of_the_maker_is_a_failure():
    @contextmanager
    def make():
        raise OSError("no room")
        yield

    result = by_name("writing_nothing_is_fine").run(make)
    assert (result.status, result.reason) == ("failed", "OSError: no room")


# -- the report ------------------------------------------------------------------------------------


def broken():
    return BROKEN["writing_nothing_is_fine"].make()


def test_the_report_says_what_failed_and_what_was_skipped_and_why():
    rules = [by_name(name) for name in ("writing_nothing_is_fine", "stats_count_what_is_there", "clients_take_once")]
    report = store_conformance(MemoryStoreAlone, rules=rules, name="mine")
    assert not report.passed
    assert report.counts == {"passed": 1, "failed": 1, "skipped": 1}
    assert [result.required for result in report.results] == [True, True, False]
    assert "mine: 1 passed, 1 failed, 1 skipped of 3 rules" in report.summary()
    assert "failed: procedures: writing_nothing_is_fine: an empty write returned False" in report.summary()
    table = comparison([report, store_conformance(sqlite_memory, rules=rules, name="sqlite | memory")])
    assert "| group | rule | | mine | sqlite \\| memory |" in table
    assert "| passed | | 1 of 3 | 2 of 3 |" in table
    assert "- mine, skipped: one client only: the harness has no `connect`" in table
    assert report == type(report).parse(report.model_dump_json())


class MemoryStoreAlone:
    """A maker that gives a bare store, not a harness."""

    def __enter__(self):
        return BROKEN["writing_nothing_is_fine"].store()

    def __exit__(self, *_):
        pass


def test_the_docs_show_every_rule():
    page = (Path(__file__).parents[2] / "docs" / "stores.md").read_text(encoding="utf-8")
    missing = [rule.name for rule in RULES if f"| `{rule.name}`: {rule.says} |" not in page]
    assert missing == [], "python benchmarks/conformance.py --write"


def test_the_command(capsys):
    chosen = ["--rule", "writing_nothing", "--rule", "stats"]
    good, bad = "memp.testing.store_conformance.stores:memory", f"{__name__}:broken"
    assert main([good, *chosen]) == 0
    assert "2 passed, 0 failed, 0 skipped of 2 rules" in capsys.readouterr().out
    assert main([good, bad, "--json", *chosen]) == 1
    out, err = capsys.readouterr()
    assert [Report.parse(line).passed for line in out.splitlines()] == [True, False]
    assert "failed: writing_nothing_is_fine" in err
    assert main([good, "--markdown", *chosen]) == 0
    assert "| procedures | `writing_nothing_is_fine`: A write without revisions" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere:make"], "No module named 'nowhere'"),
        (["memp.testing.store:nothing"], "has no attribute 'nothing'"),
        (["memp.testing.store"], "name a function as package.module:function"),
        (["memp.testing.store_conformance.stores:memory", "--rule", "xyzzy"], "no rule has xyzzy in its name"),
    ],
)
def test_a_wrong_argument_says_so(arguments, said, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err


def test_a_capability_has_to_be_known():
    with pytest.raises(ValueError, match="no such capability: speed; known: clients"):
        Harness(MemoryStore(), lacks=["speed"])
