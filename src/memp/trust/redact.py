"""Secrets and personal data are taken out before anything is stored, each by a placeholder that says what it was."""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from memp.records import Step, Trajectory
from memp.trust.personal import personal_data
from memp.trust.secrets import secrets

_PLACEHOLDER = re.compile(r"\[([a-z][a-z ]{1,30}) (\d{1,6})\]")


class Found(NamedTuple):
    """Something that must not be stored, and where it stands in the text."""

    start: int
    end: int
    kind: str
    """What it is, in words (`api key`): what its placeholder says."""


Detector = Callable[[str], Iterable[tuple[int, int, str]]]
"""Finds what must not be stored: (start, end, kind) of each, in any order. Give your own to `Redactor`."""


class Redactor:
    """Puts `[api key 1]`, `[email 2]` ... in the place of what the detectors find.

    The same secret gets the same number within a trajectory, so that the text still makes sense and is still found.
    What is redacted already stays as it is: redacting twice is redacting once.

    Args:
        detectors: run on every text; default: the shipped patterns for secrets and for personal data.
    """

    def __init__(self, detectors: Sequence[Detector] = (secrets, personal_data)) -> None:
        self._detectors = tuple(detectors)

    def trajectory(self, trajectory: Trajectory) -> tuple[Trajectory, dict[str, int]]:
        """The trajectory as it may be stored, and how often what was taken out, by kind.

        Ids and origins are names that the caller gives; they stay.
        """
        taken = _Taken(self._found, _texts(trajectory))
        changes: dict[str, Any] = {
            field: taken.text(getattr(trajectory, field)) for field in ("task", "start", "agent", "source", "feedback")
        }
        steps = tuple(_step(step, taken) for step in trajectory.steps)
        changes |= {"facts": taken.mapping(trajectory.facts), "tags": taken.mapping(trajectory.tags)}
        if not taken.counts:
            return trajectory, {}
        return trajectory.model_copy(update=changes | {"steps": steps}), dict(taken.counts)

    def request(self, task: str, facts: Mapping[str, str] | None) -> tuple[str, dict[str, str] | None]:
        """A task and its facts as they may be logged. The same numbers as in a trajectory of that task."""
        taken = _Taken(self._found, [task])
        return taken.text(task), None if facts is None else taken.mapping(facts)

    def text(self, text: str) -> str:
        """One text by itself, as it may be stored."""
        return _Taken(self._found, [text]).text(text)

    def _found(self, text: str) -> list[Found]:
        """What the detectors find, in order. Of two that overlap: the earlier detector's, the first, the longer one."""
        kept: list[Found] = []
        for detect in self._detectors:
            for hit in sorted((Found(*hit) for hit in detect(text)), key=lambda found: (found.start, -found.end)):
                place = bisect_right(kept, hit.start, key=lambda found: found.start)
                free = place == 0 or kept[place - 1].end <= hit.start
                if hit.start < hit.end and free and (place == len(kept) or kept[place].start >= hit.end):
                    kept.insert(place, hit)
        return kept


class _Taken:
    """What was taken out of one trajectory so far."""

    def __init__(self, find: Callable[[str], list[Found]], texts: Iterable[str]) -> None:
        self.counts: Counter[str] = Counter()
        self._find, self._texts = find, texts
        self._numbers: dict[tuple[str, str], int] = {}
        self._last: dict[str, int] | None = None

    def text(self, text: str) -> str:
        parts, end = [], 0
        for found in self._find(text) if text else ():
            self.counts[found.kind] += 1
            number = self._number(found.kind, text[found.start : found.end])
            parts += [text[end : found.start], f"[{found.kind} {number}]"]
            end = found.end
        return "".join([*parts, text[end:]]) if parts else text

    def mapping(self, values: Mapping[str, str]) -> dict[str, str]:
        return {self.text(name): self.text(value) for name, value in values.items()}

    def _number(self, kind: str, secret: str) -> int:
        key = kind, secret.casefold() if kind == "email" else secret
        if key not in self._numbers:
            if self._last is None:  # placeholders that stand there already keep their numbers
                self._last = {}
                for text in self._texts:
                    for word, number in _PLACEHOLDER.findall(text):
                        self._last[word] = max(self._last.get(word, 0), int(number))
            self._last[kind] = self._numbers[key] = self._last.get(kind, 0) + 1
        return self._numbers[key]


def _step(step: Step, taken: _Taken) -> Step:
    was = {field: getattr(step, field) for field in ("thought", "action", "observation", "feedback")}
    now = {field: taken.text(text) for field, text in was.items()}
    return step if now == was else step.model_copy(update=now)


def _texts(trajectory: Trajectory) -> Iterable[str]:
    """Everything that is redacted."""
    yield from (trajectory.task, trajectory.start, trajectory.source, trajectory.feedback)
    yield from trajectory.facts.values()
    for step in trajectory.steps:
        yield from (step.thought, step.action, step.observation, step.feedback)


def presidio(analyzer: Any, *, language: str = "en", least: float = 0.6) -> Detector:
    """A detector that asks an `AnalyzerEngine` of Presidio (names, addresses, many countries' numbers).

    Args:
        analyzer: made by you, with the models that you want. least: score from which a finding counts.
    """

    def detect(text: str) -> Iterable[tuple[int, int, str]]:
        for found in analyzer.analyze(text=text, language=language):
            if found.score >= least and not _PLACEHOLDER.fullmatch(text[found.start - 1 : found.end + 1]):
                yield found.start, found.end, found.entity_type.replace("_", " ").lower()

    return detect
