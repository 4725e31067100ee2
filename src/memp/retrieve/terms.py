"""The words of a task that carry meaning, and the phrases they form: closed-class English only, no domain's words."""

import re
from collections.abc import Sequence
from typing import NamedTuple

_READ = 4_000
_MOST = 96
"""Words of a text that are read: a task says what it wants in its first sentences."""

_TOKEN = re.compile(r"[^\W_]+(?=n't\b)|n't\b|[^\W_]+|[.,;:!?]")
_CLOSED = frozenset(
    # determiners, pronouns; prepositions, particles, conjunctions; auxiliaries, light verbs, politeness
    re.findall(
        r"\S+",
        """
        a an the some any all each every no none this that these those my your his her its our their such same other
        i you he she it we they me him us them myself yourself itself one ones something someone anything thing things
        who whom whose which what there here where when why how while
        in into inside within on onto upon to from with without under underneath beneath below over above for at by
        using via of about around across along against among between through up down off out away back next near beside
        and or but nor so then than as if because until before after once again
        be am is are was were been being has have had having do does did done doing can could will would shall should
        may might must let make sure get got now please kindly just also too very really more most much many not n't
        need needs want wants like d s ll ve re t m
        """,
    )
)
_LEADING = frozenset(("and", "then", "or", "please", "kindly", "could", "can", "would", "will", "you", "i"))
"""Closed-class words after which a clause may begin with its verb."""

_COUNTED = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_NUMBERS = {word: str(number) for number, word in enumerate(_COUNTED, 2)} | {
    **dict.fromkeys(("both", "pair", "couple", "twice", "second"), "2"),
    "dozen": "12",
}


class Phrase(NamedTuple):
    """One to three words in a row that may name one thing."""

    text: str
    leads: bool
    """Whether it opens a clause, where English puts the verb of a request."""

    ends: bool
    """Whether no other word follows at once: the last noun of a phrase is what it names ("coffee" in "coffee cup")."""


class _Term(NamedTuple):
    text: str
    """Empty for a closed-class word or a punctuation mark."""

    leads: bool
    joins: bool = False
    """Whether it is an "of"."""


def terms(text: str) -> list[str]:
    """The words of `text` that carry meaning, in order: lower case, number words as digits."""
    return [term.text for term in _read(text) if term.text]


def phrases(text: str) -> list[Phrase]:
    """Every run of one to three words, of which the middle one may be an "of" ("rate of interest").

    Shorter ones come first; what occurs twice is given once.
    """
    read = _read(text)
    found: dict[str, Phrase] = {}
    for size in (1, 2, 3):
        for start in range(len(read) - size + 1):
            run = [term.text for term in read[start : start + size]]
            joined = size == 3 and read[start + 1].joins
            if not (run[0] and run[-1]) or not (all(run) or joined):
                continue
            said = " ".join(filter(None, run))
            ends = start + size == len(read) or not read[start + size].text
            before = found.get(said, Phrase(said, False, False))
            found[said] = Phrase(said, before.leads or read[start].leads, before.ends or ends)
    return list(found.values())


def steps_terms(step: str) -> tuple[str, list[str]]:
    """The verb of a step (its first word) and the other words that carry meaning, without numbers of instances."""
    verb, _, rest = step[:_READ].strip().partition(" ")
    return verb.lower().strip(".,;:!?()[]'\""), [word for word in terms(rest) if not word.isdigit()]


def _read(text: str) -> Sequence[_Term]:
    read: list[_Term] = []
    opens = True
    for word in _TOKEN.findall(text[:_READ].lower()):
        if not word[0].isalnum():
            opens = True
            read.append(_Term("", False))
        elif word in _CLOSED:
            opens = word in _LEADING
            read.append(_Term("", False, joins=word == "of"))
        else:
            read.append(_Term(_NUMBERS.get(word, word), opens))
            opens = False
        if len(read) >= _MOST:
            break
    return read
