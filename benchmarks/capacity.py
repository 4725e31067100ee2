"""How long a memory takes to choose what makes room, when it holds far more than its capacity.

    python benchmarks/capacity.py [--over 2000 20000] [--bound count bytes] [--room] [--json]

Procedures of realistic size (a script of six steps), of which `--kept` fit; one in ten has outcomes. What is timed is
the choice alone (`victims`: values, order, and what is still too much after each); with `--room` the whole of
`make_room` too, which reads everything and writes a revision for each that goes. The last column is the time per
victim beside that of the first row with the same bound: 1 when the time grows as the number does, 10 when it grows
with its square and the number is ten times as large.

Before the sizes were summed once (2 shared cores, 2026-11-22, seconds to choose): by count 4.9 and 322, by bytes 43 at
2,000; since then 0.14 and 2.3, 0.37 (1.9 at 20,000).
"""

import argparse
import json
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from memp.evidence import Ledger, Worth
from memp.forgetting import Capacity, Forgetting
from memp.forgetting.capacity import victims
from memp.records import Author, Content, Outcome, Revision, Script, Step, Trajectory, new_id
from memp.stores.base import Write
from memp.stores.sqlite import SqliteStore

NS = "room"
START = datetime(2026, 1, 1, tzinfo=UTC)
STEPS = tuple(f"go to the {place} and look for the thing that the task names" for place in "abcdef")


def revision(number: int) -> Revision:
    """What procedure `number` says."""
    content = Content(task=f"put thing {number} away", script=Script(goal="It is put away.", steps=STEPS))
    return Revision(
        procedure_id=f"p{number:06}",
        number=1,
        content=content,
        reason="built",
        author=Author(policy="script"),
        at=START + timedelta(seconds=number),
        tokens=90,
    )


def outcome(number: int) -> tuple[Trajectory, Outcome]:
    """A task for which procedure `number` was served."""
    id, won = f"t{number}", number % 3 != 0
    done = Trajectory(id=id, task="a task", steps=(Step(action="look"),), reward=float(won))
    credit = ((f"p{number:06}", 1),)
    how = Outcome(recall_id=f"r{number}", trajectory_id=id, reward=float(won), success=won, credited=credit, at=START)
    return done, how


def filled(count: int) -> SqliteStore:
    """A memory of so many procedures."""
    store = SqliteStore(":memory:")
    for start in range(0, count, 5_000):
        writes = [Write(revision=revision(n)) for n in range(start, min(start + 5_000, count))]
        store.write(NS, writes, consume=None, receipt_id="")
    for number in range(0, count, 10):
        done, how = outcome(number)
        store.record(NS, done, None, how, START)
    return store


def measured(over: int, kept: int, bound: str, *, room: bool) -> dict[str, Any]:
    """Seconds for one size and bound."""
    store = filled(kept + over)
    memory = Forgetting(store, NS, lambda: START + timedelta(days=1), new_id)
    held = list(memory.procedures())
    size = 1 if bound == "count" else len(held[-1].content.model_dump_json().encode())
    capacity = Capacity(merge=False, **{bound: kept * size})
    ledger = Ledger(store, NS)
    ledger.refresh()
    began = time.perf_counter()
    going = victims(held, capacity, ledger, Worth(ledger, ""))
    found = {"over": over, "bound": bound, "victims": len(going), "choose_s": time.perf_counter() - began}
    if room:
        began = time.perf_counter()
        assert len(memory.make_room(capacity).retired) == len(going)
        found["room_s"] = time.perf_counter() - began
    store.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--over", type=int, nargs="+", default=[2_000, 20_000], help="procedures too many")
    parser.add_argument("--kept", type=int, default=500, help="procedures that fit")
    parser.add_argument("--bound", choices=("count", "bytes"), nargs="+", default=["count", "bytes"])
    parser.add_argument("--room", action="store_true", help="time `make_room` as a whole too")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = []
    for bound in options.bound:
        first = None
        for over in options.over:
            print(f"{over:,} too many, bound by {bound}", file=sys.stderr)
            row = measured(over, options.kept, bound, room=options.room)
            each = row["choose_s"] / row["victims"]
            first = first or each
            rows.append(row | {"us_per_victim": 1e6 * each, "beside_first": each / first})
    if options.json:
        print(json.dumps(rows))
        return
    print("| bound | too many | choose, s | us per victim | make_room, s | per victim, beside the first |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        whole = f"{row['room_s']:.2f}" if "room_s" in row else "-"
        print(
            f"| {row['bound']} | {row['over']:,} | {row['choose_s']:.3f} | {row['us_per_victim']:.0f} | {whole} "
            f"| {row['beside_first']:.2f} |"
        )


if __name__ == "__main__":
    main()
