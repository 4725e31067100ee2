"""What the player takes from recalled procedures: it reads their text with the command grammar, and nothing else."""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from memp_bench.agents.simulated.belief import names_in, refused, seen_in
from memp_bench.agents.simulated.goal import Goal, read_goal
from memp_bench.agents.simulated.grammar import Command, Grammar, kind

Weights = dict[str, float]

_PROCEDURE = re.compile(r"<procedure\b[^>]*>\n?(.*?)</procedure>", re.DOTALL)
_SECTION = re.compile(
    r"^(Earlier task|Goal|Applies when|Does not apply when|Steps|Pitfalls|Done before|Tried before)\b[^:]*:",
    re.MULTILINE,
)
_LIST = re.compile(r"\w+ from earlier tasks")
"""How a document of many lines is titled, in the place of a task."""
_WORKFLOW = "Workflow: "
"""Begins each of the workflows of a document."""
_ANYTHING = {"object", "item", "thing", "it", "target", "targetobject"}
_FINDING = {
    "find",
    "look",
    "search",
    "check",
    "locate",
    "take",
    "pick",
    "get",
    "grab",
    "usually",
    "often",
    "go",
    "from",
}
_DOES = 1.0
_SAYS = 0.6
_SAW = 0.3


@dataclass
class Advice:
    """Hints by type, each with a weight; the first procedure outweighs all below it."""

    found: dict[str, Weights] = field(default_factory=lambda: defaultdict(lambda: defaultdict(float)))
    """Type of thing -> type of place where it was."""
    found_like: Weights = field(default_factory=lambda: defaultdict(float))
    """Types of place where the wanted thing of another task of the same kind was."""
    found_any: Weights = field(default_factory=lambda: defaultdict(float))
    """Likewise of a task of any kind."""
    works: dict[str, Weights] = field(default_factory=lambda: defaultdict(lambda: defaultdict(float)))
    """Verb -> type of place where it works; negative where it was said not to."""
    works_for: dict[tuple[str, str], Weights] = field(default_factory=lambda: defaultdict(lambda: defaultdict(float)))
    """The same for (verb, type of thing)."""
    uses: Weights = field(default_factory=lambda: defaultdict(float))
    """Types of things that were used by themselves."""
    deliver_first: dict[str, bool] = field(default_factory=dict)
    """Verb -> whether the best procedure that tells lays the thing down before the verb."""
    same_kind: bool = False
    """Whether a procedure was for a task of the same kind (the same verbs)."""

    def where(self, thing: str) -> Weights:
        """Types of place for a type of thing."""
        return self.found.get(thing, {})

    def appliance(self, verb: str, thing: str) -> Weights:
        """Types of place for a verb; a procedure about the same type of thing counts for more."""
        weights: Weights = dict(self.works.get(verb, {}))
        for place, weight in self.works_for.get((verb, thing), {}).items():
            weights[place] = weights.get(place, 0.0) + weight
        return weights


def read_advice(text: str, grammar: Grammar, goal: Goal, nouns: frozenset[str]) -> Advice:
    """Read the recalled procedures in `text`; `nouns` are the types the player has names for in this task."""
    advice = Advice()
    for rank, body in enumerate(_PROCEDURE.findall(text)):
        _Reader(advice, grammar, goal, nouns, 0.25**rank).read(body)
    return advice


def _sections(body: str) -> Iterator[tuple[str, str, str]]:
    """(name, the heading's line, text) of each section."""
    marks = list(_SECTION.finditer(body))
    ends = [mark.start() for mark in marks[1:]] + [len(body)]
    for mark, end in zip(marks, ends, strict=True):
        yield mark[1], mark[0], body[mark.end() : end].strip("\n")


def _turns_in(text: str) -> Iterator[tuple[str, str]]:
    """(action, observation) of each turn of a verbatim trajectory."""
    for turn in re.split(r"^Action:", text, flags=re.MULTILINE)[1:]:
        action, _, seen = re.split(r"^Thought:", turn, flags=re.MULTILINE)[0].partition("\nObservation:")
        yield action.strip(), seen.strip()


