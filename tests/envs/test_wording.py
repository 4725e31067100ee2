"""Tasks in other words mean what they meant, and a player that knows English reads them as before."""

import itertools
import re

import pytest

from memp.errors import EnvironmentFailed, UnknownName
from memp.models.base import Message
from memp_bench.agents.simulated import simulated
from memp_bench.agents.simulated.goal import read_goal
from memp_bench.agents.simulated.travel.query import read_query
from memp_bench.benchmarks import benchmark
from memp_bench.envs.alfred_rules import INSTRUCTIONS
from memp_bench.envs.alfworld import AlfWorld
from memp_bench.envs.base import Benchmark, Measures, PlansWithModel
from memp_bench.envs.household import Household
from memp_bench.envs.household.goals import FAMILIES
from memp_bench.envs.household.tables import LAMP, OBJECTS, ROOMS
from memp_bench.envs.textworld import game_of
from memp_bench.envs.travelplanner.benchmark import TravelPlanner
from memp_bench.envs.travelplanner.tasks import TravelTask
from memp_bench.envs.wording import WORDINGS, Reworded
from memp_bench.envs.wordings import household as words
from memp_bench.envs.wordings import load

WORKS = ("heat", "cool", "clean")
PLAIN = {
    "put": ("put a {} in {}.", "put some {} on {}."),
    "clean": ("put a clean {} in {}.", "clean some {} and put it in {}."),
    "heat": ("put a hot {} in {}.", "heat some {} and put it in {}."),
    "cool": ("put a cool {} in {}.", "cool some {} and put it in {}."),
    "examine": ("look at {} under the {}.", "examine the {} with the {}."),
    "put_two": ("put two {} in {}.", "find two {} and put them in {}."),
}


def every_sentence():
    """Plain sentence with what it asks for: each object with two places, in every form."""
    places = sorted({place.lower() for room in ROOMS.values() for place in room})
    for number, thing in enumerate(sorted(name.lower() for name in OBJECTS)):
        for family, forms in PLAIN.items():
            for nth, form in enumerate(forms):
                place = LAMP.lower() if family == "examine" else places[(number + 7 * nth) % len(places)]
                yield form.format(thing, place), (family, thing, place)


@pytest.mark.parametrize("wording", WORDINGS)
def test_a_household_task_keeps_its_meaning(wording):
    for nth, (sentence, wanted) in enumerate(every_sentence()):
        other = words.reword(wording, sentence, f"task {nth}")
        assert other != sentence
        assert words.read_reworded(other) == wanted, other
        assert read_goal(other, WORKS) == read_goal(sentence, WORKS), other


@pytest.mark.parametrize("wording", WORDINGS)
def test_every_sentence_of_a_list_is_read_back(wording):
    data = load(wording)["household"]
    for family, shapes in data["sentences"].items():
        keys = (f"{n}" for n in itertools.count())
        sentence, left = PLAIN[family][0].format("mug", "desklamp"), set(shapes)
        seen: set[str] = set()
        while len(seen) < len(left):
            other = words.reword(wording, sentence, next(keys))
            assert words.read_reworded(other) == (family, "mug", "desklamp")
            seen.add(
                re.sub(r"coffee (?:tankard|mug)s?|steins?|mugs?|desk ?lamp|reading light|(?:table )?lamp", "*", other)
            )


def test_no_two_things_share_a_word():
    meant: dict[str, set[str]] = {}
    for wording, table in itertools.product(WORDINGS, ("things", "places")):
        for name, others in load(wording)["household"].get(table, {}).items():
            for other in [name, *others]:
                for form in words._forms(other):
                    meant.setdefault(form.lower(), set()).add(name)
    assert {form: names for form, names in meant.items() if len(names) > 1} == {}


def test_everything_that_occurs_has_other_words():
    for wording in ("judge", "synonyms"):
        data = load(wording)["household"]
        assert {name.lower() for name in OBJECTS} <= set(data["things"])
        assert {place.lower() for room in ROOMS.values() for place in room} | {LAMP.lower()} <= set(data["places"])
    for wording in WORDINGS:
        assert set(load(wording)["household"]["sentences"]) == set(FAMILIES)


def test_phrasing_keeps_the_nouns_and_synonyms_the_shape():
    for sentence, (_, thing, place) in every_sentence():
        assert {thing, place} <= set(re.findall(r"\w+", words.reword("phrasing", sentence, sentence)))
        exchanged = words.reword("synonyms", sentence, sentence)
        assert not exchanged.endswith(f" {place}."), exchanged
        assert len(exchanged.split()) <= len(sentence.split()) + 7, exchanged


def test_plain_sentences_are_left_to_the_player_as_they_are():
    assert [s for s, _ in every_sentence() if words.plainly(s) is not None] == []
    assert words.plainly("fetch the grommet and bring it to the frobnicator") is None
    assert words.plainly("Could you leave a grommet in the frobnicator, please?") is None


