"""Drift: noticing that the world has changed, from tasks that used to be won with memory and are not any more."""

import math
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import Field

from memp.records import Outcome, Record


class Drift(Record):
    """When a fall of the success rate is a change of the world, and not chance.

    A cumulative sum of log-likelihood ratios (Page's CUSUM) over the tasks with memory, of all families together and of
    each by itself: the level so far against a level of `fall` times that.
    """

    fall: float = Field(0.6, gt=0, lt=1)
    """The fall that is looked for: to this share of the level so far. Larger falls are noticed sooner."""
    alarm: float = Field(9.0, gt=0)
    """The sum that is an alarm. Without a change it takes more than e to this many tasks to reach it by chance."""
    least: int = Field(30, ge=1)
    """Tasks from which the level must be known."""


@dataclass(frozen=True)
class Change:
    """A change of the world that was noticed."""

    family: str | None
    """None: seen over all families together."""
    at: datetime
    """When the first task after it was recorded."""
    level: float
    """Success rate with memory before."""
    since: float
    """And since, until it was noticed."""
    tasks: int
    """How many tasks that were."""
    noticed: datetime
    """When the last of them was recorded."""

    def __str__(self) -> str:
        where = f"tasks of {self.family!r}" if self.family is not None else "tasks"
        return (
            f"the world seems to have changed at {self.at.isoformat(timespec='seconds')}: of the {where} with memory "
            f"{100 * self.level:.0f} % were won before, {100 * self.since:.0f} % of the {self.tasks} since"
        )


@dataclass
class Watch:
    """Follows the success rate of one kind of task."""

    drift: Drift
    family: str | None = None
    before: list[int] = field(default_factory=lambda: [0, 0])
    """Tasks and won ones that the level is made of."""
    pending: list[Outcome] = field(default_factory=list)
    """Those since the sum was 0: what may be after a change is not part of the level."""
    total: float = 0.0

    def add(self, outcome: Outcome) -> Change | None:
        """Count one task with memory; a change, when this is where it shows. Then everything begins anew."""
        count, won = self.before
        if count < self.drift.least:
            self.before = [count + 1, won + outcome.success]
            return None
        rate = (won + 0.5) / (count + 1)
        # Its lower end: a level that was overrated by luck would make the return to what is usual an alarm.
        level = min(0.98, max(0.05, rate - math.sqrt(rate * (1 - rate) / count)))
        lower = self.drift.fall * level
        self.total += math.log(lower / level if outcome.success else (1 - lower) / (1 - level))
        self.pending.append(outcome)
        if self.total <= 0:
            self._settle()
        elif self.total >= self.drift.alarm:
            return self._alarm(rate)
        return None

    def _settle(self) -> None:
        count, won = self.before
        self.before = [count + len(self.pending), won + sum(outcome.success for outcome in self.pending)]
        self.total, self.pending = 0.0, []

    def _alarm(self, rate: float) -> Change:
        since = [outcome.success for outcome in self.pending]
        first, last = self.pending[0].at, self.pending[-1].at
        change = Change(self.family, first, rate, sum(since) / len(since), len(since), last)
        self.before, self.pending, self.total = [0, 0], [], 0.0
        return change


class Watches:
    """Follows all families of an agent's tasks together, and each by itself."""

    def __init__(self, drift: Drift) -> None:
        self._drift = drift
        self._all = Watch(drift)
        self._each: dict[str, Watch] = {}
        self.counts: dict[str, list[int]] = {}
        """By family: tasks with memory and won ones, ever."""

    def add(self, outcome: Outcome) -> list[Change]:
        """Count one task with memory."""
        count = self.counts.setdefault(outcome.family, [0, 0])
        count[0], count[1] = count[0] + 1, count[1] + outcome.success
        each = self._each.setdefault(outcome.family, Watch(self._drift, outcome.family))
        found = [watch.add(outcome) for watch in (self._all, each)]
        return [change for change in found if change is not None]
