"""The simulated backbones know what the messages say, and nothing else."""

import random
import re
from pathlib import Path

import pytest
from toyhouse import NAMES, ToyHouse, kitchen

from memp.errors import UnknownName
from memp.models.base import ChatModel, Message
from memp_bench.agents import simulated as package
from memp_bench.agents.react import play
from memp_bench.agents.registry import backbone
from memp_bench.envs.alfred_rules import INSTRUCTIONS
from memp_bench.envs.base import Observation, Opening, Task

PLAYERS = ["sim:novice", "sim:able"]
GOALS = [
    ("put a mug in table.", {"thing": "mug", "place": "table"}),
    ("clean some plate and put it in shelf.", {"thing": "plate", "place": "shelf", "verb": "clean"}),
    ("put a hot apple in garbagecan.", {"thing": "apple", "place": "garbagecan", "verb": "heat"}),
    ("cool some mug and put it in cabinet.", {"thing": "mug", "place": "cabinet", "verb": "cool"}),
    ("find two plate and put them in countertop.", {"thing": "plate", "place": "countertop", "count": 2}),
    ("look at book under the desklamp.", {"thing": "book", "tool": "desklamp"}),
]
THINGS = {
    *("apple", "armchair", "bathtubbasin", "bed", "bowl", "bread", "cloth", "coffeemachine", "coffeetable", "cup"),
    *("desk", "desklamp", "diningtable", "dresser", "egg", "floorlamp", "fork", "fridge", "knife", "lamp", "laptop"),
    *("lettuce", "microwave", "pan", "pillow", "pot", "potato", "safe", "sidetable", "sink", "sinkbasin", "soapbar"),
    *("sofa", "spoon", "toaster", "toilet", "tomato", "towelholder"),
}
HEAT = """\
Procedures from earlier tasks, best first.

<procedure n="1">
Earlier task: put a hot apple in table.
Goal: Put a hot apple in table.
Steps:
1. go to {found}
2. take apple from {found}
3. go to {heats}
4. heat apple with {heats}
5. go to table
6. move apple to table
</procedure>
"""


class Renamed:
    """A house whose every word for a thing is another word."""

    def __init__(self, house: ToyHouse) -> None:
        self.house = house

    async def reset(self, task):
        opening = await self.house.reset(task)
        return Opening(task=renamed(opening.task), observation=Observation(text=renamed(opening.observation.text)))

    async def step(self, action):
        seen = await self.house.step(renamed(action, {new: old for old, new in NAMES.items()}))
        return seen.model_copy(update={"text": renamed(seen.text)})

    async def close(self):
        pass


def renamed(text, names=NAMES):
    return re.sub(r"[a-z]+", lambda word: names.get(word[0], word[0]), text)


async def run(house, name, recalled="", seed=0, max_steps=30):
    task, model = Task(id="t", family="f"), backbone(name, seed=seed)
    return await play(house, task, model, instructions=INSTRUCTIONS, recalled=recalled, max_steps=max_steps)


def conversation(episode, turns):
    system = f"{INSTRUCTIONS}\n\n{episode.recalled}"
    messages = [Message(role="system", content=system)]
    messages.append(Message(role="user", content=f"Task: {episode.task}\n\nObservation: {episode.start}"))
    for step, reply in list(zip(episode.steps, episode.replies, strict=True))[:turns]:
        messages.append(Message(role="assistant", content=reply.text))
        messages.append(Message(role="user", content=f"Observation: {step.observation}"))
    return messages


def actions(episode):
    return [step.action for step in episode.steps]


async def rate(name, recalled="", goals=GOALS, games=8):
    """(share solved, mean steps) over kitchens of several seeds."""
    episodes = [
        await run(kitchen(i, task, **goal), name, recalled, seed=i) for i in range(games) for task, goal in goals
    ]
    return sum(e.success for e in episodes) / len(episodes), sum(len(e.steps) for e in episodes) / len(episodes)


def test_they_are_chat_models_marked_simulated():
    model = backbone("sim:novice@3", seed=7)
    assert isinstance(model, ChatModel)
    assert (model.name, model.simulated) == ("sim:novice@3", True)
    assert backbone("sim:able", seed=7).name == "sim:able@7"
    assert backbone("sim:able").name == "sim:able"


@pytest.mark.parametrize(("name", "hint"), [("sim:novise", "sim:novice"), ("sim:able@x", "sim:able@3")])
def test_unknown_players_name_the_nearest(name, hint):
    with pytest.raises(UnknownName, match=hint):
        backbone(name)


def test_real_models_are_left_to_the_library():
    with pytest.raises(UnknownName, match="openai"):
        backbone("opanai:m")


