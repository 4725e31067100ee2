"""What the simulated planner forgets, and what the text of a memory does about it."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from re import DOTALL, IGNORECASE, MULTILINE
from re import compile as pattern
from types import MappingProxyType
from typing import Final

RULES: Final = {
    "nights": r"m\w+ nights",
    "modes": r"conf\w*\. transportation|transportation is conflict|mix\w* .{0,20}transport",
    "circle": r"closed circle|return to the (?:origin|start)",
    "budget": r"\bbudget\b|too expensive|total cost",
    "restaurants": r"diverse restaurants|restaurant.{0,60}\brepeated",
    "sights": r"diverse attractions|attraction.{0,90}\brepeated",
    "house": r"room rule|house rule",
    "room": r"room type",
    "cuisine": r"\bcuisines?\b",
    "avoid": r"^transportation:|transportation should not be",
    "complete": r"complete information|is not allowed|absent information|no \w+ info",
    "real": r"within sandbox|invalid in the sandbox",
}
"""What a planner may forget -> words of a warning that remind it."""

_WARNINGS: Final = {rule: pattern(words, IGNORECASE) for rule, words in RULES.items()}
_FEEDBACK = pattern(
    r"^(?:Feedback on the whole|Feedback): (.*?)(?=^(?:Thought|Action|Observation|Feedback)|\Z)",
    DOTALL | MULTILINE,
)
_PITFALLS = pattern(r"^Pitfalls:\n((?:- .*\n?)+)", MULTILINE)
_JUDGE = pattern(r".*?the judge said: (.*)", DOTALL)
_DAY = pattern(
    r"Current City: (.*?)\s+Transportation: (.*?)\s+Breakfast: (.*?)\s+Attraction: (.*?)\s+Lunch: (.*?)\s+Dinner: (.*?)"
    r"\s+Accommodation: (.*?)(?=\n|\Z)"
)
_FROM_TO = pattern(r"from (.+?) to (.+)")


@dataclass(frozen=True)
class Habits:
    """How good a planner is."""

    forgets: Mapping[str, float]
    """Rule -> chance to forget it in a plan when nothing reminds."""
    heeds: float
    """By so much each warning makes forgetting rarer."""
    imitates: float
    """By so much each example that keeps a rule makes forgetting rarer, or each that breaks it more common."""
    slips: float
    """Chance in a turn to word a tool call wrongly."""


HABITS: Mapping[str, Habits] = MappingProxyType(
    {
        "novice": Habits(
            MappingProxyType(
                {"nights": 0.7, "modes": 0.4, "circle": 0.15, "budget": 0.5, "restaurants": 0.35, "sights": 0.2}
                | {"house": 0.5, "room": 0.4, "cuisine": 0.5, "avoid": 0.25, "complete": 0.25, "real": 0.25}
            ),
            heeds=0.45,
            imitates=0.12,
            slips=0.08,
        ),
        "able": Habits(
            MappingProxyType(
                {"nights": 0.35, "modes": 0.2, "circle": 0.03, "budget": 0.25, "restaurants": 0.1, "sights": 0.05}
                | {"house": 0.2, "room": 0.1, "cuisine": 0.2, "avoid": 0.05, "complete": 0.05, "real": 0.08}
            ),
            heeds=0.7,
            imitates=0.08,
            slips=0.02,
        ),
    }
)
"""By the names of the simulated backbones."""


def forgotten(recalled: str, habits: Habits, seed: str) -> frozenset[str]:
    """The rules forgotten in one plan. What is recalled moves the chances; the draws depend on `seed`."""
    warned = Counter(
        rule for line in set(warnings(recalled)) for rule, words in _WARNINGS.items() if words.search(line)
    )
    kept, broken = examples(recalled)
    made = set()
    for rule, usual in habits.forgets.items():
        chance = usual * (1 - habits.heeds) ** min(warned[rule], 4) * (1 - habits.imitates) ** min(kept[rule], 4)
        if not warned[rule]:
            chance = 1 - (1 - chance) * (1 - habits.imitates) ** min(broken[rule], 4)
        if Random(f"{seed}|{rule}").random() < chance:
            made.add(rule)
    return frozenset(made)


def warnings(recalled: str) -> Iterator[str]:
    """The lines of a recalled text that say what was wrong: pitfalls and feedback, without the tasks they quote."""
    for found in _PITFALLS.finditer(recalled):
        for line in found[1].splitlines():
            yield _JUDGE.sub(r"\1", line.removeprefix("- "))
    for found in _FEEDBACK.finditer(recalled):
        yield from found[1].split("</procedure>")[0].splitlines()


def examples(recalled: str) -> tuple[Counter[str], Counter[str]]:
    """How many recalled plans keep, and how many break, each rule that can be seen in a plan alone."""
    kept: Counter[str] = Counter()
    broken: Counter[str] = Counter()
    for procedure in recalled.split("<procedure")[1:]:
        verbatim = procedure.partition(" before (reward ")[2]  # the script would repeat it
        days = [found.groups() for found in _DAY.finditer(verbatim or procedure)]
        if not days:
            continue
        for rule, holds in _seen(days).items():
            (kept if holds else broken)[rule] += 1
    return kept, broken


def _seen(days: list[tuple[str, ...]]) -> dict[str, bool]:
    first, last = _FROM_TO.search(days[0][0]), _FROM_TO.search(days[-1][0])
    modes = {mode for day in days for mode in ("self-driving", "taxi", "flight") if mode in day[1].lower()}
    meals = [day[n] for day in days for n in (2, 4, 5) if day[n] != "-"]
    return {
        "circle": bool(first and last and first[1] == last[2]),
        "modes": "self-driving" not in modes or len(modes) == 1,
        "restaurants": len(meals) == len(set(meals)),
        "complete": all(day[6] != "-" for day in days[:-1]),
    }
