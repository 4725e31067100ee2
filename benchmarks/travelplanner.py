"""TravelPlanner: loading tables, the original-sized flight table, scoring a file of plans.

python benchmarks/travelplanner.py                       # with MEMP_DATA or ../shared/data; generated data without
python benchmarks/travelplanner.py --rows 3827361        # rows of the generated flight table (the original's number)

Each figure is taken in a process of its own, best of a few; CPU time beside wall time, for busy machines.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from memp.errors import EnvironmentFailed
from memp_bench.envs.travelplanner.evaluator import Evaluator
from memp_bench.envs.travelplanner.flights import COLUMNS, Flights
from memp_bench.envs.travelplanner.generated_tasks import write_world
from memp_bench.envs.travelplanner.loading import find_data, load_tables
from memp_bench.envs.travelplanner.plans import read_plans
from memp_bench.envs.travelplanner.score import score
from memp_bench.envs.travelplanner.tasks import load_tasks

ORIGINAL_ROWS = 3_827_361
PLANS = "plans/validation_gpt35_mistral7b_scored.jsonl.gz"


def write_flights(path: Path, rows: int) -> None:
    """A flight table like the original: 311 cities, 6,000 legs, 60 days, every number once."""
    rng = random.Random(0)
    cities = [f"City {chr(65 + n % 26)}{n}" for n in range(311)]
    legs = [(*rng.sample(cities, 2), rng.randint(60, 4900)) for _ in range(6000)]
    rest = []
    for number in range(200_000):
        origin, destination, miles = rng.choice(legs)
        leaves, takes = rng.randrange(1440), rng.randint(30, 430)
        lands = (leaves + takes) % 1440
        rest.append(
            f"{rng.randint(20, 950)},{leaves // 60:02d}:{leaves % 60:02d},{lands // 60:02d}:{lands % 60:02d},"
            f"{takes // 60} hours {takes % 60} minutes,2022-{3 + number % 2:02d}-{1 + number % 30:02d},"
            f"{origin},{destination},{miles}.0\n"
        )
    with path.open("w") as file:
        file.write(",".join(COLUMNS) + "\n")
        for first in range(0, rows, 100_000):
            numbers = range(first, min(first + 100_000, rows))
            file.writelines(f"F{3_483_680 + n:07d},{rest[n * 7919 % len(rest)]}" for n in numbers)


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def load_large(path: str) -> dict[str, float]:
    before, wall, cpu = peak_mb(), time.perf_counter(), time.process_time()
    with Path(path).open("rb") as file:
        flights = Flights.read(file, path)
    made = {"wall s": time.perf_counter() - wall, "CPU s": time.process_time() - cpu}
    made |= {"rows": len(flights), "peak MB above start": peak_mb() - before}
    rng = random.Random(1)
    rows = [flights.by_number(f"F{3_483_680 + rng.randrange(len(flights)):07d}").row(0) for _ in range(200)]
    wall = time.perf_counter()
    for row in rows:
        flights.search(str(row["OriginCityName"]), str(row["DestCityName"]), str(row["FlightDate"]))
    made["search ms"] = 1000 * (time.perf_counter() - wall) / len(rows)
    wall = time.perf_counter()
    for row in rows:
        flights.by_number(str(row["Flight Number"]))
    return made | {"number ms": 1000 * (time.perf_counter() - wall) / len(rows)}


def load_packed(folder: str) -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    tables = load_tables(Path(folder))
    return {
        "wall s": time.perf_counter() - wall,
        "CPU s": time.process_time() - cpu,
        "flights": len(tables.flights),
    }


def score_plans(folder: str, plans: str, mode: str) -> dict[str, float]:
    tasks, submissions = load_tasks(Path(folder), "validation"), read_plans(Path(plans))
    evaluator = Evaluator(load_tables(Path(folder)), mode)  # type: ignore[arg-type]
    wall, cpu = time.perf_counter(), time.process_time()
    report = score(tasks, submissions, evaluator)
    made = {"wall s": time.perf_counter() - wall, "CPU s": time.process_time() - cpu}
    return made | {"plans": report.scores.delivery.total, "final passes": report.scores.final.passed}


def command(folder: str, plans: str) -> dict[str, float]:
    memp = [sys.executable, "-c", "from memp_bench.cli import main; main()"]
    before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([*memp, "score", "travelplanner", plans, "--data", folder], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall s": time.perf_counter() - wall, "CPU s": cpu}


MEASURES: dict[str, Callable[..., dict[str, float]]] = {
    "large": load_large,
    "packed": load_packed,
    "score": score_plans,
    "command": command,
}


def measure(name: str, *args: str, repeats: int = 3) -> None:
    """Run a measure in fresh processes and print the one with the least CPU time."""
    arguments = [sys.executable, __file__, "--measure", json.dumps([name, *args])]
    runs = [json.loads(subprocess.check_output(arguments)) for _ in range(repeats)]
    best = min(runs, key=lambda run: run["CPU s"])
    print(f"{' '.join([name, *args[2:]]):16}", *(f"{key} {value:,.3f} " for key, value in best.items()))


def plans_of(folder: Path, target: Path) -> None:
    """180 plans to score: recorded ones where they are, else the gold plans of the generated tasks."""
    recorded = folder / PLANS
    if recorded.is_file():
        lines = [{"idx": item.idx, "plan": item.plan} for item in read_plans(recorded)[:180]]
    else:
        lines = [{"idx": task.idx, "plan": list(task.gold_plan)} for task in load_tasks(folder, "validation")]
    target.write_text("\n".join(json.dumps(line) for line in lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ORIGINAL_ROWS)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        name, *args = json.loads(options.measure)
        print(json.dumps(MEASURES[name](*args)))
        return
    with tempfile.TemporaryDirectory() as place:
        shared = Path(__file__).resolve().parents[2] / "shared" / "data"
        try:
            folder = find_data(None, environ=os.environ, places=[shared])
        except EnvironmentFailed as error:
            print(f"generated data: {error}")
            folder = write_world(Path(place) / "world")
        plans = Path(place) / "plans.jsonl"
        plans_of(folder, plans)
        measure("packed", str(folder))
        measure("score", str(folder), str(plans), "official")
        measure("score", str(folder), str(plans), "strict")
        measure("command", str(folder), str(plans))
        large = Path(place) / "flights.csv"
        write_flights(large, options.rows)
        print(f"large table: {large.stat().st_size / 1e6:.0f} MB")
        measure("large", str(large), repeats=2)


if __name__ == "__main__":
    main()
