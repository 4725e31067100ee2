"""What a study will take before it is run: calls, tokens, money and time, cell by cell, from what was measured."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Final

from memp.models.prices import Price, price_of
from memp.records import Usage
from memp_bench.agents.registry import is_simulated
from memp_bench.studies.assumptions import SECONDS, SOURCES, UPDATES, Use, acting, asking
from memp_bench.studies.bill import Basis, Estimate, Line, Part, Total
from memp_bench.studies.cells import CellPlan, MemoryPlan, cells, config_of, distinct, memory_of
from memp_bench.studies.config import RunConfig
from memp_bench.studies.samples import Sample, Taken, like, samples
from memp_bench.studies.spec import PROVIDER, Size, Study

TASKS: Final = {
    "alfworld": {"train": 3553, "valid_seen": 140, "valid_unseen": 134, "dev": 140, "test": 134},
    "household": {"train": 600, "seen": 120, "unseen": 120},
    "travelplanner": {"train": 45, "validation": 180},
}
"""Tasks of each split, so that nobody needs the data to know the price."""


def estimate(
    study: Study, size: Size, measured: Sequence[Path] = (), *, workers: int = 8, price: Price | None = None
) -> Estimate:
    """What `size` will take.

    Args:
        study, size: what is to be run.
        measured: folders of earlier runs or studies; their counted episodes are used where they are near enough
            (`samples.like`). What is not there is passed over.
        workers: episodes played at once, for the hours.
        price: US dollars per million tokens, in and out, of every chat model that is not simulated; None looks it up.
    """
    there = samples([folder for folder in measured if folder.is_dir()])
    planned = cells(study, size)
    once = distinct(planned)
    seen: set[tuple[object, ...]] = set()
    lines = [_memory_line(plan, there, seen, workers) for plan in _memories(once, size)]
    groups: dict[tuple[str, str, str], list[CellPlan]] = {}
    for plan in once:
        groups.setdefault((plan.place.label, plan.backbone.label, plan.arm.label), []).append(plan)
    lines += [_cell_line(label, plans, size, there, workers) for label, plans in groups.items()]
    if price is not None:
        lines = [_priced(line, price) for line in lines]
    total = _total([part for line in lines for part in line.parts], [line.total for line in lines], workers)
    return Estimate(
        study=study.name,
        lines=tuple(lines),
        total=total,
        assumptions=SOURCES if lines and total.basis == "assumed" else (),
        notes=tuple(_notes(study, size, len(planned) - len(once), total)),
    )


def tasks_of(benchmark: str, split: str, games: int | None) -> int:
    """How many tasks are played."""
    there = TASKS[benchmark][split]
    return there if games is None else min(games, there)


# -- lines ---------------------------------------------------------------------------------------------


def _cell_line(
    label: tuple[str, str, str], plans: Sequence[CellPlan], size: Size, there: Sequence[Sample], workers: int
) -> Line:
    config = config_of(plans[0], size)
    episodes = len(plans) * tasks_of(config.benchmark, config.split, config.games)
    acted, sd = _acting(config, episodes, there)
    parts = [acted, *_remembering(config, episodes)]
    total = _total(parts, [], workers).model_copy(update={"episodes": episodes, "tokens_sd": sd})
    return Line(kind="cell", label=" / ".join(label), parts=tuple(parts), total=total)


def _memory_line(plan: MemoryPlan, there: Sequence[Sample], seen: set[tuple[object, ...]], workers: int) -> Line:
    """A memory to be learned: playing where a teacher plays, then a script and facts for each trajectory (at most).

    `seen` are the teachers that have played: what one did is shared by all memories of the study.
    """
    count = tasks_of(plan.benchmark, plan.learned.split, plan.learned.games)
    config = RunConfig.parse(
        {
            "benchmark": plan.benchmark,
            "split": plan.learned.split,
            "generated": plan.generated,
            "model": plan.teacher or "sim:novice",
            "base_url": plan.teacher_base_url,
            "builder": plan.builder,
            "builder_base_url": plan.base_url or PROVIDER,
            "memory": False,
            "options": plan.options,
            "max_steps": plan.max_steps or 30,
            "build": plan.build,
            "retrieve": plan.retrieve,
            "update": plan.update,
        }
    )
    parts, sd = [], None
    playing = (plan.teacher, plan.teacher_base_url, plan.benchmark, repr(plan.options), plan.max_steps)
    plays = plan.teacher is not None and playing not in seen
    seen.add(playing)
    if plays:
        played, sd = _acting(config, count, there)
        parts.append(played)
    if plan.builder != "rules":
        writes = plan.build != "trajectory" or plan.update in ("expel", "awm")
        if writes:
            rate = UPDATES[plan.update][0] if plan.update in ("expel", "awm") else 1.0
            parts.append(_part("script", config.builder, config, asking("script", config).times(count * rate)))
        if plan.retrieve == "avefact":
            parts.append(_part("facts", config.builder, config, asking("facts", config).times(count)))
    total = _total(parts, [], workers)
    total = total.model_copy(update={"episodes": count if plays else 0, "tokens_sd": sd})
    label = f"memory: {plan.benchmark} {plan.build}, {count} {plan.learned.source}, written by {plan.builder}"
    return Line(kind="memory", label=label, parts=tuple(parts), total=total)


def _memories(plans: Sequence[CellPlan], size: Size) -> list[MemoryPlan]:
    needed = (memory_of(plan, size) for plan in plans)
    return list({plan.slug: plan for plan in needed if plan is not None}.values())


# -- parts ---------------------------------------------------------------------------------------------


def _acting(config: RunConfig, episodes: int, there: Sequence[Sample]) -> tuple[Part, float | None]:
    """The agent's calls, and how far their tokens may be off."""
    found = like(config, there)
    if found is None:
        return _part("act", config.model, config, acting(config).times(episodes)), None
    taken, run = found
    mean = Use(*(fmean(getattr(one.usage, name) for one in taken) for name in Use._fields))
    basis: Basis = "measured" if run.model == config.model else "assumed"
    kept = f"{run.build}/{run.retrieve}" if run.memory else "no memory"
    source = f"{len(taken)} episodes of {run.model}, {run.benchmark} {run.split}, {kept}"
    seconds = [one.seconds for one in taken if one.seconds is not None]
    part = _part("act", config.model, config, mean.times(episodes), basis=basis, source=source)
    if seconds and basis == "measured":
        part = part.model_copy(update={"seconds": fmean(seconds) * episodes})
    return part, _spread(taken, episodes)


