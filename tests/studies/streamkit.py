"""A small world for tests of the stream: things in rooms, an agent that reads, and faults at will.

Run as a script (`streamkit.py FOLDER KILL_AFTER [PLAYER]`) it plays the standard stream and kills itself with SIGKILL
after so many events: steps of the environment, and both sides of every write to the memory.
"""

import asyncio
import hashlib
import json
import os
import random
import re
import signal
import sys
from pathlib import Path

from memp.memory import AsyncProceduralMemory
from memp.models.metered import Budget
from memp.stores.sqlite import SqliteStore
from memp.testing.chat import CharEmbedder, ScriptedChat
from memp.update import Discard
from memp_bench.envs.base import Observation, Opening, Task
from memp_bench.studies.config import RunConfig
from memp_bench.studies.ledger import Ledger
from memp_bench.studies.stream import Stream

ROOMS = ("attic", "cellar", "garage", "kitchen", "library", "porch", "shed", "study")
THINGS = {"lamp": "attic", "wine": "cellar", "rope": "shed", "book": "library", "cup": "kitchen", "map": "study"}
TASKS = tuple(
    Task(id=f"game-{n:02d}", family="far" if thing in ("rope", "map") else "near", payload={"thing": thing})
    for n, thing in enumerate(list(THINGS) * 4)
)
"""24 games; every thing is asked for four times."""


class Rooms:
    """One room at a time is opened until the thing is found."""

    def __init__(self, world):
        self.world = world

    async def reset(self, task):
        self.world.resets.append(task.id)
        if faults := self.world.broken.get(task.id):
            raise faults.pop(0) if len(faults) > 1 else faults[0]
        self.thing = task.payload["thing"]
        text = f"fetch the {self.thing} for guest {task.id[-2:]}"
        return Opening(task=text, observation=Observation(text="You stand in the hall."))

    async def step(self, action):
        if self.world.delays:
            await asyncio.sleep(self.world.delays.random() / 200)
        self.world.event()
        room = action.removeprefix("open ")
        if room not in ROOMS:
            return Observation(text="There is no such room.", invalid=True)
        if THINGS[self.thing] == room:
            return Observation(text=f"In the {room} you find the {self.thing}.", reward=1.0, done=True)
        return Observation(text=f"Nothing of use in the {room}.")

    async def close(self):
        pass


class World:
    """The benchmark. `broken`: game -> the faults of its resets (the last one for ever)."""

    name, instructions, example, splits = "rooms", "Open rooms: `open ROOM`.", "", ("test",)

    def __init__(self, *, broken=None, delays=None, event=lambda: None):
        self.broken, self.event = broken or {}, event
        self.delays = random.Random(delays) if delays is not None else None
        self.resets = []

    def tasks(self, split, *, games=None, seed=0):
        return TASKS[:games]

    def environment(self):
        return Rooms(self)

    async def close(self):
        pass


def read_and_open(messages):
    """Opens the room that the recalled text names for the thing; else rooms in an order of the game's own."""
    thing, guest = re.search(r"Task: fetch the (\w+) for guest (\w+)", messages[1].content).groups()
    told = re.search(rf"In the (\w+) you find the {thing}", messages[0].content)
    tried = [m.content.partition("open ")[2] for m in messages if m.role == "assistant"]
    order = sorted(ROOMS, key=lambda room: hashlib.sha256(f"{thing}{guest}{room}".encode()).digest())
    room = told[1] if told and not tried else next(room for room in order if room not in tried)
    return f"Thought: let me see\nAction: open {room}"


def config(**more):
    return RunConfig.parse(
        {"benchmark": "rooms", "split": "test", "model": "scripted:test", "every": 6, "max_steps": 4, "k": 3, **more}
    )


def folder_config(folder):
    return RunConfig.parse((folder / "run.json").read_text())


class Run:
    """A stream in a folder with everything it needs."""

    def __init__(self, folder, *, world=None, model=None, builder=None, budget=None, store=SqliteStore, **more):
        self.world = world or World()
        self.model = model or ScriptedChat(read_and_open)
        self.workers = more.pop("workers", 4)
        self.on_episode = more.pop("on_episode", None)
        self.player = more.pop("player", "local")
        self.config = config(**more)
        self.folder, self.builder, self.store = Path(folder), builder, store
        self.meter = Ledger(self.folder / "usage.jsonl", Budget(calls=budget))
        self.memory = None

    async def __call__(self, tasks=TASKS):
        self.config.claim(self.folder)
        self.memory = self._open() if self.config.memory else None
        try:
            stream = Stream(
                self.config,
                self.world,
                self.model,
                self.memory,
                self.folder,
                meter=self.meter,
                workers=self.workers,
                player=self.player,
                on_episode=self.on_episode,
            )
            return await stream.run(tasks)
        finally:
            if self.memory is not None:
                await self.memory.close()

    def _open(self):
        c = self.config
        return AsyncProceduralMemory(
            self.store(self.folder / "memory.db"),
            build=c.build,
            retrieve=c.retrieve,
            update=c.update,
            model=self.builder,
            embedder=CharEmbedder(),
            k=c.k,
            discard=Discard(served=1, success=1.0) if c.discard else None,
            success_at=1.0,
            meter=self.meter,
        )


def result(summary):
    """What of a summary must not depend on interruptions."""
    return json.loads(summary.model_dump_json(exclude={"wall_s", "out", "usage", "mean_tokens"}))


def remembered(folder):
    """All that a run's memory says, without the ids and times that are drawn anew in every process."""
    memory = AsyncProceduralMemory(SqliteStore(folder / "memory.db", create=False), embedder=CharEmbedder())
    try:
        procedures = [
            [
                (r.number, r.parent, r.content, r.status, r.reason, r.evidence, r.author, served, won)
                for r, served, won in memory.history(p.id)
            ]
            for p in memory.procedures()
        ]
        told = [
            t.model_copy(update={"started_at": None, "finished_at": None})
            for t in memory.store.trajectories(memory.namespace)
        ]
        assert memory.store.check() == []
        return procedures, told, len(memory.store.waiting(memory.namespace))
    finally:
        memory.store.close()


class Countdown:
    """Kills the process after so many events."""

    def __init__(self, events):
        self.left = events

    def __call__(self):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def mortal(countdown):
    """A store whose writes are events, before and after."""

    def around(method):
        def call(*args, **more):
            countdown()
            value = method(*args, **more)
            countdown()
            return value

        return call

    def open_(path):
        store = SqliteStore(path)
        for name in ("record", "write", "log_recall", "log_receipt", "save_draft", "drop_drafts"):
            setattr(store, name, around(getattr(store, name)))
        return store

    return open_


if __name__ == "__main__":
    countdown = Countdown(int(sys.argv[2]))
    player = sys.argv[3] if len(sys.argv) > 3 else "local"
    run = Run(sys.argv[1], world=World(delays=0, event=countdown), store=mortal(countdown), player=player)
    print(asyncio.run(run()).model_dump_json())
