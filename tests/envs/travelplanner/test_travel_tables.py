"""Tables: read, looked up, printed."""

import csv
import gzip
import io
import json
import random
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from travelkit import data_folder, real_tables, recorded

from memp.errors import EnvironmentFailed
from memp_bench.envs.travelplanner import columns
from memp_bench.envs.travelplanner.columns import NA, read_columns
from memp_bench.envs.travelplanner.flights import COLUMNS, Flights
from memp_bench.envs.travelplanner.generated import country
from memp_bench.envs.travelplanner.loading import ORIGINAL, PACKED, find_data, load_tables, read_table
from memp_bench.envs.travelplanner.table import Table

GOLDEN = json.loads((Path(__file__).parent / "pandas_golden.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", GOLDEN, ids=range(len(GOLDEN)))
def test_tables_are_printed_as_pandas_does(case):
    cells, without, labelled = case  # recorded from pandas 2.0.1
    table = Table(cells, range(len(cells["s"])))
    assert table.to_string() == without
    assert table.to_string(labels=True) == labelled


def test_recorded_observations_are_reproduced():
    tables = real_tables()
    searches = {
        "AttractionSearch": tables.attractions.in_city,
        "AccommodationSearch": tables.accommodations.in_city,
        "RestaurantSearch": tables.restaurants.in_city,
        "FlightSearch": lambda leg: tables.flights.search(*leg.split(", ")),
    }
    compared = dict.fromkeys(searches, 0)
    for episode in recorded("validation_gemini_two_stage_trajectories")[:40]:
        for step in episode["action_log"]:
            tool, _, rest = step["action"].partition(": ")[2].partition("[")
            if tool in searches and step["state"] == "Successful" and "\n" in step["observation"]:
                found = searches[tool](rest.rstrip("]"))
                if found:
                    compared[tool] += 1
                    assert found.to_string().strip() == step["observation"].strip()
    assert all(count >= 10 for count in compared.values()), compared


def test_a_table_knows_its_rows():
    table = Table({"a": [1, 2, 3], "b": ["x", "y", "z"]}, [4, 6, 9])
    part = table.rows([2, 0])
    assert (part.columns, part.labels) == ({"a": [3, 1], "b": ["z", "x"]}, [9, 4])
    assert part.row(0) == {"a": 3, "b": "z"}
    assert (len(part), bool(table.rows([])), part["b"]) == (2, False, ["z", "x"])


def test_real_tables_have_the_original_sizes():
    tables = real_tables()
    sizes = {name: len(getattr(tables, name)) for name in ("accommodations", "restaurants", "attractions", "flights")}
    assert sizes == {"accommodations": 4285, "restaurants": 9551, "attractions": 5302, "flights": 3076}
    assert len(tables.distances) == 17602 - 1446
    assert (len(tables.cities.names), len(tables.cities.states), len(set(tables.cities.states.values()))) == (
        311,
        312,
        64,
    )
    assert set(tables.cities.states) - set(tables.cities.names) == {"Jackson"}
    assert tables.cities.in_state("Montana")[:2] == ["Helena", "Billings"]
    assert tables.cities.in_state("Nowhere") == []


def test_known_legs_have_as_many_flights_as_is_said():
    flights = real_tables().flights
    with gzip.open(data_folder() / "flight_legs_known.csv.gz", "rt", encoding="utf-8") as file:
        legs = list(csv.DictReader(file))
    found = [len(flights.search(leg["origin"], leg["destination"], leg["date"])) for leg in legs]
    assert found == [int(leg["n_flights"]) for leg in legs]


def test_roads():
    distances = real_tables().distances
    line = "self-driving, from Buffalo to Atlanta, duration: 13 hours 7 mins, distance: 1,443 km, cost: 72"
    assert distances.describe("Buffalo(New York)", "Atlanta", "self-driving") == line
    assert distances.describe("Buffalo", "Atlanta", "taxi").endswith("cost: 1443")
    assert distances.describe("Buffalo", "Atlanta", "walking").endswith("cost: None")
    assert distances.describe("Killeen", "Mission", "taxi") == "No valid information."
    assert distances.describe("Killeen", "Atlantis", "taxi") == "taxi, from Killeen to Atlantis, no valid information."


FLIGHT_LINES = [
    ",".join(COLUMNS),
    "F1,100,08:00,09:00,1 hours,2022-03-01,New York,Dallas,400.5",
    "F2,120,09:00,,1 hours,2022-03-01,New York,Dallas,400",
    '"F3",80,"10:00",11:00,"1 ""hours"", 2 minutes",2022-03-01,New York,Dallas,400',
    "",
    "F44,NaN,10:00,11:00,1 hours,2022-03-01,New York,Dallas,400",
    "F5,70,10:00,11:00,1 hours,2022-03-02,Dallas,New York,400",
    "F1,60,10:00,11:00,1 hours,2022-03-02,Dallas,New York,nan",
    "F1,50,10:00,11:00,1 hours,2022-03-02,Dallas,New York,9",
]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("quotes", [True, False])
@pytest.mark.parametrize("block", [10, 100, 1 << 24])
def test_flights_are_read_block_by_block_without_rows_that_lack_a_value(monkeypatch, end, quotes, block):
    monkeypatch.setattr(columns, "_BLOCK", block)
    lines = [line for line in FLIGHT_LINES if quotes or '"' not in line]
    flights = Flights.read(io.BytesIO(end.join(lines).encode()), "flights")
    there = flights.search("New York", "Dallas", "2022-03-01")
    assert there["Flight Number"] == (["F1", "F3"] if quotes else ["F1"])
    assert there["ActualElapsedTime"] == (["1 hours", '1 "hours", 2 minutes'] if quotes else ["1 hours"])
    assert there["Price"] == ([100.0, 80.0] if quotes else [100.0])
    assert all(type(price) is float for price in there["Price"])  # as there is a gap in the column
    assert [flights.by_number("F1").row(n)["Distance"] for n in range(2)] == [400.5, 9.0]
    assert not flights.by_number("F44")
    assert not flights.search("New York", "Dallas", "2022-03-02")
    assert flights.knows("New York", "Dallas", "2022-03-02")
    assert flights.complete
    assert not flights.asked_unknown


def test_unknown_legs_are_told_from_legs_without_flights_and_counted():
    known = {("A", "B", "2022-03-01"), ("B", "A", "2022-03-01")}
    line = "F1,1,08:00,09:00,1 hours,2022-03-02,A,C,5"
    flights = Flights.read(io.BytesIO(f"{','.join(COLUMNS)}\n{line}\n".encode()), "flights", known)
    assert not flights.complete
    assert flights.search("A", "C", "2022-03-02")
    assert not flights.search("A", "B", "2022-03-01")
    assert not flights.asked_unknown
    assert not flights.search("A", "C", "2022-03-03")
    assert not flights.search("X", "Y", "2022-03-03")
    assert not flights.search("X", "Y", "2022-03-03")
    assert flights.asked_unknown == {("A", "C", "2022-03-03"): 1, ("X", "Y", "2022-03-03"): 2}
    assert [flights.knows(*leg) for leg in [("A", "C", "2022-03-02"), ("B", "A", "2022-03-01"), ("A", "C", "x")]] == [
        True,
        True,
        False,
    ]


def test_a_table_without_flights():
    flights = Flights.read(io.BytesIO(",".join(COLUMNS).encode()), "flights")
    assert len(flights) == 0
    assert not flights.search("A", "B", "2022-03-01")
    assert not flights.by_number("F1")


def test_files_that_are_no_flight_tables_are_named():
    with pytest.raises(EnvironmentFailed, match=r"here.csv has no column 'Distance'"):
        Flights.read(io.BytesIO(",".join(COLUMNS[:-1]).encode()), "here.csv")
    long = f"{','.join(COLUMNS)}\n{'x,' * 12}x\n"
    with pytest.raises(EnvironmentFailed, match="more than 9 fields"):
        Flights.read(io.BytesIO(long.encode()), "here.csv")


CELL = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), max_size=20) | st.sampled_from(
    ["NA", "nan", "12345678", "a,b", 'say "x"', "two\nlines", "é日"]
)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.lists(st.tuples(CELL, CELL, CELL), max_size=30), st.sampled_from([16, 1 << 24]))
def test_columns_are_read_as_the_csv_module_reads_them(rows, block):
    out = io.StringIO(newline="")
    csv.writer(out).writerows([("n", "a", "b"), *((f"{row[0]}{n}", *row[1:]) for n, row in enumerate(rows))])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "_BLOCK", block)
        made, unique = read_columns(io.BytesIO(out.getvalue().encode()), coded=["a", "b"], unique="n", name="f")
    expected = [row for row in list(csv.reader(io.StringIO(out.getvalue(), newline="")))[1:] if NA.isdisjoint(row)]
    assert [text.decode() for text in unique.tolist()] == [row[0] for row in expected]
    for place, name in ((1, "a"), (2, "b")):
        found = made[name].take(range(len(unique)))
        if all(isinstance(value, str) for value in found):
            assert found == [row[place] for row in expected]


