import random
import time

import pytest
from travelkit import data_folder, real_tables, small_tables

from memp_bench.envs.travelplanner.actions import INVALID_ACTION, Call, one_line, parse_action
from memp_bench.envs.travelplanner.session import MASK, NULL_ACTION, REPEATED, Session
from memp_bench.envs.travelplanner.tools import Tools
from memp_bench.envs.travelplanner.transcript import Transcript

NO_ATLANTIS = "Atlantis is not valid city in ['Arden', 'Birch']."


@pytest.fixture
def tables():
    return small_tables()


@pytest.fixture
def session(tables):
    return Session(Tools(tables))


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("CitySearch[Texas]", ("CitySearch", "Texas")),
        ("Planner[a [b] c]", ("Planner", "a [b] c")),
        ("FlightSearch[CitySearch[Texas], B, 2022-03-01]", ("FlightSearch", "CitySearch[Texas], B, 2022-03-01")),
        ("Dance[ ]", ("Dance", " ")),
    ],
)
def test_an_action_is_a_name_and_what_stands_in_its_outermost_brackets(text, call):
    assert parse_action(text) == call


@pytest.mark.parametrize(
    "text", ["", "CitySearch[]", "CitySearch", "CitySearch[Texas] ", " CitySearch[Texas]", "City Search[a]"]
)
def test_anything_else_is_no_action(text):
    assert parse_action(text) is None


def test_line_ends_are_taken_out_of_an_action():
    assert one_line("\n CitySearch[New\nMexico] \n") == "CitySearch[NewMexico]"


def test_flights_of_a_leg_are_shown_as_a_table_and_legs_without_flights_in_words(tables):
    tools = Tools(tables)
    found = tools.run(Call("FlightSearch", "Arden, Birch, 2022-03-01, and more"))
    assert found.text.splitlines()[0].split()[:3] == ["Flight", "Number", "Price"]
    assert [line.split()[0] for line in found.text.splitlines()[1:]] == ["F1000001", "F1000002"]
    none = tools.run(Call("FlightSearch", "Birch, Arden, 2022-03-01"))
    assert (none.text, none.unknown_leg) == ("There is no flight from Birch to Arden on 2022-03-01.", False)
    unknown = tools.run(Call("FlightSearch", "Arden, Birch, 2022-03-30"))
    assert (unknown.text, unknown.unknown_leg) == ("There is no flight from Arden to Birch on 2022-03-30.", True)


def test_each_search_of_an_unknown_leg_is_counted(tables):
    tools = Tools(tables)
    for _ in range(3):
        tools.run(Call("FlightSearch", "Arden, Birch, 2022-03-30"))
    tools.run(Call("FlightSearch", "Birch, Arden, 2022-03-01"))
    assert dict(tables.flights.asked_unknown) == {("Arden", "Birch", "2022-03-30"): 3}


def test_a_table_is_rendered_once_and_nothing_else_is_kept(tables):
    tools = Tools(tables)
    table = Call("RestaurantSearch", "Birch")
    assert tools.run(table) is tools.run(table)
    for made_up in (Call("GoogleDistanceMatrix", "Arden, Birch, by 1 camel"), Call("CitySearch", "Sea 1")):
        assert tools.run(made_up) is not tools.run(made_up)


