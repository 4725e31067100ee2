"""The simulated backbone's other trade: collecting for a trip with tools, and writing the plan.

It recognises both from the messages alone, reads the query as English, and knows no table. What people forget it
forgets by seeded chance; text recalled from a memory reminds it, where it says what went wrong.
"""

from collections.abc import Sequence
from random import Random
from re import DOTALL, MULTILINE
from re import compile as pattern

from memp.models.base import Message
from memp_bench.agents.simulated.travel.care import HABITS, forgotten
from memp_bench.agents.simulated.travel.collector import next_call, rounds
from memp_bench.agents.simulated.travel.information import read_information
from memp_bench.agents.simulated.travel.plan import PlanWriter
from memp_bench.agents.simulated.travel.query import read_query

_TOOLS = ("FlightSearch[", "NotebookWrite[", "Planner[")
_LAYOUT = ("Current City:", "Transportation:", "Accommodation:")
_GIVEN = pattern(r"Given information: (.*?)\n\n(?:Query|Observation):", DOTALL)
_QUERY = pattern(r"^(?:Task|Query): (.*?)(?=\n\n|\Z)", DOTALL | MULTILINE)

__all__ = ["answer"]


def answer(messages: Sequence[Message], player: str, seed: int) -> str | None:
    """The reply of `novice` or `able`; None for a conversation that is about no trip."""
    system = "\n\n".join(message.content for message in messages if message.role == "system")
    rules, _, recalled = system.partition("<memory>")
    asked = next((message.content for message in messages if message.role == "user"), "")
    found = _QUERY.search(asked)
    if found is None:
        return None
    query, trip = found[1], read_query(found[1])
    habits, draws = HABITS[player], f"{player}|{seed}|{' '.join(query.split())}"
    if not trip.dates:
        return None
    lost = forgotten(recalled, habits, draws)
    if all(tool in rules for tool in _TOOLS):
        done = rounds(messages)
        call = next_call(trip, query, done, recalled=recalled, seed=draws, mixes="modes" in lost)
        if Random(f"{draws}|turn {len(done)}").random() < habits.slips:
            call = call.removesuffix("]")  # not understood as a call
        return f"Thought: I need what is still missing for this trip.\nAction: {call}"
    if not all(label in rules for label in _LAYOUT):
        return None
    given = _GIVEN.search(asked)
    plan = PlanWriter(trip, read_information(given[1] if given else ""), lost, draws).write()
    if "Finish[" in rules:
        return f"Thought: I have all I need.\nAction: Finish[{plan}]"
    return f"Travel Plan:\n\n{plan}"
