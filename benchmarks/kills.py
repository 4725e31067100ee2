"""Kill -9 a study at random moments, resume it, and compare its tables with those of a run that nobody disturbed.

    python benchmarks/kills.py update --out runs/kills --kills 5 -- --agent sim:novice

What follows `--` goes to `memp study run`. Prints the digests of the tables of both runs; exits with 1 if they differ.
"""

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

TABLES = ("tables.json", "tables.csv", "report.md")


def start(words, out, log):
    command = [str(Path(sys.executable).with_name("memp")), "study", "run", *words, "--out", str(out)]
    return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)


def digests(out):
    return {name: hashlib.sha256((out / name).read_bytes()).hexdigest()[:16] for name in TABLES}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study")
    parser.add_argument("--out", type=Path, default=Path("runs/kills"))
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    own = sys.argv[1 : sys.argv.index("--")] if "--" in sys.argv else sys.argv[1:]
    passed = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
    asked = parser.parse_args(own)
    asked.out.mkdir(parents=True, exist_ok=True)
    words = (asked.study, *passed)
    with (asked.out / "log.txt").open("ab") as log:
        began = time.monotonic()
        whole = asked.out / "undisturbed"
        if start(words, whole, log).wait():
            sys.exit(f"the undisturbed run failed; see {log.name}")
        took = time.monotonic() - began
        draw, killed = random.Random(asked.seed), asked.out / "killed"
        for number in range(asked.kills):
            after = draw.uniform(0.04, 0.15) * took  # five of them end before the whole is done
            process = start(words, killed, log)
            time.sleep(after)
            alive = process.poll() is None
            if alive:
                os.kill(process.pid, signal.SIGKILL)
            process.wait()
            print(f"kill {number + 1}: after {after:.1f} s{'' if alive else ' (it had finished)'}", flush=True)
        if start(words, killed, log).wait():
            sys.exit(f"the resumed run failed; see {log.name}")
    a, b = digests(whole), digests(killed)
    for name in TABLES:
        print(f"{name}: {a[name]} and {b[name]}: {'identical' if a[name] == b[name] else 'DIFFERENT'}")
    print(f"undisturbed: {took:.0f} s")
    sys.exit(a != b)


if __name__ == "__main__":
    main()
