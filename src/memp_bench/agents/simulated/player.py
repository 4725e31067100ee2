"""How the player decides: a plan from the goal, places from the advice, and from exploring where there is none."""

import re
from collections.abc import Iterable
from random import Random
from typing import NamedTuple

from memp_bench.agents.simulated.advice import Advice, Weights
from memp_bench.agents.simulated.belief import Belief
from memp_bench.agents.simulated.goal import Goal
from memp_bench.agents.simulated.grammar import Command, Grammar, kind
from memp_bench.agents.simulated.traits import Traits


class Move(NamedTuple):
    """One decision."""

    thought: str
    action: str


def shape(belief: Belief, goal: Goal) -> str:
    """The task and its places with every type replaced by the order of its first mention.

    Draws depend on this and not on names: a house with other words is played in the same way.
    """
    types: dict[str, int] = {}
    places = []
    for place in belief.places:
        number = types.setdefault(kind(place), len(types))
        places.append(f"{number}:{place.rpartition(' ')[2]}")
    return f"{goal.count} {len(goal.works)} {bool(goal.tool)} {types.get(goal.place)} {' '.join(places)}"


class Player:
    """Decides one turn from what it believes, wants and was told."""

    def __init__(
        self, belief: Belief, goal: Goal, advice: Advice, *, grammar: Grammar, traits: Traits, seed: str
    ) -> None:
        self.belief, self.goal, self.advice, self.grammar, self.traits = belief, goal, advice, grammar, traits
        self.seed = f"{seed}|{shape(belief, goal)}"

    def move(self) -> Move:
        """The next thought and action."""
        draw = self._random(f"turn {self.belief.turns}")
        chance = draw.random()
        if chance < self.traits.slip:
            return self._slip(draw)
        if chance < self.traits.slip + self.traits.wander and (back := self._back(draw)):
            return self._go(back, "I am not sure any more what was there. I look again.")
        return self._plan()

    def _random(self, label: str) -> Random:
        return Random(f"{self.seed}|{label}")

    # -- the plan -------------------------------------------------------------------------------------------

    def _plan(self) -> Move:
        belief, goal = self.belief, self.goal
        held = belief.holding
        if held is None:
            return self._fetch()
        if kind(held) != goal.thing and belief.here:
            return self._say(f"I do not need the {held}.", self.grammar.put, held, belief.here)
        if goal.tool:
            return self._use(held)
        verb = self._next_work(held)
        return self._work(verb, held) if verb else self._deliver(held)

    def _next_work(self, held: str) -> str | None:
        """The verb still to be done to what is held, unless it is to be delivered first."""
        belief = self.belief
        missing = [verb for verb in self.goal.works if verb not in belief.worked.get(held, set())]
        if not missing:
            return None
        verb = missing[0]
        first = self.advice.deliver_first.get(verb)
        if first is None:
            first = self._random("muddle").random() < self.traits.muddle
        if first and not belief.delivered[held]:
            return None
        tries = sum(n for command, n in belief.failed.items() if command.verb == verb)
        if not self.advice.appliance(verb, self.goal.thing) and tries > belief.delivered[held]:
            draw = self._random(f"give up {tries}")
            if draw.random() < self.traits.give_up and belief.delivered[held] < 2:
                return None
        return verb

    def _fetch(self) -> Move:
        """Get a thing of the wanted type, from where it was seen or by searching."""
        belief, grammar = self.belief, self.grammar
        for thing, place in self._candidates():
            if place != belief.here:
                return self._go(place, f"I saw the {thing} at the {place}.")
            if place in belief.closed:
                return self._say(f"The {place} is closed.", grammar.open, place)
            return self._say(f"There is the {thing}.", grammar.take, thing, place)
        return self._search(self.goal.thing)

    def _candidates(self) -> list[tuple[str, str]]:
        """Things of the wanted type that are not finished, the nearest first."""
        belief, goal = self.belief, self.goal
        home = self._home() if not goal.tool else None
        open_ones = [
            (thing, place)
            for thing, place in belief.where(goal.thing)
            if not (place == home and set(goal.works) <= belief.worked.get(thing, set()))
            and belief.failed[Command(self.grammar.take or "", (thing, place))] < 2
        ]
        return sorted(open_ones, key=lambda pair: (pair[1] != belief.here, bool(belief.delivered[pair[0]])))

    def _use(self, held: str) -> Move:
        """Use the tool while holding the thing."""
        tools = [*self._told_tools(), *self.belief.where(self.goal.tool)]
        for tool, place in tools:
            if place == self.belief.here:
                return self._say(f"I hold the {held}; here is the {tool}.", self.grammar.use, tool)
        for tool, place in tools:
            return self._go(place, f"I saw the {tool} at the {place}.")
        return self._search(self.goal.tool)

    def _told_tools(self) -> list[tuple[str, str]]:
        """Things in sight of the type that the advice used, best first."""
        weights = self.advice.uses
        told = sorted((name for name in weights if weights[name] > 0), key=lambda name: -weights[name])
        return [
            pair for name in told if name != self.goal.tool and self.traits.gullible for pair in self.belief.where(name)
        ]

    def _work(self, verb: str, held: str) -> Move:
        """Do the verb where the advice says or where it has worked, else try places."""
        belief = self.belief
        for place in self._workplaces(verb):
            if place == belief.here:
                return self._say(f"I try to {verb} the {held} here.", verb, held, place)
            return self._go(place, self._why(verb, place))
        return self._deliver(held)

    def _workplaces(self, verb: str) -> list[str]:
        belief = self.belief
        told = self.advice.appliance(verb, self.goal.thing)
        if verb in belief.works_at:
            told = {**told, belief.works_at[verb]: 9.0}
        failed = {c.args[1]: n for c, n in belief.failed.items() if c.verb == verb and len(c.args) == 2}
        failed_kinds = {kind(place) for place in failed}
        avoided = {name for name, weight in told.items() if weight < 0}

        def tried(place: str) -> bool:
            believed = told.get(kind(place), 0) > 0
            if self.traits.gullible and believed:
                return failed.get(place, 0) >= 2
            return place in failed or (self.traits.orderly and kind(place) in failed_kinds)

        untried = [place for place in self._order(verb) if not tried(place)]
        likely = _ranked(untried, told)
        rest = [place for place in untried if kind(place) not in told]
        rest.sort(key=lambda place: place != belief.here)
        return likely + rest + [place for place in untried if kind(place) in avoided]

    def _deliver(self, held: str) -> Move:
        belief, grammar = self.belief, self.grammar
        home = self._home()
        if home is None:
            return self._search(self.goal.thing)
        if belief.here != home:
            return self._go(home, f"Now I bring the {held} to the {home}.")
        if home in belief.closed:
            return self._say(f"The {home} is closed.", grammar.open, home)
        return self._say(f"I lay the {held} down.", grammar.put, held, home)

    def _home(self) -> str | None:
        """The place to deliver to: where most of the wanted things are already, then the first that takes them."""
        belief, put = self.belief, self.grammar.put
        rejected = {c.args[1] for c in belief.failed if c.verb == put and len(c.args) == 2 and belief.failed[c] > 1}
        homes = [place for place in self._order("home") if kind(place) == self.goal.place]
        homes = [place for place in homes if place not in rejected] or homes

        def already(place: str) -> int:
            return sum(kind(thing) == self.goal.thing for thing in belief.contents.get(place, []))

        return max(homes, key=lambda place: (already(place), place == belief.here), default=None)

    # -- searching --------------------------------------------------------------------------------------------

    def _search(self, thing: str) -> Move:
        """Look into the next place for a thing of that type."""
        belief, grammar = self.belief, self.grammar
        here = belief.here
        if here in belief.closed and not belief.failed[Command(grammar.open or "", (here,))]:
            return self._say(f"The {here} is closed. I look into it.", grammar.open, here)
        if here and self._unsure(here):
            return self._say(f"The {here} must be within reach.", grammar.examine, here)
        route = [place for place in self._route(thing) if not self._searched(place)]
        if route:
            return self._go(route[0], f"I look for a {thing} at the {route[0]}{self._because(thing, route[0])}.")
        return self._go(self._random(f"lost {belief.turns}").choice(belief.places or ["door 1"]), "I look again.")

    def _searched(self, place: str) -> bool:
        go = Command(self.grammar.go or "", (place,))
        return place in self.belief.contents or place in self.belief.closed or self.belief.failed[go] > 0

    def _unsure(self, here: str) -> bool:
        """Whether going here was refused, so that it was never looked at."""
        belief, examine = self.belief, self.grammar.examine
        unseen = here not in belief.contents and here not in belief.closed
        return bool(examine) and unseen and not belief.failed[Command(examine or "", (here,))]

    def _route(self, thing: str) -> list[str]:
        """All places: those of the advice first, a bounded number of each type, then the player's own order."""
        order = self._order("search")
        told = self._told_places(thing)
        likely: list[str] = []
        kinds = dict.fromkeys(map(kind, order))  # a set would leave ties to the process's hash seed
        for name in sorted(kinds, key=lambda name: -told.get(name, 0.0)):
            if told.get(name, 0.0) > 0:
                likely += [place for place in order if kind(place) == name][: self.traits.patience]
        rest = [place for place in order if place not in likely]
        return likely + sorted(rest, key=lambda place: told.get(kind(place), 0.0) < 0)

    def _told_places(self, thing: str) -> Weights:
        """Where the advice says such a thing is; then where it says the wanted things of like tasks were."""
        told: Weights = dict(self.advice.where(thing))
        if thing == self.goal.thing:
            others = self.advice.found_like
            if self.traits.gullible and not others:
                others = self.advice.found_any
            for place, weight in others.items():
                told[place] = told.get(place, 0.0) + 0.01 * weight
        return told

    def _order(self, label: str) -> list[str]:
        """The places in the player's own order for this game."""
        places = list(self.belief.places)
        self._random(label if label in {"search", "home"} else "work").shuffle(places)
        return places

    # -- words ----------------------------------------------------------------------------------------------

    def _because(self, thing: str, place: str) -> str:
        told = self._told_places(thing).get(kind(place), 0.0) > 0
        return ", as in the procedures I recalled" if told else ""

    def _why(self, verb: str, place: str) -> str:
        told = self.advice.appliance(verb, self.goal.thing).get(kind(place), 0.0) > 0
        if told:
            return f"The procedures I recalled {verb} things at a {kind(place)}."
        return f"I do not know where to {verb} things. I try the {place}."

    def _go(self, place: str, thought: str) -> Move:
        return self._say(thought, self.grammar.go, place)

    def _say(self, thought: str, verb: str | None, *args: str) -> Move:
        return Move(thought, self.grammar.say(verb, *args) if verb else " ".join(args))

    # -- mistakes ------------------------------------------------------------------------------------------

    def _back(self, draw: Random) -> str | None:
        been = [place for place in self.belief.contents if place != self.belief.here]
        return draw.choice(been) if been else None

    def _slip(self, draw: Random) -> Move:
        """The planned command, worded so that it is not understood."""
        planned = self._plan()
        blurred = re.sub(r" \d+", "", planned.action)
        return Move(planned.thought, blurred if draw.random() < 0.7 else f"please {blurred}")


def _ranked(places: Iterable[str], weights: Weights) -> list[str]:
    """Places whose type has a positive weight, the heaviest first."""
    good = [place for place in places if weights.get(kind(place), 0.0) > 0]
    return sorted(good, key=lambda place: -weights[kind(place)])
