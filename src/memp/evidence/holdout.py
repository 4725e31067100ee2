"""Which recalls are withheld, so that tasks with memory can be compared with tasks without."""

import random


class Holdout:
    """Withholds a share of recalls, balanced in all and over what would have been served first.

    An adaptive biased coin over both margins (minimisation, Pocock and Simon 1975): where too few recalls were withheld
    the chance grows, where too many it shrinks. It depends on the seed, the task and what was recorded before, and
    neither on the order in which the tasks of a group ask nor on ids, which every run draws anew.
    """

    def __init__(self, share: float, seed: int = 0) -> None:
        if not 0 <= share < 1:
            raise ValueError(f"holdout is {share:g}; give a share of recalls from 0 to below 1")
        self.share = share
        self._seed = seed

    def chance(self, *margins: tuple[int, int]) -> float:
        """The chance that the next recall is withheld, after so many (served, withheld) of each margin."""
        ahead = sum(self.share * (served + withheld) - withheld for served, withheld in margins)
        return min(1.0, max(0.0, self.share * (1 + ahead)))

    def withholds(self, task: str, first: str, *margins: tuple[int, int]) -> bool:
        """Whether to withhold the recall of `task` that would serve the procedure of the task `first` first."""
        if not self.share:
            return False
        return self._draw(task, first, sum(map(sum, margins))) < self.chance(*margins)

    def probes(self, task: str, first: str, count: int) -> bool:
        """Whether to serve, although the memory abstains, after `count` recalls of the stratum: the same share of
        recalls, so that a memory that has become better is noticed."""
        return self._draw(task, first, count) < self.share

    def _draw(self, task: str, first: str, count: int) -> float:
        return random.Random(f"memp holdout {self._seed}\n{first}\n{count}\n{task}").random()
