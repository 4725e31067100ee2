"""A process that writes to a memory until it is killed. Every line it prints acknowledges something.

python crashwriter.py record|update|mixed|finish|migrate PATH NAME SEED
"""

import hashlib
import json
import os
import random
import sys
import time
from collections.abc import Sequence

from memp.models.base import Message
from memp.records import Step, Trajectory
from memp.stores import connection
from memp.sync import ProceduralMemory
from memp.testing.chat import CharEmbedder, ScriptedChat

COLUMNS = 40
"""How many columns the migration of these tests adds."""


def acknowledge(*words: str) -> None:
    os.write(1, (" ".join(words) + "\n").encode())


def reply(messages: Sequence[Message]) -> str:
    """A valid script that carries a digest of the question, after a while."""
    digest = hashlib.sha256("\0".join(m.content for m in messages).encode()).hexdigest()[:16]
    acknowledge("asked", digest)
    time.sleep(0.002)
    return json.dumps({"goal": f"goal {digest}", "steps": ["a step"]})


def open_memory(path: str) -> ProceduralMemory:
    memory = ProceduralMemory(path, model=ScriptedChat(reply), embedder=CharEmbedder(), k=3, max_tokens=None)
    save = memory.store.save_draft

    def save_draft(namespace: str, key: str, text: str) -> None:
        save(namespace, key, text)
        acknowledge("stored", json.loads(text)["goal"].removeprefix("goal "))

    memory.store.save_draft = save_draft  # type: ignore[method-assign]
    return memory


UPDATES = {"record": 0.0, "update": 0.4, "mixed": 0.1}
"""How often a writer lets an update run after it recorded."""


def write(path: str, name: str, rng: random.Random, mode: str) -> None:
    memory = open_memory(path)
    acknowledge("ready")
    if mode == "update":
        acknowledge("updated", memory.update().id)  # what a killed process left
    n = 0
    while True:
        n += 1
        task = f"task {name} {n}"
        recall = memory.retrieve(task) if rng.random() < 0.8 else None
        reward = float(rng.random() < 0.6)
        steps = (Step(action=f"act {n}", observation="x" * rng.randrange(3000)),)
        memory.record(Trajectory(id=f"{name}-{n}", task=task, steps=steps, reward=reward), recall)
        acknowledge("recorded", f"{name}-{n}", recall.id if recall else "-", str(len(recall.ranked) if recall else 0))
        if rng.random() < UPDATES[mode]:
            acknowledge("updated", memory.update().id)


def finish(path: str) -> None:
    """Let an update run to its end."""
    memory = open_memory(path)
    acknowledge("updated", memory.update().id)
    memory.close()


def migrate(path: str) -> None:
    """Open the file with a program that knows a further, long migration."""
    statements = [f"ALTER TABLE procedures ADD COLUMN added{n} TEXT NOT NULL DEFAULT ''" for n in range(COLUMNS)]
    statements += ["CREATE TABLE copies AS SELECT seq, namespace, id, body FROM trajectories"]
    statements += [f"UPDATE procedures SET added{n} = hex(randomblob(200))" for n in range(COLUMNS)]
    connection.MIGRATIONS = (*connection.MIGRATIONS, tuple(statements))  # type: ignore[misc]
    acknowledge("ready")
    connection.Connection(path).close()
    acknowledge("migrated")


def main(mode: str, path: str, name: str, seed: str) -> None:
    if mode == "migrate":
        migrate(path)
    elif mode == "finish":
        finish(path)
    else:
        write(path, name, random.Random(seed), mode)


if __name__ == "__main__":
    main(*sys.argv[1:])
