"""Distilling without a model: drop what had no effect, keep what led to the end, lift instances to types."""

import re
from collections.abc import Iterator, Sequence

from memp.build.facts import facts_by_rule
from memp.records import Author, Content, Script, Step, Trajectory

MAX_STEPS = 40
MAX_PITFALLS = 12
SEE_EXAMPLE = ("follow the example below",)
"""The steps of a procedure that had only its verbatim trajectory until something had to be said about it."""

_READ = 2_000
"""Characters of an action or a task that rules look at: nothing said in one breath is longer."""

_INSTANCE = re.compile(r"\b([A-Za-z][\w'-]*(?: [A-Za-z][\w'-]*)?) (\d+)\b")
_LITERAL = re.compile(r"\"[^\"]+\"|(?<!\w)'[^']+'(?!\w)|\S*[/@]\S+|\b[\w-]+\.[a-z]\w*\b|\b[A-Z]{2,}-?\d+\b")
# The number of an instance ends a noun phrase; elsewhere it counts or names ("for 2 people", "Python 3 docs").
_NUMBERED = re.compile(
    r"\b(?!(?:than|for|of|by|about|least|most|over|with|after|before|within|in|on|at|to|from)\b)"
    r"([^\W\d_][\w'-]*) \d+"
    r"(?=\s*(?:$|[.,;:!?\"')\]])|\s+(?:in|on|into|onto|to|from|with|under|at|by|for|and|or|then)\b)",
    re.IGNORECASE,
)
_COMMON = {"with", "from", "into", "onto", "then", "that", "this", "them", "your", "some", "under", "using"}


def lift(text: str) -> str:
    """`text` with instances as types: `take apple 1 from cabinet 3` -> `take apple from cabinet`."""
    return " ".join(_NUMBERED.sub(lambda found: found[0].rstrip("0123456789").rstrip(), text[:_READ]).split())


def script_by_rule(trajectory: Trajectory) -> Script:
    """The effective actions that lead to the end, in order, lifted to types; what a judge said against it warns."""
    steps: list[str] = []
    for step in effective(trajectory):
        lifted = _line(lift(step.action))
        if lifted and steps[-1:] != [lifted]:
            steps.append(lifted)
    return Script(
        goal=_goal(trajectory.task),
        steps=tuple(steps[-MAX_STEPS:]) or ("(no action was taken)",),
        pitfalls=tuple(_objections(trajectory))[:MAX_PITFALLS],
    )


def _objections(trajectory: Trajectory) -> Iterator[str]:
    """What a judge said about a trajectory that was not all right, line by line: its steps are no example to follow."""
    said = trajectory.feedback or "\n".join(step.feedback for step in trajectory.steps if step.feedback)
    if trajectory.reward < 1:
        yield from (f"Done so, the judge said: {_line(line)}" for line in said.splitlines() if line.strip())


def _goal(task: str) -> str:
    lifted = _line(lift(task))
    return lifted[:1].upper() + lifted[1:] or "(a task without words)"


def _line(text: str, limit: int = 400) -> str:
    """`text` as one line that is not longer than `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def effective(trajectory: Trajectory) -> list[Step]:
    """The steps that had an effect and that the end builds on; detours are left out.

    Seen from the last step, an earlier one is kept when its action names an entity that is needed (by a kept step
    or by the task), or when it is the last to show one. An entity is an instance (`apple 1`), a path, an address
    or a quoted string. Without any entity in the last step, everything effective is kept; a step that names no
    instance is also kept when it speaks of what the task speaks of.
    """
    done = list(_without_repeats([step for step in trajectory.steps if step.error is None and step.action.strip()]))
    if not done:
        return list(trajectory.steps)
    needed = entities(done[-1].action)
    if not needed:
        return done
    words = set(re.findall(r"[a-z]+", trajectory.task[:_READ].lower()))
    needed |= {e for step in done for e in entities(step.action) if e.split(" ")[0] in words and " " in e}
    topics = _topics(trajectory.task)
    unseen = set(needed)
    kept = [done[-1]]
    for step in reversed(done[:-1]):
        mentioned, shown = entities(step.action), _shown(step, unseen)
        on_topic = not _INSTANCE.search(step.action) and topics & _topics(step.action)
        if mentioned & needed or shown or on_topic:
            kept.append(step)
            unseen = (unseen | (mentioned - needed)) - shown
            needed |= mentioned
    return kept[::-1]


def _shown(step: Step, entities_sought: set[str]) -> set[str]:
    """Those of the sought entities that the step's observation shows and its own action does not name."""
    seen, own = step.observation.lower(), step.action.lower()
    return {e for e in entities_sought if re.search(rf"\b{re.escape(e)}\b", seen) and e not in own}


