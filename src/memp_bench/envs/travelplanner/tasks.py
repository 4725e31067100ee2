"""The benchmark's tasks: 45 to learn from, with a gold plan each, and 180 to be measured on."""

import ast
import csv
import gzip
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from memp.errors import EnvironmentFailed, MempError, UnknownName
from memp.records import Record

SPLITS = ("train", "validation")
Split = Literal["train", "validation"]
Plan = Sequence[Mapping[str, Any]]
"""One mapping a day, as it came: nothing is checked yet."""


class LocalConstraint(Record):
    """What the travellers insist on; None where they do not mind."""

    house_rule: str | None = Field(None, alias="house rule")
    """smoking, parties, children under 10, visitors or pets must be allowed."""
    cuisine: tuple[str, ...] | None = None
    """Each must be eaten once."""
    room_type: str | None = Field(None, alias="room type")
    """entire room, private room, shared room or not shared room."""
    transportation: str | None = None
    """no flight or no self-driving."""

    @property
    def count(self) -> int:
        """How many there are: 0 for easy, 1 for medium, 3 for hard tasks."""
        return sum(bool(getattr(self, name)) for name in type(self).model_fields)


class TravelTask(Record):
    """One task. Agents get `query` alone (and tools), the evaluator gets everything."""

    idx: int = Field(ge=1)
    """Row of the split, from 1."""
    org: str
    dest: str
    """A city for 3 days, a state for 5 and 7."""
    days: int = Field(ge=1)
    visiting_city_number: int = Field(ge=1)
    date: tuple[str, ...]
    """`YYYY-MM-DD`, one a day."""
    people_number: int = Field(ge=1)
    local_constraint: LocalConstraint = LocalConstraint()
    budget: int
    """US dollars for the whole group."""
    query: str
    level: str
    reference_descriptions: tuple[str, ...] = ()
    """Titles of the tables that sole-planning gives to the planner, in order."""
    gold_plan: tuple[dict[str, Any], ...] = ()
    """Train only: what the annotators planned, padded with empty days to 7."""

    @field_validator("local_constraint", mode="before")
    @classmethod
    def _no_constraint(cls, value: object) -> object:
        return {} if value is None else value


def load_tasks(folder: Path, split: str) -> list[TravelTask]:
    """The tasks of a split in the benchmark's order.

    Reads `SPLIT.jsonl.gz` (packed), or `SPLIT.csv` of the original data set (also in `dataset/` or `data/`).

    Raises:
        UnknownName: no such split.
        EnvironmentFailed: the file is missing or damaged, or the split cannot be scored here.
    """
    if split == "test":
        raise EnvironmentFailed("the test split cannot be scored here: its constraints are not public. Use validation")
    if split not in SPLITS:
        raise UnknownName("split", split, SPLITS)
    packed = folder / f"{split}.jsonl.gz"
    originals = [folder / part / f"{split}.csv" for part in ("", "dataset", "data")]
    found = [path for path in (packed, *originals) if path.is_file()]
    if not found:
        raise EnvironmentFailed(f"{folder} has no tasks of {split}: neither {packed.name} nor {split}.csv")
    try:
        rows = _packed(found[0]) if found[0] == packed else _original(found[0])
        return [TravelTask.parse({"idx": number, **row}) for number, row in enumerate(rows, 1)]
    except (OSError, EOFError, ValueError, SyntaxError, KeyError, AttributeError, MempError) as error:
        raise EnvironmentFailed(f"{found[0]} is damaged: {error}") from None


def _packed(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            yield {name: value for name, value in row.items() if name in TravelTask.model_fields}


def _original(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of the data set's CSV file, in which lists and dicts are Python literals."""
    csv.field_size_limit(1 << 24)  # reference information has up to 60 kB a row
    text = path.read_text(encoding="utf-8-sig")
    for row in csv.DictReader(io.StringIO(text, newline="")):
        made: dict[str, Any] = {name: row[name] for name in ("org", "dest", "query", "level")}
        made |= {name: int(row[name]) for name in ("days", "visiting_city_number", "people_number", "budget")}
        made |= {name: ast.literal_eval(row[name]) for name in ("date", "local_constraint")}
        if row.get("reference_information"):
            made["reference_descriptions"] = [
                part["Description"] for part in ast.literal_eval(row["reference_information"])
            ]
        if row.get("annotated_plan"):
            made["gold_plan"] = ast.literal_eval(row["annotated_plan"])[1]
        yield made
