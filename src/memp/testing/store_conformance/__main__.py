"""`python -m memp.testing.store_conformance module:factory ...`: check stores and print a report.

Exit code 0: no rule failed; 1: some did; 2: wrong arguments.
"""

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import cast

from memp.testing.store_conformance import RULES, Make, Report, Result, Rule, comparison, store_conformance


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the named stores."""
    parser = argparse.ArgumentParser(prog="python -m memp.testing.store_conformance", description=__doc__)
    parser.add_argument("factories", nargs="+", metavar="module:factory", help="gives a context manager with a store")
    parser.add_argument("--rule", action="append", metavar="WORD", help="only rules with this in their name or group")
    parser.add_argument("--timeout", type=float, default=120.0, metavar="S", help="seconds a rule may take")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="one JSON report a line")
    shape.add_argument("--markdown", action="store_true", help="one table for all of them")
    options = parser.parse_args(arguments)
    rules = _chosen(parser, options.rule)
    reports = [
        store_conformance(
            _factory(parser, name),
            rules=rules,
            name=name.rpartition(":")[2],
            timeout=options.timeout,
            progress=_progress,
        )
        for name in options.factories
    ]
    if options.json:
        sys.stdout.writelines(report.model_dump_json() + "\n" for report in reports)
    elif options.markdown:
        print(comparison(reports))
    else:
        print("\n".join(report.summary() for report in reports))
    return 0 if all(map(_passed, reports)) else 1


def _passed(report: Report) -> bool:
    return report.passed


def _chosen(parser: argparse.ArgumentParser, words: Sequence[str] | None) -> Sequence[Rule]:
    rules = [rule for rule in RULES if not words or any(word in f"{rule.group} {rule.name}" for word in words)]
    if not rules:
        parser.error(f"no rule has {' or '.join(words or ())} in its name")
    return rules


def _factory(parser: argparse.ArgumentParser, name: str) -> Make:
    module, _, attribute = name.partition(":")
    try:
        return cast(Make, getattr(importlib.import_module(module), attribute))
    except (ImportError, AttributeError, ValueError) as error:
        parser.error(f"{name}: {error}; name a function as package.module:function")


def _progress(result: Result) -> None:
    if result.status == "failed":
        print(f"failed: {result.rule}: {result.reason}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
