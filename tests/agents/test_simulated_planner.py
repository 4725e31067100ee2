"""The simulated planner: it reads the query and what it is given, heeds what it is told, and knows nothing else."""

import random
import re
from collections import Counter
from pathlib import Path

import pytest

from memp.models.base import Message
from memp_bench.agents.react import play, system_prompt
from memp_bench.agents.registry import backbone
from memp_bench.agents.simulated import travel as package
from memp_bench.agents.simulated.travel.care import HABITS, RULES, examples, forgotten, warnings
from memp_bench.agents.simulated.travel.information import read_information
from memp_bench.agents.simulated.travel.query import read_query
from memp_bench.envs.travelplanner.benchmark import TravelPlanner
from memp_bench.envs.travelplanner.generated_tasks import write_world
from memp_bench.envs.travelplanner.plan_text import read_plan
from memp_bench.envs.travelplanner.planner import Planner
from memp_bench.envs.travelplanner.prompts import PLANNER, planner_request
from memp_bench.envs.travelplanner.reference import reference_information

MODES = ["sole-planning", "two-stage"]
ROOMS = {
    "entire room": "Entire home/apt",
    "private room": "Private room",
    "shared room": "Shared room",
    "not shared room": "not shared",
}
NIGHTS = """\
<procedure n="1">
Earlier task: Plan a trip with a budget of $900.
Goal: Plan a trip.
Steps:
1. Hand in the plan
Pitfalls:
- In "Plan a trip within the budget and a minimum nights stay", the judge said: {}
</procedure>""".format("Minimum Nights Stay: The lodging X do not obey the minumum nights rule.")
PLAN = """\
<procedure n="{n}">
Earlier task: Plan a trip.
Done before (reward 1):
Action: Day 1:
Current City: from Aa to Bb
Transportation: Flight Number: F1, from Aa to Bb
Breakfast: -
Attraction: -
Lunch: -
Dinner: Cook {n}, Bb
Accommodation: Bed, Bb
Action: Day 2:
Current City: from Bb to {end}
Transportation: {back}, from Bb to {end}
Breakfast: Cook 0, Bb
Attraction: -
Lunch: -
Dinner: -
Accommodation: -
</procedure>"""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return write_world(tmp_path_factory.mktemp("world"), per_cell={"train": 2, "validation": 1})


async def played(world, name, mode, split="train", **options):
    model = backbone(name)
    bench = TravelPlanner(world, mode, planner=Planner(model, limit=None), **options)
    episodes = []
    for task in bench.tasks(split):
        episodes.append(await play(bench.environment(), task, model, instructions=bench.instructions))
    return bench, episodes


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["sim:novice", "sim:able"])
async def test_every_task_of_a_country_is_planned_through_the_real_loop(world, name, mode):
    _, episodes = await played(world, name, mode)

    assert all(episode.simulated and episode.counted for episode in episodes)
    delivered = [episode for episode in episodes if episode.product]
    assert len(delivered) == len(episodes)
    assert all(len(episode.steps) <= 30 for episode in episodes)
    assert sum(episode.reward for episode in episodes) / len(episodes) > 0.4


async def test_the_able_one_makes_better_plans(world):
    _, novice = await played(world, "sim:novice", "sole-planning")
    _, able = await played(world, "sim:able", "sole-planning")

    assert sum(e.reward for e in able) > sum(e.reward for e in novice) + 1


async def test_the_plan_may_be_asked_for_in_rounds(world):
    _, episodes = await played(world, "sim:able", "sole-planning", split="validation", strategy="react")

    assert all(episode.product and episode.steps[-1].action.startswith("Finish[") for episode in episodes)


async def test_a_call_that_was_not_understood_is_made_again(world):
    _, episodes = await played(world, "sim:novice", "two-stage")

    slips = [(n, e) for e in episodes for n, s in enumerate(e.steps[:-1]) if s.error and not s.action.endswith("]")]
    assert slips
    # The same call comes at once; or the same slip once more, before it.
    assert all(e.steps[n + 1].action.startswith(e.steps[n].action) for n, e in slips)


