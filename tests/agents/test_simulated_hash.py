"""The simulated players say the same in every process: Python's hash seed has no part in it."""

import os
import subprocess
import sys

SAYS = """
import asyncio
from memp.models.base import Message
from memp_bench.agents.registry import backbone
from memp_bench.envs.alfred_rules import INSTRUCTIONS

kinds = "cabinet drawer shelf fridge desk sofa safe bed".split()
seen = ", ".join(f"a {kind} {n}" for kind in kinds for n in (1, 2))
steps = "".join(f"{n}. take mug from {kind}\\n" for n, kind in enumerate(kinds, 1))
recalled = f'<procedure n="1">\\nEarlier task: put a mug in table.\\nSteps:\\n{steps}</procedure>'
start = f"Task: put some mug on table.\\n\\nObservation: You are in a room. You see {seen}, and a table 1."
system = Message(role="system", content=f"{INSTRUCTIONS}\\n\\n{recalled}")
for seed in range(8):
    asked = [system, Message(role="user", content=start)]
    print(asyncio.run(backbone("sim:novice", seed=seed).complete(asked)).text)
"""


def test_ties_in_the_advice_are_broken_alike_in_every_process():
    said = []
    for seed in "123":
        done = subprocess.run(
            [sys.executable, "-c", SAYS],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        said.append(done.stdout)
    assert "as in the procedures I recalled" in said[0]
    assert said[0] == said[1] == said[2]
