"""What became of each step of a procedure in a trajectory: done, refused, out of reach, or never tried."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from memp.blame.kinds import counterparts, heads, own_steps, telling, words
from memp.blame.passing import is_fault
from memp.build.rules import entities, lift
from memp.records import Content, Step, Trajectory

_NO = re.compile(
    r"^\W*(?:nothing happen|no effect|error|fail|invalid|unknown|not (?:found|allowed|possible|understood|valid)|"
    r"cannot|can't|could not|couldn't|unable|you (?:cannot|can't|are not able)|i don't (?:know|understand)|no such|"
    r"denied|forbidden|refused|exception|traceback)",
    re.IGNORECASE,
)


_HARM = re.compile(
    r"\b(?:ruined|destroyed|spoil(?:ed|t)|damaged|broken|broke|burn(?:ed|t)|exploded|wasted|corrupted|overwritten|"
    r"irrecoverabl\w+|cannot be undone|nothing is left|is lost)\b",
    re.IGNORECASE,
)


def refused(step: Step) -> bool:
    """Whether the step had no effect because of what was done: it says so, or what was seen begins so."""
    return not is_fault(step) and (step.error == "agent" or bool(_NO.search(step.observation[:120])))


@dataclass
class Line:
    """One step of the procedure, as this task would have it, and the places (from 0) where the trajectory does it."""

    number: int
    """From 1."""
    text: str
    """As the procedure says it."""
    needs: list[str]
    """Words that an action must hold to be this step."""
    bound: bool = False
    """Whether it ties what this task is about to a place that was that of another thing."""
    done: list[int] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)


class Alignment:
    """A procedure's steps beside the steps of a failed trajectory."""

    def __init__(self, content: Content, shown: Trajectory | None, failed: Trajectory) -> None:
        self.failed = failed
        self.steps = own_steps(content, shown)
        self._theirs = set(heads(content.task).values())
        self.instead = counterparts(content.task, failed.task)
        self._actions = [words(lift(step.action)) for step in failed.steps]
        named = [failed.start, *(f"{step.action} . {step.observation[:2_000]}" for step in failed.steps)]
        self._types = {entity.rsplit(" ", 1)[0] for text in named for entity in entities(text) if " " in entity}
        self._at_first = set(words(lift(failed.start)))
        seen = [failed.start, failed.task, *(f"{s.action} {s.observation[:2_000]}" for s in failed.steps)]
        self._vocabulary = {word for text in seen for word in words(lift(text))}
        self.lines = [self._line(number, step) for number, step in enumerate(self.steps, 1)]
        for line in self.lines:
            self._place(line)

    def _line(self, number: int, step: str) -> Line:
        said = telling(step, self._vocabulary)
        needs = [self.instead.get(word, word) for word in said]
        fixed = [word for word, was in zip(needs[1:], said[1:], strict=True) if word == was]
        changed = needs != said
        return Line(number, step, needs, bound=changed and bool(set(fixed) - self._theirs))

    def _place(self, line: Line) -> None:
        if not line.needs:
            return
        for at, (step, action) in enumerate(zip(self.failed.steps, self._actions, strict=True)):
            if not self._is(line, action) or is_fault(step):
                continue
            if not refused(step):
                line.done.append(at)
            elif not self._slip(step):
                line.refused.append(at)

    @staticmethod
    def _is(line: Line, action: Sequence[str]) -> bool:
        return bool(action) and action[0] in line.needs and set(line.needs) <= set(action)

    def _slip(self, step: Step) -> bool:
        """Whether a command names types where others name their instances: a slip of the tongue, not a try."""
        return not entities(step.action) and not self._types.isdisjoint(step.action.lower().split())

    def after_its_turn(self, line: Line, at: int) -> bool:
        """Whether the step before it, in the procedure's order, had been done by then."""
        before = self.lines[line.number - 2] if line.number > 1 else None
        return before is None or not before.needs or any(done < at for done in before.done)

    def was_refused(self, line: Line) -> int | None:
        """Where it was tried as written, in its turn, and had no effect; None when it worked or was not tried."""
        if line.done:
            return None
        return next((at for at in line.refused if self.after_its_turn(line, at)), None)

    def did_harm(self, line: Line) -> int | None:
        """Where it was done as written and what was then seen speaks of harm."""
        return next((at for at in line.done if _HARM.search(self.failed.steps[at].observation[:500])), None)

    def out_of_reach(self, line: Line) -> int | None:
        """Where the step before it had led, to no avail: what it handles was at none of those places. None when it was,
        when not all of them were looked at and it was not found elsewhere, or when something else explains that it was
        not tried."""
        before = self.lines[line.number - 2] if line.number > 1 else None
        if before is None or line.done or line.refused or line.bound or len(before.needs) != 2:
            return None
        earlier = {word for other in self.lines[: line.number - 1] for word in other.needs[1:]}
        sought = [word for word in line.needs[1:] if word not in earlier | self._at_first]
        held = self._first_handled(sought)
        looked = [at for at in before.done if at < held]
        places = self._ways(before)
        if not sought or not looked or any(self._shows(at, sought) for at in looked):
            return None
        everywhere = len({self.failed.steps[at].action for at in looked}) >= len(places)
        return looked[-1] if everywhere or self._elsewhere(sought, before.needs[-1]) else None

    def _elsewhere(self, sought: Sequence[str], place: str) -> bool:
        """Whether the first round that shows one of the sought shows it at a place of another type."""
        for step in self.failed.steps:
            seen = words(lift(f"{step.action} . {step.observation}"))
            if not set(sought).isdisjoint(words(step.observation)):
                return place not in seen
        return False

    def _first_handled(self, sought: Sequence[str]) -> int:
        """The first step in which the agent did something with one of the sought; after the last when it never did."""
        for at, (action, step) in enumerate(zip(self._actions, self.failed.steps, strict=True)):
            if not refused(step) and not is_fault(step) and not set(sought).isdisjoint(action[1:]):
                return at
        return len(self.failed.steps)

    def _ways(self, line: Line) -> set[str]:
        """The particular things of the last type that a line names, as far as the world has shown them."""
        name = re.escape(line.needs[-1])
        shown = " ".join([self.failed.start, *(step.observation for step in self.failed.steps)]).lower()
        return set(re.findall(rf"\b{name} \d+\b", shown))

    def _shows(self, at: int, sought: Sequence[str]) -> bool:
        """Whether what was seen then, or in the next round, shows one of the sought."""
        seen = {word for step in self.failed.steps[at : at + 2] for word in words(step.observation)}
        return any(word in seen for word in sought)

    def followed(self) -> int:
        """How many of the lines were done in their order, each after the one before; what is bound to another thing's
        place may be done anywhere."""
        at = -1
        for count, line in enumerate(self.lines):
            if line.bound or self._leads_to_bound(line):
                continue
            after = [done for done in line.done if done > at]
            if line.needs and not after:
                return count
            at = after[0] if after else at
        return len(self.lines)

    def all_verbs_done(self) -> bool:
        """Whether something was done with the verb of every line."""
        acted = zip(self._actions, self.failed.steps, strict=True)
        verbs = {action[0] for action, step in acted if action and not refused(step) and not is_fault(step)}
        return all(not line.needs or line.needs[0] in verbs for line in self.lines)

    def _leads_to_bound(self, line: Line) -> bool:
        following = self.lines[line.number : line.number + 2]
        return any(later.bound and set(line.needs[1:]) & set(later.needs[1:]) for later in following)

    def quote(self, at: int) -> str:
        """The action of a step, literally."""
        return self.failed.steps[at].action[:300]
