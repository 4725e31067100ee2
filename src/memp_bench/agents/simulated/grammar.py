"""The action grammar as the system prompt lists it: `take {object} from {receptacle}`."""

import re
from dataclasses import dataclass

_BULLETS = re.compile(r"(?:^[ \t]*[-*][ \t]+\S.*\n?)+", re.MULTILINE)
_SLOT = re.compile(r"\{([^{}]+)\}")
_NUMBER = re.compile(r"\s*\d+$")


def kind(name: str) -> str:
    """The type of a thing: its name without number, spaces or case ("Mug 2" -> "mug")."""
    return _NUMBER.sub("", name.strip().lower()).replace(" ", "")


@dataclass(frozen=True)
class Command:
    """One command with its slots filled."""

    verb: str
    args: tuple[str, ...] = ()

    @property
    def kinds(self) -> tuple[str, ...]:
        """Types of the arguments."""
        return tuple(kind(arg) for arg in self.args)


@dataclass(frozen=True)
class Template:
    """One line of the grammar."""

    text: str
    verb: str
    slots: tuple[str, ...]
    pattern: re.Pattern[str]

    @classmethod
    def parse(cls, text: str) -> "Template":
        """Read `take {object} from {receptacle}`."""
        literals = _SLOT.split(text)[::2]
        pattern = "(.+?)".join(re.escape(part) for part in literals)
        verb = literals[0].strip()
        return cls(text, verb, tuple(_SLOT.findall(text)), re.compile(pattern, re.IGNORECASE))


@dataclass(frozen=True)
class Grammar:
    """The commands an environment takes, looked up by what their English words mean."""

    templates: tuple[Template, ...]

    @classmethod
    def parse(cls, text: str) -> "Grammar":
        """Read the first bulleted list of `text` that has slots; empty when there is none."""
        for block in _BULLETS.findall(text):
            if _SLOT.search(block):
                lines = (line.strip().lstrip("-*").strip() for line in block.splitlines())
                return cls(tuple(Template.parse(line) for line in lines if line))
        return cls(())

    def __bool__(self) -> bool:
        return bool(self.templates)

    def match(self, text: str) -> Command | None:
        """`text` as a command, with or without numbers in its names."""
        text = text.strip().rstrip(".").lower()
        for template in self.templates:
            found = template.pattern.fullmatch(text)
            if found:
                return Command(template.verb, tuple(arg.strip() for arg in found.groups()))
        return None

    def say(self, verb: str, *args: str) -> str:
        """The command of `verb` with its slots filled."""
        for template in self.templates:
            if template.verb == verb and len(template.slots) == len(args):
                text = template.text
                for slot, arg in zip(template.slots, args, strict=True):
                    text = text.replace(f"{{{slot}}}", arg, 1)
                return text
        return " ".join((verb, *args))

    def _verb(self, slots: int, *words: str) -> str | None:
        for template in self.templates:
            if len(template.slots) == slots and template.verb.split()[0] in words:
                return template.verb
        return None

    @property
    def go(self) -> str | None:
        """Moves the player to a place."""
        return self._verb(1, "go", "walk", "goto")

    @property
    def open(self) -> str | None:
        """Opens a closed place."""
        return self._verb(1, "open")

    @property
    def take(self) -> str | None:
        """Picks a thing up from a place."""
        return self._verb(2, "take", "pick", "get")

    @property
    def put(self) -> str | None:
        """Lays the thing in hand down."""
        return self._verb(2, "move", "put", "place")

    @property
    def use(self) -> str | None:
        """Uses a thing by itself."""
        return self._verb(1, "use", "toggle")

    @property
    def examine(self) -> str | None:
        """Looks at a thing or a place."""
        return self._verb(1, "examine", "inspect")

    @property
    def works(self) -> tuple[str, ...]:
        """Verbs that do something to a thing with the help of a place."""
        pairs = [t for t in self.templates if len(t.slots) == 2 and " with " in t.text]
        return tuple(t.verb for t in pairs if t.slots[0] != t.slots[1])
