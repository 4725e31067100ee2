import json
import re

import pytest
from travelkit import data_folder, real_tables, small_tables

from memp_bench.envs.travelplanner.enquiry import cost_enquiry
from memp_bench.envs.travelplanner.tasks import load_tasks

DAY = {
    "people_number": 3,
    "day": 1,
    "current_city": "from Arden to Birch",
    "transportation": "Flight Number: F1000001, from Arden to Birch, Departure Time: 08:00, Arrival Time: 09:30",
    "breakfast": "-",
    "attraction": "Nowhere, Birch;",
    "lunch": "Fern Bar, Birch",
    "dinner": "Moss Grill, Birch",
    "accommodation": "Oak, Room 1, Birch",
}
SORRY = "Cost: Sorry, the cost of your plan is not available because of the following reasons:"


@pytest.fixture(scope="module")
def tables():
    return small_tables()


def ask(tables, **changes):
    return cost_enquiry(json.dumps(DAY | changes), tables)


def test_the_cost_of_a_day(tables):
    # 3 x 120 + 3 x 20 + 3 x 35 + 2 rooms x 100; attractions are free and not looked up
    assert ask(tables) == "Cost: The cost of your plan is 725.0 dollars."
    assert cost_enquiry(str(DAY), tables) == ask(tables), "a Python literal is as good"


@pytest.mark.parametrize(
    ("transportation", "people", "cost"),
    [
        ("Self-driving, from Arden to Birch", 5, 70),
        ("Self-driving, from Arden to Birch", 6, 140),
        ("Taxi, from Arden to Birch", 4, 1401),
        ("Taxi", 5, 2802),  # the cities are those of current_city
        ("Bus", 5, 0),
        ("Flight Number: F1000003, from Nowhere to Rome", 1, 95),  # the number counts, the leg does not
        ("-", 4, 0),
    ],
)
def test_the_way(tables, transportation, people, cost):
    nothing = dict.fromkeys(("lunch", "dinner", "accommodation"), "-")
    text = ask(tables, transportation=transportation, people_number=people, **nothing)
    assert text == f"Cost: The cost of your plan is {cost} dollars."


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({"transportation": "flight number F1000001"}, "1. The filght information is not valid \t"),
        ({"transportation": "Flight Number: F9, from A to B"}, "1. The filght information is not valid \t"),
        (
            {"transportation": "Taxi, from Birch to Arden"},
            "1. The transporation information is not valid, please check. \t",
        ),
        (
            {"transportation": "Taxi", "current_city": "Birch"},
            "1. The transporation information is not valid, please check. You have to make sure there are two cities "
            "(from A to B) in your transportation plan. \t",
        ),
        (
            {"breakfast": "Fern, Birch", "dinner": "Fern Bar, Arden", "accommodation": "Room 1, Birch"},
            "1. The breakfase information is not valid, please check. \t"
            "2. The dinner information is not valid, please check. \t"
            "3. The accommodation information is not valid, please check. \t",
        ),
    ],
)
def test_what_has_no_price_is_told_by_number_and_names_must_match_exactly(tables, changes, reasons):
    assert ask(tables, **changes) == SORRY + reasons


def test_a_name_without_a_city_costs_nothing(tables):
    assert ask(tables, lunch="somewhere") == "Cost: The cost of your plan is 665.0 dollars."


@pytest.mark.parametrize(
    ("argument", "more"),
    [
        ("not json", ""),
        ("[1, 2]", " Only one day plan is supported."),
        ("{}", ""),
        ('{"people_number": "two"}', ""),
        ('{"people_number": true}', ""),
        ('{"people_number": 2, "lunch": ["Fern Bar", "Birch"]}', ""),
        ("__import__('os').abort()", ""),
        ("{" * 100_000, ""),
    ],
)
def test_what_is_no_day_is_told(tables, argument, more):
    assert cost_enquiry(argument, tables) == f"The sub plan can not be parsed into json format, please check.{more}"


def test_gold_plans_and_the_stricter_match_of_names():
    """Every gold plan passes the evaluator, and yet four days have no price here: one lodging's name ends in a blank in
    the tables, which is cut when a plan is read. The evaluator looks for a part of the name and finds it."""
    tables, days, without = real_tables(), 0, []
    for task in load_tasks(data_folder(), "train"):
        for day in filter(None, task.gold_plan):
            text = cost_enquiry(json.dumps({"people_number": task.people_number, **day}), tables)
            days += 1
            if not text.startswith("Cost: The cost of your plan is "):
                without.append(re.findall(r"\d\. The (\w+)", text))
    assert days == 225
    assert without == [["accommodation"]] * 4
