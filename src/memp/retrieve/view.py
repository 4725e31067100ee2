"""What the policy `structure` keeps of an index: words, arguments and outlines of its rows."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memp.retrieve.index import Index
from memp.retrieve.outline import Floats, Row, learn
from memp.retrieve.terms import Phrase, phrases, steps_terms, terms
from memp.retrieve.thesaurus import Thesaurus

_LEAST, _FULL = 0.6, 0.85
"""Likeness below which a word is not meant, and from which it is meant for sure."""

_SHARPNESS = 0.05
"""How much less like the phrase than the best word another may be, and still be meant (less)."""

_OTHER_WORDS = 0.5
"""Weight of a word of a task that its steps do not name, next to one they name."""


_IN_PASSING = 0.3
"""Weight as an argument of a word that opens a clause or has another after it: a verb or part of a longer name."""

_NOTHING = Row((), (), (), ())


class Asked(NamedTuple):
    """A new task as read against the known words."""

    phrases: list[Phrase]
    said: Floats
    """How surely each word of the memory's tasks is meant, 0 to 1; shape (words,)."""

    named: Floats
    """The same, where only arguments of steps compete."""

    by: NDArray[np.int64]
    """The phrase that means each argument; shape (words,)."""

    called: Floats
    """How surely each foretold trait is called for; shape (F,)."""


