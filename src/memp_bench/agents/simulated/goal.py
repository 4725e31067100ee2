"""What the player understands of a task sentence. English words only: no thing of any house is named here.

A player knows English: a sentence in other words (`memp_bench.envs.wordings`) is understood by the very list that it
was worded with. So re-wording costs a simulated player nothing by itself; what is lost is what *retrieval* loses.
"""

import re
from dataclasses import dataclass

from memp_bench.envs.wordings.household import plainly

_STATES = {"hot": "heat", "warm": "heat", "cold": "cool", "chilled": "cool", "washed": "clean", "rinsed": "clean"}
"""Adjectives and the verbs that bring them about."""
_FILLERS = {"a", "an", "some", "the", "two", "it", "them", "one", "of", "with"}
_INTO = r"(?:in|on|into|onto|to|inside|in/on|at)"
_PUT = re.compile(rf"\b(?:put|place|move|set)\s+(.+?)\s+{_INTO}\s+(.+)$")
_LOOK = re.compile(r"\b(?:examine|look at|inspect|read)\s+(.+?)\s+(?:with|under|using|by|in)\s+(.+)$")


@dataclass(frozen=True)
class Goal:
    """What is wanted. Types are written without spaces."""

    thing: str = ""
    count: int = 1
    works: tuple[str, ...] = ()
    """Verbs to be done to the thing before it is delivered."""
    place: str = ""
    """Type of place to deliver it to."""
    tool: str = ""
    """Type of thing to use while holding the thing."""


def read_goal(task: str, works: tuple[str, ...]) -> Goal:
    """Read a task sentence with the verbs `works` of the grammar."""
    task = plainly(task) or task
    text = re.sub(r"[.!\"]+", " ", task.lower()).strip()
    words = re.findall(r"[a-z]+", text)
    wanted = tuple(verb for verb in works if any(_means(word, verb) for word in words))
    look = _LOOK.search(text)
    if look:
        return Goal(_noun(look[1], works), works=wanted, tool=_noun(look[2], works))
    put = _PUT.search(text)
    if put is None:
        return Goal(words[-1] if words else "", works=wanted)
    thing = put[1]
    if thing in {"it", "them"}:  # "find two mugs and put them in ...": the thing was named before
        before = re.sub(r"[,\s]*(?:and|then)*\s*$", "", text[: put.start()])
        thing = " ".join(before.split()[1:])
    count = 2 if "two" in words else 1
    return Goal(_noun(thing, works), count, wanted, _noun(put[2], works))


def _means(word: str, verb: str) -> bool:
    return word == verb or _STATES.get(word) == verb or word in {f"{verb}ed", f"{verb}d"}


def _noun(phrase: str, works: tuple[str, ...]) -> str:
    """The type a noun phrase names, without articles and states."""
    kept = []
    for word in re.findall(r"[a-z]+", phrase):
        if word in _FILLERS or any(_means(word, verb) for verb in works):
            continue
        kept.append(word)
    return "".join(kept)
