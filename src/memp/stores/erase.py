"""Erasing for good: every trace of chosen trajectories leaves the embedded store, in one transaction."""

import json
import re
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime

import numpy as np

from memp.records import Author, Outcome, Receipt, Revision, Trajectory
from memp.stores.audit import miscounted
from memp.stores.base import Erased, Write, text_key
from memp.stores.compaction import expand
from memp.stores.entries import LoggedRecall
from memp.stores.statements import append, read_trajectory, stamp, words_of
from memp.stores.traces import Traces

REASON = "something it said was erased on request"


def erase(
    db: sqlite3.Connection, namespace: str, trajectories: Collection[str], task: str | None, at: datetime
) -> tuple[Erased, Traces]:
    """Erase the trajectories of these ids and of this task, and all that follows from them. Within a transaction.

    A procedure that was built from one is erased. Another one loses the first revision that one of them led to, with
    those after it, and goes on from the one before. Recalls and outcomes of other tasks lose what names these.
    """
    work = _Erasing(db, namespace, trajectories, task)
    db.execute("INSERT INTO permits VALUES ('erase')")
    counts = {
        "outcomes": work.outcomes(),
        "recalls": work.recalls(),
        "trajectories": work.take_trajectories(),
        "receipts": work.receipts(),
        "revisions": work.revisions(at),
        "vectors": work.vectors(),
        "drafts": db.execute("DELETE FROM drafts WHERE namespace = ?", (namespace,)).rowcount,
    }
    work.recount()
    if counts["trajectories"]:  # the dictionary may hold parts of them
        expand(db, namespace)
    if counts["trajectories"] or counts["revisions"] or counts["recalls"]:
        db.execute("INSERT INTO erasures (at) VALUES (?)", (stamp(at),))
    db.execute("DELETE FROM permits WHERE operation = 'erase'")
    erased = Erased(procedures=len(work.gone), returned=tuple(work.returned), **counts)
    return erased, work.traces


def still_there(
    db: sqlite3.Connection, namespace: str, recall: LoggedRecall, outcome: Outcome
) -> tuple[LoggedRecall, Outcome]:
    """A recall and its outcome without what was erased while the task was played."""
    if not db.execute("SELECT 1 FROM erasures WHERE at >= ? LIMIT 1", (stamp(recall.at),)).fetchone():
        return recall, outcome

    def there(id: str, number: int) -> bool:
        found = db.execute(
            "SELECT body FROM revisions WHERE namespace = ? AND procedure_id = ? AND number = ?",
            (namespace, id, number),
        ).fetchone()  # a later one may have taken the number of one that was erased
        return found is not None and Revision.model_validate_json(found[0]).at <= recall.at

    def known(id: str) -> bool:
        return bool(db.execute("SELECT 1 FROM procedures WHERE namespace = ? AND id = ?", (namespace, id)).fetchone())

    served = {
        "ranked": tuple(item for item in recall.ranked if there(item[0], item[1])),
        "withheld": tuple(item for item in recall.withheld if there(item[0], item[1])),
        "left_out": tuple(item for item in recall.left_out if known(item[0])),
    }
    credited = {
        "credited": tuple(item for item in outcome.credited if there(*item)),
        "withheld": tuple(item for item in outcome.withheld if there(*item)),
    }
    return recall.model_copy(update=served), outcome.model_copy(update=credited)


