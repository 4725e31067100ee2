"""An update policy of your own, chosen by object: python examples/own_policy.py"""

from memp import ProceduralMemory, Step, Trajectory
from memp.update import Add, Change, Episode, Skip, Tools


class OnlyShort:
    """Remember successes of at most `limit` steps."""

    name = "only-short"

    def __init__(self, limit: int) -> None:
        self._limit = limit

    async def changes(self, episode: Episode, tools: Tools) -> list[Change]:
        """Add the short successes; say why the others were left out."""
        if not episode.success or len(episode.trajectory.steps) > self._limit:
            return [Skip(subject=episode.trajectory.id, reason=f"failed, or longer than {self._limit} steps")]
        return [Add(built=await tools.build(episode.trajectory), reason="a short success")]


def main() -> None:
    """Offer a short and a long success."""
    with ProceduralMemory(":memory:", build="script", update=OnlyShort(3)) as memory:
        for length in (2, 5):
            steps = tuple(Step(action=f"press button {n}", observation=f"light {n} is on") for n in range(length))
            memory.record(Trajectory(task=f"light {length} lamps", steps=steps, reward=1.0))
        receipt = memory.update()
        print(f"added {len(receipt.added)}; skipped: {[item.reason for item in receipt.skipped]}")


if __name__ == "__main__":
    main()
