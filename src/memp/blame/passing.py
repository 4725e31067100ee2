"""Faults that pass: rate limits, time-outs, broken connections. They say nothing about how a task is done."""

import re
from collections.abc import Sequence

from memp.records import Step, Trajectory

_READ = 400
"""Characters at the head of an observation in which a fault announces itself."""
_MUCH = 0.25
"""Share of the steps that faults may take up before the turns lost to them are the cause."""

_FAULT = re.compile(
    "|".join(
        (
            # Codes: with what they mean beside them, or said to be a status.
            r"\b(?:429|500|502|503|504|52\d)\b\W{0,3}(?:error|too many|internal|bad gateway|service|gateway)",
            r"\b(?:429|500|502|503|504|52\d)\b\W{0,3}(?:server|overload)",
            r"\b(?:https?|status|code|error|failed|meditation|returned|got)\b\W{0,3}(?:\w+\W{1,3}){0,2}(?:429|5[02]\d)\b",
            # Too much asked for.
            r"\brate.?limit\w*|\btoo many (?:requests|connections|concurrent)\b|\bquota\b.{0,20}\bexce",
            r"\bthrottl(?:ed|ing)\w*",
            r"\brate exceeded\b|\bexceeded\b.{0,30}\b(?:rate|requests per|tokens per)\b|\bresource.?exhausted\b",
            r"\boverloaded_error\b|^\W*overloaded\b",
            r"\b(?:server|model|system|engine|service|cpu|api)s?\b.{0,24}\boverloaded\b",
            r"\bexperiencing (?:high|heavy) (?:demand|load|traffic)\b",
            # No answer in time.
            r"\b\w*tim(?:ed?|ing)[ _-]?out\w*|\bdeadline.?exceeded\b",
            r"\bdid not (?:answer|respond|reply) (?:with)?in\b",
            r"\bno (?:progress|response|answer) (?:for|in|within|after) \d",
            # No connection, or one that broke.
            r"\b\w*connection\w*\b.{0,30}\b(?:reset|refused|abort\w*|closed|lost|dropped|cut|error|broken|fail\w*|terminat\w*)",
            r"\bconnection(?:reset|abort|refused|closed|error)\w*|\bconnect(?:ion)? ?error\b|\b\w*disconnected\w*",
            r"\bsocket hang up\b",
            r"\b(?:lost|closed the|cannot make a|unable to (?:make|open) a) connection\b",
            r"\bremote end closed\b|\bbroken pipe\b",
            r"\b(?:could not|couldn't|cannot|can't|unable to|failed to|error) (?:re)?connect\w*",
            r"\b(?:server|channel|service|backend|worker)\b.{0,20}\bshut(?:ting)? down\b",
            r"\b(?:socket|session|channel|stream|browser|tab|page|other side|peer)\b.{0,24}\b(?:closed|crash\w*)\b",
            r"\bERR_[A-Z_]+|\bE(?:CONN\w+|TIMEDOUT|AI_AGAIN|PIPE|HOSTUNREACH|NETUNREACH)\b|\bfetch failed\b",
            r"\bread error\b",
            r"\bnetwork\b.{0,20}\b(?:error|failure|unreachable|problem|issue)|\bname resolution\b",
            r"\bunexpected eof\b|: EOF$|\bssl\w*error\b",
            # Not there for a while.
            r"\b(?:temporar\w*|currently|momentarily|presently)\b.{0,30}\b(?:unavailable|fail\w*|error|problem|down|offline|busy)\b",
            r"\btemporary failure\b|\btransient (?:error|fail\w*|fault|problem|network)",
            r"\b(?:service|server|backend|upstream)\b.{0,30}\b(?:unavailable|busy|restarting)",
            r"(?-i:\bUNAVAILABLE\b)|\bbad gateway\b|\binternal (?:server )?error\b|\bserver error\b",
            r"\bunder maintenance\b",
            r"\b(?:table|database|file) (?:is )?locked\b|\bdeadlock\b|\block wait\b|\bout of memory\b|\boom.?killed\b",
            r"\b(?:worker|process|environment|simulator|sandbox|container|pod|kernel)\b.{0,12}\b(?:died|crashed|killed|stalled)\b",
            # Come back later.
            r"\b(?:try|retry)\b.{0,24}\b(?:again )?(?:later|in (?:a|an|\d)|shortly|after|in some)",
            r"\bretry[- ]?after\b",
            r"\bplease retry\b|\bwait\b.{0,30}\b(?:re)?try\b",
            r"\bcould not be (?:processed|reached|served) (?:right )?now\b",
        )
    ),
    re.IGNORECASE | re.MULTILINE,
)


def fault_in(text: str) -> str:
    """What in `text` announces a passing fault; empty when nothing does."""
    found = _FAULT.search(text[:_READ])
    return found[0] if found else ""


def is_fault(step: Step) -> bool:
    """Whether the world or the provider broke in this step, whatever the agent did."""
    return step.error in ("environment", "provider", "memory") or bool(fault_in(step.observation))


def unrecovered(trajectory: Trajectory) -> list[int]:
    """Places (from 0) of the faults that explain the failure.

    A fault after which the very same action worked is got over, unless faults took up much of the turns.
    """
    steps = trajectory.steps
    faults = [n for n, step in enumerate(steps) if is_fault(step)]
    if len(faults) >= max(2, _MUCH * len(steps)):
        return faults
    return [n for n in faults if not _worked_later(steps, n)]


def _worked_later(steps: Sequence[Step], at: int) -> bool:
    action = " ".join(steps[at].action.lower().split())
    return any(
        " ".join(step.action.lower().split()) == action and step.error is None and not is_fault(step)
        for step in steps[at + 1 :]
    )