def request(world, split="train", number=0, recalled=""):
    bench = TravelPlanner(world, "sole-planning")
    task = bench.travel_task(bench.tasks(split)[number])
    given = reference_information(task.reference_descriptions, bench.tables)
    return system_prompt(PLANNER, recalled=recalled), planner_request(given, task.query)


async def said(system, asked, name="sim:novice", seed=0):
    messages = [Message(role="system", content=system), Message(role="user", content=asked)]
    return (await backbone(name, seed=seed).complete(messages)).text


@pytest.mark.parametrize("number", [0, 3, 6])
async def test_it_knows_no_table_but_those_in_the_messages(world, number):
    """With every place renamed in the messages, the plan is the same with the names renamed."""
    system, asked = request(world, number=number)
    bench = TravelPlanner(world, "sole-planning")
    names = {str(name) for places in (bench.tables.restaurants,) for name in places.table["Name"]}
    swapped = {name: "".join(chr((ord(c) - 97 + 5) % 26 + 97) if c.islower() else c for c in name) for name in names}

    def rename(text):
        return re.sub("|".join(map(re.escape, sorted(names, key=len, reverse=True))), lambda m: swapped[m[0]], text)

    assert rename(asked) != asked
    assert await said(system, rename(asked)) == rename(await said(system, asked))


async def test_the_same_messages_give_the_same_reply_and_a_seed_another(world):
    system, asked = request(world, number=4)

    replies = {seed: await said(system, asked, seed=seed) for seed in range(6)}

    assert replies[0] == await said(system, asked)
    assert len(set(replies.values())) > 1


async def test_it_neither_imports_nor_names_anything_of_the_benchmark():
    sources = "\n".join(path.read_text() for path in Path(package.__file__).parent.glob("*.py"))

    assert "memp_bench.envs" not in sources
    assert not re.search(r"Rockford|Denver|F\d{7}", sources)


async def test_nothing_given_is_still_a_plan_and_other_talk_is_refused(world):
    system, asked = request(world)
    without = planner_request("[]", asked.split("Query: ")[1].removesuffix("\n\nTravel Plan:"))

    assert read_plan(await said(system, without))
    assert "simulated player" in await said("You are a poet.", "Task: write a poem for March 3rd to March 5th, 2022.")
    assert "simulated player" in await said(system, "Query: hello\n\nTravel Plan:")


# -- reading ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", ["train", "validation"])
def test_queries_of_a_country_are_understood(world, split):
    bench = TravelPlanner(world, "sole-planning")
    for task in map(bench.travel_task, bench.tasks(split)):
        trip, wish = read_query(task.query), task.local_constraint
        assert (trip.origin, trip.destination, trip.cities) == (task.org, task.dest, task.visiting_city_number)
        assert (trip.dates, trip.people, trip.budget) == (task.date, task.people_number, task.budget)
        assert set(trip.cuisines) == set(wish.cuisine or ())
        assert trip.house_rule == (wish.house_rule or "")
        assert trip.room == ROOMS.get(wish.room_type, "")
        assert trip.avoids == (wish.transportation or "").removeprefix("no ")


def test_plain_english_is_understood():
    trip = read_query(
        "Our family of four leaves from St. Elmo to see two cities in New Avalon from the 8th to the 12th of May, "
        "2023. We have $2,000 and bring a dog: it must be pet-friendly, a private room. We won't fly. "
        "We love Indian food."
    )

    assert (trip.origin, trip.destination, trip.cities) == ("St. Elmo", "New Avalon", 2)
    assert trip.dates[0] == "2023-05-08"
    assert len(trip.dates) == 5
    assert (trip.people, trip.budget, trip.cuisines) == (4, 2000, ("Indian",))
    assert (trip.house_rule, trip.room, trip.avoids) == ("pets", "Private room", "flight")


def test_printed_tables_are_read_back(world):
    bench = TravelPlanner(world, "sole-planning")
    tables = bench.tables
    for task in map(bench.travel_task, bench.tasks("train")):
        for labels in (False, True):
            found = read_information(reference_information(task.reference_descriptions, tables, labels=labels))
            for city, rows in found.restaurants.items():
                there = tables.restaurants.in_city(city)
                assert [row["Name"] for row in rows] == list(there["Name"])
                assert [int(row["Average Cost"]) for row in rows] == list(there["Average Cost"])
            for city, rows in found.lodgings.items():
                there = tables.accommodations.in_city(city)
                assert [row["house_rules"] for row in rows] == list(there["house_rules"])
            for (origin, destination, date), rows in found.flights.items():
                there = tables.flights.search(origin, destination, date)
                assert [row["Flight Number"] for row in rows] == list(there["Flight Number"])


