"""What memory is worth to one agent: posteriors of lift, pooled so that three trials do not make a hero."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from pydantic import Field

from memp.evidence.ledger import Agent, Ledger, Sides, Tally
from memp.evidence.lift import Lift, below, beta_interval, mean_difference, newcombe
from memp.records import Record

Beta = tuple[float, float]
Difference = tuple[float | None, float | None, float | None]
"""A difference and the ends of its interval, where there is anything to compare."""
_FLAT: Final = 1.0
"""Weight of the prior (1/2, 1/2) of a rate of which nothing is known."""


class Pooling(Record):
    """How much what is known of others counts, in tasks."""

    family: float = Field(3.0, gt=0)
    """Weight of the family's rate in that of a procedure, and of the whole in that of a family."""
    control: float = Field(12.0, gt=0)
    """Weight of the family's rate without memory in that of the tasks of a procedure."""
    others: float = Field(0.25, ge=0, le=1)
    """A task of another agent counts so much: evidence is per model, older models are a weak prior."""
    others_most: float = Field(4.0, ge=0)
    """They never count for more tasks than this."""


class Worth:
    """Posteriors of lift for the agent `agent`, from the ledger as it stands.

    The rate of a procedure's tasks is drawn towards that of its family, which is drawn towards the whole (partial
    pooling with Beta posteriors). It is compared with the rate of like tasks from which memory was withheld, pooled in
    the same way: intention to treat, since a task counts for all that was, or would have been, served for it.
    """

    def __init__(self, ledger: Ledger, agent: str, pooling: Pooling | None = None) -> None:
        self._ledger = ledger
        self._own = ledger.agents.get(agent, Agent())
        self._others = [known for name, known in ledger.agents.items() if name != agent]
        self._pooling = pooling or Pooling()
        self._families: dict[str, tuple[Beta, Beta]] = {}
        self._all = self._rates(self._own.overall, [o.overall for o in self._others], None, None)

    def overall(self) -> Lift:
        """All tasks of the agent, with Newcombe's interval."""
        return _measured("all", self._own.overall)

    def families(self) -> list[Lift]:
        """The agent's tasks by family, in the order of their names."""
        return [_measured(name, sides) for name, sides in sorted(self._own.families.items())]

    def procedure(self, id: str, number: int) -> Lift:
        """What a procedure is worth at a revision: the posterior mean of its lift, its 95 % and the chance of harm."""
        sides = self._sides(id, number)
        served, control = self.posterior(id, number)
        return _lift(id, sides, beta_interval(served, control), below(served, control))

    def lately(self, id: str, number: int) -> Beta:
        """The posterior of a procedure's success rate as the world is now: for worlds that change.

        Old tasks count for less by the tasks of anything since, and what is left is drawn to how its family does at
        present. So what was not confirmed for long is worth what the others of its kind prove to be worth now.
        """
        tallies = [self._ledger.lately(self._own, key) for key in self._ledger.keys(id, number)]
        count, won = sum(n for n, _ in tallies), sum(w for _, w in tallies)
        families = self._sides(id, number).families
        name = families.most_common(1)[0][0] if families else None
        around = self._own.families[name].served if name in self._own.families else self._own.overall.served
        rate = (around.recent_won + _FLAT / 2) / (around.recent + _FLAT)
        weight = self._pooling.family
        return won + weight * rate + 1e-3, count - won + weight * (1 - rate) + 1e-3

    @property
    def overall_withheld(self) -> int:
        """Tasks of the agent from which memory was withheld: without any, nothing is known of lift."""
        return self._own.overall.withheld.count

    def family_rate(self, id: str, number: int) -> float:
        """The success rate, with memory, of the family that a procedure's tasks are of."""
        families = self._sides(id, number).families
        served, _ = self._family(families.most_common(1)[0][0] if families else None)
        return served[0] / sum(served)

    def served(self, id: str, number: int) -> int:
        """For how many tasks of the agent a procedure was served, saying what it says at that revision."""
        return self._sides(id, number).served.count

    def posterior(self, id: str, number: int) -> tuple[Beta, Beta]:
        """Posteriors of the success rate of a procedure's tasks, with it and without memory."""
        keys = self._ledger.keys(id, number)
        sides = self._own.of(keys) or Sides()
        others = [found for known in self._others if (found := known.of(keys)) is not None]
        family = sides.families or sum((o.families for o in others), start=Counter[str]())
        above = self._family(family.most_common(1)[0][0] if family else None)
        return self._rates(sides, others, *above, recent=True)

    def _sides(self, id: str, number: int) -> Sides:
        return self._own.of(self._ledger.keys(id, number)) or Sides()

    def _family(self, name: str | None) -> tuple[Beta, Beta]:
        if name is None:
            return self._all
        if name not in self._families:
            others = [known.families[name] for known in self._others if name in known.families]
            self._families[name] = self._rates(self._own.families.get(name, Sides()), others, *self._all)
        return self._families[name]

    def _rates(
        self,
        own: Sides,
        others: Sequence[Sides],
        served: Beta | None,
        control: Beta | None,
        *,
        recent: bool = False,
    ) -> tuple[Beta, Beta]:
        weight = self._pooling

        def counted(tally: Tally) -> tuple[float, float]:
            return (tally.recent, tally.recent_won) if recent else (tally.count, tally.won)

        return (
            self._rate(counted(own.served), [counted(o.served) for o in others], served, weight.family),
            self._rate(counted(own.withheld), [counted(o.withheld) for o in others], control, weight.control),
        )

    def _rate(
        self, own: tuple[float, float], others: Sequence[tuple[float, float]], above: Beta | None, weight: float
    ) -> Beta:
        """The posterior of a rate, from (tasks, won) of the agent and of others, and the rate of the group above."""
        prior = _FLAT / 2, _FLAT / 2
        if above is not None:
            rate, known = above[0] / sum(above), min(weight, sum(above))  # what is itself unknown says little
            prior = rate * known, (1 - rate) * known
        count, won = sum(n for n, _ in others), sum(w for _, w in others)
        share = min(self._pooling.others, self._pooling.others_most / count) if count else 0.0
        won, lost = own[1] + share * won, own[0] - own[1] + share * (count - won)
        return round(prior[0] + won, 6) + 1e-3, round(prior[1] + lost, 6) + 1e-3


