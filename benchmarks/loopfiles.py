"""Memories of any size for benchmarks: varied tasks, scripts of about eight steps, written in big batches."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from memp.records import Author, Content, Revision, Script
from memp.render import approximate_tokens, render_content
from memp.stores.base import Write
from memp.stores.sqlite import SqliteStore


def _words(text: str) -> list[str]:
    return text.split()


VERBS = _words(
    "put move clean heat cool find book cancel order review fix refactor deploy summarize translate compare "
)
KINDS = _words("red small broken clean cheap urgent weekly public final empty heavy secret legal old quarterly ")
THINGS = _words(
    "mug plate apple lamp report invoice flight hotel laptop module test parser endpoint paper "
    "survey contract dataset ticket photo recipe budget schedule password form package garden "
    "bicycle engine poem interview "
)
PLACES = _words(
    "shelf drawer fridge table office archive repository calendar inbox warehouse website server "
    "library kitchen Berlin Rome Dallas Tokyo spreadsheet pipeline "
)


def sentences(seed: int) -> Iterator[str]:
    """Task sentences without end, nearly all different."""
    rng = random.Random(seed)
    while True:
        yield (
            f"{rng.choice(VERBS)} the {rng.choice(KINDS)} {rng.choice(THINGS)} and the {rng.choice(KINDS)} "
            f"{rng.choice(THINGS)} number {rng.randrange(1000)} for the {rng.choice(PLACES)} "
            f"near the {rng.choice(PLACES)}"
        )


def write_memory(path: Path, size: int, *, batch: int = 5_000, seed: int = 0) -> None:
    """A file with `size` procedures."""
    tasks, rng = sentences(seed), random.Random(seed)
    store, at = SqliteStore(path), datetime(2026, 1, 1, tzinfo=UTC)
    for start in range(0, size, batch):
        writes = []
        for number in range(start, min(size, start + batch)):
            script = Script(
                goal=(task := next(tasks)).capitalize(),
                applies_when=(f"the {rng.choice(THINGS)} is known",),
                steps=tuple(next(tasks) for _ in range(rng.randint(6, 10))),
                pitfalls=(f"do not forget the {rng.choice(THINGS)}",),
            )
            content = Content(task=task, facts={"action": task.split()[0], "object": task.split()[2]}, script=script)
            revision = Revision(
                procedure_id=f"procedure-{number:08d}",
                number=1,
                content=content,
                reason="succeeded with reward 1",
                evidence=(f"trajectory-{number}",),
                author=Author(policy="script"),
                at=at,
                tokens=approximate_tokens(render_content(content, None)),
            )
            writes.append(Write(revision=revision, origin=number.to_bytes(16, "big")))
        store.write("default", writes, consume=None, receipt_id="")
    store.close()
