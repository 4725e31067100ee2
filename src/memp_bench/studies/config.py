"""What a run is: everything that decides its result, and nothing else."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from memp.errors import MempError
from memp.records import Record
from memp_bench.studies.spec import PROVIDER


class RunConfig(Record):
    """One evaluation stream. Saved in the run's folder; repeating the command resumes it."""

    benchmark: str
    split: str
    games: int | None = Field(None, ge=1)
    """A seeded sample of the split; None plays all of it."""
    seed: int = 0
    model: str = "sim:novice"
    base_url: str | None = None
    builder: str = "rules"
    """Who writes scripts, facts and corrections: `rules` or a model."""
    builder_base_url: str | None = None
    """Where a builder that is not the agent is asked: a server, or `provider` for its own one. None: at `base_url`."""
    embedder: str = "static"
    memory: bool = True
    """False is the arm without memory."""
    source: str | None = None
    """Digest of the memory the run starts from; None starts empty."""
    build: str = "proceduralization"
    retrieve: str = "query"
    update: str = "adjustment"
    every: int | None = Field(None, ge=1)
    """Update after so many tasks; None updates never (frozen)."""
    discard: bool = False
    k: int = Field(10, ge=1)
    floor: float = Field(0.0, allow_inf_nan=False)
    max_tokens: int = Field(12_000, ge=1)
    """Budget of the recalled text."""
    max_steps: int = Field(30, ge=1)
    temperature: float | None = Field(1.0, ge=0, allow_inf_nan=False)
    options: Mapping[str, str] | None = None
    """Settings of the benchmark's own (mode, strategy), where it has any."""
    wording: str | None = None
    """A list of other words the tasks are put in; None leaves them as they are."""
    generated: bool = False
    """travelplanner: in a generated country instead of the real tables."""

    holdout: float = Field(0.0, ge=0, lt=1)
    """Share of the recalls that are withheld to measure what memory is worth."""
    guard: bool = False
    """Whether corrections have a cause and prove themselves on trial (`memp.update.Guard`)."""

    @property
    def builder_address(self) -> str | None:
        """Where the builder is asked; None is its provider's own address."""
        if self.builder == self.model or self.builder_base_url is None:
            return self.base_url
        return None if self.builder_base_url == PROVIDER else self.builder_base_url

    @property
    def digest(self) -> str:
        """Names the run; ids of its trajectories are made from it."""
        # What came later counts only where it is used: runs that began before keep their names.
        later = ("wording", "generated", "builder_base_url", "holdout", "guard")
        unused = {name for name in later if not getattr(self, name)}
        return hashlib.sha256(self.model_dump_json(exclude=unused).encode()).hexdigest()[:16]

    def claim(self, folder: Path) -> None:
        """Write the config into `folder`, or check that the run that is there is this one.

        Raises:
            MempError: another run is there; names what differs.
        """
        file = folder / "run.json"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MempError(f"{folder} cannot be the run's folder ({error.strerror}); choose another --out") from None
        if not file.exists():
            part = file.with_suffix(".part")
            part.write_text(self.model_dump_json(indent=2) + "\n")
            part.replace(file)
            return
        try:
            there = dict(json.loads(file.read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise MempError(f"{file} is damaged ({error}); choose another --out or remove the folder") from None
        mine = json.loads(self.model_dump_json())
        there.setdefault("generated", False)  # a setting that older runs do not have
        differs = [f"{key} was {there.get(key)!r}, is {mine[key]!r}" for key in mine if there.get(key) != mine[key]]
        if differs:
            raise MempError(f"{folder} holds another run ({'; '.join(differs)}); choose another --out or remove it")
