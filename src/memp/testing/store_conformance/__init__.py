"""The conformance suite for stores: every semantic that memp relies on, as rules that any store can be checked against.

report = store_conformance(make)            # make() gives a context manager with an empty store, or a `Harness`
python -m memp.testing.store_conformance mypackage.mymodule:make [--markdown | --json]

With pytest:

    @pytest.mark.parametrize("rule", RULES, ids=str)
    def test_my_store(rule):
        result = rule.run(make)
        if result.status == "skipped":
            pytest.skip(result.reason)
        assert result.status == "passed", result.reason
"""

import time
from collections.abc import Callable, Sequence
from typing import Final

from memp.testing.store_conformance import (
    catching_up,
    forgetting,
    lasting,
    logs,
    namespaces,
    procedures,
    recording,
    search,
    similarity,
    together,
    transfer,
)
from memp.testing.store_conformance.harness import CAPABILITIES, Harness, Unsupported
from memp.testing.store_conformance.report import Report, comparison
from memp.testing.store_conformance.rule import Broken, Make, Result, Rule

_GROUPS = (
    recording,
    procedures,
    catching_up,
    logs,
    search,
    similarity,
    namespaces,
    transfer,
    forgetting,
    together,
    lasting,
)

RULES: Final[tuple[Rule, ...]] = tuple(
    rule for group in _GROUPS for rule in vars(group).values() if isinstance(rule, Rule)
)
"""Every rule, group by group."""


def store_conformance(
    make: Make,
    *,
    rules: Sequence[Rule] = RULES,
    name: str = "store",
    timeout: float = 120.0,
    progress: Callable[[Result], None] | None = None,
) -> Report:
    """Check every rule, each on a fresh store.

    Args:
        make: called once a rule; gives a context manager that yields an empty store, or a `Harness` with one.
        rules: which rules.
        name: what the report calls the store.
        timeout: seconds after which a rule has failed.
        progress: called with each result.
    """
    start, results = time.perf_counter(), []
    for rule in rules:
        results.append(rule.run(make, timeout=timeout))
        if progress is not None:
            progress(results[-1])
    return Report(store=name, results=tuple(results), seconds=time.perf_counter() - start)


__all__ = [
    "CAPABILITIES",
    "RULES",
    "Broken",
    "Harness",
    "Make",
    "Report",
    "Result",
    "Rule",
    "Unsupported",
    "comparison",
    "store_conformance",
]
