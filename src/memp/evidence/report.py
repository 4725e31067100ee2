"""What `memory.evidence()` answers: whether the memory helps, in all, by family and by procedure."""

from collections.abc import Iterable
from statistics import fmean

from memp.evidence.acting import Quarantine
from memp.evidence.ledger import Ledger
from memp.evidence.lift import Lift
from memp.evidence.worth import Worth
from memp.records import Name, Procedure, Record, Text


class Evidence(Record):
    """How tasks of one agent went with memory and without."""

    agent: Text
    agents: tuple[Text, ...]
    """Every agent there is evidence of."""
    overall: Lift
    families: tuple[Lift, ...]
    procedures: tuple[Lift, ...]
    """Those that were, or would have been, served; the most harmful first."""
    both: int
    """Tasks that came to this agent with memory and without."""
    repairs: int
    """Of them: lost without, won with memory (each by majority)."""
    regressions: int
    """Won without, lost with memory."""
    abstains: Text | None = None
    """Why the memory is not served to this agent at present; None: it is."""
    quarantined: tuple[Name, ...] = ()
    """Procedures that are not served, for they did harm or look like an attack."""


def evidence_of(ledger: Ledger, agent: str, procedures: Iterable[Procedure], quarantine: Quarantine) -> Evidence:
    """The evidence of `agent`, about these procedures at their current revision."""
    worth = Worth(ledger, agent)
    held = list(procedures)
    lifts = [worth.procedure(p.id, p.revision.number) for p in held]
    known = [lift for lift in lifts if lift.served or lift.withheld]
    tasks = ledger.agents[agent].tasks.values() if agent in ledger.agents else ()
    pairs = [(fmean(with_it), fmean(without)) for with_it, without in tasks if with_it and without]
    overall = worth.overall()
    return Evidence(
        agent=agent,
        agents=tuple(sorted(ledger.agents)),
        overall=overall,
        families=tuple(lift for lift in worth.families() if lift.name),
        procedures=tuple(sorted(known, key=lambda lift: (-lift.harm, lift.name))),
        both=len(pairs),
        repairs=sum(with_it > 0.5 >= without for with_it, without in pairs),
        regressions=sum(without > 0.5 >= with_it for with_it, without in pairs),
        abstains=quarantine.abstains(overall),
        quarantined=tuple(p.id for p in held if p.status == "quarantined"),
    )
