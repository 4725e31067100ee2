"""The eight commonsense constraints, officially, with every quirk: section 3 of the description."""

import pytest
from judgekit import check, judge, plan, task, world

from memp_bench.envs.travelplanner.commonsense import valid_sequence

ROUTE = "is_reasonable_visiting_city"
RESTAURANTS = "is_valid_restaurants"
ATTRACTIONS = "is_valid_attractions"
NIGHTS = "is_valid_accommodation"
MODES = "is_valid_transportation"
CITY = "is_valid_information_in_current_city"
SANDBOX = "is_valid_information_in_sandbox"
COMPLETE = "is_not_absent"


def test_the_good_plan_passes_everything():
    for mode in ("official", "strict"):
        verdict = judge(plan(), mode=mode)
        assert verdict.final_pass
        assert verdict.failures == {}
        assert verdict.cost == 100 * 2 + 80 * 2 + 2 * (20 + 40 + 30 + 25 + 25 + 25) + 100 * 2


@pytest.mark.parametrize(
    ("route", "valid"),
    [
        ("ABBA", True),
        ("ABBBA", True),
        ("ABA", False),
        ("ABCA", False),
        ("ABBCCA", True),
        ("ABBCA", False),
        ("ABBAA", False),
        ("ABBCCBBA", False),
        ("AABBA", True),
        ("AB", False),
        ("AAA", True),
        ("ABBCC", True),
    ],
)
def test_sequences_of_cities(route, valid):
    assert valid_sequence(list(route)) is valid


def test_route_starts_at_the_origin_only_if_the_first_day_says_from():
    assert check(ROUTE, plan(current_city1="from Alba to Borea")) == "The first day's city should be Home."
    stay = plan(current_city1="Alba", current_city2="Alba", current_city3="Alba")
    assert check(ROUTE, stay) is None  # quirk: the origin is not compared
    assert check(ROUTE, stay, mode="strict") == "The first day's city should be Home."


def test_route_is_a_closed_circle_of_known_cities():
    assert check(ROUTE, plan(current_city3="from Alba to Borea")) == "The trip should be a closed circle."
    unknown = plan(
        current_city1="from Home to Atlantis", current_city2="Atlantis", current_city3="from Atlantis to Home"
    )
    assert check(ROUTE, unknown) == "Atlantis is not a valid city."
    assert check(ROUTE, plan(current_city2="Borea")) == "The city sequence is invalid."
    elsewhere = plan(current_city1="from Home(North) to Alba(South)")
    assert check(ROUTE, elsewhere) is None


def test_route_of_three_days_may_lead_anywhere():
    borea = plan(current_city1="from Home to Borea", current_city2="Borea", current_city3="from Borea to Home")
    assert check(ROUTE, borea) is None  # quirk
    assert check(ROUTE, borea, mode="strict") == "Borea is not in Alba."


def test_strictly_a_destination_city_is_not_a_state_of_the_same_name():
    tables = world()
    tables.cities.states["Borea"] = "Alba"  # as Seattle is in Washington
    borea = plan(current_city1="from Home to Borea", current_city2="Borea", current_city3="from Borea to Home")
    assert check(ROUTE, borea, mode="strict", tables=tables) == "Borea is not in Alba."


def test_route_of_longer_trips_stays_in_the_state():
    five = plan()
    five[1:2] = [five[1]] * 3
    dates = [f"2022-03-0{day}" for day in range(1, 6)]
    assert check(ROUTE, five, days=5, dest="South", date=dates) is None
    assert check(ROUTE, five, days=5, dest="North", date=dates) == "Alba is not in North."


def test_from_is_looked_for_as_a_part_of_words():
    assert judge(plan(current_city2="Fromage")).commonsense[ROUTE].message == "The city sequence is invalid."
    broken = judge(plan(current_city2="Alfroma")).commonsense[ROUTE]
    assert broken.message.startswith("The plan is malformed: TypeError")