class _Erasing:
    """Finds what follows from the trajectories at first, then takes it out kind by kind."""

    def __init__(self, db: sqlite3.Connection, namespace: str, trajectories: Collection[str], task: str | None) -> None:
        self._db, self._namespace, self._task = db, namespace, task
        self.traces = Traces()
        self.traces.name(*trajectories, *([task] if task else []))
        self._texts: set[str] = {task} if task else set()
        """Texts that may have a vector."""
        self._ids: set[str] = set()
        self._recalls: set[str] = set()
        self._cut: dict[str, int] = {}
        """Procedure -> number of its first revision that goes; 1: all of it."""
        self.returned: list[tuple[str, int]] = []
        self._find_trajectories(trajectories)
        self._find_recalls()
        self._find_revisions()
        self.gone = {id for id, number in self._cut.items() if number == 1}
        self._named = _words(self._ids | self._recalls | self.gone)

    def _rows(self, table: str) -> Iterator[tuple[int, str]]:
        yield from self._db.execute(
            f"SELECT seq, body FROM {table} WHERE namespace = ? ORDER BY seq", (self._namespace,)
        ).fetchall()

    # -- what follows ------------------------------------------------------------------------------

    def _find_trajectories(self, wanted: Collection[str]) -> None:
        for id, body, recall_id in self._db.execute(
            "SELECT id, body, recall_id FROM trajectories WHERE namespace = ? ORDER BY seq", (self._namespace,)
        ):
            if id not in wanted and self._task is None:
                continue
            trajectory = read_trajectory(body, words_of(self._db))
            if id in wanted or trajectory.task == self._task:
                self._ids.add(id)
                self._texts |= {trajectory.task, *trajectory.facts.values()}
                self.traces.name(id)
                self.traces.say(_texts(trajectory))
                self.traces.hold(body)
                if recall_id is not None:
                    self._recalls.add(recall_id)

    def _find_recalls(self) -> None:
        if self._task is None:  # a recall that another trajectory was played with as well is also that one's
            others = self._db.execute(
                "SELECT id, recall_id FROM trajectories WHERE namespace = ? AND recall_id IS NOT NULL",
                (self._namespace,),
            )
            self._recalls -= {recall_id for id, recall_id in others if id not in self._ids}
        for _, body in self._rows("recalls"):
            recall = json.loads(body)
            if recall["id"] in self._recalls or recall["task"] == self._task:
                self._recalls.add(recall["id"])
                self._texts |= {recall["task"], *recall["facts"].values()}
                self.traces.name(recall["id"])
                self.traces.say([recall["task"], *recall["facts"].values()])

    def _find_revisions(self) -> None:
        revisions = [json.loads(body) for _, body in self._rows("revisions")]
        known = -1
        while known != len(self._cut):  # what was merged into an erased procedure names it, and so on
            known = len(self._cut)
            named = _words(id for id, number in self._cut.items() if number == 1)
            for revision in revisions:
                id, number = revision["procedure_id"], revision["number"]
                if number < self._cut.get(id, number + 1) and self._follows(revision, named):
                    self._cut[id] = number
        for revision in revisions:
            if revision["number"] >= self._cut.get(revision["procedure_id"], revision["number"] + 1):
                content = revision["content"]
                self._texts |= {content["task"], *content["facts"].values()}
                self.traces.say([revision["reason"], *_script(content)])
        self.traces.name(*(id for id, number in self._cut.items() if number == 1))

    def _follows(self, revision: dict, named: "re.Pattern[str] | None") -> bool:  # type: ignore[type-arg]
        content, reason = revision["content"], revision["reason"]
        return bool(
            self._ids.intersection(revision["evidence"])
            or content["trajectory_id"] in self._ids
            or (self._task is not None and (content["task"] == self._task or f'"{self._task[:200]}"' in reason))
            or (named and named.search(reason))
        )

    def _goes(self, id: str, number: int) -> bool:
        return number >= self._cut.get(id, number + 1)

    # -- taking it out -----------------------------------------------------------------------------

    def take_trajectories(self) -> int:
        """The trajectories themselves."""
        self._db.executemany(
            "DELETE FROM trajectories WHERE namespace = ? AND id = ?", [(self._namespace, id) for id in self._ids]
        )
        self._db.executemany(
            "UPDATE trajectories SET recall_id = NULL WHERE namespace = ? AND recall_id = ?",
            [(self._namespace, id) for id in self._recalls],
        )
        return len(self._ids)

    def recalls(self) -> int:
        """Recalls of the tasks; others lose what they say of erased procedures."""
        erased = 0
        for seq, body in self._rows("recalls"):
            recall = LoggedRecall.model_validate_json(body)
            if recall.id in self._recalls:
                self._db.execute("DELETE FROM recalls WHERE seq = ?", (seq,))
                erased += 1
                continue
            kept = recall.model_copy(
                update={
                    "ranked": tuple(item for item in recall.ranked if not self._goes(item[0], item[1])),
                    "withheld": tuple(item for item in recall.withheld if not self._goes(item[0], item[1])),
                    "left_out": tuple(item for item in recall.left_out if item[0] not in self.gone),
                }
            )
            if kept != recall:
                self._db.execute("UPDATE recalls SET body = ? WHERE seq = ?", (kept.model_dump_json(), seq))
        return erased

    def outcomes(self) -> int:
        """Outcomes of the tasks; others credit erased revisions no more."""
        erased = 0
        for seq, body in self._rows("outcomes"):
            outcome = Outcome.model_validate_json(body)
            if outcome.trajectory_id in self._ids or outcome.recall_id in self._recalls:
                self._db.execute("DELETE FROM outcomes WHERE seq = ?", (seq,))
                erased += 1
                continue
            kept = outcome.model_copy(
                update={
                    "credited": tuple(item for item in outcome.credited if not self._goes(*item)),
                    "withheld": tuple(item for item in outcome.withheld if not self._goes(*item)),
                }
            )
            if kept != outcome:
                self._db.execute("UPDATE outcomes SET body = ? WHERE seq = ?", (kept.model_dump_json(), seq))
        return erased

    def receipts(self) -> int:
        """Receipts name erased things no more. How many were changed."""
        changed = 0
        for seq, body in self._rows("receipts"):
            receipt = Receipt.model_validate_json(body)
            kept = receipt.model_copy(
                update={
                    "added": tuple(id for id in receipt.added if id not in self.gone),
                    "retired": tuple(id for id in receipt.retired if id not in self.gone),
                    "quarantined": tuple(id for id in receipt.quarantined if id not in self.gone),
                    "revised": tuple(item for item in receipt.revised if not self._goes(*item)),
                    "skipped": tuple(s for s in receipt.skipped if not self._speaks(f"{s.subject} {s.reason}")),
                }
            )
            if kept != receipt:
                self._db.execute("UPDATE receipts SET body = ? WHERE seq = ?", (kept.model_dump_json(), seq))
                changed += 1
        return changed

    def _speaks(self, text: str) -> bool:
        about = self._task is not None and f'"{self._task[:200]}"' in text
        return about or bool(self._named and self._named.search(text))

    def revisions(self, at: datetime) -> int:
        """Procedures that were built from the trajectories, and revisions that they led to. How many revisions."""
        erased = 0
        for id, first in self._cut.items():
            key = (self._namespace, id)
            (last,) = self._db.execute(
                "SELECT body FROM revisions WHERE namespace = ? AND procedure_id = ? ORDER BY number DESC LIMIT 1", key
            ).fetchone()
            erased += self._db.execute(
                "DELETE FROM revisions WHERE namespace = ? AND procedure_id = ? AND number >= ?", (*key, first)
            ).rowcount
            if first > 1:
                self._return(id, first - 1, Revision.model_validate_json(last), at)
                continue
            (seq,) = self._db.execute("SELECT seq FROM procedures WHERE namespace = ? AND id = ?", key).fetchone()
            self._db.execute("DELETE FROM procedures_text WHERE rowid = ?", (seq,))
            self._db.execute("DELETE FROM procedures WHERE seq = ?", (seq,))
        if self._cut:  # words that were deleted stay in the index of words until it is made anew
            self._db.execute("INSERT INTO procedures_text (procedures_text) VALUES ('rebuild')")
        return erased

    def _return(self, id: str, number: int, last: Revision, at: datetime) -> None:
        """Go on from the last clean revision. What is not served does not come back by this, unless a merge with what
        is erased took it out."""
        (body,) = self._db.execute(
            "SELECT body FROM revisions WHERE namespace = ? AND procedure_id = ? AND number = ?",
            (self._namespace, id, number),
        ).fetchone()
        clean = Revision.model_validate_json(body)
        out = last.status in ("retired", "quarantined") and last.author.policy != "merge"
        revision = clean.model_copy(
            update={
                "number": number + 1,
                "parent": number,
                "status": last.status if out else clean.status,
                "stands": None if out else clean.stands,
                "reason": REASON,
                "author": Author(policy="forget"),
                "at": at,
                "pinned": last.pinned,
            }
        )
        self._db.execute("UPDATE procedures SET head = ? WHERE namespace = ? AND id = ?", (number, self._namespace, id))
        append(self._db, self._namespace, Write(revision=revision))
        self.returned.append((id, number + 1))

    def vectors(self) -> int:
        """Vectors of their texts. They are a cache: what others say too is embedded again."""
        erased = 0
        for text in self._texts:
            key = text_key(text)
            for (vector,) in self._db.execute("SELECT vector FROM vectors WHERE key = ?", (key,)):
                self.traces.hold(vector)
                self.traces.hold(_half(vector))  # as it is in an index beside the file
            erased += self._db.execute("DELETE FROM vectors WHERE key = ?", (key,)).rowcount
        return erased

    def recount(self) -> None:
        """Counters of what is left are those of the outcomes that are left."""
        self._db.executemany(
            "UPDATE revisions SET served = ?, succeeded = ? WHERE namespace = ? AND procedure_id = ? AND number = ?",
            [(*right, *key) for key, _, right in list(miscounted(self._db, self._namespace))],
        )


def _texts(trajectory: Trajectory) -> Iterator[str]:
    yield from (trajectory.task, trajectory.start, trajectory.feedback, trajectory.source, *trajectory.facts.values())
    for step in trajectory.steps:
        yield from (step.action, step.observation, step.thought, step.feedback)


def _script(content: dict) -> Iterator[str]:  # type: ignore[type-arg]
    yield content["task"]
    yield from content["facts"].values()
    if script := content["script"]:
        yield script["goal"]
        for field in ("applies_when", "does_not_apply_when", "steps", "pitfalls"):
            yield from script[field]


def _words(ids: Iterable[str]) -> "re.Pattern[str] | None":
    """Finds any of the ids where it stands for itself, and not in a longer one."""
    chosen = sorted(set(ids))
    return re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, chosen))})(?![\w-])") if chosen else None


def _half(vector: bytes) -> bytes:
    """A stored vector in half floats."""
    return np.frombuffer(vector[: len(vector) // 4 * 4], dtype=np.float32).astype(np.float16).tobytes()
