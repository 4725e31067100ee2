"""Erasing for good in the in-memory store: what follows from chosen trajectories, and taking it out."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from datetime import datetime

from memp.records import Author, Outcome, Revision
from memp.stores.base import Write
from memp.stores.entries import LoggedRecall
from memp.testing._space import Space, State


class Erasing:
    """Works on a space of its own (a copy): see `Store.forget` for what goes and what stays."""

    def __init__(self, space: Space, wanted: Collection[str], task: str | None) -> None:
        self._space, self._task = space, task
        self.ids = {id for id, told in space.trajectories.items() if id in wanted or told.trajectory.task == task}
        self.recalls = self._find_recalls()
        self.cut: dict[str, int] = {}
        """Procedure -> number of its first revision that goes."""
        self._find_revisions()
        self.gone = {id for id, number in self.cut.items() if number == 1}
        self.returned: list[tuple[str, int]] = []

    def texts(self) -> set[str]:
        """Texts that may have a vector and must not have one any more."""
        space = self._space
        told = [space.trajectories[id].trajectory for id in self.ids] + [space.recalls[id] for id in self.recalls]
        said = [state.revision.content for key, state in space.revisions.items() if self._goes(key)]
        found = {text for item in (*told, *said) for text in (item.task, *item.facts.values())}
        return found | ({self._task} if self._task else set())

    def take_out(self, at: datetime, number: Callable[[], int]) -> dict[str, int]:
        """Take it all out; says how many of each kind."""
        space = self._space
        outcomes, receipts = len(space.outcomes), dict(space.receipts)
        self._outcomes()
        self._recalls()
        self._receipts()
        for id in self.ids:
            del space.trajectories[id]
        for id, told in space.trajectories.items():
            if told.recall_id in self.recalls:
                space.trajectories[id] = told._replace(recall_id=None)
        drafts = len(space.drafts)
        space.drafts.clear()
        revisions = self._revisions(at, number)
        self._recount()
        return {
            "trajectories": len(self.ids),
            "procedures": len(self.gone),
            "revisions": revisions,
            "recalls": len(self.recalls),
            "outcomes": outcomes - len(space.outcomes),
            "receipts": sum(space.receipts[id] != receipt for id, receipt in receipts.items()),
            "drafts": drafts,
        }

    # -- what follows ------------------------------------------------------------------------------

    def _find_recalls(self) -> set[str]:
        told = self._space.trajectories
        played = {told[id].recall_id for id in self.ids}
        if self._task is None:  # a recall that another trajectory was played with as well is also that one's
            played -= {other.recall_id for id, other in told.items() if id not in self.ids}
        return {id for id, recall in self._space.recalls.items() if id in played or recall.task == self._task}

    def _find_revisions(self) -> None:
        known = -1
        while known != len(self.cut):  # what was merged into an erased procedure names it, and so on
            known = len(self.cut)
            named = _words(id for id, number in self.cut.items() if number == 1)
            for (id, number), state in self._space.revisions.items():
                if number < self.cut.get(id, number + 1) and self._follows(state.revision, named):
                    self.cut[id] = number

    def _follows(self, revision: Revision, named: re.Pattern[str] | None) -> bool:
        content, task = revision.content, self._task
        return bool(
            self.ids.intersection(revision.evidence)
            or content.trajectory_id in self.ids
            or (task is not None and (content.task == task or f'"{task[:200]}"' in revision.reason))
            or (named and named.search(revision.reason))
        )

    def _goes(self, key: tuple[str, int]) -> bool:
        id, number = key
        return number >= self.cut.get(id, number + 1)

    # -- taking it out -----------------------------------------------------------------------------

    def _outcomes(self) -> None:
        kept = {}
        for id, (number, outcome) in self._space.outcomes.items():
            if id not in self.ids and outcome.recall_id not in self.recalls:
                credited = tuple(key for key in outcome.credited if not self._goes(key))
                withheld = tuple(key for key in outcome.withheld if not self._goes(key))
                kept[id] = (number, outcome.model_copy(update={"credited": credited, "withheld": withheld}))
        self._space.outcomes = kept

    def _recalls(self) -> None:
        kept = {}
        for id, recall in self._space.recalls.items():
            if id not in self.recalls:
                change = {
                    "ranked": tuple(item for item in recall.ranked if not self._goes(item[:2])),
                    "withheld": tuple(item for item in recall.withheld if not self._goes(item[:2])),
                    "left_out": tuple(item for item in recall.left_out if item[0] not in self.gone),
                }
                kept[id] = recall.model_copy(update=change)
        self._space.recalls = kept

    def _receipts(self) -> None:
        named = _words(self.ids | self.recalls | self.gone)

        def speaks(text: str) -> bool:
            about = self._task is not None and f'"{self._task[:200]}"' in text
            return about or bool(named and named.search(text))

        for id, receipt in self._space.receipts.items():
            change: dict[str, object] = {
                kind: tuple(one for one in getattr(receipt, kind) if one not in self.gone)
                for kind in ("added", "retired", "quarantined")
            }
            change["revised"] = tuple(key for key in receipt.revised if not self._goes(key))
            change["skipped"] = tuple(s for s in receipt.skipped if not speaks(f"{s.subject} {s.reason}"))
            self._space.receipts[id] = receipt.model_copy(update=change)

    def _revisions(self, at: datetime, number: Callable[[], int]) -> int:
        space = self._space
        going = [key for key in space.revisions if self._goes(key)]
        last = {id: space.revisions[id, space.procedures[id].head].revision for id in self.cut}
        for key in going:
            del space.revisions[key]
        for id, first in self.cut.items():
            if first == 1:
                del space.procedures[id]
            else:
                space.procedures[id] = space.procedures[id]._replace(head=first - 1)
                space.append(Write(revision=self._return(id, first, last[id], at)), number)
                self.returned.append((id, first))
        return len(going)

    def _return(self, id: str, number: int, last: Revision, at: datetime) -> Revision:
        """The last clean revision again. What was taken out of service stays out, unless a merge did it."""
        clean = self._space.revisions[id, number - 1].revision
        out = last.status in ("retired", "quarantined") and last.author.policy != "merge"
        change: dict[str, object] = {"status": last.status, "stands": None} if out else {}
        change |= {"number": number, "parent": number - 1, "at": at, "pinned": last.pinned}
        change |= {"reason": "something it said was erased on request", "author": Author(policy="forget")}
        return clean.model_copy(update=change)

    def _recount(self) -> None:
        served: Counter[tuple[str, int]] = Counter()
        succeeded: Counter[tuple[str, int]] = Counter()
        for _, outcome in self._space.outcomes.values():
            served.update(outcome.credited)
            succeeded.update(outcome.credited if outcome.success else ())
        for key, state in self._space.revisions.items():
            self._space.revisions[key] = State(state.revision, served[key], succeeded[key])


def still_there(space: Space, recall: LoggedRecall, outcome: Outcome) -> tuple[LoggedRecall, Outcome]:
    """A recall and its outcome without what was erased while the task was played."""

    def there(key: tuple[str, int]) -> bool:  # a later revision may have taken the number of one that was erased
        return key in space.revisions and space.revisions[key].revision.at <= recall.at

    served: dict[str, object] = {
        "ranked": tuple(item for item in recall.ranked if there(item[:2])),
        "withheld": tuple(item for item in recall.withheld if there(item[:2])),
        "left_out": tuple(item for item in recall.left_out if item[0] in space.procedures),
    }
    credited = {name: tuple(filter(there, getattr(outcome, name))) for name in ("credited", "withheld")}
    return recall.model_copy(update=served), outcome.model_copy(update=credited)


def _words(ids: Iterable[str]) -> re.Pattern[str] | None:
    """Finds any of the ids where it stands for itself, and not in a longer one."""
    chosen = sorted(set(ids))
    return re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, chosen))})(?![\w-])") if chosen else None
