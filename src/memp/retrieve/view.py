"""What the policy `structure` keeps of an index: words, arguments and outlines of its rows."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memp.retrieve.index import Index
from memp.retrieve.outline import Floats, Row, learn, lesson
from memp.retrieve.terms import Phrase, phrases, steps_terms, terms
from memp.retrieve.thesaurus import Thesaurus

_READ_AT_ONCE = 250

_LEAST, _FULL = 0.6, 0.85
"""Likeness below which a word is not meant, and from which it is meant for sure."""

_SHARPNESS = 0.05
"""How much less like the phrase than the best word another may be, and still be meant (less)."""

_OTHER_WORDS = 0.5
"""Weight of a word of a task that its steps do not name, next to one they name."""


_IMPOSSIBLE = 1e-9
_IN_PASSING = 0.3
"""Weight as an argument of a word that opens a clause or has another after it: a verb or part of a longer name."""


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
        self._learn()

    def catch_up(self, index: Index) -> None:
        """Read the rows that are new or were revised since, and learn from all."""
        known = len(self._rows)
        changed = {row for row in index.revised[self._revised :] if row < known}
        wanted = [*sorted(changed), *range(known, len(index))]
        self._revised = len(index.revised)
        if not wanted:
            return
        moved = []
        for start in range(0, len(wanted), _READ_AT_ONCE):  # whole procedures are large: not all at once
            part = wanted[start : start + _READ_AT_ONCE]
            for row, new in zip(part, self._read_rows(index, part), strict=True):
                if row == len(self._rows):
                    self._rows.append(new)
                elif self._rows[row] != new:
                    self._rows[row] = new
                    moved.append(row)
        learned = lesson(len(self._rows))
        if learned != self._learned or any(row < learned for row in moved):
            self._learn()
        elif moved:
            self._arrange(0)
        else:
            self._arrange(known)

    def _read_rows(self, index: Index, rows: list[int]) -> list[Row]:
        deeds = [(terms(task), [steps_terms(step) for step in steps]) for task, steps in index.deeds(rows)]
        self._thesaurus.add(
            [word for task, steps in deeds for word in (*task, *(w for _, rest in steps for w in rest))]
        )
        return [self._row(task, steps) for task, steps in deeds]

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

    def _learn(self) -> None:
        self._learned = lesson(len(self._rows))
        self._foretold = learn(self._rows[: self._learned], len(self._thesaurus.words), len(self._trait))
        self._place = {trait: place for place, trait in enumerate(self._foretold.traits.tolist())}
        self._arrange(0)

    def _arrange(self, start: int) -> None:
        """The rows from `start` on as arrays: their words, each with its row and weight, and the kind of each row."""
        rows = self._rows[start:]
        sizes = [len(row.words) for row in rows]
        word = np.fromiter((word for row in rows for word in row.words), dtype=np.int64)
        argument = np.fromiter((is_ for row in rows for is_ in row.arguments), dtype=np.bool_)
        of = np.repeat(np.arange(len(rows)), sizes)
        weight = np.where(argument, 1.0, _OTHER_WORDS)
        weight /= np.bincount(of, weight, len(rows))[of] if len(of) else 1.0
        if not start:
            self._kinds_of: dict[tuple[int, ...], int] = {}
            self._slot, self._of, self._weight = 2 * word + argument, of, weight
            self._kind, self._kinds = np.zeros(0, dtype=np.int64), np.zeros((0, len(self._place)))
            self._in_steps = np.zeros(0, dtype=np.bool_)  # what only an earlier revision said is forgotten
        else:
            self._slot = np.concatenate([self._slot, 2 * word + argument])
            self._of = np.concatenate([self._of, of + start])
            self._weight = np.concatenate([self._weight, weight])
        words = len(self._thesaurus.words)
        self._in_tasks, self._is_argument = np.zeros(words, dtype=np.bool_), np.zeros(words, dtype=np.bool_)
        self._in_tasks[self._slot // 2] = True
        self._is_argument[self._slot[self._slot % 2 == 1] // 2] = True
        self._in_steps = np.append(self._in_steps, np.zeros(words - len(self._in_steps), dtype=np.bool_))
        self._in_steps[[word for row in rows for word in row.aside]] = True
        places = [sorted(self._place[trait] for trait in row.traits if trait in self._place) for row in rows]
        known = len(self._kinds_of)
        kind = [self._kinds_of.setdefault(tuple(place), len(self._kinds_of)) for place in places]
        self._kind = np.append(self._kind, np.array(kind, dtype=np.int64))
        if len(self._kinds_of) > known:
            fresh = np.zeros((len(self._kinds_of) - known, len(self._place)))
            for number, place in zip(kind, places, strict=True):
                if number >= known:
                    fresh[number - known, place] = 1.0
            self._kinds = np.concatenate([self._kinds, fresh])

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
        aside = np.where(leads | ~self._is_argument, _meant(np.where(self._in_tasks | self._in_steps, like, 0)), 0).max(
            axis=0
        )
        return Asked(found, said, named.max(axis=0), named.argmax(axis=0), self._foretold.of(said, aside))

    def outlines(self, asked: Asked) -> Floats:
        """How probably each row's outline is what is called for, 0 to 1; shape (rows,)."""
        # The product over traits of 1 - trust x |called - has|, as a sum of logarithms: matrix times vector.
        trust = self._foretold.trust
        has = np.log(np.maximum(1.0 - trust * (1.0 - asked.called), _IMPOSSIBLE))
        lacks = np.log(np.maximum(1.0 - trust * asked.called, _IMPOSSIBLE))
        probable: Floats = np.exp(self._kinds @ (has - lacks) + lacks.sum())[self._kind]
        return probable

    def arguments(self, asked: Asked) -> Floats:
        """How much of what each row's task says is in the new task, 0 to 1; shape (rows,)."""
        meant = np.column_stack([asked.said, asked.named]).ravel()[self._slot]
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
