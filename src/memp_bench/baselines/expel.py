"""ExpeL (Zhao et al., arXiv 2308.10144) as an update and a retrieve policy over memp's records.

As in the paper: successful trajectories are kept verbatim; insights are drawn from a failure beside a success of the
same task, and from groups of L successes, by operations on one list with importance counts; at inference the agent
gets the whole list and the top-k successful trajectories by similarity of the task.

Where it departs, because experience is here what was recorded, in one pass:

- There are no Reflexion retries: a task's failure and success come from different episodes. Two tasks are the same
  when their words are (their rooms may differ).
- Every failure is compared once, with a success of its task: the latest one before it, or the first one after it.
- A group is L successes in the order they were recorded; the last, incomplete one waits. The paper draws all groups
  at the end, at random, after all comparisons.
- Replies are JSON objects, checked and asked for again, not lines of text of which the malformed ones are dropped.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memp.build.base import Built
from memp.build.distil import ModelDistiller
from memp.build.prompt import load_prompt
from memp.errors import UnusableReply
from memp.models.base import ChatModel
from memp.records import Author, Content, Trajectory
from memp.render import clean, render_trajectory
from memp.retrieve import Hit, Index, Query
from memp.stores.base import Store
from memp.update import Add, Change, Episode, Skip, Tools
from memp.workshop import StoredDrafts
from memp_bench.baselines.document import Document
from memp_bench.baselines.insights import (
    MOST,
    Insight,
    Operation,
    applied,
    insights_of,
    lines_of,
    operations_by_rule,
    read_operations,
)

NAME = "expel"
GROUP = 8
"""L: successes of a group (the official code's `success_critique_num`)."""
LONGEST = 12_000
"""Characters of one trial in a prompt; eight of them must fit."""
NO_INSIGHTS = "(there are none yet)"
CROWDED = "The list is full: DOWNVOTE first, and ADD only what is very insightful and different from all of it."


def insights_document(store: Store, namespace: str) -> Document:
    """Where the list of insights stands."""
    return Document(
        store,
        namespace,
        kind="expel insights",
        title="Insights from earlier tasks",
        goal="Use these insights, the most important first, where they help with the task",
    )


class Lesson(NamedTuple):
    """What insights are drawn from: one failure beside one success, or a group of successes."""

    succeeded: tuple[Trajectory, ...]
    failed: Trajectory | None

    @property
    def said(self) -> str:
        """In words, for the reason of a revision."""
        ids = ", ".join(trajectory.id for trajectory in self.succeeded)
        return f"{len(self.succeeded)} successes" if self.failed is None else f"failure {self.failed.id} beside {ids}"


class ExpelUpdate:
    """Keeps successes verbatim and one list of insights, a procedure like any other.

    Without a model the insights come from rules (`operations_by_rule`): actions that made the difference, no prose.
    `success_at` is the reward from which an earlier trajectory counts as a success; give the memory's own.
    """

    name = NAME
    in_order = True

    def __init__(
        self,
        store: Store,
        namespace: str = "default",
        *,
        model: ChatModel | None = None,
        group: int = GROUP,
        success_at: float = 1.0,
    ) -> None:
        self._document = insights_document(store, namespace)
        self._experience = _Experience(store, namespace, success_at=success_at, group=group)
        self._asking = None if model is None else ModelDistiller(model, StoredDrafts(store, namespace))

    async def changes(self, episode: Episode, tools: Tools) -> list[Change]:
        """See `UpdatePolicy.changes`."""
        trajectory = episode.trajectory
        kept = [self._keep(trajectory, tools)] if episode.success else []
        lessons = self._experience.lessons(trajectory)
        if not lessons and not kept:
            why = "failed, and no success of this task to compare it with yet: kept as a trajectory"
            return [Skip(subject=trajectory.id, reason=why)]
        return [*kept, *(await self._improve(trajectory, lessons) if lessons else ())]

    def _keep(self, trajectory: Trajectory, tools: Tools) -> Change:
        same = tools.known(trajectory)
        if same is not None and all(same != procedure.id for procedure in self._document.find()):
            return Skip(subject=trajectory.id, reason=f"redundant: procedure {same} has the same task and actions")
        content = Content(task=trajectory.task, facts=dict(trajectory.facts), trajectory_id=trajectory.id)
        reason = f"succeeded with reward {trajectory.reward:g}"
        return Add(built=Built(content=content, author=Author(policy=NAME)), reason=reason)

    async def _improve(self, trajectory: Trajectory, lessons: Sequence[Lesson]) -> list[Change]:
        """One revision of the list with all that the lessons taught; what gave nothing is skipped with the reason."""
        there, barred = self._document.current()
        if barred:
            return [Skip(subject=trajectory.id, reason=f"no insights drawn: {barred}")]
        insights = insights_of(there.content) if there is not None else ()
        skipped: list[Change] = []
        did: list[str] = []
        prompts: dict[str, None] = {}
        used: dict[str, None] = {}
        for lesson in lessons:
            try:
                operations = await self._operations(insights, lesson, prompts)
            except UnusableReply as error:  # the trajectory and the other lessons are kept all the same
                skipped.append(Skip(subject=trajectory.id, reason=f"insights given up: {error}"))
                continue
            insights, words = applied(insights, operations)
            if words:
                did.append(f"{'; '.join(words)} (from {lesson.said})")
                used.update(dict.fromkeys(trial.id for trial in (*lesson.succeeded, lesson.failed) if trial))
        if not did:
            return skipped or [Skip(subject=trajectory.id, reason="no insights drawn: nothing to change in the list")]
        lines, votes = lines_of(insights)
        model = "" if self._asking is None else self._asking.name
        author = Author(policy=NAME, model=model, prompt=", ".join(prompts))
        evidence = tuple(id for id in used if id != trajectory.id)
        content = self._document.content(lines, votes=votes)
        return [*skipped, self._document.change(there, content, author, "; ".join(did), evidence)]

    async def _operations(
        self, insights: Sequence[Insight], lesson: Lesson, prompts: dict[str, None]
    ) -> tuple[Operation, ...]:
        texts = [insight.text for insight in insights]
        if self._asking is None:
            return operations_by_rule(texts, lesson.succeeded, lesson.failed)
        prompt = load_prompt("memp_bench.baselines", "insights-compare" if lesson.failed else "insights-successes")
        prompts[prompt.label] = None
        trials = [*((lesson.failed,) if lesson.failed else ()), *lesson.succeeded]
        values = {
            "insights": "\n".join(f"{n}. {clean(text)}" for n, text in enumerate(texts, 1)) or NO_INSIGHTS,
            "trials": "\n\n".join(_trial(n, trial, trial is lesson.failed) for n, trial in enumerate(trials, 1)),
            "room": CROWDED if len(texts) >= MOST else "",
        }
        return await self._asking.ask(prompt, values, lambda reply: read_operations(reply, len(texts)), "insights")


class ExpelRetrieve:
    """The whole list of insights first, then the k successful trajectories whose tasks are the nearest (cosine)."""

    name = NAME
    uses_facts = False

    def __init__(self, store: Store, namespace: str = "default") -> None:
        self._document = insights_document(store, namespace)

    async def rank(self, query: Query, index: Index, hidden: NDArray[np.bool_] | None) -> list[Hit]:
        """See `RetrievePolicy.rank`; the list is not counted among the k."""
        if index.table is None:
            return []
        vectors = await index.embed([query.task])  # from here on the index stands still
        barred = np.zeros(len(index), dtype=np.bool_) if hidden is None else hidden.copy()
        lists = self._document.served(index, (~barred).tolist())
        if (failed := index.hidden(status="any", only_success=True)) is not None:
            barred |= failed[: len(barred)]
        barred[list(lists)] = True
        rows, scores = index.table.top(vectors[0], query.k, barred)
        near = [
            Hit(index.ids[row], score, f"a success; cosine {score:.3f} with its task")
            for row, score in zip(rows, scores, strict=True)
        ]
        return [*(self._document.hit(found) for found in lists.values() if insights_of(found.content)), *near]


class _Seen(NamedTuple):
    id: str
    task: str
    success: bool


class _Experience:
    """What was recorded, in order; trajectories are read when they are needed."""

    def __init__(self, store: Store, namespace: str, *, success_at: float, group: int) -> None:
        if group < 2:
            raise ValueError(f"a group of {group} has nothing in common; give at least 2")
        self._store, self._namespace = store, namespace
        self._success_at, self._group = success_at, group
        self._seen: list[_Seen] = []
        self._at: dict[str, int] = {}

    def lessons(self, trajectory: Trajectory) -> list[Lesson]:
        """What can be learned from now that could not be before `trajectory`. Depends on the recorded order alone."""
        at = self._place(trajectory.id)
        before, this = self._seen[:at], self._seen[at]
        same = [seen for seen in before if seen.task == this.task]
        won = [seen.id for seen in same if seen.success]
        if not this.success:
            return [Lesson((self._read(won[-1]),), trajectory)] if won else []
        lessons = [Lesson((trajectory,), self._read(seen.id)) for seen in same] if not won else []
        successes = [seen.id for seen in before if seen.success]
        if (len(successes) + 1) % self._group == 0:
            group = (*map(self._read, successes[1 - self._group :]), trajectory)
            lessons.append(Lesson(group, None))
        return lessons

    def _place(self, id: str) -> int:
        if id not in self._at:  # what was recorded stays where it is, so only new ones are looked for
            self._seen = [
                _Seen(each.id, " ".join(each.task.lower().split()), each.reward >= self._success_at)
                for each in self._store.trajectories(self._namespace)
            ]
            self._at = {seen.id: n for n, seen in enumerate(self._seen)}
        return self._at[id]

    def _read(self, id: str) -> Trajectory:
        found = self._store.trajectory(self._namespace, id)
        assert found is not None, f"trajectory {id} was there"  # never deleted
        return found


_FENCE = re.compile(r"<(?=\s*/?\s*trial\b)", re.IGNORECASE)


def _trial(number: int, trajectory: Trajectory, failed: bool) -> str:
    """One trial of a prompt, in a fence of its own that its text cannot close."""
    told = _FENCE.sub("‹", f"Task: {clean(trajectory.task)}\n{render_trajectory(trajectory)}")
    if len(told) > LONGEST:
        left_out = f"\n[... {len(told) - LONGEST:,} characters left out ...]\n"
        told = told[: LONGEST // 2] + left_out + told[-LONGEST // 2 :]
    outcome = "failed" if failed else "succeeded"
    return f'<trial n="{number}" outcome="{outcome}" reward="{trajectory.reward:g}">\n{told}\n</trial>'
