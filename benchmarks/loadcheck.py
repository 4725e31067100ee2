"""Checks a memory against the independent logs of the agents that used it (see loadwork.py).

Reads the logs and the memory's public face, and nothing else. Every rule says what it found in words; no words, no
violation. An operation that was announced and never answered is *in doubt*: it may have happened or not, but whole.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loadwork import PERSON, digest, record_digest

from memp.stores.base import Checks, Store
from memp.stores.entries import OutcomeEntry, RecallEntry, ReceiptEntry, RevisionEntry, TrajectoryEntry

REFUSED = ("StoreBusy", "StoreFull", "StoreReadOnly", "RecordError", "Conflict", "UnknownName")
"""Errors that promise that nothing was written."""


@dataclass
class Operation:
    """What a log says of one operation."""

    op: str
    do: str
    ns: str
    due: float
    intent: dict[str, Any]
    began: float
    """First announced; monotonic seconds of the machine, the same for all processes."""
    ended: float | None = None
    said: Any = None
    acked: bool = False
    failed: list[str] = field(default_factory=list)
    attempts: int = 1

    @property
    def refused(self) -> bool:
        """It failed, and every time with an error that promises that nothing was written."""
        return not self.acked and len(self.failed) == self.attempts and all(kind in REFUSED for kind in self.failed)


def read_logs(folder: Path) -> tuple[dict[str, Operation], int]:
    """All operations by their id, and how many arrivals were never begun. A line that was cut off was never written."""
    operations: dict[str, Operation] = {}
    left = 0
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_bytes().split(b"\n")[:-1]:
            said = json.loads(line)
            match said["e"]:
                case "intent" if said["op"] in operations:
                    operations[said["op"]].attempts += 1
                case "intent":
                    operations[said["op"]] = Operation(said["op"], said["do"], said["ns"], said["due"], said, said["t"])
                case "left":
                    left += said["count"]
                case event:
                    operation = operations[said["op"]]
                    operation.ended = said["t"]
                    if event == "ack":
                        operation.acked, operation.said = True, said["said"]
                    else:
                        operation.failed.append(said["kind"])
    return operations, left


@dataclass
class Findings:
    """What came out."""

    violations: list[str] = field(default_factory=list)
    acknowledged: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    """What the memory holds."""
    doubt_there: int = 0
    """Operations in doubt that are there, whole."""
    doubt_absent: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    """Errors by kind."""
    recalls_lost: int = 0
    """Logged recalls that a crash of the server took, as it may."""

    def merge(self, other: "Findings") -> None:
        """Take up what was found elsewhere."""
        self.violations += other.violations
        self.found += other.found
        self.doubt_there += other.doubt_there
        self.doubt_absent += other.doubt_absent
        self.recalls_lost += other.recalls_lost


def check(folder: Path, store: Store, *, recalls_may_be_lost: bool = False) -> Findings:
    """Hold a memory against the logs in `folder`.

    Args:
        folder: the logs of all agents that ever wrote to it.
        store: the memory, with nobody else at work.
        recalls_may_be_lost: the machine or the server crashed: recalls are logged without waiting for the disk.
    """
    operations, _ = read_logs(folder)
    all_of = Findings()
    by_namespace: dict[str, list[Operation]] = defaultdict(list)
    for operation in operations.values():
        by_namespace[operation.ns].append(operation)
        all_of.acknowledged[operation.do] += operation.acked
        all_of.refused.update(operation.failed)
        all_of.violations += [f"{operation.op}: {kind}" for kind in operation.failed if kind.startswith("unexpected")]
    for namespace in store.namespaces():
        if namespace not in by_namespace:
            all_of.violations.append(f"nobody intended namespace {namespace}")
    for namespace, done in by_namespace.items():
        all_of.merge(_Namespace(namespace, done, store, recalls_may_be_lost).check())
    if isinstance(store, Checks):
        all_of.violations += [f"the store's own check: {line}" for line in store.check()]
    return all_of


class _Namespace:
    """One namespace: what was said of it, and what it holds."""

    def __init__(self, name: str, done: Sequence[Operation], store: Store, recalls_may_be_lost: bool) -> None:
        self.name, self.store, self.recalls_may_be_lost = name, store, recalls_may_be_lost
        self.done = {operation.op: operation for operation in done}
        self.found = Findings()
        self.trajectories: dict[str, TrajectoryEntry] = {}
        self.order: list[str] = []
        self.revisions: dict[str, list[RevisionEntry]] = defaultdict(list)
        self.recalls: dict[str, dict[str, Any]] = {}
        self.outcomes: dict[str, list[OutcomeEntry]] = defaultdict(list)
        self.receipts: dict[str, ReceiptEntry] = {}
        for entry in store.dump(name):
            self._take(entry)

    def check(self) -> Findings:
        """All rules."""
        rules = (
            self._records, self._credit, self._histories, self._authors, self._receipts, self._taken, self._recalls,
            self._undone, self._reads, self._order, self._doubt,
        )  # fmt: skip
        for rule in rules:
            self.found.violations += [f"{self.name}: {said}" for said in rule()]
        kinds: dict[str, Mapping[str, Any]] = {
            "trajectories": self.trajectories,
            "outcomes": self.outcomes,
            "receipts": self.receipts,
            "recalls": self.recalls,
            "procedures": self.revisions,
        }
        self.found.found.update({kind: len(held) for kind, held in kinds.items()})
        self.found.found["revisions"] += sum(map(len, self.revisions.values()))
        return self.found

    def _take(self, entry: object) -> None:
        match entry:
            case TrajectoryEntry():
                self._once(entry.trajectory.id in self.trajectories, "trajectory", entry.trajectory.id)
                self.trajectories[entry.trajectory.id] = entry
                self.order.append(entry.trajectory.id)
            case RevisionEntry():
                self.revisions[entry.revision.procedure_id].append(entry)
            case RecallEntry(recall=recall):
                self._once(recall.id in self.recalls, "recall", recall.id)
                self.recalls[recall.id] = {
                    "id": recall.id,
                    "task": recall.task,
                    "policy": recall.policy,
                    "facts": dict(recall.facts),
                    "at": recall.at.isoformat(),
                    "ranked": [list(item) for item in recall.ranked],
                    "left_out": [list(item) for item in recall.left_out],
                }
            case OutcomeEntry():
                self.outcomes[entry.outcome.trajectory_id].append(entry)
            case ReceiptEntry():
                self._once(entry.receipt.id in self.receipts, "receipt", entry.receipt.id)
                self.receipts[entry.receipt.id] = entry

    def _once(self, again: bool, kind: str, id: str) -> None:
        if again:
            self.found.violations.append(f"{self.name}: {kind} {id} is there twice")

    def _of(self, *kinds: str) -> Iterator[Operation]:
        return (operation for operation in self.done.values() if operation.do in kinds)

    # -- rules -------------------------------------------------------------------------------------

    def _records(self) -> Iterator[str]:
        """Acknowledged trajectories and outcomes are there, once and as recorded; no others; none half."""
        for operation in self._of("record"):
            id, intent = operation.op, operation.intent
            entry, outcomes = self.trajectories.get(id), [e.outcome for e in self.outcomes.get(id, ())]
            if entry is None:
                if operation.acked:
                    yield f"lost trajectory {id}"
                if outcomes:
                    yield f"half a record: an outcome of {id}, and no trajectory"
                continue
            if operation.refused:
                yield f"{id} was refused ({operation.failed[-1]}) and is there"
            if record_digest(entry.trajectory) != intent["trajectory"] or entry.recall_id != intent["recall"]:
                yield f"trajectory {id} is not as it was recorded"
            if intent["recall"] is None:
                if outcomes:
                    yield f"trajectory {id} has an outcome without a recall"
                continue
            if len(outcomes) != 1:
                yield f"{'lost outcome' if not outcomes else 'double outcome'} of {id}: {len(outcomes)} instead of one"
                continue
            (outcome,) = outcomes
            told = (intent["recall"], intent["reward"], intent["reward"] >= 0.5, [tuple(s) for s in intent["served"]])
            if (outcome.recall_id, outcome.reward, outcome.success, list(outcome.credited)) != told:
                yield f"the outcome of {id} is not as it was recorded"
            if outcome.recall_id not in self.recalls:
                yield f"the recall {outcome.recall_id} of outcome {id} is not there"
            said = {"reward": outcome.reward, "credited": [list(c) for c in outcome.credited]}
            if operation.acked and operation.said != said:
                yield f"`record` told another outcome of {id} than is there"
        for operation in self._of("repeat"):
            if "RecordError" in operation.failed:
                yield f"{operation.op} recorded {operation.intent['of']} again and was refused"
        yield from self._intended("trajectory", self.trajectories, "record")
        yield from self._intended("outcome", self.outcomes, "record")

    def _intended(self, kind: str, ids: Iterable[str], *does: str) -> Iterator[str]:
        for id in ids:
            operation = self.done.get(id.split("/")[0].split(".")[0])
            if operation is None or operation.do not in does:
                yield f"nobody intended {kind} {id}"

    def _credit(self) -> Iterator[str]:
        """Counters are what the agents' own logs say was served, and what the memory's own outcomes add up to."""
        logged, own = Counter[tuple[str, int, str]](), Counter[tuple[str, int, str]]()
        for operation in self._of("record"):
            if operation.op in self.outcomes:
                won = operation.intent["reward"] >= 0.5
                for id, number in operation.intent["served"]:
                    logged[id, number, "served"] += 1
                    logged[id, number, "succeeded"] += won
        for entries in self.outcomes.values():
            for outcome in (entry.outcome for entry in entries):
                for id, number in outcome.credited:
                    own[id, number, "served"] += 1
                    own[id, number, "succeeded"] += outcome.success
        counters = Counter[tuple[str, int, str]]()
        for id, entries_of in self.revisions.items():
            for entry in entries_of:
                counters[id, entry.revision.number, "served"] += entry.served
                counters[id, entry.revision.number, "succeeded"] += entry.succeeded
        for key in sorted(counters.keys() | logged.keys() | own.keys()):
            if not counters[key] == logged[key] == own[key]:
                id, number, what = key
                yield (
                    f"credit of {id} revision {number}, {what}: counter {counters[key]}, the agents' logs say "
                    f"{logged[key]}, the memory's outcomes {own[key]}"
                )

    def _histories(self) -> Iterator[str]:
        """Numbers have no gap, parents chain, and every face of the memory says the same."""
        for id, entries in self.revisions.items():
            entries.sort(key=lambda entry: entry.revision.number)
            numbers = [(entry.revision.number, entry.revision.parent) for entry in entries]
            if numbers != [(n, n - 1 or None) for n in range(1, len(entries) + 1)]:
                yield f"revisions of {id} do not chain: {numbers[:20]}"
        ids = list(self.revisions)
        for start in range(0, len(ids), 500):
            part = ids[start : start + 500]
            current = {p.id: p for p in self.store.find(self.name, part)}
            for id in part:
                last = self.revisions[id][-1]
                now = current.get(id)
                if now is None or now.revision != last.revision:
                    yield f"procedure {id} is not at its last revision {last.revision.number}"
                elif (now.served, now.succeeded) != (last.served, last.succeeded):
                    yield f"procedure {id} shows counters {now.succeeded}/{now.served}, its revision has others"

    def _authors(self) -> Iterator[str]:
        """Each revision is of one receipt or of one person's intent, and each that was acknowledged is there."""
        named = Counter[tuple[str, int]]()
        for receipt in (entry.receipt for entry in self.receipts.values()):
            named.update((id, 1) for id in receipt.added)
            named.update(receipt.revised)
        there: set[tuple[str, int]] = set()
        by_person: dict[str, RevisionEntry] = {}
        for id, entries in self.revisions.items():
            for entry in entries:
                key = (id, entry.revision.number)
                there.add(key)
                if entry.revision.author.policy == "person":
                    by_person[entry.revision.reason] = entry
                    intended = self.done.get(entry.revision.reason)
                    if intended is None or intended.do not in PERSON or intended.intent["procedure"] != id:
                        yield f"nobody intended revision {key[1]} of {id}"
                    elif intended.refused:
                        yield f"{intended.op} was refused ({intended.failed[-1]}) and revised {id}"
                elif named[key] != 1:
                    yield f"revision {key[1]} of {id} is in {named[key]} receipts instead of one"
        for id, number in sorted(named.keys() - there):
            yield f"lost revision {number} of {id}: a receipt names it"
        for operation in self._of(*PERSON):
            if operation.acked:
                entry_of = by_person.get(operation.op)
                revision = entry_of.revision if entry_of else None
                if (
                    revision is None
                    or [revision.procedure_id, revision.number, record_digest(revision)] != operation.said
                ):
                    yield f"lost revision of {operation.do} {operation.op}: {operation.said[:2]}"
        yield from self._intended("procedure", self.revisions, "update")

    def _receipts(self) -> Iterator[str]:
        """Acknowledged receipts are there to the letter, with every revision they name."""
        for operation in self._of("update"):
            if not operation.acked:
                continue
            entry = self.receipts.get(operation.said["id"])
            if entry is None or record_digest(entry.receipt) != operation.said["digest"]:
                yield f"lost receipt {operation.said['id']}"
            for id, number in operation.said["revisions"]:
                if len(self.revisions.get(id, ())) < number:
                    yield f"lost revision {number} of {id}: acknowledged by {operation.op}"
        yield from self._intended("receipt", self.receipts, "update")

    def _taken(self) -> Iterator[str]:
        """What an update took has its receipt and its revisions; what waits has none."""
        led: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for id, entries in self.revisions.items():
            for entry in entries:
                if entry.revision.author.policy != "person":
                    led[entry.revision.evidence[0]].append((id, entry.revision.number))
        ids = self.receipts.keys() | {id.split("/")[0] for id in self.receipts}
        for id, taken in self.trajectories.items():
            by, made = taken.consumed_by, led.pop(id, [])
            if by is None:
                if made:
                    yield f"trajectory {id} waits, and {made} were made of it"
                continue
            operation = self.done.get(by.split(".")[0])
            if operation is None or operation.do != "update":
                yield f"nobody intended that {by} took trajectory {id}"
            elif by not in ids:
                yield f"trajectory {id} was taken by {by}, of which there is no receipt"
            elif operation.intent["policy"] == "vanilla" and [number for _, number in made] != [1]:
                yield f"trajectory {id} was taken by {by} (vanilla), and led to {made}"
            elif len(made) > max(1, len(self.done[id].intent["served"]) if id in self.done else 0):
                yield f"trajectory {id} led to more revisions than it may: {made}"
        for id, made in led.items():
            yield f"{made} were made of trajectory {id}, which is not there"

    def _recalls(self) -> Iterator[str]:
        """Recalls are logged as they were returned."""
        for operation in self._of("retrieve"):
            if operation.acked:
                logged = self.recalls.get(operation.said["id"])
                if logged is None and self.recalls_may_be_lost:
                    self.found.recalls_lost += 1
                elif logged is None:
                    yield f"lost recall {operation.said['id']}"
                elif logged != operation.said:
                    yield f"recall {operation.said['id']} is not logged as it was returned"
        yield from self._intended("recall", self.recalls, "retrieve")

    def _undone(self) -> Iterator[str]:
        """An undo says again what the revision before the one it undid said."""
        for operation in self._of("undo"):
            for entry in self.revisions.get(operation.intent["procedure"], ()):
                if entry.revision.reason == operation.op:
                    entries = self.revisions[operation.intent["procedure"]]
                    new, old = entry.revision, entries[max(0, entry.revision.number - 3)].revision
                    if (new.content, new.status, new.stands) != (old.content, old.status, old.stands):
                        yield f"{operation.op}: revision {new.number} does not undo revision {new.number - 1}"

    def _reads(self) -> Iterator[str]:
        """What was read while others wrote was true."""
        for operation in self._of("history", "trajectory", "recall"):
            if not operation.acked:
                continue
            if operation.do == "history":
                count, said = operation.said
                entries = self.revisions.get(operation.intent["procedure"], [])
                if digest([record_digest(entry.revision) for entry in entries[:count]]) != said:
                    yield f"{operation.op} read a history that is not the beginning of the one there is"
                continue
            of = self.done.get(operation.intent["of"].split(".")[0])
            if of is None:
                yield f"{operation.op} read {operation.intent['of']}, which no log speaks of"
            elif operation.said != (of.intent["trajectory"] if operation.do == "trajectory" else of.said):
                yield f"{operation.op} read another {operation.do} than was written"

    def _order(self) -> Iterator[str]:
        """What was acknowledged before another was begun comes before it, whatever the clocks say."""
        logs = {
            "trajectories": self.order,
            "outcomes": [outcome.trajectory_id for _, outcome in self.store.outcomes_since(self.name)],
        }
        for kind, order in logs.items():
            latest = 0.0
            for id in order:
                operation = self.done.get(id)
                if operation is None:
                    continue  # said above
                if operation.acked and operation.ended is not None and operation.ended < latest:
                    yield f"{kind}: {id} comes after one that was begun when it was acknowledged"
                latest = max(latest, operation.began)

    def _doubt(self) -> Iterator[str]:
        """How what was neither acknowledged nor refused ended. Half of it would have been found above."""
        reasons = {e.revision.reason for entries in self.revisions.values() for e in entries}
        owners = {id.split("/")[0].split(".")[0] for id in (*self.receipts, *self.recalls)}
        for operation in self._of("record", "update", "retrieve", *PERSON):
            if not operation.acked and not operation.refused:
                there = operation.op in self.trajectories or operation.op in reasons or operation.op in owners
                self.found.doubt_there += there
                self.found.doubt_absent += not there
        yield from ()