class View:
    """Rows of an index in words and traits. Catches up with the index; made anew from the store it is the same."""

    def __init__(self) -> None:
        self._thesaurus = Thesaurus()
        self._trait: dict[tuple[str, bool], int] = {}
        self._rows: list[Row] = []
        self._revised = 0
        self._arrange()

    def catch_up(self, index: Index) -> None:
        """Read the rows that are new or were revised since, and learn from all."""
        known = len(self._rows)
        changed = {row for row in index.revised[self._revised :] if row < known}
        wanted = [*sorted(changed), *range(known, len(index))]
        self._revised = len(index.revised)
        if not wanted:
            return
        deeds = [(terms(task), [steps_terms(step) for step in steps]) for task, steps in index.deeds(wanted)]
        self._thesaurus.add(
            [word for task, steps in deeds for word in (*task, *(w for _, rest in steps for w in rest))]
        )
        self._rows += [_NOTHING] * (len(index) - known)
        for row, (task, steps) in zip(wanted, deeds, strict=True):
            self._rows[row] = self._row(task, steps)
        self._arrange()

    def _row(self, task: list[str], steps: list[tuple[str, list[str]]]) -> Row:
        number = self._thesaurus.number
        words = list(dict.fromkeys(task))
        named = {word for _, rest in steps for word in rest}
        often: dict[tuple[str, bool], int] = {}
        for verb, _ in steps:
            often.setdefault((verb, (verb, False) in often), 0)
        return Row(
            tuple(number[word] for word in words),
            tuple(word in named for word in words),
            tuple(self._trait.setdefault(trait, len(self._trait)) for trait in often if trait[0]),
            tuple(sorted(number[word] for word in named.difference(words))),
        )

    def _arrange(self) -> None:
        """The rows as arrays, and what they teach."""
        words = len(self._thesaurus.words)
        self._foretold = learn(self._rows, words, len(self._trait))
        sizes = [len(row.words) for row in self._rows]
        self._word = np.fromiter((word for row in self._rows for word in row.words), dtype=np.int64)
        self._argument = np.fromiter((is_ for row in self._rows for is_ in row.arguments), dtype=np.bool_)
        self._of = np.repeat(np.arange(len(sizes)), sizes)
        weight = np.where(self._argument, 1.0, _OTHER_WORDS)
        whole = np.bincount(self._of, weight, len(sizes))
        self._weight = weight / whole[self._of] if len(weight) else weight
        self._in_tasks, self._is_argument = np.zeros(words, dtype=np.bool_), np.zeros(words, dtype=np.bool_)
        self._in_tasks[self._word] = True
        self._is_argument[self._word[self._argument]] = True
        place = np.full(len(self._trait) + 1, -1)
        place[self._foretold.traits] = np.arange(len(self._foretold.traits))
        kinds: dict[tuple[int, ...], int] = {}
        shapes = (tuple(sorted(p for t in row.traits if (p := int(place[t])) >= 0)) for row in self._rows)
        self._kind = np.fromiter((kinds.setdefault(shape, len(kinds)) for shape in shapes), dtype=np.int64)
        self._kinds = np.zeros((len(kinds), len(self._foretold.traits)))
        for shape, kind in kinds.items():
            self._kinds[kind, list(shape)] = 1.0

    def read(self, task: str) -> Asked:
        """A new task against the known words."""
        found = phrases(task)
        like = self._thesaurus.likeness([phrase.text for phrase in found])
        if not like.size:
            nothing = np.zeros(len(self._thesaurus.words))
            return Asked(found, nothing, nothing, nothing.astype(np.int64), self._foretold.of(nothing, nothing))
        said = _meant(np.where(self._in_tasks, like, 0)).max(axis=0)
        named = _meant(np.where(self._is_argument, like, 0))
        named *= np.array([_names(phrase) for phrase in found])[:, None]
        # The tool of a deed ("email the report") is told from a thing it is done to by where it stands.
        leads = np.array([phrase.leads for phrase in found])[:, None]
        aside = np.where(leads | ~self._is_argument, _meant(like), 0).max(axis=0)
        return Asked(found, said, named.max(axis=0), named.argmax(axis=0), self._foretold.of(said, aside))

    def outlines(self, asked: Asked) -> Floats:
        """How probably each row's outline is what is called for, 0 to 1; shape (rows,)."""
        doubt = self._foretold.trust * np.abs(asked.called - self._kinds)
        probable: Floats = (1.0 - doubt).prod(axis=1)[self._kind]
        return probable

    def arguments(self, asked: Asked) -> Floats:
        """How much of what each row's task says is in the new task, 0 to 1; shape (rows,)."""
        meant = np.where(self._argument, asked.named[self._word], asked.said[self._word])
        covered: Floats = np.bincount(self._of, meant * self._weight, len(self._rows)).astype(np.float64)
        return covered

    def why(self, asked: Asked, row: int, outline: float, cosine: float) -> str:
        """What speaks for a row, in words."""
        names = self._thesaurus.words
        shared = [
            names[word] if phrase.replace(" ", "") == names[word] else f"{names[word]} ('{phrase}')"
            for word, is_ in zip(self._rows[row].words, self._rows[row].arguments, strict=True)
            if is_ and asked.named[word] >= 0.5
            for phrase in (asked.phrases[asked.by[word]].text,)
        ]
        verbs = {number: f"{verb} again" if again else verb for (verb, again), number in self._trait.items()}
        called = [
            verbs[trait]
            for trait, sure, trust in zip(
                self._foretold.traits.tolist(), asked.called, self._foretold.trust, strict=True
            )
            if sure >= 0.5 and trust >= 0.5 and trait in self._rows[row].traits
        ]
        steps = f"steps {outline:.2f}" + (f" ({', '.join(called)})" if called else "")
        return f"{steps}; names {', '.join(shared) or 'nothing asked for'}; cosine {cosine:.2f}"


def _names(phrase: Phrase) -> float:
    """How likely a phrase names a thing by itself, judged by where it stands."""
    verb = phrase.leads and " " not in phrase.text
    return 1.0 if phrase.ends and not verb else _IN_PASSING


def _meant(like: NDArray[np.float32]) -> Floats:
    """How surely each phrase means each word, 0 to 1: the most alike words share it, and only if they are alike."""
    best = like.max(axis=1, keepdims=True)
    sure = np.clip((like - _LEAST) / (_FULL - _LEAST), 0.0, 1.0)
    meant: Floats = sure * np.exp((like - best) / _SHARPNESS)
    return meant
