"""A rule: a sentence about stores, and how to see whether it holds."""

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

from memp.records import Name, Record, Text
from memp.stores.base import Store
from memp.testing.store_conformance.harness import Harness, Unsupported

Make = Callable[[], AbstractContextManager[Harness | Store]]
"""Gives an empty store each time it is called."""

Status = Literal["passed", "failed", "skipped"]


class Broken(AssertionError):
    """A rule does not hold: says what was expected and what was found."""


class Result(Record):
    """How one rule went."""

    rule: Name
    group: Name
    says: Text
    """The rule in a sentence."""
    needs: tuple[Name, ...] = ()
    """Capabilities; empty: every store keeps the rule."""
    status: Status
    reason: Text = ""
    """Why it failed or was skipped."""
    seconds: float

    @property
    def required(self) -> bool:
        """Whether every store keeps the rule, whatever it lacks."""
        return not self.needs


@dataclass(frozen=True)
class Rule:
    """One rule of the suite."""

    name: str
    group: str
    says: str
    needs: tuple[str, ...]
    check: Callable[[Harness], None]
    """Raises `Broken` where the rule does not hold."""

    def __str__(self) -> str:
        return self.name

    def run(self, make: Make, *, timeout: float = 120.0) -> Result:
        """Check the rule on a fresh store. Whatever the store raises is a failure; so is no end after `timeout` s."""
        done: list[tuple[Status, str]] = []
        thread = threading.Thread(target=lambda: done.append(self._outcome(make)), daemon=True, name=self.name)
        start = time.perf_counter()
        thread.start()
        thread.join(timeout)
        status, reason = done[0] if done else ("failed", f"did not end within {timeout:g} s")
        return Result(
            rule=self.name,
            group=self.group,
            says=self.says,
            needs=self.needs,
            status=status,
            reason=reason,
            seconds=time.perf_counter() - start,
        )

    def _outcome(self, make: Make) -> tuple[Status, str]:
        try:
            with make() as made:
                harness = made if isinstance(made, Harness) else Harness(made)
                with harness.clients_closed():
                    for capability in self.needs:
                        harness.need(capability)
                    self.check(harness)
        except Unsupported as why:
            return "skipped", str(why)
        except Broken as why:
            return "failed", str(why)
        except Exception as error:  # noqa: BLE001 - the boundary: whatever the store raises is its failure
            return "failed", f"{type(error).__name__}: {error}"[:2_000]
        return "passed", ""


def rule(*needs: str) -> Callable[[Callable[[Harness], None]], Rule]:
    """Makes a rule of a function: its name, its module's name as group, and the docstring as the sentence."""

    def make(check: Callable[[Harness], None]) -> Rule:
        group = check.__module__.rpartition(".")[2].replace("_", " ")
        return Rule(check.__name__, group, " ".join((check.__doc__ or "").split()), needs, check)

    return make
