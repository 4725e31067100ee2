"""What the simulated traveller's agent understands of a query: English words only, no table is known here."""

from dataclasses import dataclass
from datetime import date, timedelta
from re import IGNORECASE
from re import compile as pattern
from typing import Final

CUISINES: Final = ("Chinese", "American", "Italian", "Mexican", "Indian", "Mediterranean", "French")
_NUMBERS: Final = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_WORD = r"[A-Z][\w'’-]*"
_PLACE = rf"((?:(?:St|Ft|Mt)\. )?{_WORD}(?:[ /]{_WORD})*)"
_FROM = pattern(
    rf"\b(?:[Ff]rom|[Ll]eav(?:e|ing)|[Dd]epart(?:ing|s)?|(?:[Ss]tart|[Bb]egin|[Cc]ommenc|[Oo]riginat)\w*"
    rf"(?: (?:off|out))?(?: (?:our|my|the) \w+)? in)"
    rf"(?: the city of)? {_PLACE}"
)
_CITIES_OF = pattern(rf"\bcit(?:ies|y)\b[^.?!]*?\b(?:in|of|across|within|throughout|around|from) {_PLACE}")
_TO = pattern(rf"\b(?:to|in|for|visit(?:ing)?|explor(?:e|ing)|towards?|through|across|is|at|of|around) {_PLACE}")
_DAY = rf"(?:({'|'.join(_MONTHS)}) (\d{{1,2}})|(\d{{1,2}})(?:st|nd|rd|th)?(?: of)? ({'|'.join(_MONTHS)}))"
_DATE = pattern(_DAY)
_OTHER_DAY = pattern(r"(?:from|between|the) (?:the )?(\d{1,2})(?:st|nd|rd|th)? (?:to|and|through|until)")
_YEAR = pattern(r"\b(20\d\d)\b")
_LENGTH = pattern(r"\b(\w+)[- ]days?\b", IGNORECASE)
_BUDGET = pattern(r"\$\s?(\d[\d,]*)")
_COUNT_OF_CITIES = pattern(r"\b(\w+) (?:\w+ )?cities\b", IGNORECASE)
_GROUP = pattern(
    r"\b(?:group|party|family|team|number) of (\w+)"
    r"|\b(\w+) (?:people|persons?|participants|travell?ers|individuals|adults|friends)\b"
    r"|\bfor (two|three|four|five|six|seven|eight)\b|\bus (two|three|four|five|six|seven|eight)\b",
    IGNORECASE,
)
_PAIR = pattern(r"\b(?:couple|pair|duo)\b", IGNORECASE)
_NOT = (
    r"(?:\bno\b|\bnot\b|n't|n’t|\bavoid\w*|\bwithout\b|\bnon\b|\bexclud\w*|\brefrain\w*|\brather than\b|\bopt\w* out\b)"
)
_NO_FLIGHT = pattern(rf"{_NOT}[^.!?]{{0,60}}\b(?:fl(?:y|ights?|ying)|air(?:planes?|lines?| travel)?)\b", IGNORECASE)
_NO_DRIVE = pattern(rf"{_NOT}[^.!?]{{0,60}}\b(?:self[- ]?driv\w*|driv(?:e|ing))", IGNORECASE)
_NOT_SHARED = pattern(rf"{_NOT}[^.!?]{{0,30}}\bshar(?:ed|ing)\b|\bother than shared|\bunshared", IGNORECASE)
_RULES: Final = (
    ("children under 10", pattern(r"\b(?:child\w*|kids?)\b", IGNORECASE)),
    ("smoking", pattern(r"\bsmok\w*", IGNORECASE)),
    ("parties", pattern(r"\b(?:parties|party(?! of))\b", IGNORECASE)),
    ("visitors", pattern(r"\bvisitors?\b", IGNORECASE)),
    ("pets", pattern(r"\bpets?\b", IGNORECASE)),
)


