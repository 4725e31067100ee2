"""TravelPlanner's queries in other words: the same days, cities, dates, people, budget and wishes."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from random import Random
from typing import Any

from memp_bench.envs.travelplanner.tasks import TravelTask
from memp_bench.envs.wordings import load

_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_WISHES = ("house_rule", "room_type", "transportation")


def reword(wording: str, task: TravelTask, key: str) -> str:
    """The query of `task` in the words of `wording`; the same `key` always gives the same words.

    A list either exchanges words in the query itself, or says every fact of the task in sentences of its own.

    Raises:
        UnknownName: there is no such wording.
    """
    data = load(wording)["travel"]
    if "exchange" in data:
        return _exchanged(task.query, data["exchange"], f"memp wording {wording} {key}")
    draw = Random(f"memp wording {wording} {key}")
    said = dict(_parts(task, data, draw))
    return " ".join(said[part] for part in draw.choice(data["order"]) if part in said)


def _exchanged(query: str, exchange: Sequence[tuple[str, Sequence[str]]], seed: str) -> str:
    for words, others in exchange:
        other = Random(f"{seed} {words}").choice(others)
        query = re.sub(
            rf"\b(?P<article>an? )?(?P<word>{words})\b",
            lambda found, other=other: _instead(other, found),  # type: ignore[misc]
            query,
            flags=re.IGNORECASE,
        )
    return query


def _instead(word: str, found: re.Match[str]) -> str:
    """`word` with the capital and the article that it needs in the place of what was found."""
    if found["word"][0].isupper():
        word = word[0].upper() + word[1:]
    if not found["article"]:
        return word
    article = "an" if word[0].lower() in "aeiou" else "a"
    return f"{found['article'][0]}{article[1:]} {word}"


def _parts(task: TravelTask, data: Mapping[str, Any], draw: Random) -> Iterator[tuple[str, str]]:
    """Every part of the query by its name, in words drawn from the list."""
    wishes = task.local_constraint
    trip = data["city" if task.visiting_city_number == 1 else "state"]
    facts = {
        "org": task.org,
        "dest": task.dest,
        "days": task.days,
        "cities": task.visiting_city_number,
        "first": _day(task.date[0]),
        "last": _day(task.date[-1]),
    }
    yield "trip", draw.choice(trip).format_map(facts)
    yield "people", draw.choice(data["alone" if task.people_number == 1 else "many"]).format(people=task.people_number)
    yield "budget", draw.choice(data["budget"]).format(budget=f"${task.budget:,}")
    if wishes.cuisine:
        yield "cuisine", draw.choice(data["cuisine"]).format(cuisines=_listed(wishes.cuisine))
    for name in _WISHES:
        if value := getattr(wishes, name):
            yield name, draw.choice(data[name][value])


def _day(day: str) -> str:
    """`2022-03-15` -> `March 15th, 2022`."""
    when = date.fromisoformat(day)
    ending = "th" if 11 <= when.day <= 13 else {1: "st", 2: "nd", 3: "rd"}.get(when.day % 10, "th")
    return f"{_MONTHS[when.month - 1]} {when.day}{ending}, {when.year}"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