@pytest.mark.parametrize(
    ("action", "text", "state"),
    [
        ("FlightSearch[Atlantis, Birch, March 1st]", "'March 1st' is not in the format YYYY-MM-DD", "DateError"),
        ("FlightSearch[Atlantis, Lemuria, 2022-03-01]", NO_ATLANTIS, "City Error"),
        ("FlightSearch[Arden, Atlantis, 2022-03-01]", NO_ATLANTIS, "City Error"),
        ("FlightSearch[Arden, Birch]", "Illegal Flight Search. Please try again.", "Other Error"),
        ("FlightSearch[Arden,Birch,2022-03-01]", "Illegal Flight Search. Please try again.", "Other Error"),
        ("AttractionSearch[Atlantis]", NO_ATLANTIS, "City Error"),
        ("AccommodationSearch[Atlantis]", NO_ATLANTIS, "City Error"),
        ("RestaurantSearch[Atlantis]", NO_ATLANTIS, "City Error"),
        ("GoogleDistanceMatrix[Arden, Birch]", "Illegal GoogleDistanceMatrix. Please try again.", "Other Error"),
    ],
)
def test_wrong_arguments_are_told_in_the_original_words(session, action, text, state):
    turn = session.act(action)
    assert (turn.observation, turn.state) == (text, f"Illegal args. {state}")
    assert turn.failed
    assert not turn.stopped


@pytest.mark.parametrize(
    ("action", "text"),
    [
        ("AttractionSearch[Arden]", "There is no attraction in this city."),
        ("AccommodationSearch[Arden]", "There is no attraction in this city."),  # as the original has it
        ("RestaurantSearch[Arden]", "There is no restaurant in this city."),
        ("CitySearch[Woods]", "['Arden', 'Birch']"),
        ("CitySearch[Sea]", "Invalid State"),
        (
            "GoogleDistanceMatrix[Arden(Woods), Birch, self-driving]",
            "self-driving, from Arden to Birch, duration: 4 hours 2 mins, distance: 1,401 km, cost: 70",
        ),
        (
            "GoogleDistanceMatrix[Arden, Birch, taxi]",
            "taxi, from Arden to Birch, duration: 4 hours 2 mins, distance: 1,401 km, cost: 1401",
        ),
        (
            "GoogleDistanceMatrix[Arden, Birch, on foot]",
            "on foot, from Arden to Birch, duration: 4 hours 2 mins, distance: 1,401 km, cost: None",
        ),
        ("GoogleDistanceMatrix[Birch, Arden, taxi]", "No valid information."),
        ("GoogleDistanceMatrix[Birch, Rome, taxi]", "taxi, from Birch to Rome, no valid information."),
    ],
)
def test_answers_without_a_table(session, action, text):
    turn = session.act(action)
    assert (turn.observation, turn.state, turn.failed) == (text, "Successful", False)


def test_what_is_no_tool_is_invalid(session):
    for action in ("search for hotels", "Dance[all night]", "NotebookWrite[]"):
        turn = session.act(action)
        assert (turn.observation, turn.state, turn.masked) == (INVALID_ACTION, "invalidAction", None)


def test_the_notebook_stores_the_last_result_whatever_the_description_says(session):
    session.act("NotebookWrite[before any search]")
    session.act("RestaurantSearch[Birch]")
    session.act("CitySearch[Woods]")  # its result cannot be stored
    assert session.act("NotebookWrite[flights]").observation.endswith("and its index is 1.")
    session.act("NotebookWrite[the same again]")
    text = session.notebook.text()
    assert text.startswith("[{'index': 0, 'Short Description': 'before any search', 'Content': None}, {'index': 1,")
    assert text.count("Fern Bar") == 2
    assert "Arden" not in text


def test_a_result_is_masked_by_the_next_call_that_works(session):
    shown = session.act("RestaurantSearch[Birch]").observation
    assert session.act("RestaurantSearch[Atlantis]").masked is None
    assert session.act("nonsense").masked is None
    assert session.act("CitySearch[Woods]").masked == shown
    assert session.act("GoogleDistanceMatrix[Arden]").masked == shown  # also where this tool's arguments are wrong
    assert session.act("AttractionSearch[Birch]").masked == shown
    assert "Leaf Museum" in session.act("NotebookWrite[museums]").masked


def test_before_the_first_result_the_word_none_is_masked(session):
    transcript = Transcript()
    transcript.add("None yet.", "CitySearch[Woods]", session.act("CitySearch[Woods]"))
    assert f"Thought 1: {MASK} yet." in transcript.text


