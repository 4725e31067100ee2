"""The action grammar of both modes: `Name[arguments]` on one line, and nothing else."""

from re import compile as pattern
from typing import NamedTuple

INVALID_ACTION = (
    "Invalid Action. Valid Actions are  FlightSearch[Departure City, Destination City, Date] / "
    "AccommodationSearch[City] /  RestaurantSearch[City] / NotebookWrite[Short Description] / AttractionSearch[City] "
    "/ CitySearch[State] / GoogleDistanceMatrix[Origin, Destination, Mode] and Planner[Query]."
)
"""What the original says to anything that is no tool call, blank for blank."""

_ACTION = pattern(r"^(\w+)\[(.+)\]$")
_DATE = pattern(r"^\d{4}-\d{2}-\d{2}$")


class Call(NamedTuple):
    """A tool and the text between its outermost brackets."""

    tool: str
    argument: str

    @property
    def arguments(self) -> list[str]:
        """The argument cut at comma and blank, as the tools with several arguments read it."""
        return self.argument.split(", ")


def parse_action(text: str) -> Call | None:
    """The call that `text` is as a whole, known tool or not; None for anything else, such as an empty argument."""
    found = _ACTION.match(text)
    return Call(found[1], found[2]) if found else None


def is_date(text: str) -> bool:
    """Whether `text` looks like `YYYY-MM-DD`; that the day exists is not asked."""
    return _DATE.match(text) is not None


def one_line(reply: str) -> str:
    """A model's action as the original takes it: without the blanks around it and without line ends."""
    return reply.strip("\n").strip().replace("\n", "")
