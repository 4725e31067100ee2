"""Which untrusted origins a text may come from. A step says its origin; a memory says which ones it trusts."""

from collections.abc import Collection, Iterable

from memp.records import Trajectory

_LONGEST = 200
"""Of a name in a record."""


class Trusted:
    """The origins that a memory trusts.

    Args:
        names: origins by their whole name, or the beginning of one, up to a `/`, `:`, `@` or `#`:
            `web:docs.example.org` trusts `web:docs.example.org/guide` and not `web:docs.example.org.evil.net`.
            A `*` at the end trusts whatever begins so (`mail:*`).

    Raises:
        ValueError: a name is empty or only `*`, which would trust everything.
    """

    def __init__(self, names: Collection[str] = ()) -> None:
        if isinstance(names, str):
            raise ValueError(f"trusted is the string {names!r}; give a collection of origins, for example [{names!r}]")
        for name in names:
            if not name.strip("* "):
                raise ValueError(f"trusted holds {name!r}, which would trust every origin; name the origins")
        self._names = frozenset(name.casefold() for name in names)

    def trusts(self, origin: str) -> bool:
        """Whether text of that origin may be shown as instructions. The empty origin is where the agent works."""
        known = origin.strip().casefold()
        return not known or any(_covers(name, known) for name in self._names)

    def untrusted(self, trajectory: Trajectory) -> tuple[str, ...]:
        """The untrusted origins of a trajectory's text, in the order of their names.

        All of it counts: an agent's thoughts and actions may follow what it read.
        """
        return self.merged(step.origin for step in trajectory.steps)

    def merged(self, *origins: Iterable[str]) -> tuple[str, ...]:
        """The untrusted ones among these origins, each once, in the order of their names."""
        found = {origin.strip() for group in origins for origin in group if not self.trusts(origin)}
        return tuple(sorted({origin[:_LONGEST] for origin in found}))


def _covers(name: str, origin: str) -> bool:
    if name.endswith("*"):
        return origin.startswith(name[:-1])
    return origin == name or (origin.startswith(name) and (name[-1] in "/:@#" or origin[len(name)] in "/:@#"))