def test_the_same_action_three_times_in_a_row_stops_before_it_is_done(session):
    assert [session.act("NotebookWrite[a]").state for _ in range(3)] == ["Successful", "Successful", REPEATED]
    assert len(session.notebook) == 2


def test_an_action_in_between_breaks_the_row(session):
    for action in (
        "CitySearch[Woods]",
        "CitySearch[Woods]",
        "CitySearch[Sea]",
        "CitySearch[Woods]",
        "CitySearch[Woods]",
    ):
        assert not session.act(action).stopped


def test_empty_actions_are_told_and_the_third_stops(session):
    turns = [session.act("") for _ in range(3)]
    assert [(turn.observation, turn.state) for turn in turns] == [(NULL_ACTION, "")] * 2 + [("", REPEATED)]


def failing(tool, n):
    return f"{tool}[Atlantis {n}, Birch, 2022-03-01]"


@pytest.mark.parametrize(
    ("tool", "key"),
    [
        ("FlightSearch", "flights"),
        ("AttractionSearch", "attractions"),
        ("RestaurantSearch", "restaurants"),
        ("Dance", "invalidAction"),
    ],
)
def test_the_fourth_failure_in_a_row_ends_the_episode(session, tool, key):
    for n in range(3):
        assert not session.act(failing(tool, n)).stopped
    turn = session.act(failing(tool, 3))
    assert (turn.state, turn.observation, turn.stopped) == (f"{key} early stop due to 3 max retries.", "", True)


def test_a_counter_is_one_tool_s_and_any_success_clears_all(session):
    for n in range(3):
        session.act(failing("FlightSearch", n))
        session.act(failing("RestaurantSearch", n))
    session.act("CitySearch[Woods]")
    assert not session.act("FlightSearch[nowhere]").stopped


def test_failing_accommodation_searches_never_stop_but_three_invalid_actions_stop_them(session):
    for n in range(9):
        assert session.act(failing("AccommodationSearch", n)).state == "Illegal args. City Error"
    for n in range(3):
        session.act(f"nonsense {n}")
    assert session.act(failing("AccommodationSearch", 9)).state == "invalidAction early stop due to 3 max retries."


def test_the_planner_is_asked_whatever_failed_before(session):
    for n in range(3):
        session.act(f"nonsense {n}")
    turn = session.act("Planner[go [now]]")
    assert (turn.query, turn.state, turn.stopped) == ("go [now]", "Successful", False)


def test_no_action_of_whatever_form_breaks_a_session(tables):
    chance = random.Random(5)
    names = ("FlightSearch", "AttractionSearch", "CitySearch", "GoogleDistanceMatrix", "NotebookWrite", "Foo", "")
    parts = ("Arden", "Birch", ", ", "[", "]", "2022-03-01", "(", "é", "\x00", "-", "taxi", " ")
    session = Session(Tools(tables))
    for _ in range(3000):
        argument = "".join(chance.choices(parts, k=chance.randrange(8)))
        turn = session.act(one_line(f"{chance.choice(names)}[{argument}]"))
        assert isinstance(turn.observation, str)
        if turn.stopped:
            session = Session(Tools(tables))


@pytest.mark.slow
def test_a_tool_call_takes_less_than_a_millisecond():
    data_folder()
    tables = real_tables()
    tools = Tools(tables)
    kinds = ("AttractionSearch", "AccommodationSearch", "RestaurantSearch")
    calls = [Call(kind, city) for city in tables.cities.names[:60] for kind in kinds]
    calls += [
        Call("FlightSearch", f"{city}, New York, 2022-03-0{n}") for n, city in enumerate(tables.cities.names[:9], 1)
    ]
    times = []
    for call in calls:
        start = time.perf_counter()
        tools.run(call)
        times.append(time.perf_counter() - start)
    assert sorted(times)[len(times) // 2] < 0.001
    start = time.perf_counter()
    for call in calls:
        tools.run(call)
    assert (time.perf_counter() - start) / len(calls) < 0.0005
