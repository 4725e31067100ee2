"""AWM, Agent Workflow Memory (Wang et al., arXiv 2409.07429), as an update and a retrieve policy over memp's records.

As in the paper: after a successful trajectory a model induces workflows from it (sub-routines with a description and
with variables for what changes), they are added to one document, and the whole document is in the prompt of every
later task. Online, that happens between tasks of the stream; offline, the same with training trajectories before it.

Where it departs:

- Success is the recorded reward. The paper's online runs ask a model whether a task succeeded (its code offers both).
- Induction sees the document and one trajectory, and gives what is new. The paper's offline induction sees all
  training examples at once, and its online code induces the document anew from all successes so far.
- A step is an action with variables and, where it helps, a reason; the state of the page or room is not written down.
- The document ends where the budget of a recall does (`room`): one longer than that would not be served at all.
"""

import numpy as np
from numpy.typing import NDArray

from memp.build.distil import ModelDistiller
from memp.build.prompt import load_prompt
from memp.errors import UnusableReply
from memp.models.base import ChatModel
from memp.records import Author, Content, Trajectory
from memp.render import clean, render_content, render_trajectory
from memp.retrieve import Hit, Index, Query
from memp.stores.base import Store
from memp.update import Change, Episode, Skip, Tools
from memp.workshop import StoredDrafts
from memp_bench.baselines.document import Document
from memp_bench.baselines.workflows import Workflow, read_workflows, workflows_by_rule, workflows_of

NAME = "awm"
ROOM = 40_000
"""Characters of the document: about 10,000 tokens."""
LINES = 100
"""Workflows of the document: a script has no room for more."""
NO_WORKFLOWS = "(there are none yet)"


def workflows_document(store: Store, namespace: str) -> Document:
    """Where the workflows stand."""
    return Document(
        store,
        namespace,
        kind="awm workflows",
        title="Workflows from earlier tasks",
        goal="Use the workflows that fit the task, with its own values for what stands in braces",
    )


class AwmUpdate:
    """Keeps one document of workflows, a procedure like any other.

    Without a model a workflow is made by rules (`workflows_by_rule`): the effective actions of the success, with the
    words of its task as variables.
    """

    name = NAME
    in_order = True

    def __init__(
        self, store: Store, namespace: str = "default", *, model: ChatModel | None = None, room: int = ROOM
    ) -> None:
        self._document = workflows_document(store, namespace)
        self._room = room
        self._asking = None if model is None else ModelDistiller(model, StoredDrafts(store, namespace))

    async def changes(self, episode: Episode, tools: Tools) -> list[Change]:
        """See `UpdatePolicy.changes`."""
        del tools  # a trajectory is no memory of its own here
        trajectory = episode.trajectory
        if not episode.success:
            return [Skip(subject=trajectory.id, reason="failed; workflows are induced from successes only")]
        there, barred = self._document.current()
        if barred:
            return [Skip(subject=trajectory.id, reason=f"no workflow induced: {barred}")]
        lines = there.content.script.steps if there is not None and there.content.script is not None else ()
        try:
            induced, author = await self._induce(there.content if there is not None else None, lines, trajectory)
        except UnusableReply as error:
            return [Skip(subject=trajectory.id, reason=f"workflows given up: {error}")]
        added, refused = self._fitting(lines, induced)
        skipped: list[Change] = [Skip(subject=trajectory.id, reason=why) for why in refused]
        if not added:
            return skipped or [Skip(subject=trajectory.id, reason="no workflow in it that is not there already")]
        content = self._document.content([*lines, *map(str, added)])
        names = "; ".join(f'"{workflow.description}"' for workflow in added)
        return [*skipped, self._document.change(there, content, author, f"induced {names} from a success")]

    async def _induce(
        self, content: Content | None, lines: tuple[str, ...], trajectory: Trajectory
    ) -> tuple[tuple[Workflow, ...], Author]:
        known = workflows_of(content) if content is not None else ()
        if self._asking is None:
            return workflows_by_rule(known, trajectory), Author(policy=NAME)
        prompt = load_prompt("memp_bench.baselines", "workflows")
        values = {
            "workflows": "\n".join(clean(line) for line in lines) or NO_WORKFLOWS,
            "task": clean(trajectory.task),
            "trajectory": render_trajectory(trajectory),
            "reward": f"{trajectory.reward:g}",
        }
        induced = await self._asking.ask(prompt, values, read_workflows, "workflows")
        return induced, Author(policy=NAME, model=self._asking.name, prompt=prompt.label)

    def _fitting(self, lines: tuple[str, ...], induced: tuple[Workflow, ...]) -> tuple[list[Workflow], list[str]]:
        """Those that are new and for which there is room, and why not the others."""
        added: list[Workflow] = []
        refused: list[str] = []
        for workflow in induced:
            whole = [*lines, *map(str, added)]
            if str(workflow) in whole:
                refused.append(f'there already: workflow "{workflow.description}"')
            elif len(whole) >= LINES or self._length([*whole, str(workflow)]) > self._room:
                refused.append(f'the document is full: workflow "{workflow.description}" found no room')
            else:
                added.append(workflow)
        return added, refused

    def _length(self, lines: list[str]) -> int:
        return len(render_content(self._document.content(lines), None))


class AwmRetrieve:
    """The document of workflows, whole, for every task."""

    name = NAME
    uses_facts = False

    def __init__(self, store: Store, namespace: str = "default") -> None:
        self._document = workflows_document(store, namespace)

    async def rank(self, query: Query, index: Index, hidden: NDArray[np.bool_] | None) -> list[Hit]:
        """See `RetrievePolicy.rank`; the task makes no difference."""
        del query
        shown = [True] * len(index) if hidden is None else (~hidden).tolist()
        return [self._document.hit(found) for found in self._document.served(index, shown).values()]
