"""How plans are read: section 2 of the description of the official evaluator."""

import time

import pytest

from memp_bench.envs.travelplanner.text import before_parenthesis, from_to, mode, name_city, pieces


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from A to B", ("A", "B")),
        ("Flight Number: F1, from New York to St. Louis, Departure Time: 1", ("New York", "St. Louis")),
        ("from A to B to C, x", ("A", "B to C")),
        ("from  A\tto  B ", ("A", "B ")),
        ("From A to B", (None, None)),
        ("from A", (None, None)),
        ("to B from A", (None, None)),
        ("from A to B, from C to D", ("A", "B")),
        ("from A\nto B", ("A", "B")),
        ("far from here, from A to B", ("here, from A", "B")),
        ("", (None, None)),
    ],
)
def test_from_to(text, expected):
    assert from_to(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dallas(Texas)", "Dallas"),
        ("Fort Myers (Florida)", "Fort Myers "),
        ("Dallas", "Dallas"),
        ("a(b", "a(b"),
        ("a(b)c(d)", "a"),
        ("", ""),
    ],
)
def test_before_parenthesis(text, expected):
    assert before_parenthesis(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Coco Bambu, Rockford", ("Coco Bambu", "Rockford")),
        ("A, B, Rockford", ("A, B", "Rockford")),
        ("Name ,  Toledo (Ohio)", ("Name", "Toledo")),
        ("Name, Toledo(Ohio)", ("Name", "Toledo")),
        ("Nagai, Myrtle Beach; Cost: 19", ("Nagai", "Myrtle Beach; Cost: 19")),
        ("X, Charlotte.", ("X", "Charlotte.")),
        ("No comma", ("-", "-")),
        ("Ends with a comma,", ("-", "-")),
        (", Rockford", ("", "Rockford")),
        ("A, ", ("A", "")),
        ("A,\n", ("A", "")),
        ("A\nB, Rockford\n", ("B", "Rockford")),
        ("A, B\nC", ("A", "B\nC")),
        ("", ("-", "-")),
    ],
)
def test_name_city(text, expected):
    assert name_city(text) == expected


def test_what_is_no_text_is_refused_as_officially():
    for wrong in (None, 3, {"name": "x"}, ["x, y"]):
        with pytest.raises(TypeError, match="expected string or bytes-like object"):
            name_city(wrong)
        with pytest.raises(TypeError, match="expected string or bytes-like object"):
            from_to(wrong)


def test_long_texts_are_read_in_no_time():
    began = time.process_time()
    assert name_city("a," * 100_000) == ("-", "-")
    assert name_city("\n" * 100_000 + "A, B") == ("A", "B")
    assert from_to("from " * 20_000) == (None, None)
    assert from_to("from" + " " * 5_000) == (None, None)
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Taxi after the Flight", "Taxi"),
        ("SELF-DRIVING", "Self-driving"),
        ("self-driving and flight", "Self-driving"),
        ("flight", "Flight"),
        ("Bus", None),
    ],
)
def test_mode(text, expected):
    assert mode(text) == expected


def test_the_last_piece_of_attractions_is_dropped():
    assert pieces("A, X;B, X;") == ["A, X", "B, X"]
    assert pieces("A, X;B, X") == ["A, X"]
    assert pieces("A, X") == []