@pytest.mark.parametrize("text", ["", "nothing", "{'a': 1}", "[1, 'two', {'Content': 3}]", "['unclosed"])
def test_what_is_no_table_gives_nothing(text):
    assert not read_information(text).cities


# -- memory -------------------------------------------------------------------------------------------


def share(rule, recalled, habits, plans=200):
    return sum(rule in forgotten(recalled, habits, f"seed {n}") for n in range(plans)) / plans


@pytest.mark.parametrize("name", ["novice", "able"])
def test_a_warning_makes_its_rule_rarer_forgotten_and_no_other(name):
    habits = HABITS[name]

    assert share("nights", "", habits) == pytest.approx(habits.forgets["nights"], abs=0.12)
    assert share("nights", NIGHTS, habits) < 0.7 * share("nights", "", habits)
    for rule in set(RULES) - {"nights"}:
        assert share(rule, NIGHTS, habits) == share(rule, "", habits)


def test_words_of_a_task_that_a_pitfall_quotes_warn_of_nothing():
    assert list(warnings(NIGHTS)) == ["Minimum Nights Stay: The lodging X do not obey the minumum nights rule."]


def test_feedback_on_an_example_warns_as_a_pitfall_does():
    example = PLAN.format(n=1, end="Aa", back="Taxi").replace(
        "\nAction: Day 2", "\nFeedback: Diverse Restaurants: The restaurant in day 1 dinner is repeated.\nAction: Day 2"
    )

    assert share("restaurants", example, HABITS["novice"]) < 0.7 * share("restaurants", "", HABITS["novice"])


def test_examples_that_break_a_rule_mislead():
    good = "\n".join(PLAN.format(n=n, end="Aa", back="Taxi") for n in range(1, 4))
    bad = "\n".join(PLAN.format(n=n, end="Cc", back="Self-driving") for n in range(1, 4))

    assert examples(good) == (Counter(circle=3, modes=3, restaurants=3, complete=3), Counter())
    assert examples(bad)[1] == Counter(circle=3, modes=3)
    for rule in ("circle", "modes"):
        assert (
            share(rule, good, HABITS["novice"]) < share(rule, "", HABITS["novice"]) < share(rule, bad, HABITS["novice"])
        )


async def test_a_recalled_warning_changes_the_plans_themselves(world):
    """More plans keep the minimum nights when the memory names that rule."""
    bench = TravelPlanner(world, "sole-planning")
    tasks = list(map(bench.travel_task, bench.tasks("train")))[::2]

    async def kept(recalled):
        count = 0
        for number, task in enumerate(tasks):
            for seed in range(2):
                plan = read_plan(await said(*request(world, number=number, recalled=recalled), seed=seed))
                count += bool(bench.evaluator.judge(task, plan).checks["is_valid_accommodation"].passed)
        return count

    assert await kept(NIGHTS * 3) > await kept("")


async def test_towns_of_earlier_plans_are_asked_for_first(world):
    bench, _ = await played(world, "sim:able", "two-stage", split="validation")
    task = next(t for t in bench.tasks("train") if bench.travel_task(t).visiting_city_number > 1)
    travel = bench.travel_task(task)
    listed = [city for city in bench.tables.cities.in_state(travel.dest) if city != travel.org]
    for town in random.Random(0).sample(listed, 2):
        system = system_prompt(
            bench.instructions, recalled=f'<procedure n="1">\nEarlier task: see {town}.\n</procedure>'
        )
        messages = [
            Message(role="system", content=system),
            Message(role="user", content=f"Task: {travel.query}\n\nObservation: start"),
            Message(role="assistant", content=f"Thought: x\nAction: CitySearch[{travel.dest}]"),
            Message(role="user", content=f"Observation: {listed}"),
        ]
        calls = {(await backbone("sim:able", seed=seed).complete(messages)).text for seed in range(3)}
        assert all(f", {town}, " in call for call in calls)
