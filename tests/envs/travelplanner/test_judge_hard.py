"""The five hard constraints and the cost, officially, with every quirk: section 4 of the description."""

import pytest
from judgekit import check, judge, plan, task, world

from memp_bench.envs.travelplanner.cost import total_cost

MEALS = 2 * (20 + 40 + 30 + 25 + 25 + 25)
ROOMS = 100 + 100
FLIGHTS = 2 * (100 + 80)


def cost(of=None, **changes):
    return total_cost(task(**changes), plan() if of is None else of, world())


def wants(**wishes):
    return {"local_constraint": {name.replace("_", " "): value for name, value in wishes.items()}}


def test_nothing_is_asked_of_easy_tasks_but_the_budget():
    hard = judge(plan()).hard
    assert {name: check.passed for name, check in hard.items()} == {
        "valid_cuisine": None,
        "valid_room_rule": None,
        "valid_transportation": None,
        "valid_room_type": None,
        "valid_cost": True,
    }


@pytest.mark.parametrize("of", [plan(lunch2="Nowhere, Alba"), plan(lunch2="-")])
def test_hard_constraints_need_complete_information_within_the_sandbox(of):
    verdict = judge(of)
    assert verdict.hard is None
    assert not verdict.commonsense_pass
    assert not verdict.hard_pass


def test_every_wanted_cuisine_is_eaten():
    assert check("valid_cuisine", **wants(cuisine=["Italian", "French"])) is None
    assert check("valid_cuisine", **wants(cuisine=["Italian", "Chinese"])) == "The cuisine Chinese is not satisfied."
    two = wants(cuisine=["Chinese", "Greek"])
    assert check("valid_cuisine", **two) == "The cuisine Chinese is not satisfied."
    assert judge(plan(), **wants(cuisine=[])).hard["valid_cuisine"].passed is None


def test_a_cuisine_may_be_a_part_of_another():
    assert check("valid_cuisine", **wants(cuisine=["Food"])) is None  # quirk
    assert check("valid_cuisine", mode="strict", **wants(cuisine=["Food"])) == "The cuisine Food is not satisfied."


def test_a_meal_at_home_hides_the_later_meals_of_the_day():
    home = plan(breakfast2="Diner, Home")
    wish = wants(cuisine=["Indian"])  # at lunch that day
    assert check("valid_cuisine", home, **wish) == "The cuisine Indian is not satisfied."  # quirk
    assert check("valid_cuisine", home, mode="strict", **wish) is None
    chinese = wants(cuisine=["Chinese"])
    for mode in ("official", "strict"):
        assert check("valid_cuisine", home, mode=mode, **chinese) == "The cuisine Chinese is not satisfied."


def test_the_first_matching_row_counts():
    assert check("valid_cuisine", plan(dinner1="Uno Eas, Alba"), **wants(cuisine=["French"])) is None
    first = plan(dinner1="Un, Alba")
    assert check("valid_cuisine", first, **wants(cuisine=["French"])) == "The cuisine French is not satisfied."
    assert cost(first) == FLIGHTS + MEALS + ROOMS - 2 * 20  # as Uno, not as Uno East


@pytest.mark.parametrize(
    ("rule", "lodging", "kept"),
    [
        ("pets", "Loft", False),
        ("smoking", "Loft", True),
        ("smoking", "Loft Deluxe", False),
        ("parties", "Loft Deluxe", False),
        ("visitors", "Barn", False),
        ("children under 10", "Barn", False),
        ("parities", "Loft Deluxe", True),
        ("pets", "Nowhere", True),
    ],
)
def test_house_rules(rule, lodging, kept):
    of = plan(accommodation1=f"{lodging}, Alba", accommodation2=f"{lodging}, Alba")
    for mode in ("official", "strict"):
        said = check("valid_room_rule", of, mode=mode, **wants(house_rule=rule))
        assert said == (None if kept else f"The house rule should be {rule}.")


