"""Results of studies that never ran, in the shapes that reports must show. The figures are made up."""

import math
import random

from memp_bench.studies.results import (
    Build,
    Cell,
    Comparison,
    Distribution,
    Interval,
    Point,
    Provenance,
    RecallResults,
    RecallScore,
    Results,
)

FAMILIES = (
    "look_at_obj_in_light",
    "pick_and_place_simple",
    "pick_clean_then_place_in_recep",
    "pick_cool_then_place_in_recep",
    "pick_heat_then_place_in_recep",
    "pick_two_obj_and_place",
)
HOSTILE = '<script>alert(1)</script> | `x` **b** [a](javascript:1) & "quoted" \x1b[31m\x07 </style></svg>'


def share(rate, n, sd=None):
    wide = 1.96 * math.sqrt(max(rate * (1 - rate), 0.01) / max(n, 1))
    return Interval(value=rate, low=max(0.0, rate - wide), high=min(1.0, rate + wide), n=n, sd=sd)


def mean(value, wide, n, sd=None):
    return Interval(value=value, low=value - wide, high=value + wide, n=n, sd=sd)


def spread(middle, n):
    return Distribution(mean=middle * 1.1, p10=middle * 0.4, p50=middle, p90=middle * 2.1, n=n)


def curve(chance, end, groups=14, each=10):
    points = []
    for g in range(1, groups + 1):
        rate = end * (1 - 0.45 * math.exp(-g / 4)) + chance.uniform(-0.02, 0.02)
        steps = mean(24 - 9 * rate, 1.5 / math.sqrt(g), g * each)
        points.append(Point(x=g * each, success=share(rate, 3 * g * each), steps=steps))
    return tuple(points)