@dataclass(frozen=True)
class Trip:
    """What is wanted, as far as it was understood."""

    origin: str
    destination: str
    """A city, or the state in which several cities are to be visited."""
    cities: int
    dates: tuple[str, ...]
    """`YYYY-MM-DD`, one a day."""
    people: int
    budget: int | None
    cuisines: tuple[str, ...] = ()
    house_rule: str = ""
    room: str = ""
    """`Entire home/apt`, `Private room`, `Shared room`, or `not shared`."""
    avoids: str = ""
    """`flight` or `self-driving`."""


def read_query(query: str) -> Trip:
    """Read a query in plain English; what is not said gets the usual meaning (one person, three days)."""
    text = " ".join(query.split())
    dates = _dates(text)
    cities = _number(found[1]) if (found := _COUNT_OF_CITIES.search(text)) else None
    origin, destination = _places(text)
    budget = _BUDGET.search(text)
    return Trip(
        origin=origin,
        destination=destination,
        cities=cities or max(1, (len(dates) - 1) // 2),
        dates=dates,
        people=_people(text),
        budget=int(budget[1].replace(",", "")) if budget else None,
        cuisines=tuple(name for name in CUISINES if pattern(rf"\b{name}\b").search(text)),
        house_rule=next((name for name, words in _RULES if words.search(text)), ""),
        room=_room(text.lower()),
        avoids="flight" if _NO_FLIGHT.search(text) else "self-driving" if _NO_DRIVE.search(text) else "",
    )


def _places(text: str) -> tuple[str, str]:
    starts = [found for found in _FROM.finditer(text) if _is_place(found[1])]
    origin = starts[0][1] if starts else ""
    several = next((found for found in _CITIES_OF.finditer(text) if _is_place(found[1]) and found[1] != origin), None)
    goals = [found[1] for found in _TO.finditer(text) if _is_place(found[1]) and found[1] != origin]
    return origin, several[1] if several else goals[0] if goals else ""


def _is_place(name: str) -> bool:
    return name.split(maxsplit=1)[0] not in {*_MONTHS, *CUISINES, "I", "Our", "We", "The"}


def _dates(text: str) -> tuple[str, ...]:
    year = int(found[1]) if (found := _YEAR.search(text)) else 2022
    days = [(_MONTHS.index(a or d) + 1, int(b or c)) for a, b, c, d in _DATE.findall(text)]
    if not days:
        return ()
    month, first = days[0]
    early = _OTHER_DAY.search(text)  # "from the 8th to the 10th of March"
    if early and int(early[1]) < first:
        first = int(early[1])
    length = _length(text) or (days[-1][1] - first + 1 if days[-1][0] == month and days[-1][1] > first else 3)
    start = date(year, month, min(first, 28) if month == 2 else first)
    return tuple((start + timedelta(days=n)).isoformat() for n in range(length))


def _length(text: str) -> int | None:
    for found in _LENGTH.finditer(text):
        if number := _number(found[1]):
            return number
    return 7 if "week" in text.lower() else None


def _people(text: str) -> int:
    for found in _GROUP.finditer(text):
        if number := _number(next(part for part in found.groups() if part)):
            return number
    return 2 if _PAIR.search(text) else 1


def _room(text: str) -> str:
    if _NOT_SHARED.search(text):
        return "not shared"
    rooms = (
        ("entire room", "Entire home/apt"),
        ("entire home", "Entire home/apt"),
        ("entire place", "Entire home/apt"),
        ("entire bedroom", "Entire home/apt"),
        ("entire unit", "Entire home/apt"),
        ("private", "Private room"),
        ("shared", "Shared room"),
    )
    return next((room for word, room in rooms if word in text), "")


def _number(word: str) -> int | None:
    if word.isdecimal():
        return int(word) or None
    return _NUMBERS.index(word.lower()) or None if word.lower() in _NUMBERS else None