@pytest.mark.parametrize(
    ("wanted", "suiting"),
    [
        ("not shared room", {"Loft", "Loft Deluxe", "Nowhere"}),
        ("shared room", {"Barn", "Nowhere"}),
        ("private room", {"Loft", "Nowhere"}),
        ("entire room", {"Loft Deluxe", "Nowhere"}),
    ],
)
def test_room_types(wanted, suiting):
    for lodging in ("Loft", "Loft Deluxe", "Barn", "Nowhere"):
        of = plan(accommodation2=f"{lodging}, Alba", accommodation1="-")
        for mode in ("official", "strict"):
            said = check("valid_room_type", of, mode=mode, **wants(room_type=wanted))
            assert said == (None if lodging in suiting else f"The room type should be {wanted}.")


def test_unwanted_transportation_is_looked_for_in_its_usual_case():
    no_flight = wants(transportation="no flight")
    assert check("valid_transportation", **no_flight) == "The transportation should not be no flight."
    drive = plan(transportation1="Self-driving, from Home to Alba", transportation3="self-driving, from Alba to Home")
    assert check("valid_transportation", drive, **no_flight) is None
    no_driving = wants(transportation="no self-driving")
    assert check("valid_transportation", drive, **no_driving) == "The transportation should not be no self-driving."
    lower = plan(transportation1="-", transportation3="self-driving, from Alba to Home")
    assert check("valid_transportation", lower, **no_driving) is None  # quirk
    assert check("valid_transportation", lower, mode="strict", **no_driving) is not None


def test_cost_of_flights():
    assert cost() == FLIGHTS + MEALS + ROOMS
    assert cost(people_number=1) == 180 + MEALS / 2 + ROOMS
    other = plan(transportation3="Flight Number: F4, from Alba to Home")
    assert cost(other) == 2 * (100 + 10) + MEALS + ROOMS  # quirk: the number alone counts
    assert check("valid_cost", other, budget=2 * (100 + 10) + MEALS + ROOMS) is None
    unknown = plan(transportation3="Flight Number: F9, from Alba to Home")
    assert cost(unknown) == 2 * 100 + MEALS + ROOMS
    nowhere = plan(transportation3="Flight Number: F2", current_city3="Alba")
    assert cost(nowhere) == 2 * 100 + MEALS + ROOMS  # no pair of cities


def test_strict_cost_is_of_the_flight_that_is_taken():
    other = plan(transportation3="Flight Number: F4, from Alba to Home")
    total = 2 * 100 + MEALS + ROOMS
    assert check("valid_cost", other, mode="strict", budget=total) is None
    assert check("valid_cost", other, mode="strict", budget=total - 1) == "broken"


@pytest.mark.parametrize(("people", "cars", "taxis"), [(1, 1, 1), (4, 1, 1), (5, 1, 2), (6, 2, 2), (8, 2, 2)])
def test_cost_of_roads(people, cars, taxis):
    fed = MEALS // 2 * people
    rooms = ROOMS * -(-people // 2)
    there, back = "Self-driving, from Home to Alba", "Self-driving, from Alba to Home"
    driven = cost(plan(transportation1=there, transportation3=back), people_number=people)
    assert driven == (62 + 0) * cars + fed + rooms  # cut, not rounded: 62.95 and 0.65
    there, back = "Taxi, from Home to Alba", "Taxi, from Alba to Home"
    assert cost(plan(transportation1=there, transportation3=back), people_number=people) == (
        (1259 + 13) * taxis + fed + rooms
    )


def test_cost_of_lodging_and_what_is_not_there():
    assert cost(people_number=3) == 3 * 180 + MEALS / 2 * 3 + 2 * 200
    every_day = plan(accommodation3="Loft, Alba")
    assert cost(every_day) == FLIGHTS + MEALS + 3 * 100
    assert cost(plan(lunch2="Nowhere, Alba", accommodation1="-")) == FLIGHTS + MEALS - 50 + 100
    assert cost(plan(accommodation1="Barn, Alba", accommodation2="Barn, Alba")) == FLIGHTS + MEALS + 4 * 50.5


def test_the_budget_may_be_spent_to_the_last_dollar():
    total = FLIGHTS + MEALS + ROOMS
    assert judge(plan(), budget=total).hard["valid_cost"].passed is True
    poor = judge(plan(), budget=total - 1)
    assert poor.hard["valid_cost"].passed is False
    assert poor.hard["valid_cost"].message is None
    assert poor.failures == {"valid_cost": f"The plan costs ${total:.2f} of ${total - 1:.2f}."}
    assert (poor.commonsense_pass, poor.hard_pass, poor.final_pass) == (True, False, False)
