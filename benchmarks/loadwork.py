"""A process of agents under load (see load.py): a mixed workload through memp's public face, and a log of each agent.

    python benchmarks/loadwork.py CONFIG.json     (load.py and faults.py start it)

Trajectories are synthetic: household tasks of a small world, rewards drawn with a fixed seed. memp never reads the
logs, and the checker (loadcheck.py) reads nothing of this process but them.
"""

import asyncio
import contextvars
import hashlib
import inspect
import itertools
import json
import os
import random
import signal
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from memp import AsyncProceduralMemory, MempError, Recall, Receipt, Revision, Step, StoreError, Trajectory
from memp.records import Outcome
from memp.stores.connect import is_url

POLICIES = ("vanilla", "validation", "adjustment")
DEEDS = ("put", "clean", "heat", "cool", "find", "examine")
THINGS = (
    "mug",
    "plate",
    "apple",
    "egg",
    "knife",
    "lamp",
    "towel",
    "book",
    "key",
    "phone",
    "bowl",
    "cup",
    "pan",
    "spoon",
)
PLACES = ("desk", "shelf", "fridge", "drawer", "table", "sink", "cabinet", "bed")
MIX = {"retrieve": 44, "record": 38, "update": 3, "curate": 6, "read": 9}
"""Of 100 arrivals. A record without a recall at hand becomes a retrieval, but for one in seven."""
CURATE = ("pin", "unpin", "approve", "reject", "undo", "undo", "retire", "restore")
PERSON = tuple(dict.fromkeys(CURATE))
READ = ("search", "history", "history", "trajectory", "recall", "outcomes", "receipts", "queue")


@dataclass(frozen=True)
class Config:
    """What one process does."""

    place: str
    folder: str
    agents: list[str]
    number: int
    rate: float
    """Arrivals a second of each agent."""
    seconds: float
    namespaces: list[str] = field(default_factory=lambda: [f"team-{n}" for n in range(4)])
    seed: int = 0
    timeout: float = 30.0
    clock_hours: float = 0.0
    """The injected clock is wrong by up to so many hours, and jumps."""
    observation: int = 60
    """Characters of an observation beside its words."""


def digest(value: object) -> str:
    """Names a value that JSON can hold."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:20]


def record_digest(record: Any) -> str:
    """Names a record of memp by all its fields."""
    return digest(record.model_dump(mode="json"))


class Log:
    """Append-only; a line is with the system before what it announces begins, and survives the process."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def write(self, **said: Any) -> None:
        os.write(self._file, (json.dumps(said, separators=(",", ":")) + "\n").encode())


OPERATION: contextvars.ContextVar[Callable[[], str]] = contextvars.ContextVar("operation")


def operation_id() -> str:
    """A fresh id, of the operation that this task is at."""
    return OPERATION.get()()


def numbered(operation: str) -> Callable[[], str]:
    """Ids that tell which operation they were made for."""
    count = itertools.count(1)
    return lambda: f"{operation}.{next(count)}"


class Jumping:
    """A clock that is wrong by up to `hours`, and every now and then by another amount."""

    def __init__(self, hours: float, rng: random.Random) -> None:
        self._hours, self._rng = hours, rng
        self._wrong = rng.uniform(-hours, hours)

    def __call__(self) -> datetime:
        if self._rng.random() < 0.1:
            self._wrong = self._rng.uniform(-self._hours, self._hours)
        return datetime.now(UTC) + timedelta(hours=self._wrong)


def open_memories(config: Config) -> dict[str, AsyncProceduralMemory]:
    """One memory for each namespace on one store; update and retrieve policies differ from process to process."""
    if is_url(config.place):
        from memp.stores.postgres import PostgresStore

        store: Any = PostgresStore(config.place, timeout=config.timeout)
    else:
        from memp.stores.sqlite import SqliteStore

        store = SqliteStore(config.place, timeout=config.timeout)
    clock = Jumping(config.clock_hours, random.Random(f"clock {config.seed} {config.number}"))
    return {
        name: AsyncProceduralMemory(
            store,
            namespace=name,
            update=POLICIES[(config.number + n) % 3],
            retrieve="avefact" if (config.number + n) % 4 == 3 else "query",
            approve=n == len(config.namespaces) - 1,
            k=4,
            agent="synthetic",
            clock=clock,
            ids=operation_id,
        )
        for n, name in enumerate(config.namespaces)
    }


