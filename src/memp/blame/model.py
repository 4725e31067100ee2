"""Blame by a chat model, with quotes that are checked to occur in the trajectory."""

from collections.abc import Callable
from functools import partial
from typing import get_args

from memp.blame.base import Blame, Verdict
from memp.blame.kinds import own_steps
from memp.blame.rules import blamed, judge
from memp.build.distil import ModelDistiller
from memp.build.prompt import load_prompt
from memp.errors import UnusableReply
from memp.models.structured import json_object
from memp.records import Content, Trajectory
from memp.render import clean, render_content, render_trajectory

_LONGEST = 300
_MOST = 6


class ModelBlamer:
    """Asks a model; where its answers cannot be used, the rules decide and the blame says so.

    A fault of the world or the provider that the rules find is not asked about: it costs nothing, and never becomes a
    lesson.
    """

    def __init__(self, distiller: ModelDistiller) -> None:
        self._distiller = distiller

    async def blame(
        self, procedure_id: str, revision: int, content: Content, shown: Trajectory | None, failed: Trajectory
    ) -> Blame:
        """See `Blamer.blame`."""
        ruled = judge(content, shown, failed)
        if ruled.verdict == "environment":
            return blamed(procedure_id, revision, ruled)
        steps = own_steps(content, shown)
        values = {
            "procedure": render_content(content, shown),
            "steps": "\n".join(f"{n}. {clean(step)}" for n, step in enumerate(steps, 1)),
            "task": clean(failed.task),
            "trajectory": render_trajectory(failed),
            "reward": f"{failed.reward:g}",
        }
        read: Callable[[str], Blame] = partial(read_blame, procedure_id, revision, len(steps), failed)
        try:
            return await self._distiller.ask(load_prompt("memp.blame", "blame"), values, read, "blame")
        except UnusableReply as error:
            return blamed(procedure_id, revision, ruled, note=f"by rules, for the model gave no usable blame: {error}")


def read_blame(procedure_id: str, revision: int, steps: int, failed: Trajectory, reply: str) -> Blame:
    """The blame in a model's reply.

    Raises:
        ValueError: a part is missing or of the wrong type, or a quote does not occur in the trajectory; says which.
    """
    said = json_object(reply)
    verdict, step, quotes, why = said.get("verdict"), said.get("step"), said.get("quotes"), said.get("why")
    if verdict not in get_args(Verdict):
        raise ValueError(f'"verdict" must be one of {", ".join(get_args(Verdict))}, not {verdict!r}')
    if step is not None and (isinstance(step, bool) or not isinstance(step, int) or not 1 <= step <= steps):
        raise ValueError(f'"step" must be null or a number from 1 to {steps}, not {step!r}')
    if not isinstance(why, str) or not why.strip():
        raise ValueError('"why" must be a sentence')
    return Blame(
        procedure_id=procedure_id,
        revision=revision,
        verdict=verdict,
        step=step,
        evidence=_checked(quotes, failed),
        why=why.strip()[:1_000],
        by="model",
    )


def _checked(quotes: object, failed: Trajectory) -> tuple[str, ...]:
    """The quotes, each of which occurs in the record of the failure (blanks and case do not count)."""
    if not isinstance(quotes, list) or not quotes or not all(isinstance(q, str) and q.strip() for q in quotes):
        raise ValueError('"quotes" must be a list of one or more pieces of the record')
    record = _plain(f"Task: {clean(failed.task)}\n{render_trajectory(failed)}")
    for quote in quotes[:_MOST]:
        if _plain(clean(quote)) not in record:
            raise ValueError(f"the record does not hold this quote; copy it letter by letter: {quote[:200]!r}")
        if len(quote) > _LONGEST:
            raise ValueError(f"a quote has {len(quote)} characters; at most {_LONGEST}")
    return tuple(quotes[:_MOST])


def _plain(text: str) -> str:
    return " ".join(text.lower().split())
