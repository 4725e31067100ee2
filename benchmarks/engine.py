"""The engine's CPU per reset and per step: stock, fast without and with cached translations, in one run.

    python benchmarks/engine.py --games 12             # a sample of valid_seen
    python benchmarks/engine.py --games 140            # all of it (about 8 CPU minutes for the stock engine)

Each engine plays the same games with the same actions (seeded admissible ones, nonsense, the walkthrough) in a
process of its own. The digest covers every task, observation, admissible list, reward and end: it must be one.
"""

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from memp_bench.envs.alfworld import AlfWorld
from memp_bench.envs.engine.player import GamePlayer, read_game

RANDOM_STEPS = 15
NONSENSE = ("xyzzy", "take nothing from nowhere 1", "", "go to  cabinet 1")


def play(engine: str, cache: str | None, games: list[str]) -> dict[str, object]:
    """Play `games`; CPU seconds for resets and steps, the number of steps and the digest of all outputs."""
    player = GamePlayer(engine, cache)  # type: ignore[arg-type]
    digest = hashlib.sha256()
    reset = step = 0.0
    steps = 0
    for game in games:
        source = random.Random(Path(game).parent.name)
        start = time.process_time()
        task, seen = player.load(game)
        reset += time.process_time() - start
        digest.update(repr((task, seen)).encode())
        for planned in [*[None] * RANDOM_STEPS, *NONSENSE, *read_game(game)["walkthrough"]]:
            action = planned if planned is not None else source.choice(seen.admissible or ("look",))
            start = time.process_time()
            seen = player.step(action)
            step += time.process_time() - start
            steps += 1
            digest.update(repr((action, seen)).encode())
    return {"reset": reset / len(games), "step": step / steps, "steps": steps, "digest": digest.hexdigest()}


def measure(engine: str, cache: str | None, games: list[str]) -> dict[str, object]:
    """`play` in a fresh process with fixed hashes."""
    command = [sys.executable, __file__, "--play", json.dumps([engine, cache, games])]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    output = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=True).stdout
    return dict(json.loads(output.splitlines()[-1]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--games", type=int, default=12)
    parser.add_argument("--split", default="valid_seen")
    parser.add_argument("--data", help="folder or archive with the games (default: the usual places)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--play", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.play:
        print(json.dumps(play(*json.loads(arguments.play))))
        return 0
    tasks = AlfWorld(arguments.data).tasks(arguments.split, games=arguments.games)
    games = [task.payload["game"] for task in tasks]
    with tempfile.TemporaryDirectory() as cache:
        rows = {
            "stock": measure("stock", None, games),
            "fast, cold": measure("fast", cache, games),
            "fast, warm": measure("fast", cache, games),
        }
    same = len({row["digest"] for row in rows.values()}) == 1
    if arguments.json:
        print(json.dumps({"games": len(games), "identical": same, "rows": rows}))
        return not same
    print(f"{len(games)} games of {arguments.split}, {rows['stock']['steps']} steps; CPU time")
    print(f"{'engine':<12}{'reset':>10}{'ratio':>8}{'step':>12}{'ratio':>8}  digest")
    for name, row in rows.items():
        reset, step = float(str(row["reset"])), float(str(row["step"]))
        ratios = [float(str(rows["stock"][key])) / float(str(row[key])) for key in ("reset", "step")]
        shown = f"{reset:>8.3f} s{ratios[0]:>8.1f}{step * 1000:>9.2f} ms{ratios[1]:>8.1f}"
        print(f"{name:<12}{shown}  {str(row['digest'])[:16]}")
    print("outputs identical" if same else "OUTPUTS DIFFER")
    return not same


if __name__ == "__main__":
    raise SystemExit(main())