@dataclass
class _Reader:
    """Reads one procedure into the advice."""

    advice: Advice
    grammar: Grammar
    goal: Goal
    nouns: frozenset[str]
    weight: float
    at: str = ""
    about: str = ""
    """Type of thing the procedure was about."""
    alike: bool = False
    order: list[str] = field(default_factory=list)
    listed: bool = False
    """Whether it is a list whose lines belong to no task, in no order of doing."""

    def read(self, body: str) -> None:
        for name, heading, text in _sections(body):
            self.at = ""
            if name == "Earlier task" and _LIST.fullmatch(text.strip()):
                self.listed = True
            elif name in {"Earlier task", "Goal"} and not self.about and not self.listed:
                self._task(text.strip())
            elif name == "Steps":
                self._steps(text)
            elif name == "Pitfalls":
                self._pitfalls(text)
            elif name in {"Done before", "Tried before"}:
                self._turns(text, 0.5 if "(reward 0)" in heading else 1.0)
        self._keep_order()

    def _task(self, text: str) -> None:
        theirs = read_goal(text, self.grammar.works)
        self.about = theirs.thing
        self.alike = theirs.works == self.goal.works and bool(theirs.tool) == bool(self.goal.tool)
        self.advice.same_kind |= self.alike

    def _workflow(self, description: str) -> None:
        """A workflow of a document begins: what was read before it is not a part of it."""
        self._keep_order()
        self.order, self.at, self.listed = [], "", False
        self._task(description)

    def _steps(self, text: str) -> None:
        for line in text.splitlines():
            step = re.sub(r"^\s*(?:\d+[.)]|[-*])\s*", "", line).strip()
            if step.startswith(_WORKFLOW):
                self._workflow(step.removeprefix(_WORKFLOW))
                continue
            command = self.grammar.match(step)
            if command is not None and " then " not in step and "," not in step:
                self._command(command, _DOES)
            else:
                for clause in re.split(r"[,;.]|\bthen\b|\band\b", step.lower()):
                    self._clause(clause)

    def _turns(self, text: str, trust: float) -> None:
        for action, observation in _turns_in(text):
            command = self.grammar.match(action)
            if command is None:
                continue
            if refused(observation):
                self._failed(command, trust * _DOES)
                continue
            self._command(command, trust * _DOES)
            place = self.at or (kind(names_in(observation)[0]) if names_in(observation) else "")
            for thing in seen_in(observation) or ():
                if place:
                    self.advice.found[kind(thing)][place] += self.weight * trust * _SAW

    def _pitfalls(self, text: str) -> None:
        for line in text.splitlines():
            missed = re.search(r"\((.+)\) was never achieved", line)
            phrases = [missed[1]] if missed else re.split(r"[;,]", line.rpartition("effect:")[2])
            for phrase in phrases:
                command = self.grammar.match(re.sub(r"^\s*[-*]\s*", "", phrase))
                if command is not None:
                    self._failed(command, _DOES)

    def _command(self, command: Command, strength: float) -> None:
        verb, kinds, grammar = command.verb, command.kinds, self.grammar
        weight = self.weight * strength
        if verb == grammar.go:
            self.at = kinds[0]
        elif verb == grammar.take:
            self._found(kinds[0], kinds[1], weight)
        elif verb == grammar.use:
            self.advice.uses[kinds[0]] += weight
            self.order.append(verb)
        elif verb == grammar.put:
            self.order.append(verb)
        elif verb in grammar.works:
            self._works(verb, kinds[0], kinds[1], weight)

    def _failed(self, command: Command, strength: float) -> None:
        if command.verb in self.grammar.works:
            thing, place = command.kinds
            self.advice.works[command.verb][place] -= self.weight * strength
            self.advice.works_for[command.verb, thing][place] -= self.weight * strength
        elif command.verb == self.grammar.take:
            self.advice.found[command.kinds[0]][command.kinds[1]] -= self.weight * strength

    def _found(self, thing: str, place: str, weight: float) -> None:
        thing = re.sub(r"[{}\[\]<>]", "", thing)
        self.advice.found[self.goal.thing if thing in _ANYTHING else thing][place] += weight
        if thing == self.about or thing in _ANYTHING:
            self.advice.found_any[place] += weight
            if self.alike:
                self.advice.found_like[place] += weight

    def _works(self, verb: str, thing: str, place: str, weight: float) -> None:
        self.advice.works[verb][place] += weight
        self.advice.works_for[verb, thing][place] += weight
        self.order.append(verb)

    def _clause(self, clause: str) -> None:
        """Free English: a verb of the grammar or a word of finding, with types the player knows."""
        words = [word for word in re.findall(r"[a-z]+", clause) if word not in {"a", "an", "the"}]
        nouns = self._nouns(words)
        verb = next((verb for verb in self.grammar.works if verb in words), None)
        places = [noun for noun in nouns if noun != self.goal.thing]
        weight = self.weight * _SAYS
        if verb is not None:
            for place in places or ([self.at] if self.at else []):
                self._works(verb, self.goal.thing, place, weight)
        elif words and words[0] in {"put", "place", "move"}:
            self.order.append(self.grammar.put or "put")
        elif words and words[0] in {"use", "turn", "toggle"}:
            for noun in places:
                self.advice.uses[noun] += weight
        elif _FINDING & set(words):
            for place in places:
                self._found(self.goal.thing, place, weight)
        if places:
            self.at = places[-1]

    def _nouns(self, words: list[str]) -> list[str]:
        """Known types named by one word or two ("dining table"), in the singular or the plural."""
        pairs = [first + second for first, second in pairwise(words)]
        found = []
        for word in words + pairs:
            for form in (word, word.removesuffix("s"), word.removesuffix("es")):
                if form in self.nouns:
                    found.append(form)
                    break
        return found

    def _keep_order(self) -> None:
        put = self.grammar.put
        if self.listed:
            return
        for verb in self.grammar.works:
            if verb in self.order and put in self.order:
                first = self.order.index(put) < self.order.index(verb)
                self.advice.deliver_first.setdefault(verb, first)
