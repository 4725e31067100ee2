"""The notebook: what the planner gets to see."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Notebook:
    """Entries of a short description and the result that was current when it was written."""

    _entries: list[tuple[str, str | None]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._entries)

    def write(self, description: str, result: str | None) -> str:
        """Store `result` and say where. The description is the agent's: nothing checks that it fits."""
        self._entries.append((description, result))
        return f"The information has been recorded in Notebook, and its index is {len(self._entries) - 1}."

    def text(self) -> str:
        """All entries, as the Python list that the original puts into the planner's prompt."""
        return str(
            [
                {"index": index, "Short Description": description, "Content": result}
                for index, (description, result) in enumerate(self._entries)
            ]
        )
