"""Prompts: files of their own with a version, so that a revision can say which text produced it."""

import re
from collections.abc import Mapping
from importlib.resources import files

from memp.models.base import Message
from memp.records import Record


class Prompt(Record):
    """One prompt: instructions to the model and a template for the material."""

    name: str
    version: str
    system: str
    user: str

    @property
    def label(self) -> str:
        """`name/version`, as it is stored on revisions."""
        return f"{self.name}/{self.version}"

    def messages(self, values: Mapping[str, str]) -> list[Message]:
        """The conversation, with `{{slots}}` of the template filled in.

        Values are data: they are never expanded again, and cannot open or close a fence (`<record>`) of the template.
        """
        names = "|".join(sorted(set(re.findall(r"</(\w+)>", self.user)))) or "(?!)"
        fence = re.compile(rf"<(?=\s*/?\s*(?:{names})\b)", re.IGNORECASE)
        parts = self.user.split("{{")
        text = parts[0]
        for part in parts[1:]:
            slot, _, rest = part.partition("}}")
            text += fence.sub("‹", values[slot]) + rest
        return [Message(role="system", content=self.system), Message(role="user", content=text)]


def load_prompt(package: str, name: str) -> Prompt:
    """Read `name`.md of the folder `prompts` in `package`: a version line, the system text, the user template."""
    text = (files(package) / "prompts" / f"{name}.md").read_text(encoding="utf-8")
    head, system, user = text.split("\n---\n")
    return Prompt(name=name, version=head.removeprefix("version:").strip(), system=system, user=user.strip())