def entities(action: str) -> set[str]:
    """The particular things an action names."""
    action = action[:_READ]
    found = {f"{_last_word(name)} {number}".lower() for name, number in _INSTANCE.findall(action)}
    return found | {literal.lower().strip("\"'.,:;()") for literal in _LITERAL.findall(action)} - {""}


def _topics(text: str) -> set[str]:
    """The words that carry meaning, by their first letters, so that `orders` is `order`."""
    return {word[:5] for word in re.findall(r"[^\W\d_]{4,}", text[:_READ].lower()) if word not in _COMMON}


def adjust_by_rule(content: Content, failed: Trajectory) -> Script:
    """The procedure with what the failure taught as pitfalls: the step that failed, and what had no effect."""
    script = content.script or Script(goal=_goal(content.task), steps=SEE_EXAMPLE)
    lessons = list(_lessons(script, failed))
    pitfalls = [*script.pitfalls, *(lesson for lesson in lessons if lesson not in script.pitfalls)]
    return script.model_copy(update={"pitfalls": tuple(pitfalls[-MAX_PITFALLS:])})


def _lessons(script: Script, failed: Trajectory) -> Iterator[str]:
    where = f'In "{_line(lift(failed.task), 200).rstrip(".")}"'
    done = [_line(lift(step.action)) for step in failed.steps if step.error is None]
    useless = [action for action in _refused(failed) if action not in done]
    own = () if script.steps == SEE_EXAMPLE else script.steps
    missed = next((n for n, step in enumerate(own) if step not in done), None)
    if missed is not None:
        yield f"{where}, step {missed + 1} ({script.steps[missed]}) was never achieved"
    if useless:
        yield f"{where}, these had no effect: {', '.join(useless[:8])}"
    said = failed.feedback or next((step.feedback for step in reversed(failed.steps) if step.feedback), "")
    if said:
        yield f"{where}, the judge said: {' '.join(said.split())[:500]}"
    if missed is None and not useless and not said:
        yield f"{where}, following this did not succeed in {len(failed.steps)} steps"


def _refused(failed: Trajectory) -> list[str]:
    """Actions that had no effect, lifted.

    One that names a type where others name its instances (`open cabinet` for `open cabinet 1`) is a slip of the
    tongue: lifted, it would look like the right action.
    """
    types = {entity.rsplit(" ", 1)[0] for step in failed.steps for entity in entities(step.action)}
    refused = [step.action for step in failed.steps if step.error == "agent" and step.action.strip()]
    meant = [action for action in refused if entities(action) or types.isdisjoint(action.lower().split())]
    return list(dict.fromkeys(_line(lift(action), 100) for action in meant))


def _without_repeats(steps: Sequence[Step]) -> Iterator[Step]:
    """Leave out a step that does and shows exactly what the one before did."""
    last: tuple[str, str] | None = None
    for step in steps:
        this = (step.action, step.observation)
        if this != last:
            yield step
        last = this


def _last_word(name: str) -> str:
    return name.rsplit(" ", 1)[-1]


class RuleDistiller:
    """Scripts, facts and adjustments without any model. Deterministic and free."""

    name = "rules"

    async def script(self, trajectory: Trajectory) -> tuple[Script, Author]:
        """The abstract procedure of a trajectory."""
        return script_by_rule(trajectory), Author(policy="rules")

    async def facts(self, task: str) -> dict[str, str]:
        """The facts of a task, slot -> value."""
        return facts_by_rule(task)

    async def adjust(self, content: Content, shown: Trajectory | None, failed: Trajectory) -> tuple[Script, Author]:
        """The corrected script of a procedure that took part in a failure. Rules read the script only."""
        del shown
        return adjust_by_rule(content, failed), Author(policy="rules")