def test_restaurants_are_compared_as_whole_texts():
    assert check(RESTAURANTS, plan(lunch2="Uno, Alba")) == "The restaurant in day 2 lunch Uno, Alba is repeated."
    assert check(RESTAURANTS, plan(dinner2="Uno, Alba")) == "The restaurant in day 2 dinner is repeated."
    assert check(RESTAURANTS, plan(breakfast3="Uno, Alba")) == "The restaurant in day 3 breakfast is repeated."
    assert check(RESTAURANTS, plan(lunch2="Uno,  Alba")) is None  # quirk
    assert check(RESTAURANTS, plan(lunch2="Uno,  Alba"), mode="strict") == "The restaurant in day 2 lunch is repeated."
    assert check(RESTAURANTS, plan(lunch2="Dos, Borea")) is None
    assert check(RESTAURANTS, plan(lunch2="Dos, Borea"), mode="strict") is None


def test_a_single_attraction_is_not_checked():
    twice = plan(attraction3="Museum, Alba")
    assert check(ATTRACTIONS, twice) is None  # quirk
    assert check(ATTRACTIONS, twice, mode="strict") == "The attraction 'Museum, Alba' in day 3 is repeated."
    again = plan(attraction3="Museum, Alba;")
    assert check(ATTRACTIONS, again) == "The attraction 'Museum, Alba' in day 3 is repeated."


def test_minimum_nights_are_counted_in_runs():
    short = plan(accommodation1="Loft Deluxe, Alba", accommodation2="Loft Deluxe, Alba")
    words = "The accommodation Loft Deluxe, Alba do not obey the minumum nights rule."
    for mode in ("official", "strict"):
        assert check(NIGHTS, short, mode=mode) == words
        assert check(NIGHTS, plan(accommodation2="Barn, Alba"), mode="strict") is not None


def test_minimum_nights_of_ambiguous_or_unknown_names_pass():
    assert check(NIGHTS, plan(accommodation2="Barn, Alba")) is None  # quirk: `Loft` is part of two names
    assert check(NIGHTS, plan(accommodation2="Nowhere, Alba")) is None
    other_words = plan(accommodation1="Barn, Borea", accommodation2="Barn, Borea ")
    assert check(NIGHTS, other_words) == "The accommodation Barn, Borea do not obey the minumum nights rule."  # quirk
    assert check(NIGHTS, other_words, mode="strict") is None


def test_minimum_nights_need_the_key_and_a_text():
    assert check(NIGHTS, plan(accommodation3=...)) == "No Accommodation Info."
    assert judge(plan(accommodation2=None)).error == "TypeError: expected string or bytes-like object, got 'NoneType'"
    early = plan(accommodation1="Loft Deluxe, Alba", accommodation2=None)
    assert check(NIGHTS, early) == "The accommodation Loft Deluxe, Alba do not obey the minumum nights rule."


def test_transportation_must_not_mix():
    drive = "Self-driving, from Alba to Home"
    assert check(MODES, plan(transportation3=drive)) == "The transportation is conflicting."
    taxi = "Taxi, from Alba to Home"
    assert check(MODES, plan(transportation3=taxi)) is None  # taxi and flight go together
    mixed = plan(transportation1="Taxi, from Home to Alba", transportation3=drive)
    assert check(MODES, mixed) == "The transportation is conflicting."
    both = plan(transportation1="Taxi to the Flight", transportation3="Taxi or Self-driving")
    assert check(MODES, both) is None  # quirk: a text that names a taxi is a taxi
    assert check(MODES, both, mode="strict") == "The transportation is conflicting."
    for nothing in ("-", "", None):
        assert check(MODES, plan(transportation1=nothing)) == "The transportation in day 1 should not be empty."


def test_on_travel_days_names_of_cities_are_looked_for():
    assert check(CITY, plan(transportation1="Flight")) == "The transportation in day 1 is invalid city choice."
    assert check(CITY, plan(lunch1="Dos, Borea")) == "The lunch in day 1 is invalid city choice."
    assert check(CITY, plan(lunch1="Diner, Home")) is None
    assert check(CITY, plan(attraction3="Beach, Borea;")) == "The attraction in day 3 is invalid city choice."
    assert check(CITY, plan(attraction3="Beach, Borea")) is None  # quirk: the last one is not looked at
    assert check(CITY, plan(attraction3="Beach, Borea"), mode="strict") is not None
    assert check(CITY, plan(accommodation1="Barn, Home")) == "The accommodation in day 1 is invalid city choice."