def test_the_same_task_gets_the_same_words_and_others_get_others():
    sentence = "put a mug in cabinet."
    assert len({words.reword("judge", sentence, "a task") for _ in range(3)}) == 1
    assert len({words.reword("judge", sentence, f"task {n}") for n in range(50)}) > 8


def test_what_has_no_other_words_is_said():
    with pytest.raises(UnknownName, match="judge"):
        Reworded(Household(), "juge")
    with pytest.raises(EnvironmentFailed, match="juggle"):
        words.reword("judge", "juggle three apples", "a task")


@pytest.mark.parametrize("wording", WORDINGS)
async def test_a_simulated_player_plays_a_reworded_task_as_the_plain_one(wording):
    seen = "You are in the middle of a room. Looking quickly around you, you see a drawer 1, a mug 1, a desk 1."
    player = simulated("sim:able")
    for nth, (sentence, _) in enumerate(every_sentence()):
        said = [
            await player.complete(
                [
                    Message(role="system", content=INSTRUCTIONS),
                    Message(role="user", content=f"Task: {task}\n\nObservation: {seen}"),
                ]
            )
            for task in (sentence, words.reword(wording, sentence, f"task {nth}"))
        ]
        assert said[0].text == said[1].text


async def test_a_reworded_game_is_the_same_game(tmp_path):
    plain = Household(workers=1, processes=1, cache=tmp_path)
    bench = Reworded(plain, "judge")
    assert isinstance(bench, Benchmark)
    assert not isinstance(bench, Measures | PlansWithModel)
    assert (bench.name, bench.instructions, bench.splits) == (plain.name, plain.instructions, plain.splits)
    (task,) = bench.tasks("seen", games=1)
    environment, own = bench.environment(), plain.environment()
    try:
        opening = await environment.reset(task)
        seen = await environment.step("go to cabinet 1")
        await environment.close()
        first = await own.reset(task)
        assert opening.observation == first.observation
        assert words.read_reworded(opening.task) == words.read_plain(first.task)
        assert seen == await own.step("go to cabinet 1")
    finally:
        await own.close()
        await bench.close()


# -- the real tasks ---------------------------------------------------------------------------------------


def alfworld() -> AlfWorld:
    try:
        return AlfWorld()
    except EnvironmentFailed as error:
        pytest.skip(f"no ALFWorld data: {error}")


@pytest.mark.parametrize("wording", WORDINGS)
def test_every_dev_task_of_alfworld_keeps_its_meaning(wording):
    from memp_bench.envs.engine.player import read_game

    for task in alfworld().tasks("valid_seen"):
        said = re.search(r"task is to: (.*?)\"", read_game(game_of(task))["grammar"])
        assert said is not None
        _, thing, _, place, _ = task.id.split("/")[1].split("-")
        other = words.reword(wording, said[1], task.id)
        assert words.read_reworded(other) == (task.family, thing.lower(), place.lower()), other


# -- travel -----------------------------------------------------------------------------------------------


def travel_benchmark(tmp_path) -> TravelPlanner:
    bench = TravelPlanner()
    try:
        bench.tasks("validation")
    except EnvironmentFailed:
        made = benchmark("travelplanner", cache=tmp_path, generated=True)
        assert isinstance(made, TravelPlanner)
        return made
    return bench


def numbers(text: str) -> set[str]:
    return set(re.findall(r"\$\d[\d,]*\d|\d+", text))


@pytest.mark.parametrize("wording", WORDINGS)
def test_a_trip_keeps_its_facts(wording, tmp_path):
    plain = travel_benchmark(tmp_path)
    bench = Reworded(plain, wording)
    assert isinstance(bench, TravelPlanner)
    for task in (*plain.tasks("train"), *plain.tasks("validation")):
        before, after = plain.travel_task(task), bench.travel_task(task)
        assert after.query != before.query
        assert after.model_copy(update={"query": before.query}) == before
        if wording == "synonyms":
            assert numbers(after.query) == numbers(before.query)
            assert read_query(after.query) == read_query(before.query), after.query
        else:
            assert_says(after)
    assert plain.travel_task(task).query == before.query


def assert_says(task: TravelTask) -> None:
    trip, wishes = read_query(task.query), task.local_constraint
    assert task.org in task.query
    assert trip.origin
    assert task.org.startswith(trip.origin)  # the reader stops at the dot of "Sault Ste. Marie", there as in the plain
    assert (trip.destination, trip.cities) == (task.dest, task.visiting_city_number), task.query
    assert (trip.dates, trip.people, trip.budget) == (task.date, task.people_number, task.budget), task.query
    assert set(trip.cuisines) == set(wishes.cuisine or ()), task.query
    assert trip.house_rule == (wishes.house_rule or ""), task.query
    rooms = {"entire room": "Entire home/apt", "private room": "Private room", "shared room": "Shared room"}
    assert trip.room == rooms.get(wishes.room_type or "", "not shared" if wishes.room_type else ""), task.query
    assert trip.avoids == {None: "", "no flight": "flight"}.get(wishes.transportation, "self-driving"), task.query
    assert {str(task.days), f"${task.budget:,}", str(task.people_number)} <= numbers(task.query)