def _measured(name: str, sides: Sides) -> Lift:
    """A group that is large enough to speak for itself."""
    a, b = sides.served, sides.withheld
    found: Difference = None, None, None
    if a.count and b.count:
        found = a.won / a.count - b.won / b.count, *newcombe(a.won, a.count, b.won, b.count)
    flat = _FLAT / 2
    harm = below((a.won + flat, a.count - a.won + flat), (b.won + flat, b.count - b.won + flat))
    return _lift(name, sides, found, harm)


def _lift(name: str, sides: Sides, success: Difference, harm: float) -> Lift:
    """What is known of the tasks on both sides, with the difference of their success rates and its interval."""
    steps = _steps(sides)
    return Lift(
        name=name,
        served=sides.served.count,
        served_won=sides.served.won,
        withheld=sides.withheld.count,
        withheld_won=sides.withheld.won,
        success=success[0],
        low=success[1],
        high=success[2],
        harm=harm,
        steps=steps[0],
        steps_low=steps[1],
        steps_high=steps[2],
        tokens=_tokens(sides),
    )


def _steps(sides: Sides) -> Difference:
    a, b = sides.served, sides.withheld
    return mean_difference((a.count, a.steps, a.steps_squared), (b.count, b.steps, b.steps_squared))


def _tokens(sides: Sides) -> float | None:
    a, b = sides.served, sides.withheld
    if not a.with_tokens or not b.with_tokens:
        return None
    return a.tokens / a.with_tokens - b.tokens / b.with_tokens
