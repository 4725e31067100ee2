"""Synthetic memories of realistic sizes: tasks of 8 to 15 words, scripts of 5 to 15 steps, 1-2 KB each."""

import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from memp.records import Author, Content, Revision, Script, Step, Trajectory
from memp.render import approximate_tokens, render_content
from memp.stores.base import Store, Write


def _words(text: str) -> list[str]:
    return text.split()


AT = datetime(2026, 1, 1, tzinfo=UTC)
HIDDEN = 10
"""One of so many is retired."""
FAILED = 7
"""One of so many was built from a failure."""
VERBS = _words(
    "put move clean heat cool find book cancel order review fix refactor deploy summarize translate compare merge "
    "archive measure repair paint sort label inspect upload encrypt schedule print test migrate water assemble "
    "weigh charge sharpen fold restock audit transcribe photograph "
)
KINDS = _words(
    "red small broken clean cheap urgent weekly public final empty heavy secret legal old quarterly wooden rusty "
    "digital annual spare frozen fragile foreign temporary damaged unread duplicate certified portable handmade "
    "toxic silent striped overdue confidential wireless ceramic seasonal obsolete bilingual "
)
THINGS = _words(
    "mug plate apple lamp report invoice flight hotel laptop module test parser endpoint paper survey contract "
    "dataset ticket photo recipe budget schedule password form package garden bicycle engine poem interview "
    "violin curtain ladder battery telescope thermostat blanket compass novel cheese mirror keyboard passport "
    "sculpture sweater carpet microscope umbrella lantern wallet sandwich helmet vaccine tractor chandelier "
    "spreadsheet pillow envelope guitar cactus receipt magnet printer candle notebook saddle brochure pump "
    "whistle antenna tablecloth orchid barrel drill manuscript calendar anchor perfume trumpet "
)
PLACES = _words(
    "shelf drawer fridge table office archive repository inbox warehouse website server library kitchen Berlin "
    "Rome Dallas Tokyo pipeline balcony harbour clinic museum basement bakery station Lisbon Nairobi greenhouse "
    "courtroom studio embassy garage lighthouse orchard Oslo stadium vineyard airport chapel laboratory "
)


def task(rng: random.Random) -> str:
    """A task in 8 to 15 words; a million of them are nearly all different."""
    pick = rng.choice
    said = f"{pick(VERBS)} the {pick(KINDS)} {pick(THINGS)} number {rng.randrange(1000)} in the {pick(PLACES)}"
    kind = rng.random()
    if kind < 0.4:
        said += f" and the {pick(KINDS)} {pick(THINGS)}"
    elif kind < 0.7:
        said += f" before you {pick(VERBS)} the {pick(THINGS)}"
    if rng.random() < 0.3:
        said += f" near the {pick(PLACES)}"
    return said


def revision(id: str, rng: random.Random, status: str = "active") -> Revision:
    """The first revision of a procedure."""
    words = task(rng)
    script = Script(
        goal=words.capitalize(),
        applies_when=(f"the {rng.choice(THINGS)} is known",),
        steps=tuple(task(rng) for _ in range(rng.randint(5, 15))),
        pitfalls=(f"do not forget the {rng.choice(THINGS)}",),
    )
    content = Content(task=words, facts={"action": words.split()[0], "object": words.split()[3]}, script=script)
    return Revision(
        procedure_id=id,
        number=1,
        content=content,
        status=status,
        reason="succeeded with reward 1",
        evidence=(f"trajectory-{id}",),
        author=Author(policy="script"),
        at=AT,
        tokens=approximate_tokens(render_content(content, None)),
    )


def fill(
    store: Store, namespace: str, count: int, *, batch: int = 2_000, seed: int = 0, progress: Callable[[int], None]
) -> float:
    """Write `count` procedures, `batch` a transaction, with the store's own `write`; returns the seconds of writing.

    A tenth is retired, and a seventh was built from failures. Making them up is not counted.
    """
    rng, seconds = random.Random(seed), 0.0
    for start in range(0, count, batch):
        writes = [
            Write(
                revision=revision(f"procedure-{n:08d}", rng, "retired" if n % HIDDEN == 0 else "active"),
                success=bool(n % FAILED),
                origin=n.to_bytes(16, "big"),
            )
            for n in range(start, min(count, start + batch))
        ]
        began = time.perf_counter()
        store.write(namespace, writes, consume=None, receipt_id="")
        seconds += time.perf_counter() - began
        progress(start + len(writes))
    return seconds


def questions(seed: int) -> Iterator[str]:
    """New tasks without end."""
    rng = random.Random(f"questions {seed}")
    while True:
        yield task(rng)


def played(words: str, number: int, mark: str) -> Trajectory:
    """What an agent did for a task in some ten steps; every other one failed."""
    actions = [f"do {part} {mark}" for part in words.split()]
    steps = tuple(Step(action=action, observation=f"done: {action}") for action in actions)
    return Trajectory(task=words, steps=steps, reward=float(number % 2))
