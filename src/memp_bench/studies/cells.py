"""The grid of a study as cells: place x backbone x arm x seed, and what each of them is as a run."""

import hashlib
import re
from collections.abc import Mapping, Sequence

from memp.records import Record
from memp_bench.studies.config import RunConfig
from memp_bench.studies.spec import Arm, Backbone, Learned, Place, Size, Study

STANDARD_UPDATES = ("vanilla", "validation", "adjustment")
"""Update policies that make the same memory of successful trajectories alone: each adds every one of them."""


class MemoryPlan(Record):
    """A memory that is learned before tasks are played. Cells that need the same one share it."""

    benchmark: str
    generated: bool
    learned: Learned
    build: str
    builder: str
    update: str
    retrieve: str
    """Decides whether facts are extracted; also what baselines write."""
    base_url: str | None = None
    """Of the builder."""
    teacher: str | None = None
    """`played`: who plays the training tasks; with the benchmark's options and limit of turns."""
    options: Mapping[str, str] | None = None
    max_steps: int | None = None
    temperature: float | None = None
    teacher_base_url: str | None = None

    @property
    def slug(self) -> str:
        """Name of its file."""
        same = {"teacher_base_url"} if self.teacher is None or self.teacher_base_url == self.base_url else set()
        digest = hashlib.sha256(self.model_dump_json(exclude=same).encode()).hexdigest()[:10]
        return _plain(f"{self.benchmark}-{self.learned.source}-{self.build}-{self.builder}-{digest}")


class CellPlan(Record):
    """One place, backbone, arm and seed. Cells of the same `slug` are the same run, played once."""

    place: Place
    backbone: Backbone
    arm: Arm
    seed: int
    slug: str

    @property
    def label(self) -> str:
        """How people name it: `ALFWorld dev / GPT-4o / script / seed 0`."""
        return f"{self.place.label} / {self.backbone.label} / {self.arm.label} / seed {self.seed}"


def cells(study: Study, size: Size) -> tuple[CellPlan, ...]:
    """All cells in the order of the file: places, then backbones, arms, seeds."""
    if study.kind != "runs":
        return ()
    made = []
    for place in size.places:
        for backbone in size.backbones:
            for arm in size.arms:
                for seed in size.seeds:
                    plan = CellPlan(place=place, backbone=backbone, arm=arm, seed=seed, slug="-")
                    config = config_of(plan, size)
                    kept = f"{config.build}-{config.retrieve}-{config.update}" if config.memory else "none"
                    name = f"{config.benchmark}-{config.split}-{config.model}-{kept}-s{seed}-{config.digest[:10]}"
                    made.append(plan.model_copy(update={"slug": _plain(name)}))
    return tuple(made)


def config_of(plan: CellPlan, size: Size) -> RunConfig:
    """The cell as a run. What has no effect without memory is left at its default, so such cells are the same run."""
    from memp_bench.cli import parts

    place, arm = plan.place, plan.arm
    options = parts.benchmark_options(place.benchmark, mode=place.mode, strategy=place.strategy)
    run = {
        "benchmark": place.benchmark,
        "split": place.split,
        "games": place.games,
        "seed": plan.seed,
        "model": plan.backbone.agent,
        "base_url": plan.backbone.base_url,
        "memory": arm.memory != "none",
        "max_steps": place.max_steps,
        "temperature": size.temperature,
        "options": options,
        "wording": None if place.wording == "plain" else place.wording,
        "generated": place.generated,
    }
    if arm.memory == "none":
        return RunConfig.parse(run)
    learned = memory_of(plan, size)
    return RunConfig.parse(
        run
        | {
            "builder": builder_of(plan.backbone),
            "builder_base_url": plan.backbone.builder_base_url if _apart(plan.backbone) else None,
            "embedder": plan.backbone.embedder,
            "source": learned.slug if learned else None,
            "build": arm.build,
            "retrieve": place.retrieve or arm.retrieve,
            "update": arm.update,
            "every": arm.every if parts.may_learn(place.benchmark, place.split) else None,
            "discard": arm.discard,
            "holdout": arm.holdout,
            "guard": arm.guard,
            "k": arm.k,
            "floor": arm.floor if place.floor is None else place.floor,
            "max_tokens": arm.max_tokens or parts.default_recall(options),
        }
    )


def memory_of(plan: CellPlan, size: Size) -> MemoryPlan | None:
    """The memory the cell starts from; None where it starts empty or plays without."""
    from memp_bench.cli import parts

    place, backbone, arm = plan.place, plan.backbone, plan.arm
    if arm.memory != "learned":
        return None
    learned = size.learned[place.benchmark]
    played: dict[str, object] = {}
    if learned.source == "played":
        played = {
            "teacher": backbone.teacher or backbone.agent,
            "options": parts.benchmark_options(place.benchmark, mode=place.mode, strategy=place.strategy),
            "max_steps": place.max_steps,
            "temperature": size.temperature,
        }
    builder, teacher = builder_of(backbone), str(played.get("teacher", "sim:"))
    if _over_wire(teacher):
        played["teacher_base_url"] = backbone.address_of(teacher)
    own = arm.update not in STANDARD_UPDATES  # a baseline: what it learns is its own
    return MemoryPlan.parse(
        {
            "benchmark": place.benchmark,
            "generated": place.generated,
            "learned": learned,
            "build": arm.build,
            "builder": builder,
            "update": arm.update if own else "vanilla",
            "retrieve": arm.retrieve if own else _facts(plan, size),
            "base_url": backbone.address_of(builder) if _over_wire(builder) else played.get("teacher_base_url"),
            **played,
        }
    )


def builder_of(backbone: Backbone) -> str:
    """Who writes procedures: the agent's own model unless another is named; rules when the agent is simulated."""
    from memp_bench.cli import parts

    return parts.default_builder(backbone.builder, backbone.agent)


def _over_wire(name: str) -> bool:
    return name != "rules" and not name.startswith("sim:")


def _apart(backbone: Backbone) -> bool:
    """Whether procedures are written by another model than the agent, behind the wire."""
    builder = builder_of(backbone)
    return _over_wire(builder) and builder != backbone.agent


def _facts(plan: CellPlan, size: Size) -> str:
    """A policy that uses facts if any arm that shares the memory needs them; else one that does not."""
    from memp.retrieve import NAMES, retrieve_policy

    def needs(arm: Arm) -> bool:
        if arm.memory != "learned" or arm.build != plan.arm.build or arm.update not in STANDARD_UPDATES:
            return False
        asked = plan.place.retrieve or arm.retrieve
        return asked in NAMES and retrieve_policy(asked).uses_facts

    return "avefact" if any(map(needs, size.arms)) else "query"


def distinct(plans: Sequence[CellPlan]) -> tuple[CellPlan, ...]:
    """One cell for each run."""
    return tuple({plan.slug: plan for plan in reversed(plans)}.values())[::-1]


def _plain(text: str) -> str:
    """`text` as the name of a file."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-")
