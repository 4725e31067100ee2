"""From a study's folder to its results: what was played, what is missing, and where it comes from.

Reads files only, so that a report can be made again without models, data or engine.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from memp.errors import MempError, RecordError
from memp_bench.agents.episode import Episode
from memp_bench.studies import memories
from memp_bench.studies.accounts import spent
from memp_bench.studies.cells import CellPlan, cells, memory_of
from memp_bench.studies.manifest import Manifest, machine
from memp_bench.studies.outcome import Outcome, useless
from memp_bench.studies.results import Provenance, RecallResults, Results
from memp_bench.studies.spec import Size, Study
from memp_bench.studies.tables import Played, results_of

_COMMANDS: Final = "commands.txt"
_RECALL: Final = "recall.json"


def collect(study: Study, size: Size, manifest: Manifest, out: Path) -> Results:
    """The results of the cells that are finished; the others are named as missing.

    Raises:
        RecordError: an episode that was played is not there any more.
    """
    played, missing, notes = [], [], list(_accepted(manifest))
    runs: dict[str, list[list[Episode]]] = {}
    for plan in cells(study, size):
        folder = out / "runs" / plan.slug
        done = Outcome.read(folder)
        if done is None:
            missing.append(plan.label)
            continue
        if plan.slug not in runs:
            runs[plan.slug] = done.episodes(folder)
        learned = memory_of(plan, size)
        made = memories.made(out / "memories", learned) if learned else None
        if made and not made.build.procedures:
            notes.append(f"{plan.label}: its learned memory is empty, for none of the trajectories was kept")
        notes += _notes(plan, done, runs[plan.slug])
        played.append(
            Played(
                place=plan.place.label,
                backbone=plan.backbone.label,
                arm=plan.arm.label,
                seed=plan.seed,
                simulated=done.simulated,
                groups=runs[plan.slug],
                rates=done.rates,
                learned=made.build if made else None,
                updates=done.updates if plan.arm.memory == "new" or plan.arm.every else None,
            )
        )
    return results_of(study, size, smoke=manifest.smoke, played=played, missing=missing, notes=_once(notes))


def provenance(study: Study, size: Size, manifest: Manifest, out: Path) -> Provenance:
    """Where the results of the folder come from."""
    plans = [memory_of(plan, size) for plan in cells(study, size)]
    if study.kind == "recall":
        from memp_bench.studies.recall import plan_of

        plans = [plan_of(place, size) for place in size.places]
    digests = {}
    for learned in plans:
        if learned and (made := memories.made(out / "memories", learned)):
            digests[learned.slug] = made.digest
    return Provenance(
        commands=commands(out),
        versions={**manifest.versions, "machine": machine()},
        commit=manifest.commit,
        data=manifest.data,
        memories=digests,
        spent=spent(out),
    )


def write_recall(out: Path, results: RecallResults) -> None:
    """Keep the results of a study of kind `recall`."""
    part = out / f"{_RECALL}.part"
    part.write_text(results.model_dump_json() + "\n", encoding="utf-8")
    part.replace(out / _RECALL)


def read_recall(out: Path) -> RecallResults:
    """What `write_recall` kept.

    Raises:
        MempError: it is not there, or damaged.
    """
    try:
        return RecallResults.parse((out / _RECALL).read_text(encoding="utf-8"))
    except (OSError, RecordError) as error:
        raise MempError(f"{out} holds no results yet ({error}); run the study to its end first") from None


def note_command(out: Path, words: Sequence[str]) -> None:
    """Write down what was typed, for the report."""
    with (out / _COMMANDS).open("a", encoding="utf-8") as file:
        file.write(f"memp {shlex.join(words)}\n")


def commands(out: Path) -> tuple[str, ...]:
    """What was typed, each command once."""
    file = out / _COMMANDS
    return tuple(dict.fromkeys(file.read_text(encoding="utf-8").splitlines())) if file.exists() else ()


def _accepted(manifest: Manifest) -> Sequence[str]:
    return [f"resumed although it changed: {line}" for line in manifest.accepted]


def _notes(plan: CellPlan, done: Outcome, groups: Sequence[Sequence[Episode]]) -> list[str]:
    """What a reader must know about a cell's replies and its memory."""
    from memp_bench.cli.parts import may_learn

    label, notes = plan.label, []
    replies = [reply for group in groups for episode in group if episode.counted for reply in episode.replies]
    if bad := sum(map(useless, replies)):
        notes.append(
            f"{label}: {100 * bad / len(replies):.1f} % of the agent's {len(replies)} replies were refusals or empty"
        )
    if done.damaged:
        notes.append(f"{plan.place.label}: {done.damaged} games of the data are damaged and were left out")
    if plan.arm.memory != "none" and plan.arm.every and not may_learn(plan.place.benchmark, plan.place.split):
        notes.append(
            f"{plan.place.benchmark} {plan.place.split} is for measuring only: memories are read there and do not "
            "change, whatever the arm's updates"
        )
    notes += [
        f"{label}: {count} trajectories gave nothing: {reason}"
        for reason, count in done.skipped.items()
        if reason.startswith("given up")
    ]
    return notes


def _once(notes: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(notes))