@pytest.mark.parametrize("name", PLAYERS)
async def test_the_same_messages_give_the_same_reply_whatever_came_before(name):
    episode = await run(kitchen(1, *GOALS[1][:1], **GOALS[1][1]), name, seed=5)
    fresh, order = backbone(name, seed=5), list(range(len(episode.steps)))
    random.Random(0).shuffle(order)
    for turn in order:
        reply = await fresh.complete(conversation(episode, turn), temperature=turn / 10, purpose="act")
        assert reply.text == episode.replies[turn].text
        assert reply.usage.cost == 0
        assert reply.usage.input_tokens == sum(len(m.content) for m in conversation(episode, turn)) // 4


@pytest.mark.parametrize("name", PLAYERS)
@pytest.mark.parametrize("remembering", [False, True])
async def test_a_house_in_other_words_is_played_in_the_same_way(name, remembering):
    for i, (task, goal) in enumerate(GOALS):
        recalled = HEAT.format(found="countertop", heats="microwave") if remembering else ""
        plain = await run(kitchen(i, task, **goal), name, recalled, seed=i)
        other = await run(Renamed(kitchen(i, task, **goal)), name, renamed(recalled), seed=i)
        assert actions(other) == [renamed(action) for action in actions(plain)]
        assert (other.success, len(other.steps)) == (plain.success, len(plain.steps))


def test_no_thing_of_a_house_is_named_in_the_code():
    source = "\n".join(path.read_text() for path in Path(package.__file__).parent.glob("*.py"))
    things = set(NAMES) | THINGS
    # "mug" and the like may stand in a comment as an example of a type, never in code.
    code = re.sub(r'"""(?:.|\n)*?"""|#.*', "", source)
    assert not {thing for thing in things if re.search(rf"\b{thing}s?\b", code)}


@pytest.mark.parametrize("name", PLAYERS)
async def test_every_family_is_solved_without_memory_given_time(name):
    for i, (task, goal) in enumerate(GOALS):
        assert (await run(kitchen(i, task, **goal), name, seed=i, max_steps=200)).success, task


async def test_the_able_player_beats_the_novice():
    novice, able = await rate("sim:novice"), await rate("sim:able")
    assert able[0] > novice[0] + 0.1
    assert able[1] < novice[1]


@pytest.mark.parametrize("name", PLAYERS)
async def test_right_advice_helps_and_wrong_advice_misleads(name):
    hot = [GOALS[2]]
    alone = await rate(name, goals=hot)
    right = await rate(name, HEAT.format(found="countertop", heats="microwave"), hot)
    wrong = await rate(name, HEAT.format(found="drawer", heats="stoveburner"), hot)
    assert right[0] >= alone[0] + 0.2
    assert right[1] < wrong[1] - 4
    assert right[0] > wrong[0]


@pytest.mark.parametrize("name", PLAYERS)
async def test_the_order_of_the_recalled_procedures_decides(name):
    right, wrong = (
        HEAT.format(found="countertop", heats=heats).partition("\n\n")[2] for heats in ("microwave", "stoveburner")
    )

    async def first_tried(recalled):
        played = await run(kitchen(2, GOALS[2][0], **GOALS[2][1]), name, recalled, max_steps=200)
        return next(action for action in actions(played) if re.match(r"heat .*\d with .*\d", action))

    assert "microwave" in await first_tried(right + wrong)
    assert "stoveburner" in await first_tried(wrong + right)


async def test_the_novice_is_misled_for_longer():
    wrong = HEAT.format(found="drawer", heats="stoveburner")

    async def wasted(name):
        total = 0
        for i in range(8):
            played = await run(kitchen(i, GOALS[2][0], **GOALS[2][1]), name, wrong, seed=i)
            total += sum(action.startswith("heat") and "stoveburner" in action for action in actions(played))
        return total

    assert await wasted("sim:novice") > await wasted("sim:able") > 0


async def test_wrong_advice_is_given_up_in_the_end():
    wrong = HEAT.format(found="drawer", heats="stoveburner")
    episodes = [await run(kitchen(i, GOALS[2][0], **GOALS[2][1]), "sim:able", wrong, seed=i) for i in range(8)]
    assert any(e.success for e in episodes)
    tried = actions(next(e for e in episodes if e.success))
    heats = [action for action in tried if action.startswith("heat")]
    assert "stoveburner" in heats[0]
    assert "microwave" in heats[-1]


def test_builders_may_answer_conversations_without_a_grammar():
    from memp_bench.agents.simulated import Simulated

    ask = [Message(role="system", content="Write a JSON object."), Message(role="user", content="x")]
    assert "only answer" in Simulated("able")._answer(ask)
    assert Simulated("able", builder=lambda messages: messages[-1].content * 2)._answer(ask) == "xx"
    assert "only answer" in Simulated("able", builder=lambda messages: None)._answer(ask)
