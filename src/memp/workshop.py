"""What build and update policies work with: the distiller, the store and the memory's own policies."""

from collections.abc import Callable

from memp.build.base import BuildPolicy, Built
from memp.build.distil import Distiller
from memp.records import Author, Content, Procedure, Script, Trajectory
from memp.stores.base import Store, origin_key


class StoredDrafts:
    """Model replies of an unfinished update, kept in the store."""

    def __init__(self, store: Store, namespace: str) -> None:
        self._store = store
        self._namespace = namespace
        self._used: list[str] = []

    def get(self, key: str) -> str | None:
        """See `Drafts.get`."""
        self._used.append(key)
        return self._store.draft(self._namespace, key)

    def put(self, key: str, text: str) -> None:
        """See `Drafts.put`."""
        self._store.save_draft(self._namespace, key, text)

    def clear(self) -> None:
        """The update has finished: its replies stand in revisions now."""
        self._store.drop_drafts(self._namespace, self._used)
        self._used = []


class Workshop:
    """Implements the tools of build and update policies."""

    def __init__(
        self,
        store: Store,
        namespace: str,
        build: BuildPolicy,
        distiller: Distiller,
        *,
        with_facts: Callable[[], bool],
    ) -> None:
        self._store = store
        self._namespace = namespace
        self._build = build
        self._distiller = distiller
        self._with_facts = with_facts

    async def build(self, trajectory: Trajectory) -> Built:
        """The content that remembers `trajectory`, by the memory's build policy."""
        return await self._build.build(trajectory, self)

    async def adjust(self, procedure: Procedure, failed: Trajectory) -> Built:
        """The procedure's content with a corrected script; the verbatim trajectory stays as it was."""
        content = procedure.content
        shown = (
            None if content.trajectory_id is None else self._store.trajectory(self._namespace, content.trajectory_id)
        )
        script, author = await self._distiller.adjust(content, shown, failed)
        # Validated again as a whole: model_copy would not.
        corrected = Content(task=content.task, facts=content.facts, trajectory_id=content.trajectory_id, script=script)
        return Built(content=corrected, author=Author(policy="adjustment", model=author.model, prompt=author.prompt))

    def known(self, trajectory: Trajectory) -> str | None:
        """Id of a procedure built from the same actions on the same task, if there is one."""
        return self._store.built_from(self._namespace, origin_key(trajectory))

    async def script(self, trajectory: Trajectory) -> tuple[Script, Author]:
        """The abstract procedure of a trajectory."""
        return await self._distiller.script(trajectory)

    async def facts(self, trajectory: Trajectory) -> dict[str, str]:
        """Facts of the trajectory's task: its own, or extracted when retrieval uses them or rules do it for free."""
        if trajectory.facts:
            return dict(trajectory.facts)
        return await self._distiller.facts(trajectory.task) if self._with_facts() else {}
