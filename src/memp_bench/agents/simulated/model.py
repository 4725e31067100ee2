"""`sim:novice` and `sim:able`: chat models that play a text game, or plan a trip, from the messages alone."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

from memp.errors import UnknownName
from memp.models.base import Message, Reply
from memp.records import Usage
from memp_bench.agents.simulated import travel
from memp_bench.agents.simulated.advice import read_advice
from memp_bench.agents.simulated.belief import read_history
from memp_bench.agents.simulated.goal import read_goal
from memp_bench.agents.simulated.grammar import Grammar, kind
from memp_bench.agents.simulated.player import Player
from memp_bench.agents.simulated.traits import ABLE, NOVICE, Traits

SIMULATED: Mapping[str, Traits] = MappingProxyType({"novice": NOVICE, "able": ABLE})
"""The players by name."""

Builder = Callable[[Sequence[Message]], str | None]
"""Answers conversations that list no commands (scripts, facts, corrections); None when it cannot."""

REFUSAL = "I am a simulated player: I only answer conversations that list the commands of a game."


class Simulated:
    """A simulated backbone: the same messages and seed always give the same reply.

    `temperature`, `max_tokens` and `stop` have no effect. Usage counts a token per 4 characters; it costs
    0, because nothing is bought: caps in money hold for whatever real model works beside it.
    """

    def __init__(self, player: str, *, seed: int = 0, builder: Builder | None = None) -> None:
        if player not in SIMULATED:
            raise UnknownName("simulated backbone", f"sim:{player}", [f"sim:{name}" for name in SIMULATED])
        self._player, self._seed, self._builder = player, seed, builder
        self._advice = lru_cache(maxsize=64)(read_advice)  # a pure function: this only saves time

    @property
    def name(self) -> str:
        """`sim:novice`, with the seed when it is not 0: `sim:novice@3`."""
        return f"sim:{self._player}" + (f"@{self._seed}" if self._seed else "")

    @property
    def simulated(self) -> bool:
        """Always true."""
        return True

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        purpose: str = "act",
        temperature: float | None = None,
        max_tokens: int | None = None,
        stop: Sequence[str] = (),
    ) -> Reply:
        """Answer the conversation."""
        del purpose, temperature, max_tokens, stop  # part of the protocol; nothing here depends on them
        text = self._answer(messages)
        usage = Usage(
            calls=1,
            input_tokens=sum(len(message.content) for message in messages) // 4,
            output_tokens=max(1, len(text) // 4),
            cost=0.0,
        )
        return Reply(text=text, usage=usage, model=self.name)

    async def close(self) -> None:
        """Nothing to let go of."""

    def _answer(self, messages: Sequence[Message]) -> str:
        system = "\n\n".join(message.content for message in messages if message.role == "system")
        rules, _, recalled = system.partition("<procedure")
        grammar = Grammar.parse(rules)
        if not grammar:
            if (said := travel.answer(messages, self._player, self._seed)) is not None:
                return said
            return (self._builder(messages) if self._builder else None) or REFUSAL
        belief = read_history(messages, grammar)
        goal = read_goal(belief.task, grammar.works)
        nouns = {kind(place) for place in belief.places} | {goal.thing, goal.place, goal.tool} - {""}
        advice = self._advice("<procedure" + recalled, grammar, goal, frozenset(nouns))
        traits = SIMULATED[self._player]
        seed = f"{self._player}|{self._seed}"
        move = Player(belief, goal, advice, grammar=grammar, traits=traits, seed=seed).move()
        return f"Thought: {move.thought}\nAction: {move.action}"


def simulated(name: str, *, seed: int = 0, builder: Builder | None = None) -> Simulated:
    """`sim:novice`, `sim:able`, or with a seed of its own `sim:novice@3` (which wins over `seed`).

    Raises:
        UnknownName: no such player, or the seed is not a number.
    """
    player, at, own = name.removeprefix("sim:").partition("@")
    if at and not own.isdecimal():
        raise UnknownName("simulated backbone", name, [f"sim:{known}@3" for known in SIMULATED])
    return Simulated(player, seed=int(own) if at else seed, builder=builder)
