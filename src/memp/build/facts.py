"""Facts of a task by rule: slot -> value, from the sentence alone, for any kind of task in English."""

import re

_CLAUSE = re.compile(r"(?<=[a-z]{3})[.;!?]\s+|\s*[.;!?]$|,?\s+(?:and|then)\s+(?=[a-z]+\s)|,\s+(?=[a-z]+\s)")
_PREPOSITIONS = ("into", "in", "onto", "on", "to", "from", "with", "under", "for", "at", "by", "using", "of", "about")
_SPLIT = re.compile(rf"\b({'|'.join(_PREPOSITIONS)})\b")
_DETERMINERS = re.compile(r"\b(?:a|an|the|some|any|my|your|this|that|these|those|please)\b")
_MONEY = re.compile(r"\$\s?([\d,]+(?:\.\d+)?)")
_DATE = re.compile(
    r"\b(\d{4}-\d{2}-\d{2}|(?:january|february|march|april|may|june|july|august|september|october|"
    r"november|december)\s+\d{1,2}(?:st|nd|rd|th)?(?:,?\s+\d{4})?)\b"
)
_WORD_NUMBERS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
_COUNT = re.compile(rf"\b(\d+|{'|'.join(_WORD_NUMBERS)})[\s-]+([a-z]+)\b")
_READ = 5_000
_PRONOUNS = {"it", "them", "that", "this", ""}
_SAME_PLACE = {"into": "in", "onto": "in", "on": "in", "using": "with"}


def facts_by_rule(task: str) -> dict[str, str]:
    """Slots found in the task sentence: action, object, then, in, from, to, ..., budget, date, and counts.

    Each clause gives its verb (`action`, later ones `then`), what follows it (`object`) and one slot per
    preposition. The first mention of a slot wins; pronouns are not values.
    """
    text = " ".join(task[:_READ].lower().split())
    facts: dict[str, str] = {}
    for pattern, slot in ((_MONEY, "budget"), (_DATE, "date")):
        if found := pattern.search(text):
            facts[slot] = found[1].replace(",", "") if slot == "budget" else found[1]
            text = pattern.sub(" ", text)
    for clause in _CLAUSE.split(text):
        _read_clause(clause.strip(" ,:'\""), facts)
    return facts


def _read_clause(clause: str, facts: dict[str, str]) -> None:
    if not clause:
        return
    head, *tail = _SPLIT.split(_counted(clause, facts))
    verb, _, rest = _bare(head).partition(" ")
    if verb:
        _put(facts, "then" if "action" in facts else "action", verb)
    _put(facts, "object", rest)
    for preposition, phrase in zip(tail[::2], tail[1::2], strict=True):
        value = _bare(phrase)
        # "look at the bowl": with nothing between, the phrase is the verb's object
        slot = "object" if not rest and preposition in ("at", "for") and "object" not in facts else preposition
        _put(facts, _SAME_PLACE.get(slot, slot), value)


def _counted(clause: str, facts: dict[str, str]) -> str:
    """Numbers become slots of what they count: `3 days` -> days = 3, `two mugs` -> count = two and `mugs` stays."""
    for number, noun in _COUNT.findall(clause):
        if number.isdigit() and noun not in _PREPOSITIONS:
            facts.setdefault(noun, number)
        elif not number.isdigit():
            facts.setdefault("count", number)
            clause = clause.replace(f"{number} {noun}", noun, 1)
    return clause


def _bare(phrase: str) -> str:
    return " ".join(_DETERMINERS.sub(" ", phrase).split()).strip(" ,:'\"")


def _put(facts: dict[str, str], slot: str, value: str) -> None:
    if value not in _PRONOUNS and any(letter.isalnum() for letter in value):
        facts.setdefault(slot, value[:200])
