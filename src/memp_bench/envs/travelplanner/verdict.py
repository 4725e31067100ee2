"""What the evaluator says about a plan: frozen records."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from memp.records import Record

Mode = Literal["official", "strict"]
"""`official` keeps every quirk of the original evaluator; `strict` judges as the paper's text says."""

COMMONSENSE = {
    "is_reasonable_visiting_city": "Reasonable City Route",
    "is_valid_restaurants": "Diverse Restaurants",
    "is_valid_attractions": "Diverse Attractions",
    "is_valid_accommodation": "Minimum Nights Stay",
    "is_valid_transportation": "Non-conf. Transportation",
    "is_valid_information_in_current_city": "Within Current City",
    "is_valid_information_in_sandbox": "Within Sandbox",
    "is_not_absent": "Complete Information",
}
"""The eight commonsense constraints: official id -> name in the paper, in the official order."""

HARD = {
    "valid_cuisine": "Cuisine",
    "valid_room_rule": "Room Rule",
    "valid_transportation": "Transportation",
    "valid_room_type": "Room Type",
    "valid_cost": "Budget",
}
"""The five hard constraints, likewise."""


class Check(Record):
    """The result of one constraint. `passed` is None where the task does not ask for it."""

    passed: bool | None
    message: str | None = None
    """What was wrong: the official words."""


PASSED = Check(passed=True)
NOT_ASKED = Check(passed=None)


def failed(message: str) -> Check:
    """A constraint that is broken, and how."""
    return Check(passed=False, message=message)


class Verdict(Record):
    """What is right and wrong with one plan."""

    idx: int = Field(ge=1)
    """The task: its row in the split, from 1."""
    delivered: bool
    commonsense: Mapping[str, Check] | None = None
    """By official id, all eight; None for a plan that was not delivered."""
    hard: Mapping[str, Check] | None = None
    """By official id, all five; None unless information is complete and within the sandbox."""
    cost: float | None = None
    """Dollars for the whole group; None without a hard record or where it cannot be told."""
    budget: float | None = None
    """What the task allows."""
    error: str | None = None
    """The plan is malformed: what the official evaluator would have stopped with, at the first check that could not
    be made. Every such check counts as broken; the others are made."""
    problems: tuple[str, ...] = ()
    """What is wrong with the form of the plan, for people."""
    unknown_flights: tuple[str, ...] = ()
    """Flights in the plan on legs of which these tables know nothing: they may exist, and are judged as if not."""

    @property
    def commonsense_pass(self) -> bool:
        """All eight hold, and the plan was good enough to be judged on the hard constraints."""
        return bool(self.commonsense and self.hard) and not any(self._broken(self.commonsense))

    @property
    def hard_pass(self) -> bool:
        """No hard constraint is broken, and the plan was good enough to be judged on them."""
        return bool(self.hard) and not any(self._broken(self.hard))

    @property
    def final_pass(self) -> bool:
        """Everything holds."""
        return self.commonsense_pass and self.hard_pass

    @property
    def checks(self) -> dict[str, Check]:
        """All checks by official id, commonsense first."""
        return {**(self.commonsense or {}), **(self.hard or {})}

    @property
    def failures(self) -> dict[str, str]:
        """The broken constraints: official id -> message (of the budget, which has no official one, the sums)."""
        over = "The plan costs more than the budget."
        if self.cost is not None and self.budget is not None:
            over = f"The plan costs ${self.cost:,.2f} of ${self.budget:,.2f}."
        return {name: check.message or over for name, check in self.checks.items() if check.passed is False}

    @staticmethod
    def _broken(checks: Mapping[str, Check] | None) -> list[str]:
        return [name for name, check in (checks or {}).items() if check.passed is False]