def test_on_other_days_letters_are_looked_for():
    assert check(CITY, plan(lunch2="Dos, Borea")) is None  # quirk: it shares a letter with Alba
    assert check(CITY, plan(lunch2="Dos, Borea"), mode="strict") == "The lunch in day 2 is invalid city choice."
    assert check(CITY, plan(dinner2="XYZ")) == "The dinner in day 2 is invalid city choice."
    assert check(CITY, plan(accommodation2="Barn, Borea")) is None  # quirk: it has the last letter of Alba
    assert check(CITY, plan(accommodation2="XYZ")) == "The accommodation in day 2 is invalid city choice."
    assert check(CITY, plan(transportation2="Taxi")) == "The transportation in day 2 is invalid city choice."  # quirk
    assert check(CITY, plan(transportation2="Taxi"), mode="strict") is None
    assert check(CITY, plan(transportation2="Taxi, from Alba to Alba"), mode="strict") is None
    assert check(CITY, plan(transportation2="Taxi, from Alba to Home"), mode="strict") is not None
    assert check(CITY, plan(transportation1="Taxi, from Alba to Alba"), mode="strict") is not None
    assert check(CITY, plan(transportation2="A lab")) is None  # quirk: all letters of Alba


def test_sandbox_compares_flights_by_number_and_route_only():
    wrong = "The flight number in day {} is invalid in the sandbox."
    later = plan(transportation3="Flight Number: F3, from Alba to Home, Departure Time: 01:00")
    assert check(SANDBOX, later) is None  # quirk: another day, another time
    assert check(SANDBOX, later, mode="strict") == wrong.format(3)
    at_noon = plan(transportation3="Flight Number: F2, from Alba to Home, Departure Time: 12:00")
    assert check(SANDBOX, at_noon) is None
    assert check(SANDBOX, at_noon, mode="strict") == wrong.format(3)
    assert check(SANDBOX, plan(transportation1="Flight Number: F2, from Home to Alba")) == wrong.format(1)
    assert check(SANDBOX, plan(transportation1="Flight Number: F1 , from Home to Alba")) == wrong.format(1)
    assert check(SANDBOX, plan(transportation1="Flight Number: F1")) is None  # route of the day's city
    assert check(SANDBOX, plan(transportation1="Flight Number: F1, from Home(North) to Alba(South)")) is None


def test_sandbox_knows_roads():
    drive = plan(transportation1="Self-driving, from Home to Alba", transportation3="Taxi, from Alba to Home")
    assert check(SANDBOX, drive) is None
    wrong = "The self-driving in day 1 is invalid in the sandbox."
    assert check(SANDBOX, plan(transportation1="Self-driving, from Home to Borea")) == wrong  # takes a day
    assert check(SANDBOX, plan(transportation1="Self-driving, from Borea to Home")) == wrong  # no duration
    assert check(SANDBOX, plan(transportation1="Self-driving, from Borea to Alba")) == wrong  # not there
    assert check(SANDBOX, plan(transportation2="Taxi")) == "The taxi in day 2 is invalid in the sandbox."
    assert check(SANDBOX, plan(transportation1="Taxi or self-driving, from Home to Borea")) == wrong


def test_sandbox_does_not_look_up_other_transport():
    assert check(SANDBOX, plan(transportation2="Bus")) is None  # quirk
    assert check(SANDBOX, plan(transportation2="Bus"), mode="strict") is not None


def test_sandbox_takes_parts_of_names():
    assert check(SANDBOX, plan(lunch2="n, Alba")) is None  # quirk
    assert check(SANDBOX, plan(lunch2="n, Alba"), mode="strict") == "The lunch in day 2 is invalid in the sandbox."
    assert check(SANDBOX, plan(lunch2="Tre, Alba"), mode="strict") is None  # only one place can be meant
    assert check(SANDBOX, plan(lunch2="TRES, Alba")) == "The lunch in day 2 is invalid in the sandbox."
    assert check(SANDBOX, plan(breakfast2="Dos, Alba.")) == "The breakfast in day 2 is invalid in the sandbox."
    assert check(SANDBOX, plan(dinner2="No comma")) == "The dinner in day 2 is invalid in the sandbox."
    assert check(SANDBOX, plan(lunch2=".*, Alba")) == "The lunch in day 2 is invalid in the sandbox."
    sandbox = "The attraction Lido, Alba in day 2 is invalid in the sandbox."
    assert check(SANDBOX, plan(attraction2="Lido, Alba;Park, Alba;")) == sandbox
    assert check(SANDBOX, plan(attraction2="Park, Alba;Lido, Alba")) is None  # quirk
    assert check(SANDBOX, plan(attraction2="Park, Alba;Lido, Alba"), mode="strict") == sandbox
    assert check(SANDBOX, plan(accommodation1="Inn, Alba")) == "The accommodation in day 1 is invalid in the sandbox."


