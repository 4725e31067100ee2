"""A small text world in the manner of ALFWorld, for tests: the environment double of the agent's tests."""

import random
from collections.abc import Mapping

from memp_bench.envs.plain.house import House as ToyHouse
from memp_bench.envs.plain.house import kind

NAMES: Mapping[str, str] = {
    "microwave": "zorb", "fridge": "quil", "sinkbasin": "brant", "countertop": "mopse", "cabinet": "felk",
    "drawer": "trill", "shelf": "vonk", "mug": "plim", "apple": "grot", "plate": "snarf", "desklamp": "hux",
    "garbagecan": "yelp", "stoveburner": "dend", "table": "krom", "book": "wist",
}  # fmt: skip


def kitchen(seed: int, task: str, thing: str, **goal) -> ToyHouse:
    """A kitchen with seeded places for its things."""
    draw = random.Random(seed)
    counts = {"cabinet": 5, "countertop": 2, "drawer": 3, "fridge": 1, "garbagecan": 1, "microwave": 1}
    counts |= {"shelf": 2, "sinkbasin": 1, "stoveburner": 3, "table": 1}
    places = [f"{name} {i}" for name, n in counts.items() for i in range(n, 0, -1)]
    contents: dict[str, list[str]] = {place: [] for place in places}
    for name, homes in {
        "mug": ["cabinet", "shelf"], "apple": ["countertop", "fridge"], "plate": ["cabinet", "table"],
        "book": ["table", "shelf"], "desklamp": ["table"],
    }.items():  # fmt: skip
        for i in (1, 2):
            contents[draw.choice([place for place in places if kind(place) in homes])].append(f"{name} {i}")
    closed = [place for place in places if kind(place) in {"cabinet", "drawer", "fridge", "microwave"}]
    works = {"heat": {"microwave"}, "cool": {"fridge"}, "clean": {"sinkbasin"}}
    return ToyHouse(task, contents, closed, works, thing, **goal)
