"""The loop around an agent of your own, without a key: python examples/quickstart.py

`agent` stands for anything that takes a task and a prompt and gives back what it did. This one opens files in an order
of its own unless memory tells it where to look. Without a model rules write the script: what led nowhere is left out.
"""

from memp import ProceduralMemory, Step, Trajectory

PLACES = ("README.md", "setup.cfg", "tox.ini", "pyproject.toml")


def agent(task: str, recalled: str) -> list[Step]:
    """Look for the setting in the places that memory names first, then in the others."""
    order = sorted(PLACES, key=lambda place: place not in recalled)
    steps = []
    for place in order:
        found = place == "pyproject.toml"
        steps.append(Step(action=f"open {place}", observation="[tool.ruff] line-length" if found else "nothing here"))
        if found:
            steps.append(Step(action=f"edit {place}", observation="saved"))
            break
    return steps


def main() -> None:
    """Play three tasks; the memory is kept in memory only."""
    with ProceduralMemory(":memory:", build="script", every=1) as memory:
        for task in ("set the line length to 100", "set the line length to 120", "change the line length to 88"):
            recall = memory.retrieve(task)
            steps = agent(task, recall.render())
            memory.record(Trajectory(task=task, steps=tuple(steps), reward=1.0), recall)
            print(f"{task}: {len(steps)} steps, recalled {len(recall.ranked)}")
        for procedure in memory.procedures():
            print(procedure.id[:8], procedure.script.steps if procedure.script else "", procedure.revision.reason)


if __name__ == "__main__":
    main()