@pytest.mark.parametrize(
    ("transportation", "city", "error"),
    [
        ("flight number: F1, from Home to Alba", "from Home to Alba", "IndexError: list index out of range"),
        (
            "Flight Number: F1",
            "Home to Alba",
            "ValueError: The transportation Flight Number: F1 in day 1 can not be parsed.",
        ),
    ],
)
def test_sandbox_stops_the_official_run_on_unreadable_flights(transportation, city, error):
    verdict = judge(plan(transportation1=transportation, current_city1=city))
    assert verdict.error == error
    assert verdict.commonsense[SANDBOX].message == f"The plan is malformed: {error}"
    assert verdict.hard is None


def test_information_is_complete_with_all_days_and_cities():
    assert check(COMPLETE, plan()[:2]) == "Invalid Days"
    assert check(COMPLETE, [*plan()[:2], {}]) == "Invalid Days"
    assert check(COMPLETE, [*plan(), {}, {}, plan()[0]]) is None  # what exceeds the trip is not looked at
    tool = "You don't need to fill in the information for this or later days."
    assert check(COMPLETE, plan(current_city3=tool)) == "Invalid Days"
    assert check(COMPLETE, plan(current_city2="Borea")) == "Invalid City Number"
    assert check(COMPLETE, plan(current_city1="from Alba to Home")) == "Invalid City Number"
    assert check(COMPLETE, visiting_city_number=2) == "Invalid City Number"


@pytest.mark.parametrize("field", ["transportation", "breakfast", "lunch", "dinner", "attraction", "accommodation"])
def test_information_is_complete_with_all_keys(field):
    assert check(COMPLETE, plan(**{f"{field}2": ...})) == f"No {field.capitalize()} Info."


def test_information_is_complete_with_what_a_day_needs():
    for nothing in ("", "-"):
        assert check(COMPLETE, plan(transportation1=nothing)) == "No transportation in day 1 is not allowed."
        assert check(COMPLETE, plan(attraction2=nothing)) == "No attaction in day 2 is not allowed."
        assert check(COMPLETE, plan(accommodation2=nothing)) == "No accommodation in day 2 is not allowed."
        assert check(COMPLETE, plan(dinner2=nothing)) == "No meal in day 2 is not allowed."
    assert check(COMPLETE, plan(attraction2=None, lunch2=None)) is None  # quirk: None is not compared
    assert check(COMPLETE, plan(attraction2=None), mode="strict") == "No attaction in day 2 is not allowed."


def test_a_city_that_ends_in_to_needs_transportation():
    tables = world()
    tables.cities.states["Alto "] = "South"
    made = plan(current_city2="Alto ")
    assert check(COMPLETE, made, tables=tables, visiting_city_number=2) == "No transportation in day 2 is not allowed."


def test_the_share_of_entries_counts_every_key():
    sparse = plan(lunch1="-", dinner1="-", attraction3="-", breakfast3="-")
    assert check(COMPLETE, sparse) is None  # quirk: days and cities count as entries
    assert check(COMPLETE, sparse, mode="strict") == "The absent information is more than 50%."
    three = ("current_city", "transportation", "breakfast", "lunch", "dinner", "attraction", "accommodation")
    empty = [
        {**dict.fromkeys(three), "current_city": city} for city in ("from Home to Alba", "Alba", "from Alba to Home")
    ]
    assert check(COMPLETE, empty) == "The absent information is more than 50%."


def test_the_task_is_not_changed_by_judging():
    made, before = task(), task()
    judge(plan())
    assert made == before
