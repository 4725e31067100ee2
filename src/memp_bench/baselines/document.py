"""One growing document (a list of insights, a set of workflows) kept as one procedure: found, read, and revised."""

import json
from collections.abc import Sequence

from memp.build.base import Built
from memp.records import Author, Content, Procedure, Script
from memp.retrieve import Hit, Index
from memp.stores.base import Store
from memp.update import Add, Revise, Skip

MARK = "document"
"""The fact that tells a document from a procedure that was built from one task."""


class Document:
    """Where a document of one kind stands in a namespace.

    There is one. Two processes that both began it at the same moment leave two; then both are served, and the older
    one grows.
    """

    def __init__(self, store: Store, namespace: str, *, kind: str, title: str, goal: str) -> None:
        self.kind, self.title = kind, title
        self._store, self._namespace, self._goal = store, namespace, goal

    def content(self, lines: Sequence[str], **facts: str) -> Content:
        """The document with these lines and facts."""
        script = Script(goal=self._goal, steps=tuple(lines))
        return Content(task=self.title, facts={MARK: self.kind, **facts}, script=script)

    def is_it(self, procedure: Procedure) -> bool:
        """Whether the procedure is a document of this kind."""
        return procedure.task == self.title and procedure.content.facts.get(MARK) == self.kind

    def find(self) -> list[Procedure]:
        """The document, retired or not; none before it was begun."""
        heads = self._store.heads(self._namespace, "")
        ids = [h.id for h in heads if h.task == self.title and json.loads(h.facts).get(MARK) == self.kind]
        return list(self._store.find(self._namespace, ids))

    def change(
        self, there: Procedure | None, content: Content, author: Author, reason: str, evidence: tuple[str, ...] = ()
    ) -> Add | Revise | Skip:
        """Begin the document, or revise the one that is `there`."""
        built = Built(content=content, author=author)
        if there is None:
            return Add(built=built, reason=reason, evidence=evidence)
        if content == there.content:
            return Skip(subject=there.id, reason="nothing to change in it")
        return Revise(procedure=there, built=built, reason=reason, evidence=evidence)

    def current(self) -> tuple[Procedure | None, str]:
        """The document to revise (None: it has to be begun), and why it must not be, or an empty string."""
        found = self.find()
        free = [each for each in found if each.status not in ("retired", "quarantined") and not each.revision.pinned]
        if found and not free:
            why = "pinned" if found[0].revision.pinned else found[0].status
            return found[0], f"the {self.title.lower()} ({found[0].id}) are {why}, and only a person changes that"
        return (free[0] if free else None), ""

    def served(self, index: Index, shown: Sequence[bool]) -> dict[int, Procedure]:
        """Rows of the index that are this document, of those that are `shown`."""
        rows = {index.ids[row]: row for row, show in enumerate(shown) if show and index.tasks[row] == self.title}
        found = self._store.find(self._namespace, list(rows))
        return {rows[procedure.id]: procedure for procedure in found if self.is_it(procedure)}

    def hit(self, procedure: Procedure) -> Hit:
        """The document as the first thing to serve; its score is 1, whatever the task."""
        return Hit(procedure.id, 1.0, f"the {self.title.lower()}, whole, for every task")