def test_a_large_flight_table_is_held_in_little_memory():
    rng = random.Random(0)
    cities = [f"City {n}" for n in range(60)]
    line = "F{},{},{:02d}:{:02d},12:00,{} hours {} minutes,2022-03-{:02d},{},{},{}.0"
    rows = [
        line.format(
            3_000_000 + n, rng.randint(20, 900), rng.randrange(24), rng.randrange(60), rng.randint(1, 6),
            rng.randrange(60), rng.randint(1, 31), *rng.sample(cities, 2), rng.randint(100, 3000),
        )
        for n in range(20_000)
    ]  # fmt: skip
    data = "\n".join([",".join(COLUMNS), *rows]).encode()
    tracemalloc.start()
    flights = Flights.read(io.BytesIO(data), "flights")
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 60 * len(rows) + 1_000_000  # bytes; as Python strings it would be ten times that
    for row in rng.sample(rows, 50):
        cells = row.split(",")
        assert flights.by_number(cells[0])["FlightDate"] == [cells[5]]
        leg = flights.search(cells[6], cells[7], cells[5])
        assert list(leg["Flight Number"]) == [
            r.split(",")[0] for r in rows if r.split(",")[5:8] == [cells[5], cells[6], cells[7]]
        ]


def test_rows_that_lack_a_value_are_dropped_and_their_column_becomes_float(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("x,name,n,m,rest\n0,a,1,5,z\n1,b,,6,z\n2,c,3,7,NA\n3,NULL,3,7,z\n4,d,4,8,z\n")
    table = read_table(path, ("name", "n", "m"))
    assert table.columns == {"name": ["a", "d"], "n": [1.0, 4.0], "m": [5, 8]}
    assert list(table.labels) == [0, 4]
    assert type(table["m"][0]) is int
    assert table.to_string() == "name   n  m\n   a 1.0  5\n   d 4.0  8"


@pytest.fixture(scope="module")
def made():
    return country(1)


def test_packed_and_original_layout_are_the_same(tmp_path, made):
    packed, original = tmp_path / "packed", tmp_path / "original"
    made.write(packed)
    for name, path in ORIGINAL.items():
        target = original / path
        target.parent.mkdir(parents=True, exist_ok=True)
        data = (packed / PACKED[name]).read_bytes()
        target.write_bytes(gzip.decompress(data) if PACKED[name].endswith(".gz") else data)
    for folder in (packed, original):
        tables = load_tables(find_data(folder, environ={}))
        for name in ("accommodations", "restaurants", "attractions"):
            assert getattr(tables, name).table.columns == getattr(made.tables, name).table.columns
        assert tables.cities.states == made.tables.cities.states
        assert tables.flights.complete
        flight = made.rows["flights"][7]
        assert tables.flights.by_number(flight["Flight Number"]).row(0) == flight
        a, b = list(made.states)[:2]
        assert tables.distances.drive(a, b, "taxi") == made.tables.distances.drive(a, b, "taxi")


def test_data_is_looked_for_in_order(tmp_path, made):
    made.write(tmp_path / "travelplanner")
    assert find_data(tmp_path, environ={}) == tmp_path / "travelplanner"
    assert find_data(None, environ={"MEMP_DATA": str(tmp_path)}) == tmp_path / "travelplanner"
    assert find_data(None, environ={}, places=[tmp_path]) == tmp_path / "travelplanner"
    with pytest.raises(EnvironmentFailed, match="--data or MEMP_DATA"):
        find_data(None, environ={})
    with pytest.raises(EnvironmentFailed, match="nowhere"):
        find_data(tmp_path / "nowhere", environ={"MEMP_DATA": str(tmp_path)})


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("restaurants", None, "lacks restaurants.csv.gz"),
        ("restaurants", b"no gzip", "cannot read .*restaurants.csv.gz"),
        ("restaurants", gzip.compress(b""), "restaurants.csv.gz is empty"),
        ("restaurants", gzip.compress(b"Name,City\nA,B\n"), "has no column 'Average Cost'"),
        ("restaurants", gzip.compress(b"Name,City\nA,B,C\n"), "more than 2 fields"),
        ("distances", gzip.compress(b"origin,destination\n"), "has no column 'duration'"),
        ("states", b"no tab", "a line is not `city TAB state`"),
        ("flights", gzip.compress(b"x" * 99)[:-9], "cannot read .*flights_subset.csv.gz"),
        ("attractions", gzip.compress(b"Name\n\xff\xfe\n"), "cannot read .*attractions.csv.gz"),
    ],
)
def test_damaged_tables_are_named(tmp_path, made, name, content, said):
    made.write(tmp_path)
    path = tmp_path / PACKED[name]
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(EnvironmentFailed, match=said):
        load_tables(tmp_path)
