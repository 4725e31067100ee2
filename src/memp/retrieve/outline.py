"""What the procedures of a memory look like from outside, and which words of a task foretell it.

The outline of a procedure is the set of verbs of its steps, each with whether it comes once or more often. From the
memory itself it is learned how the words of tasks foretell outlines: in one memory `deploy` may foretell `push` and
`restart`, in another `two` a verb that comes twice.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_SAMPLE = 2_000
_FEWEST = 12
_FEATURES = 64
_CUES = 256
_WORDS = 1_024
_RIDGE = 1.0
_DROPOUT = 0.05
_ASIDE = 0.5


class Row(NamedTuple):
    """A procedure as the policy sees it; words by their number in the thesaurus, traits by theirs."""

    words: tuple[int, ...]
    """Of its task."""

    arguments: tuple[bool, ...]
    """Which of them its steps name after the verb."""

    traits: tuple[int, ...]
    """Of its outline."""

    aside: tuple[int, ...]
    """Words its steps name after the verb and its task does not."""


class Foretold(NamedTuple):
    """What was learned from a memory: traits that words foretell."""

    traits: NDArray[np.int64]
    """Those that can be foretold at all, shape (F,)."""

    trust: Floats
    """How well, 0 to 1: the share of variance that is explained in procedures left out one at a time, shape (F,)."""

    cues: NDArray[np.int64]
    """Words that foretell, shape (C,)."""

    salience: Floats
    """How much the best trait depends on each cue, 0 to 1, shape (C,)."""

    weights: Floats
    """Ridge regression of traits on salient cues and 1, shape (C + 1, F)."""

    aside: Floats
    """Words that only the steps name, by how much more often they do in procedures with the trait, shape (F, words)."""

    def of(self, match: Floats, aside: Floats) -> Floats:
        """How surely each trait is called for, by words matched in the task (0 to 1 each); shape (F,)."""
        called = np.append(match[self.cues] * self.salience, 1.0) @ self.weights
        if self.aside.size:
            called = called + (self.aside * aside[: self.aside.shape[1]]).max(axis=1)
        return np.clip(called, 0.0, 1.0)


def lesson(rows: int) -> int:
    """How many of so many rows are learned from: the first ones, in steps of an eighth, so that learning is seldom."""
    step = 1 << max(0, rows.bit_length() - 4)
    return rows // step * step


def learn(rows: Sequence[Row], words: int, traits: int) -> Foretold:
    """How words foretell traits in these procedures. Depends on the rows alone; at most 2,000 of them are looked at."""
    if len(rows) > _SAMPLE:
        rows = [rows[n] for n in np.linspace(0, len(rows) - 1, _SAMPLE).astype(int).tolist()]
    nothing = np.zeros(0, dtype=np.int64)
    none = Foretold(nothing, np.zeros(0), nothing, np.zeros(0), np.zeros((1, 0)), np.zeros((0, words)))
    if len(rows) < _FEWEST:
        return none
    has = _table([row.traits for row in rows], traits)
    chosen = _distinct_columns(has)
    if not chosen.size:
        return none
    has = has[:, chosen]
    said = _table([row.words for row in rows], words)
    common = _most_frequent(said, _WORDS)
    told = _information(said[:, common], has)
    best = np.argsort(-told.max(axis=0, initial=0.0), kind="stable")[:_FEATURES]
    has, chosen, told = has[:, best], chosen[best], told[:, best]
    strength = told.max(axis=1, initial=0.0)
    order = np.argsort(-strength, kind="stable")[:_CUES]
    order = order[strength[order] > 0]
    if not order.size:
        return none
    salience = np.sqrt(strength[order] / strength[order].max())
    weights, trust = _ridge(said[:, common[order]] * salience, has)
    aside = _aside([row.aside for row in rows], has, told, common, words)
    return Foretold(chosen, trust, common[order], salience, weights, aside)


def _table(sets: Sequence[tuple[int, ...]], width: int) -> Floats:
    table = np.zeros((len(sets), width))
    for n, numbers in enumerate(sets):
        table[n, list(numbers)] = 1.0
    return table


def _distinct_columns(has: Floats) -> NDArray[np.int64]:
    """Traits that some procedures have and some have not; of those that always come together, the first."""
    counts = has.sum(axis=0)
    varies = np.flatnonzero((counts >= 2) & (counts <= len(has) - 2))
    _, first = np.unique(has[:, varies], axis=1, return_index=True)
    return varies[np.sort(first)]


def _most_frequent(said: Floats, most: int) -> NDArray[np.int64]:
    counts = said.sum(axis=0)
    order = np.argsort(-counts, kind="stable")[:most]
    return np.sort(order[counts[order] >= 2])


def _information(said: Floats, has: Floats) -> Floats:
    """Mutual information of each word with each trait, in nats; shape (words, traits)."""
    n = len(said)
    both = said.T @ has / n
    word, trait = said.mean(axis=0)[:, None], has.mean(axis=0)[None, :]
    cells = (
        (both, word * trait),
        (word - both, word * (1 - trait)),
        (trait - both, (1 - word) * trait),
        (1 - word - trait + both, (1 - word) * (1 - trait)),
    )
    told = np.zeros_like(both)
    for seen, expected in cells:
        there = seen > 1e-9
        told[there] += seen[there] * np.log(seen[there] / np.maximum(expected, 1e-12)[there])
    return np.maximum(told, 0.0)


def _ridge(cues: Floats, has: Floats) -> tuple[Floats, Floats]:
    """Weights, and the share of variance explained in rows left out one at a time.

    Cues are taken to be missed now and then (marginalised dropout): a word that other wordings lack must not decide
    alone.
    """
    design = np.column_stack([cues, np.ones(len(cues))])
    gram = design.T @ design
    penalty = np.diag(gram) * _DROPOUT / (1 - _DROPOUT)
    penalty[-1] = 0.0
    inverse = np.linalg.inv(gram + np.diag(penalty + _RIDGE))
    weights = inverse @ design.T @ has
    leverage = np.einsum("ij,ij->i", design @ inverse, design)
    left = (has - design @ weights) / np.maximum(1 - leverage, 1e-6)[:, None]
    spread = ((has - has.mean(axis=0)) ** 2).sum(axis=0)
    trust = np.clip(1 - (left**2).sum(axis=0) / np.maximum(spread, 1e-12), 0.0, 1.0)
    return weights, trust


def _aside(sets: Sequence[tuple[int, ...]], has: Floats, told: Floats, common: NDArray[np.int64], words: int) -> Floats:
    """Words of steps that come with a trait and hardly without it: the tool of the deed, though no task names it."""
    named = _table(sets, words)
    with_trait = has.T @ named / has.sum(axis=0)[:, None]
    without = (1 - has).T @ named / (len(has) - has.sum(axis=0))[:, None]
    more = with_trait - without
    frequent = np.flatnonzero(named.any(axis=0))
    by_steps = np.zeros((words, has.shape[1]))
    by_steps[frequent] = _information(named[:, frequent], has)
    by_task = np.zeros((words, has.shape[1]))
    by_task[common] = told
    return np.where((more >= _ASIDE) & (by_steps > by_task).T, more, 0.0)
