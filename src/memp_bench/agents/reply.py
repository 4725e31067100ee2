"""Reading a model's reply: the thought and the one action in it."""

import re
from typing import NamedTuple

_LABEL = re.compile(r"^[\s>*_`#\-]*(thought|action|observation)s?\s*\d*[*_`]*\s*:[*_`]*[ \t]*(.*)$", re.IGNORECASE)
_WRAPPING = " \t*_`\"'"


class ParsedReply(NamedTuple):
    """What a reply says; `action` is None when there is no usable `Action:` line."""

    thought: str
    action: str | None


def parse_reply(text: str) -> ParsedReply:
    """Read `Thought:` and the first `Action:` from `text`; text after that action is ignored.

    Case, Markdown emphasis and backticks do not matter. A reply without `Thought:` takes the text before the
    action as the thought. An action on the line after `Action:` is accepted.
    """
    thought: list[str] = []
    waiting = False
    for line in text.splitlines():
        label = _LABEL.match(line)
        kind, rest = (label[1].lower(), label[2]) if label else ("", line)
        if kind == "action" or (waiting and not kind):
            command = _bare(rest)
            if command:
                return ParsedReply(_joined(thought), command)
            waiting = True
        elif kind == "observation":
            break  # an observation made up by the model: nothing after it counts
        elif not _fence(line):
            waiting = False
            thought.append(rest)
    return ParsedReply(_joined(thought), None)


def _fence(line: str) -> bool:
    return line.strip().startswith("```")


def _bare(command: str) -> str:
    if _fence(command):
        return ""
    command = command.strip().strip(_WRAPPING)
    return command[:-1].rstrip(_WRAPPING) if command.endswith(".") else command


def _joined(lines: list[str]) -> str:
    return "\n".join(lines).strip().strip("*_").strip()