def _spread(taken: Sequence[Taken], episodes: int) -> float | None:
    """Of the sum over `episodes` new ones: they scatter, and so does the mean that they are predicted by."""
    if len(taken) < 2:
        return None
    return stdev(one.usage.tokens for one in taken) * math.sqrt(episodes + episodes**2 / len(taken))


def _remembering(config: RunConfig, episodes: int) -> Iterator[Part]:
    """What the memory of a run asks of models."""
    if not config.memory:
        return
    if config.embedder != "static":
        yield _part("embed", config.embedder, config, asking("embed", config).times(episodes))
    if config.builder == "rules":
        return
    if config.retrieve == "avefact":
        yield _part("facts", config.builder, config, asking("facts", config).times(episodes))
    if config.every is None:
        return
    written, corrected = UPDATES.get(config.update, UPDATES["vanilla"])
    for purpose, rate in (("script", written), ("adjust", corrected)):
        if rate and not (purpose == "script" and config.build == "trajectory"):
            yield _part(purpose, config.builder, config, asking(purpose, config).times(episodes * rate))


def _part(
    purpose: str,
    model: str,
    config: RunConfig,
    use: Use,
    *,
    basis: Basis = "assumed",
    source: str = "",
) -> Part:
    address = {"act": config.base_url, "embed": None}.get(purpose, config.builder_address)
    return Part(
        purpose=purpose,
        model=model,
        calls=use.calls,
        input_tokens=use.input_tokens,
        output_tokens=use.output_tokens,
        cost=money(model, use, base_url=address),
        seconds=use.calls * SECONDS[is_simulated(model)],
        basis=basis,
        source=source,
    )


def money(model: str, use: Use, *, base_url: str | None = None) -> float | None:
    """The list price in US dollars; None when nobody knows it. What is simulated or bundled costs nothing."""
    if model in ("rules", "static") or is_simulated(model) or not use.calls:
        return 0.0
    provider, _, name = model.partition(":")
    # Prices may depend on the length of a prompt: one call of mean length is priced, not the sum.
    one = Usage(
        calls=1, input_tokens=round(use.input_tokens / use.calls), output_tokens=round(use.output_tokens / use.calls)
    )
    price = price_of(provider, name, one, base_url=base_url)
    return None if price is None else price * use.calls


def _priced(line: Line, price: Price) -> Line:
    """The line at a price of the user's own; embeddings have one of theirs."""
    parts = [
        part.model_copy(
            update={"cost": (part.input_tokens * price[0] + part.output_tokens * price[1]) / 1_000_000}
            if part.purpose != "embed" and not is_simulated(part.model)
            else {}
        )
        for part in line.parts
    ]
    known = sum(part.cost for part in parts if part.cost is not None)
    cost = None if any(part.cost is None for part in parts) else known
    total = line.total.model_copy(update={"cost": cost, "known_cost": known})
    return line.model_copy(update={"parts": tuple(parts), "total": total})


def _total(parts: Sequence[Part], below: Sequence[Total], workers: int) -> Total:
    costs = [part.cost for part in parts]
    known = sum(cost for cost in costs if cost is not None)
    spreads = [total.tokens_sd for total in below if total.tokens_sd is not None]
    return Total(
        episodes=sum(total.episodes for total in below),
        calls=sum(part.calls for part in parts),
        input_tokens=sum(part.input_tokens for part in parts),
        output_tokens=sum(part.output_tokens for part in parts),
        tokens_sd=math.hypot(*spreads) if spreads and len(spreads) == sum(t.episodes > 0 for t in below) else None,
        cost=None if None in costs else known,
        known_cost=known,
        hours=sum(part.seconds for part in parts) / workers / 3600,
        basis="measured" if all(part.basis == "measured" for part in parts) else "assumed",
    )


def _notes(study: Study, size: Size, shared: int, total: Total) -> Iterator[str]:
    if study.kind == "recall":
        yield "no chat model takes part"
        for name in size.embedders:
            if name != "static":
                yield f"every task and memory is embedded with {name}, once for each wording: some cents at most"
    if shared:
        are = "cell is the same run as another and is" if shared == 1 else "cells are the same runs as others and are"
        yield f"{shared} {are} played once"
    for what, cap, need in (
        ("cost", size.limits.cost, total.cost if total.cost is not None else total.known_cost),
        ("tokens", size.limits.tokens, total.input_tokens + total.output_tokens),
        ("calls", size.limits.calls, total.calls),
        ("hours", size.limits.hours, total.hours),
    ):
        if cap is not None and need > cap:
            yield f"the study will stop early: its limit of {cap:,g} {what} is below the {need:,.0f} expected"
