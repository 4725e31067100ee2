"""Household tasks in other words, and other words read back."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from random import Random
from typing import Any, NamedTuple

from memp.errors import EnvironmentFailed
from memp_bench.envs.wordings import WORDINGS, load

_PLAIN: Sequence[tuple[str, str]] = (
    ("put_two", r"(?:put|find) two (?P<object>\w+) (?:in|and put them in) (?P<place>\w+)"),
    ("clean", r"(?:put a clean|clean some) (?P<object>\w+) (?:in|and put it in) (?P<place>\w+)"),
    ("heat", r"(?:put a hot|heat some) (?P<object>\w+) (?:in|and put it in) (?P<place>\w+)"),
    ("cool", r"(?:put a cool|cool some) (?P<object>\w+) (?:in|and put it in) (?P<place>\w+)"),
    ("examine", r"(?:look at|examine the) (?P<object>\w+) (?:under|with) the (?P<place>\w+)"),
    ("put", r"put (?:a|some) (?P<object>\w+) (?:in|on) (?P<place>\w+)"),
)
"""ALFWorld's own templates, those with more words first."""

_SAID_PLAINLY: Mapping[str, str] = {
    "put": "put a {object} in {place}.",
    "clean": "clean some {object} and put it in {place}.",
    "heat": "heat some {object} and put it in {place}.",
    "cool": "cool some {object} and put it in {place}.",
    "examine": "look at {object} under the {place}.",
    "put_two": "put two {object} in {place}.",
}
_SLOT = re.compile(r"\{([a-z ]+)\}")
_SLOTS = {"object": r"(?P<object>.+?)", "place": r"(?P<place>.+?)", "in": "(?:in|on)", "into": "(?:into|onto)"}
_SLOTS |= {"objects": _SLOTS["object"], "a object": rf"an? {_SLOTS['object']}"}
_ENDINGS = (
    (re.compile(r"(?<=[^aeiou])y$"), "ies"),
    (re.compile(r"(?<=(?:.[sx]|ch|sh|to))$"), "es"),
    (re.compile("$"), "s"),
)


class Wanted(NamedTuple):
    """What a sentence asks for, by the engine's names."""

    family: str
    object: str
    place: str
    """Where to put it; for `examine` the lamp."""


def read_plain(sentence: str) -> Wanted | None:
    """What a sentence in the benchmark's own words asks for; None when it is none."""
    text = sentence.strip().rstrip(".").lower()
    for family, shape in _PLAIN:
        if found := re.fullmatch(shape, text):
            return Wanted(family, found["object"], found["place"])
    return None


def reword(wording: str, sentence: str, key: str) -> str:
    """`sentence` in the words of `wording`; the same `key` (a task's id) always gives the same words.

    Raises:
        UnknownName: there is no such wording.
        EnvironmentFailed: the sentence is not one of the benchmark's own.
    """
    data = load(wording)["household"]
    wanted = read_plain(sentence)
    if wanted is None:
        raise EnvironmentFailed(
            f"{sentence!r} is not a sentence of ALFWorld's: the wording {wording} has no other words for it"
        )
    draw = Random(f"memp wording {wording} {key}")
    things, places = _nouns(data)
    shape = draw.choice(data["sentences"][wanted.family])
    one, many = _forms(draw.choice(things[wanted.object])) if wanted.object in things else (wanted.object,) * 2
    place = draw.choice(places[wanted.place]) if wanted.place in places else wanted.place
    inside = wanted.place in data.get("inside", {}).get("places", _inside())
    made: str = shape.format_map(
        {
            "object": one,
            "objects": many,
            "a object": f"an {one}" if one[0] in "aeiou" else f"a {one}",
            "place": place,
            "in": "in" if inside else "on",
            "into": "into" if inside else "onto",
        }
    )
    return made if made[-1] in "?!" else f"{made}."


def plainly(sentence: str) -> str | None:
    """A sentence in the words of any of the lists, in the benchmark's own; None when it is in none of them.

    A sentence that is plain already is left alone: the answer is None, too.
    """
    wanted = read_reworded(sentence)
    return None if wanted is None else _SAID_PLAINLY[wanted.family].format_map(wanted._asdict())


def read_reworded(sentence: str) -> Wanted | None:
    """What a sentence in the words of any of the lists asks for; None when it is in none of them."""
    text = " ".join(sentence.lower().split()).rstrip(".?!")
    if read_plain(text):
        return None
    nouns = known_nouns()
    for family, shape in _shapes():
        if found := shape.fullmatch(text):
            thing, place = nouns.get(found["object"]), nouns.get(found["place"])
            if thing and place:
                return Wanted(family, thing, place)
    return None


@lru_cache(maxsize=1)
def known_nouns() -> Mapping[str, str]:
    """Every noun of every list, in the singular and the plural, with the engine's name of what it means."""
    nouns: dict[str, str] = {}
    for wording in WORDINGS:
        for table in _nouns(load(wording)["household"]):
            for name, others in table.items():
                nouns[name] = name
                nouns.update((form.lower(), name) for other in others for form in _forms(other))
    return nouns


def _nouns(data: Mapping[str, Any]) -> tuple[Mapping[str, list[str]], Mapping[str, list[str]]]:
    """The words for things and for places."""
    return data.get("things", {}), data.get("places", {})


def _inside() -> Sequence[str]:
    inside: Sequence[str] = load("judge")["household"]["inside"]["places"]
    return inside


def _forms(word: str) -> tuple[str, str]:
    """Singular and plural of an entry: `loaf|loaves`, or `spud` where the plural is regular."""
    one, bar, many = word.partition("|")
    if bar:
        return one, many
    ending, plural = next((end, new) for end, new in _ENDINGS if end.search(one))
    return one, ending.sub(plural, one, count=1)


@lru_cache(maxsize=1)
def _shapes() -> Sequence[tuple[str, re.Pattern[str]]]:
    """Every sentence of every list as a pattern, those with more words of their own first."""
    said = [
        (family, sentence.lower())
        for wording in WORDINGS
        for family, sentences in load(wording)["household"]["sentences"].items()
        for sentence in sentences
    ]
    said.sort(key=lambda item: -len(_SLOT.sub("", item[1])))
    return [(family, re.compile("".join(_pattern(sentence)))) for family, sentence in said]


def _pattern(sentence: str) -> Iterator[str]:
    for number, part in enumerate(_SLOT.split(sentence.rstrip(".?!"))):
        yield _SLOTS[part] if number % 2 else re.escape(part)
