"""What the player knows of the world: only what its own actions and the observations in the messages say."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from memp.models.base import Message
from memp_bench.agents.reply import parse_reply
from memp_bench.agents.simulated.grammar import Command, Grammar, kind

THING = re.compile(r"([a-z][a-z_-]*(?: [a-z][a-z_-]*)?) (\d+)\b")
_SEES = re.compile(r"you see (.*?)(?:\.|$)", re.IGNORECASE | re.DOTALL)
_CLOSED = re.compile(r"\bthe ([a-z][a-z_ -]* \d+) is closed", re.IGNORECASE)
_SKIP = {"a", "an", "the", "and"}


def names_in(text: str) -> list[str]:
    """Numbered things in `text`, in order: "a mug 1, and a cup 2" -> ["mug 1", "cup 2"]."""
    found = []
    for words, number in THING.findall(text.lower()):
        parts = [word for word in words.split() if word not in _SKIP]
        if parts:
            found.append(f"{' '.join(parts)} {number}")
    return found


def seen_in(text: str) -> list[str] | None:
    """What "you see ..." lists; None when the text does not say."""
    lists = _SEES.findall(text)
    return [name for part in lists for name in names_in(part)] if lists else None


def refused(text: str) -> bool:
    """Whether an observation says that the action had no effect."""
    return text.startswith(("Nothing happens", "Your reply had no line"))


@dataclass
class Belief:
    """The world as far as it was seen."""

    task: str = ""
    places: list[str] = field(default_factory=list)
    here: str | None = None
    holding: str | None = None
    contents: dict[str, list[str]] = field(default_factory=dict)
    """By place, as last seen."""
    closed: set[str] = field(default_factory=set)
    failed: Counter[Command] = field(default_factory=Counter)
    worked: dict[str, set[str]] = field(default_factory=dict)
    """By thing: verbs that were done to it."""
    works_at: dict[str, str] = field(default_factory=dict)
    """By verb: the type of place where it worked."""
    delivered: Counter[str] = field(default_factory=Counter)
    """By thing: how often it was laid down."""
    used: set[str] = field(default_factory=set)
    turns: int = 0

    def where(self, thing_kind: str) -> list[tuple[str, str]]:
        """(thing, place) of all things of that type, as last seen."""
        return [
            (thing, place) for place, things in self.contents.items() for thing in things if kind(thing) == thing_kind
        ]

    def note(self, command: Command | None, text: str, grammar: Grammar) -> None:
        """Learn from one action and what was seen after it."""
        self.turns += 1
        if command is None:
            return
        if refused(text):
            self.failed[command] += 1
            if command.verb == grammar.go and command.args[0] in self.places:
                self.here = command.args[0]  # one need not go to what is within reach
            return
        self._effect(command, grammar)
        place = self.here
        for name in _CLOSED.findall(text.lower()):
            self.closed.add(name)
        seen = seen_in(text)
        if place is not None and seen is not None and "next to it" not in text.lower():
            self.closed.discard(place)
            self.contents[place] = seen

    def _effect(self, command: Command, grammar: Grammar) -> None:
        verb, args = command.verb, command.args
        if verb == grammar.go:
            self.here = args[0]
        elif verb == grammar.open:
            self.closed.discard(args[0])
        elif verb == grammar.take:
            self.holding = args[0]
            things = self.contents.get(args[1], [])
            self.contents[args[1]] = [thing for thing in things if thing != args[0]]
        elif verb == grammar.put:
            self.holding = None
            self.delivered[args[0]] += 1
            self.contents.setdefault(args[1], []).append(args[0])
        elif verb == grammar.use:
            self.used.add(args[0])
        elif verb in grammar.works:
            self.worked.setdefault(args[0], set()).add(verb)
            self.works_at.setdefault(verb, kind(args[1]))


def read_history(messages: Sequence[Message], grammar: Grammar) -> Belief:
    """Replay the conversation after the system message."""
    belief = Belief()
    action: str | None = None
    opened = False
    for message in messages:
        if message.role == "assistant":
            action = parse_reply(message.content).action
        elif message.role == "user" and not opened:
            opened = True
            task, _, start = message.content.partition("\n\nObservation:")
            belief.task = task.removeprefix("Task:").strip()
            belief.places = seen_in(start) or names_in(start)
        elif message.role == "user":
            text = message.content.removeprefix("Observation:").strip()
            belief.note(grammar.match(action) if action else None, text, grammar)
    return belief