def cell(place, backbone, arm, rate, *, base="none", simulated=False, seeds=(0, 1, 2), travel=False, **more):
    """A cell whose figures hold together well enough to be looked at."""
    chance = random.Random(f"{place}{backbone}{arm}")
    n = 140 * len(seeds)
    steps = 24 - 9 * rate
    measures = {
        "success": share(rate, n, 0.021),
        "steps": mean(steps, 0.8, n, 0.4),
        "tokens": mean(3000 + 4000 * (arm != base), 210, n, 55),
        "calls": mean(steps, 0.8, n),
    }
    if travel:
        for name, value in (("delivery", 0.93), ("commonsense_micro", 0.5 + rate), ("hard_micro", rate / 2)):
            measures[name] = share(value, n)
        for name in ("commonsense_macro", "hard_macro", "final"):
            measures[name] = share(rate / 4, n)
    versus = None
    if arm != base:
        repairs, regressions = int(n * rate * 0.5), int(n * 0.06)
        versus = Comparison(
            base=base,
            pairs=n,
            repairs=repairs,
            regressions=regressions,
            success=mean((repairs - regressions) / n, 0.05, n),
            p=0.0000021 if repairs > 2 * regressions else 0.021,
            p_tasks=0.0000043 if repairs > 2 * regressions else 0.21,
            steps=mean(steps - 22, 1.1, n),
            tokens=mean(4000.0, 300.0, n),
        )
    families = {name: share(min(1.0, max(0.0, rate + chance.uniform(-0.3, 0.25))), n // 6) for name in FAMILIES}
    build = Build(
        procedures=312, trajectories=300, added=312, revised=41, retired=7, calls=341, tokens=812_345, cost=4.21
    )
    fields = {
        "measures": measures,
        "families": {} if travel else families,
        "tokens": {
            "tokens": spread(measures["tokens"].value, n),
            "calls": spread(steps, n),
            "recalled": spread(1200.0 if arm != base else 1.0, n),
            "tokens_per_success": spread(measures["tokens"].value / max(rate, 0.05), len(seeds)),
            "tokens_per_success_with_building": spread(6000 / max(rate, 0.05), len(seeds)),
        },
        "build": None if arm == base else build,
        "versus": versus,
        "episodes": n,
        "failed": 2,
    }
    return Cell(place=place, backbone=backbone, arm=arm, simulated=simulated, seeds=seeds, **(fields | more))


def empty(place, backbone, arm, **more):
    """A cell of which nothing could be counted."""
    zero = Interval(value=0.0, low=0.0, high=0.0, n=0)
    fields = {"episodes": 0, "failed": 12, "measures": {"success": zero, "steps": zero}, "families": {}, **more}
    return Cell(place=place, backbone=backbone, arm=arm, simulated=False, seeds=(0,), **fields)


def results(cells, **more):
    fields = {
        "study": "build",
        "smoke": False,
        "title": "What should a memory hold: script, trajectory or both?",
        "question": "Which build policy helps most, on which backbone, and what does it break?",
        "paper": "Table 1. Its #CS and #HC are micro rates of the 1,000 hidden test tasks; ours are of validation.",
        "base": "none",
        "curve": "",
    }
    return Results(cells=tuple(cells), **(fields | more))


ARMS = (("none", 0.40), ("script", 0.58), ("trajectory", 0.69), ("proceduralization", 0.87))


def build_study():
    """2 places x 2 backbones x 4 arms, with the paper's figures."""
    cells = []
    for place, travel in (("ALFWorld dev", False), ("TravelPlanner validation", True)):
        for shift, backbone in ((0.0, "GPT-4o"), (-0.12, "Claude-3.5-sonnet")):
            for arm, rate in ARMS:
                paper = {"commonsense_micro": 0.7193, "hard_micro": 0.055, "steps": 17.84} if travel else {}
                paper = paper or {"success": rate - 0.007, "steps": 23.76}
                won = (rate + shift) * (0.5 if travel else 1)
                cells.append(cell(place, backbone, arm, won, travel=travel, paper=paper))
    return results(cells, notes=("12 of 3360 episodes could not be played to their end.",))


def update_study():
    """Curves of 14 groups."""
    arms = (("none", 0.40), ("vanilla", 0.62), ("validation", 0.71), ("adjustment", 0.78))
    chance = random.Random(3)
    cells = [
        cell("ALFWorld dev", backbone, arm, rate, simulated=True, curve=curve(chance, rate + lift))
        for backbone, lift in (("novice (simulated)", 0.0), ("able (simulated)", 0.15))
        for arm, rate in arms
    ]
    return results(
        cells,
        study="update",
        title="Does memory keep getting better while it is used?",
        paper="Figure 3, whose benchmark is not stated.",
        curve="groups",
    )


def quantity_study():
    """Success against k: a cell for each k, with one point."""
    cells = []
    for backbone, top in (("GPT-4o", 0.825), ("Qwen2.5-72B", 0.74)):
        for k, rate in ((0, 0.41), (1, 0.6), (2, 0.66), (5, 0.77), (10, top), (15, top - 0.01), (20, top - 0.03)):
            arm = "none" if k == 0 else f"k = {k}"
            point = Point(x=k, success=share(rate, 280), steps=mean(24 - 9 * rate, 0.8, 280))
            paper = {"success": rate + 0.02} if backbone == "GPT-4o" else {}
            cells.append(cell("ALFWorld dev", backbone, arm, rate, curve=(point,), paper=paper))
    return results(
        cells,
        study="quantity",
        title="How many procedures should be recalled?",
        paper="Figure 5b, means of dev and test.",
        curve="k",
    )


def mixed_study():
    """Stopped early: real and simulated cells, an empty cell, labels that are long or hostile."""
    long = "proceduralization with adjustment, updated after every ten tasks, discarded by counters"
    cells = [
        cell("ALFWorld dev", "GPT-4o", "none", 0.4),
        cell("ALFWorld dev", "GPT-4o", long, 0.8),
        empty("ALFWorld dev", "GPT-4o", "trajectory"),
        cell("ALFWorld dev", "novice", "none", 0.31, simulated=True),
        cell("ALFWorld dev", "novice", long, 0.77, simulated=True),
        cell("ALFWorld dev", "novice", HOSTILE, 0.1, simulated=True, families={HOSTILE: share(0.5, 4)}),
        cell(HOSTILE, HOSTILE, HOSTILE, 0.5, simulated=True),
    ]
    return results(
        cells,
        title=f"Stopped {HOSTILE}",
        question=HOSTILE,
        missing=("alfworld-dev__gpt-4o__script__s0", f"x {HOSTILE}"),
        notes=(HOSTILE, "The cap of $20 was reached."),
    )


def recall_study():
    """Five policies, two embedders, three wordings, two places."""
    policies = (("random", 0.14), ("query", 0.81), ("avefact", 0.78), ("bm25", 0.88), ("fused", 0.95))
    scores = [
        RecallScore(
            place=place,
            wording=wording,
            policy=policy,
            embedder=embedder,
            tasks=140,
            precision={"@10": rate - loss, "@1": min(1, rate + 0.03 - loss), "@5": rate - loss},
            ndcg={"@10": share(max(0.05, rate - loss), 140), "@5": share(max(0.05, rate - loss + 0.02), 140)},
            by_grade={"family": rate, "object": rate * 0.6, "receptacle": rate * 0.5},
        )
        for place in ("ALFWorld dev", "TravelPlanner validation")
        for embedder in ("static", "MiniLM")
        for policy, rate in policies
        for wording, loss in (("plain", 0.0), ("everyday", 0.07), ("formal", 0.12))
    ]
    return RecallResults(
        study="recall",
        smoke=False,
        title="What does retrieval find, with no agent in the way?",
        question="How often is what comes back of the kind the task needs, plain and re-worded?",
        memories={"TravelPlanner validation": 45, "ALFWorld dev": 300},
        scores=tuple(scores),
    )


def provenance():
    return Provenance(
        commands=("memp study run build --full --out runs/study-build", "memp study report build"),
        versions={"memp": "0.1.0", "python": "3.11.9", "machine": "2 cores, Linux", "openai": "3.4.1"},
        commit="0123456789abcdef0123456789abcdef01234567",
        data={"alfworld": "sha256:" + "ab" * 32},
        memories={"alfworld/trajectory/gpt-4o": "sha256:" + "cd" * 32},
        spent={"calls": 123_456, "tokens": 98_765_432, "cost": 41.5, "wall_s": 12_345.6},
    )


SHAPES = {
    "build": build_study,
    "update": update_study,
    "quantity": quantity_study,
    "mixed": mixed_study,
    "recall": recall_study,
}