class Agent:
    """Does one thing after the other; what falls due meanwhile waits, and its latency counts from when it was due."""

    def __init__(self, name: str, config: Config, memories: dict[str, AsyncProceduralMemory]) -> None:
        self.name, self.config, self.memories = name, config, memories
        self.log = Log(Path(config.folder) / f"{name}.jsonl")
        self.rng = random.Random(f"{config.seed} {name}")
        self.parent = os.getppid()
        self.count = 0
        self.recalls: deque[tuple[str, Recall]] = deque(maxlen=4)
        self.recorded: deque[tuple[str, Trajectory, Recall | None]] = deque(maxlen=4)
        self.served: deque[tuple[str, str]] = deque(maxlen=32)
        """Namespace and id of procedures it was served."""
        self.waiting: deque[tuple[str, str]] = deque(maxlen=32)
        """Likewise of those its updates left for a person."""

    async def run(self, begin: float, stop: asyncio.Event) -> None:
        """Until the time is over or it is told to stop."""
        end, due = begin + self.config.seconds, begin
        while (due := due + self.rng.expovariate(self.config.rate)) < end:
            if (early := due - time.monotonic()) > 0:
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), early)
            if stop.is_set() or os.getppid() != self.parent:  # nobody is left to check what we do
                return
            if time.monotonic() >= end:
                break
            await self.step(due)
        left = 0
        while due < end:
            left, due = left + 1, due + self.rng.expovariate(self.config.rate)
        self.log.write(e="left", count=left)

    async def step(self, due: float) -> None:
        what = self.rng.choices(list(MIX), list(MIX.values()))[0]
        if what == "record" and not self.recalls and self.rng.random() > 0.15:
            what = "retrieve"
        await getattr(self, what)(due)

    # -- the loop ----------------------------------------------------------------------------------

    async def retrieve(self, due: float) -> None:
        ns, task = self.rng.choice(self.config.namespaces), self._task()
        recall = await self._do("retrieve", due, ns, lambda: self.memories[ns].retrieve(task), recalled, task=task)
        if recall is not None:
            self.recalls.append((ns, recall))
            self.served.extend((ns, item.procedure.id) for item in recall.ranked)

    async def record(self, due: float) -> None:
        if self.recorded and self.rng.random() < 0.03:
            await self._repeat(due)
            return
        ns, recall = self.recalls.popleft() if self.recalls else (self.rng.choice(self.config.namespaces), None)
        trajectory = self._trajectory(f"{self.name}-{self.count + 1}", recall.task if recall else self._task())
        told = await self._do(
            "record", due, ns, lambda: self.memories[ns].record(trajectory, recall), recorded, again=True,
            trajectory=record_digest(trajectory), reward=trajectory.reward, recall=recall.id if recall else None,
            served=[[r.procedure.id, r.procedure.revision.number] for r in recall.ranked] if recall else [],
        )  # fmt: skip
        if told is not None:
            self.recorded.append((ns, trajectory, recall))

    async def _repeat(self, due: float) -> None:
        """Record again what was recorded, as one does who is not sure: nothing may be counted twice."""
        ns, trajectory, recall = self.rng.choice(self.recorded)
        await self._do("repeat", due, ns, lambda: self.memories[ns].record(trajectory, recall), of=trajectory.id)

    async def update(self, due: float) -> None:
        ns = self.rng.choice(self.config.namespaces)
        policy = self.memories[ns].updating.name
        receipt = await self._do("update", due, ns, self.memories[ns].update, received, policy=policy)
        if receipt is not None and self.memories[ns].approving:
            self.waiting.extend((ns, id) for id in (*receipt.added, *(id for id, _ in receipt.revised)))

    # -- a person ----------------------------------------------------------------------------------

    async def curate(self, due: float) -> None:
        do = self.rng.choice(CURATE)
        among = self.waiting if do in ("approve", "reject") else self.served
        if not among:
            await self.retrieve(due)
            return
        (ns, id), reason = self.rng.choice(among), f"{self.name}-{self.count + 1}"
        await self._do(do, due, ns, lambda: getattr(self.memories[ns], do)(id, reason=reason), revised, procedure=id)

    async def read(self, due: float) -> None:
        do = self.rng.choice(READ)
        ns, id = self.rng.choice(self.served) if self.served else (self.config.namespaces[0], "")
        if do == "search":
            words = " ".join(self._task().split()[2:3])
            await self._do(
                do, due, ns, lambda: self.memories[ns].search(words, limit=5), lambda found: [p.id for p in found]
            )
        elif do == "history" and id:
            await self._do(do, due, ns, lambda: self.memories[ns].history(id), seen, procedure=id)
        elif do in ("trajectory", "recall") and self.recorded:
            ns, trajectory, recall = self.rng.choice(self.recorded)
            if do == "recall" and recall is not None:
                await self._do(do, due, ns, lambda: self.memories[ns].recall(recall.id), recalled, of=recall.id)
            else:
                id = trajectory.id
                await self._do("trajectory", due, ns, lambda: self.memories[ns].trajectory(id), record_digest, of=id)
        elif do == "queue":
            memory = self.memories[self.config.namespaces[-1]]
            await self._do(do, due, memory.namespace, lambda: list(itertools.islice(memory.queue(), 5)))
        else:
            log = getattr(self.memories[ns], "receipts" if do == "receipts" else "outcomes")
            await self._do("receipts" if do == "receipts" else "outcomes", due, ns, lambda: log(limit=10))

    # -- doing and logging -------------------------------------------------------------------------

    async def _do(
        self, do: str, due: float, ns: str, call: Callable[[], Any], said: Callable[[Any], Any] = lambda _: None,
        *, again: bool = False, **intent: Any,
    ) -> Any:  # fmt: skip
        """Announce an operation, do it, and log what came back; `again`: once more half of the times it failed."""
        self.count += 1
        op = f"{self.name}-{self.count}"
        OPERATION.set(numbered(op))
        for _ in range(2 if again and self.rng.random() < 0.5 else 1):
            self.log.write(e="intent", op=op, do=do, ns=ns, due=due, t=time.monotonic(), **intent)
            try:
                answer = call()
                answer = await answer if inspect.isawaitable(answer) else answer
            except MempError as error:
                self._failed(op, error, type(error).__name__)
                if not isinstance(error, StoreError):
                    return None
            except Exception as error:  # noqa: BLE001 - nothing else may come out of memp; the checker says so
                self._failed(op, error, f"unexpected {type(error).__name__}")
                return None
            else:
                self.log.write(e="ack", op=op, t=time.monotonic(), said=said(answer))
                return answer
        return None

    def _failed(self, op: str, error: Exception, kind: str) -> None:
        self.log.write(e="failed", op=op, t=time.monotonic(), kind=kind, why=str(error)[:300])

    # -- the synthetic world -----------------------------------------------------------------------

    def _task(self) -> str:
        rng = self.rng
        return f"{rng.choice(DEEDS)} the {rng.choice(THINGS)} and leave it at the {rng.choice(PLACES)}"

    def _trajectory(self, id: str, task: str) -> Trajectory:
        rng, words = self.rng, task.split()
        thing, place, kind = words[2], words[-1], rng.randrange(3)
        reward = rng.choice((0.0, 0.0, 0.3, 0.5, 1.0, 1.0, 1.0))
        actions = [f"go to {place} {n + 1}" for n in range(kind + 1)]
        actions += [f"take {thing} 1 from {place} {kind + 1}", f"{words[0]} {thing} 1", f"put {thing} 1 on {place} 1"]
        more = rng.randbytes(self.config.observation // 2).hex()
        steps = [
            Step(action=action, observation=f"You see {thing} 1 and {rng.choice(THINGS)} 2. {more}")
            for action in actions
        ]
        if reward < 0.5:
            wrong = rng.choice(THINGS)
            steps.append(Step(action=f"open {wrong} 1", observation="Nothing happens.", error="agent"))
        feedback = "" if reward >= 0.5 else f"the {thing} is not where it should be"
        return Trajectory(id=id, task=task, steps=tuple(steps), reward=reward, feedback=feedback, source="synthetic")


# -- what came back, as the log keeps it -----------------------------------------------------------


def recalled(recall: Recall) -> dict[str, Any]:
    """Everything of a recall that must be logged."""
    return {
        "id": recall.id,
        "task": recall.task,
        "policy": recall.policy,
        "facts": dict(recall.facts),
        "at": recall.at.isoformat(),
        "ranked": [[r.procedure.id, r.procedure.revision.number, r.score, r.why] for r in recall.ranked],
        "left_out": [[item.procedure_id, item.score, item.why] for item in recall.left_out],
    }


def recorded(told: Any) -> dict[str, Any] | None:
    """The outcome that `record` told of."""
    outcome: Outcome | None = told.outcome
    return None if outcome is None else {"reward": outcome.reward, "credited": [list(c) for c in outcome.credited]}


def received(receipt: Receipt) -> dict[str, Any]:
    """A receipt: which revisions it names, and all of it."""
    new = [[id, 1] for id in receipt.added] + [list(item) for item in receipt.revised]
    return {"id": receipt.id, "revisions": new, "digest": record_digest(receipt)}


def revised(revision: Revision) -> list[Any]:
    """A revision that a person made."""
    return [revision.procedure_id, revision.number, record_digest(revision)]


def seen(history: Any) -> list[Any]:
    """How much of a history was seen, and what."""
    return [len(history), digest([record_digest(revision) for revision, _, _ in history])]


async def main(config: Config) -> None:
    """Open the memories, say so, wait to be told when to begin, work."""
    stop = asyncio.Event()
    memories = open_memories(config)
    agents = [Agent(name, config, memories) for name in config.agents]
    print("ready", flush=True)
    begin = float(await asyncio.to_thread(sys.stdin.readline))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await asyncio.gather(*(agent.run(begin, stop) for agent in agents))
    for memory in memories.values():
        await memory.close()


def save(config: Config, path: Path) -> None:
    """Write a configuration down for a process."""
    path.write_text(json.dumps(asdict(config)))


if __name__ == "__main__":
    asyncio.run(main(Config(**json.loads(Path(sys.argv[1]).read_text()))))
