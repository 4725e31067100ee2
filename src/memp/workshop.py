"""What build and update policies work with: the distiller, the store and the memory's own policies."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Final

from memp.blame import Blame, ModelBlamer, RuleBlamer
from memp.blame.correct import corrected
from memp.build.base import BuildPolicy, Built
from memp.build.distil import Distiller, ModelDistiller, read_script
from memp.build.prompt import load_prompt
from memp.records import Author, Content, Outcome, Procedure, Script, Trajectory
from memp.render import clean, render_content, render_procedures, render_trajectory
from memp.stores.base import Store, origin_key

_LOOKED_AT: Final = 1_000
"""Outcomes, newest first, among which those of a procedure are sought."""
_FAILURES: Final = 5
_SOLVED: Final = 5


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
        script, author = await self._distiller.adjust(content, self._shown(content), failed)
        return Built(
            content=_with_script(content, script),
            author=Author(policy="adjustment", model=author.model, prompt=author.prompt),
        )

    # -- for a guarded policy ----------------------------------------------------------------------

    async def blame(self, procedure: Procedure, failed: Trajectory) -> Blame:
        """Why `failed` failed although `procedure` was served: by the model where there is one, else by rules."""
        blamer = ModelBlamer(self._distiller) if isinstance(self._distiller, ModelDistiller) else RuleBlamer()
        content = procedure.content
        return await blamer.blame(procedure.id, procedure.revision.number, content, self._shown(content), failed)

    async def correct(self, procedure: Procedure, failed: Trajectory, blame: Blame) -> Built:
        """The procedure's content with what the blame calls for; unchanged when it calls for nothing."""
        content = procedure.content
        shown = self._shown(content)
        author = Author(policy="adjustment")
        if isinstance(self._distiller, ModelDistiller):
            prompt = load_prompt("memp.update", "adjust_step")
            step = f" (step {blame.step})" if blame.step else ""
            quotes = "".join(f'\n"{clean(quote)}"' for quote in blame.evidence)
            values = {
                "procedure": render_content(content, shown),
                "finding": f"{blame.verdict}{step}: {clean(blame.why)}{quotes}",
                "task": clean(failed.task),
                "trajectory": render_trajectory(failed),
                "reward": f"{failed.reward:g}",
            }
            script: Script | None = await self._distiller.ask(prompt, values, read_script, "adjust")
            author = Author(policy="adjustment", model=self._distiller.name, prompt=prompt.label)
        else:
            script = corrected(content, shown, failed, blame)
        return Built(content=content if script is None else _with_script(content, script), author=author)

    def solved(self, procedure: Procedure) -> Sequence[Trajectory]:
        """Trajectories that succeeded with what the procedure says now, newest first, and the one it was built from."""
        found = (self._store.trajectory(self._namespace, o.trajectory_id) for o in self._outcomes(procedure, won=True))
        solved = list(islice((trajectory for trajectory in found if trajectory is not None), _SOLVED))
        origin = self._store.history(self._namespace, procedure.id)[0][0].evidence[:1]
        if procedure.built_from_success and origin:
            built_from = self._store.trajectory(self._namespace, origin[0])
            solved += [built_from] if built_from is not None else []
        return solved

    def failures(self, procedure: Procedure) -> tuple[str, ...]:
        """Ids of recent trajectories that failed with what the procedure says now."""
        return tuple(o.trajectory_id for o in islice(self._outcomes(procedure, won=False), _FAILURES))

    def tried(self, procedure: Procedure, content: Content) -> int:
        """How many revisions on trial said the same."""
        history = self._store.history(self._namespace, procedure.id)
        return sum(revision.content == content and revision.status == "probation" for revision, _, _ in history)

    def says(self, procedure: Procedure, number: int) -> bool:
        """Whether the procedure says now what it said at revision `number`."""
        then = self._store.at(self._namespace, [(procedure.id, number)])
        return bool(then) and then[0].content == procedure.content

    def rendered(self, content: Content) -> str:
        """The text of a recall of this content alone."""
        return render_procedures([render_content(content, self._shown(content))])

    def _outcomes(self, procedure: Procedure, *, won: bool) -> Iterator[Outcome]:
        history = self._store.history(self._namespace, procedure.id)
        same = {revision.number for revision, _, _ in history if revision.content == procedure.content}
        for outcome in self._store.outcomes(self._namespace, _LOOKED_AT):
            if outcome.success == won and any(id == procedure.id and n in same for id, n in outcome.credited):
                yield outcome

    def _shown(self, content: Content) -> Trajectory | None:
        """The trajectory that a content shows verbatim."""
        return None if content.trajectory_id is None else self._store.trajectory(self._namespace, content.trajectory_id)

    # -- for all policies --------------------------------------------------------------------------

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


def _with_script(content: Content, script: Script) -> Content:
    """The same with another script, validated as a whole: model_copy would not."""
    return Content(task=content.task, facts=content.facts, trajectory_id=content.trajectory_id, script=script)
