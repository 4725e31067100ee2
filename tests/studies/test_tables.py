"""Results from episodes by hand."""

from datetime import timedelta
from math import sqrt

import pytest
from tablekit import NOON, e, run, study

from memp.errors import RecordError
from memp_bench.envs.base import Rate
from memp_bench.studies.results import Build, Results
from memp_bench.studies.spec import Arm, PaperFigure
from memp_bench.studies.statistics import Bootstrap, clustered_wilson, wilson
from memp_bench.studies.tables import TOKENS_PER_SUCCESS, WITH_BUILDING, results_of


def results(*played, curve="", arms=("none", "memory"), seeds=(0, 1), **more):
    which = {name: more.pop(name) for name in ("places", "backbones", "paper_figures") if name in more}
    made, size = study(arms, seeds, curve=curve, **which)
    return results_of(made, size, smoke=False, played=played, **more)


def outcomes(text, **more):
    """`+-+`: won, lost, won; `x` could not be played."""
    return [e(f"t{n}", mark == "+", played=mark != "x", **more) for n, mark in enumerate(text)]


# -- one cell ------------------------------------------------------------------------------------------


def test_the_figures_of_a_cell():
    episodes = [
        e("a", True, steps=4, tokens=100, family="heat", recalled="x" * 40),
        e("b", False, steps=30, tokens=900, family="heat"),
        e("c", True, steps=8, tokens=200, family="clean"),
    ]
    (cell,) = results(run("none", episodes)).cells
    assert (cell.episodes, cell.failed, cell.seeds, cell.simulated) == (3, 0, (0,), False)
    success, steps = cell.measures["success"], cell.measures["steps"]
    assert (success.value, success.n, success.sd) == (round(2 / 3, 10), 3, None)
    assert (success.low, success.high) == pytest.approx(wilson(2, 3))
    assert (steps.value, steps.low, steps.high) == pytest.approx((14, *Bootstrap().mean([4, 30, 8])))
    assert cell.measures["tokens"].value == (102 + 902 + 202) / 3  # what the environment's planner used is in it
    assert cell.measures["calls"].value == 15
    assert {name: (f.value, f.n) for name, f in cell.families.items()} == {"clean": (1, 1), "heat": (0.5, 2)}
    assert (cell.tokens["tokens"].p50, cell.tokens["tokens"].n) == (202, 3)
    assert cell.tokens["recalled"].mean == round(10 / 3, 10)
    assert cell.tokens[TOKENS_PER_SUCCESS].mean == (102 + 902 + 202) / 2
    assert cell.versus is cell.build is None


def test_seeds_of_a_task_are_no_tasks_of_their_own():
    (cell,) = results(run("none", outcomes("+-+")), run("none", outcomes("+--"), seed=1)).cells
    success = cell.measures["success"]
    assert (success.value, success.n) == (0.5, 6)
    assert success.sd == pytest.approx(sqrt(2) / 6)
    assert (success.low, success.high) == pytest.approx(clustered_wilson([2, 0, 1], [2, 2, 2]))
    assert success.high - success.low > wilson(3, 6).high - wilson(3, 6).low


def test_what_could_not_be_played_does_not_count_and_is_said():
    found = results(run("none", outcomes("+x-x")))
    assert (found.cells[0].episodes, found.cells[0].failed) == (2, 2)
    assert found.cells[0].measures["success"].value == 0.5
    assert found.notes == (
        "dev, big, none: 2 of 4 episodes could not be played and do not count (environment EnvironmentFailed x 2)",
    )


def test_a_cell_without_a_counted_episode_has_no_figures():
    found = results(run("none", outcomes("xx")), run("memory", outcomes("+-")), curve="groups")
    empty, other = found.cells
    assert (empty.episodes, empty.failed, empty.measures, empty.families, empty.curve) == (0, 2, {}, {}, ())
    assert (empty.tokens, other.versus) == ({}, None)
    assert results(run("none", ())).cells[0].episodes == 0


def test_replies_without_action_are_said_where_they_are_many():
    found = results(run("none", outcomes("+--", stop="refusal"), [e("x", True)]))
    assert found.notes == (
        "dev, big, none: 15 of 20 replies held no action: the model may refuse, or not follow the format",
    )
    few = results(run("none", [e("a", False, stop="refusal", steps=1), e("b", True, steps=10)]))
    assert few.notes == ()


def test_a_seed_without_success_has_no_price():
    (cell,) = results(run("none", outcomes("++")), run("none", outcomes("--"), seed=1)).cells
    assert (cell.tokens[TOKENS_PER_SUCCESS].n, cell.tokens[TOKENS_PER_SUCCESS].mean) == (1, 102)
    (cell,) = results(run("none", outcomes("--"))).cells
    assert TOKENS_PER_SUCCESS not in cell.tokens


def test_simulated_cells_are_marked_and_have_no_paper_figures_beside_them():
    figures = [
        PaperFigure(place="dev", backbone="big", arm=arm, measure="success", value=0.4) for arm in ("none", "memory")
    ]
    real, fake = results(
        run("none", outcomes("+")), run("memory", outcomes("+"), simulated=True), paper_figures=figures
    ).cells
    assert (real.simulated, real.paper) == (False, {"success": 0.4})
    assert (fake.simulated, fake.paper) == (True, {})
    assert results(run("none", outcomes("+", simulated=True))).cells[0].simulated


# -- building ------------------------------------------------------------------------------------------


def built(tokens, *, cost=None, calls=1, **more):
    counts = dict.fromkeys(("procedures", "trajectories", "added", "revised", "retired"), 1) | more
    return Build(**counts, calls=calls, tokens=tokens, cost=cost)


def test_a_memory_that_seeds_share_counts_once():
    learned = built(1_000, cost=0.5, procedures=40)
    runs = [
        run("memory", outcomes("+-"), seed=seed, learned=learned, updates=built(10 * seed, cost=0.25, procedures=0))
        for seed in (0, 1)
    ]
    (cell,) = results(*runs).cells
    assert (cell.build.procedures, cell.build.tokens, cell.build.cost, cell.build.calls) == (40, 1_010, 1.0, 3)
    assert cell.tokens[TOKENS_PER_SUCCESS].mean == 204
    assert cell.tokens[WITH_BUILDING].mean == 204 + 1_005  # each seed alone would have had to build it


def test_what_a_memory_started_from_is_not_made_again_by_its_updates():
    learned = built(1_000, procedures=40, trajectories=50)
    updates = [built(0, procedures=held, trajectories=58) for held in (44, 41)]
    runs = [run("memory", outcomes("+"), seed=n, learned=learned, updates=each) for n, each in enumerate(updates)]
    build = results(*runs).cells[0].build
    assert (build.procedures, build.trajectories) == (40 + 4 + 1, 50 + 8 + 8)
    alone = results(*(each._replace(learned=None) for each in runs)).cells[0].build
    assert (alone.procedures, alone.trajectories) == (44 + 41, 2 * 58)


def test_an_unknown_cost_stays_unknown():
    runs = [run("memory", outcomes("+"), learned=built(5), updates=built(5, cost=1.0))]
    assert results(*runs).cells[0].build.cost is None
    runs = [run("memory", outcomes("+"), learned=built(0, calls=0), updates=built(5, cost=1.0))]
    assert results(*runs).cells[0].build.cost == 1


ARMS = (("none", "-----+"), ("memory", "++++++"))


# -- beside the base arm -------------------------------------------------------------------------------


def test_repairs_and_regressions_are_counted_by_task_and_seed():
    found = results(
        run("none", outcomes("+--+-", steps=20)),
        run("memory", outcomes("-+++x", steps=10)),
        run("none", outcomes("--x+-", steps=20), seed=1),
        run("memory", outcomes("-++++", steps=16, tokens=400), seed=1),
    )
    versus = found.cells[1].versus
    # seed 0: t4 was not played with memory; seed 1: t2 not without.
    assert (versus.base, versus.pairs, versus.repairs, versus.regressions) == ("none", 8, 4, 1)
    assert (versus.success.value, versus.success.n) == (3 / 8, 8)
    assert versus.success.sd == pytest.approx(abs(1 / 4 - 2 / 4) / sqrt(2))
    assert versus.p == 0.375
    assert versus.p_tasks == 0.5  # by task -1, 2, 1, 0, 1: 8 of the 16 ways to turn them sum up to 3 or more
    assert versus.steps.value == (-10 * 4 - 4 * 4) / 8
    assert versus.tokens.value == 150  # 300 more in one of the seeds
    # by task: t0 -1 +0, t1 +1 +1, t2 +1, t3 0 0, t4 +1
    low, high = Bootstrap().ratio([-1, 2, 1, 0, 1], [2, 2, 1, 2, 1])
    assert (versus.success.low, versus.success.high) == pytest.approx((low, high))


def test_the_base_is_of_the_same_place_backbone_and_seed():
    played = [
        run(arm, outcomes(text), place=place, backbone=backbone, seed=seed)
        for place, backbone, arm, seed, text in (
            ("dev", "big", "none", 0, "--"),
            ("dev", "small", "none", 0, "-+"),
            ("test", "big", "none", 0, "+-"),
            ("dev", "big", "none", 1, "++"),
            ("dev", "big", "memory", 0, "++"),
            ("dev", "small", "memory", 0, "++"),
            ("test", "big", "memory", 0, "++"),
            ("dev", "big", "memory", 1, "++"),
        )
    ]
    found = results(*played, places=("dev", "test"), backbones=("big", "small"))
    assert [(c.place, c.backbone, c.versus.pairs, c.versus.repairs) for c in found.cells if c.versus] == [
        ("dev", "big", 4, 2),
        ("dev", "small", 2, 1),
        ("test", "big", 2, 1),
    ]


def test_seeds_that_repeat_each_other_are_no_further_evidence():
    played = [run(arm, outcomes(text), seed=seed) for arm, text in ARMS for seed in range(3)]
    versus = results(*played, seeds=(0, 1, 2)).cells[1].versus
    assert (versus.pairs, versus.repairs, versus.p, versus.p_tasks) == (18, 15, round(2 / 2**15, 10), 2 / 2**5)
    alone = results(*played[::3]).cells[1].versus
    assert alone.p == alone.p_tasks == 2 / 2**5
    assert (alone.success.low, alone.success.high) == (versus.success.low, versus.success.high)


def test_no_difference_is_not_certain():
    same = [run(arm, outcomes("+-+-+-+-")) for arm in ("none", "memory")]
    versus = results(*same).cells[1].versus
    assert (versus.success.value, versus.p) == (0, 1)
    assert versus.success.low == -versus.success.high < -0.1


def test_tasks_of_one_arm_alone_are_said():
    found = results(run("none", outcomes("+-")), run("memory", outcomes("+-++")))
    assert found.cells[1].versus.pairs == 2
    assert found.notes == ("dev, big, memory: 2 episodes have no counterpart in none and are not compared",)


def test_without_the_base_there_is_no_comparison():
    assert results(run("memory", outcomes("+"))).cells[0].versus is None
    assert results(run("none", outcomes("+"), seed=1), run("memory", outcomes("+"))).cells[1].versus is None


# -- curves --------------------------------------------------------------------------------------------


def test_a_curve_counts_from_the_start_whatever_the_groups_were():
    arms = ("none", Arm(label="memory", memory="new", every=2))
    found = results(
        run("none", outcomes("-+-+-")),
        run("memory", outcomes("--"), [e("t2", True), e("t3", True, steps=9)], [e("t4", True)]),
        curve="groups",
        arms=arms,
    )
    without, memory = ([(p.x, p.success.value, p.success.n, p.steps.value) for p in c.curve] for c in found.cells)
    assert without == [(2, 0.5, 2, 5), (4, 0.5, 4, 5), (5, 0.4, 5, 5)]
    assert memory == [(2, 0, 2, 5), (4, 0.5, 4, 6), (5, 0.6, 5, 5.8)]
    assert found.cells[1].curve[-1].success == found.cells[1].measures["success"]


def test_a_curve_over_seeds_goes_as_far_as_all_have_come():
    played = [run("none", outcomes("x+"), outcomes("++")[:0]), run("none", outcomes("x-+-"), seed=1)]
    (cell,) = results(*played, curve="groups", arms=("none", Arm(label="m", memory="new", every=1))).cells
    assert [(p.x, p.success.value, p.success.n) for p in cell.curve] == [(2, 0.5, 2)]  # nothing counted before


def test_a_curve_over_k_has_the_arms_that_differ_in_k_alone():
    arms = ("none", *(Arm(label=f"k = {k}", k=k) for k in (5, 1, 9)), Arm(label="random", k=1, retrieve="random"))
    texts = {"none": "---+", "k = 5": "++++", "k = 1": "++--", "k = 9": "xxxx", "random": "+---"}
    found = results(*(run(arm, outcomes(text)) for arm, text in texts.items()), curve="k", arms=arms)
    curves = {cell.arm: [(p.x, p.success.value) for p in cell.curve] for cell in found.cells}
    assert curves == {"none": [(0, 0.25)], "k = 5": [(5, 1)], "k = 1": [(1, 0.5)], "k = 9": [], "random": []}
    two = results(*(run(arm, outcomes("+")) for arm in ("none", "k = 1", "random")), curve="k", arms=arms)
    assert not any(cell.curve for cell in two.cells)  # no two that differ in k


# -- metrics of the benchmark --------------------------------------------------------------------------


def rates(**tasks):
    return {
        task: {"delivery": Rate(passed=int(kept > 0), total=1), "hard_micro": Rate(passed=kept, total=asked)}
        for task, (kept, asked) in tasks.items()
    }


def test_metrics_are_ratios_of_sums():
    first, second = rates(t0=(2, 2), t1=(1, 4), t2=(0, 1)), rates(t0=(2, 2), t1=(3, 4), t2=(0, 1))
    played = [run("none", outcomes("+--"), rates=first), run("none", outcomes("+--"), rates=second, seed=1)]
    (cell,) = results(*played).cells
    micro, delivery = cell.measures["hard_micro"], cell.measures["delivery"]
    assert (micro.value, micro.n) == (round(8 / 14, 10), 6)
    assert micro.sd == pytest.approx((5 / 7 - 3 / 7) / sqrt(2))
    assert (micro.low, micro.high) == pytest.approx(Bootstrap().ratio([4, 4, 0], [4, 8, 2]))
    assert delivery.value == round(4 / 6, 10)
    assert (delivery.low, delivery.high) == pytest.approx(clustered_wilson([2, 2, 0], [2, 2, 2]))


def test_a_metric_of_all_or_nothing_keeps_a_width():
    (cell,) = results(run("none", outcomes("++"), rates=rates(t0=(3, 3), t1=(2, 2)))).cells
    micro = cell.measures["hard_micro"]
    assert (micro.value, micro.high, micro.low) == (1, 1, pytest.approx(wilson(2, 2).low))


def test_metrics_must_be_there_for_all_that_counts():
    with pytest.raises(RecordError, match="none of t1"):
        results(run("none", outcomes("++"), rates=rates(t0=(3, 3))))
    (cell,) = results(run("none", outcomes("+x"), rates=rates(t0=(3, 3)))).cells
    assert cell.measures["delivery"].n == 1


# -- the whole -----------------------------------------------------------------------------------------


def test_no_episode_counts_twice():
    with pytest.raises(RecordError, match=r"dev, big, none, seed 0 holds t1 2 times"):
        results(run("none", outcomes("+-"), outcomes("+-")[1:]))
    with pytest.raises(RecordError, match=r"seed 0 was given twice"):
        results(run("none", outcomes("+")), run("none", outcomes("-")))


@pytest.mark.parametrize(
    ("wrong", "what"),
    [({"seed": 7}, "no such seed"), ({"arm": "other"}, "no such place"), ({"place": "elsewhere"}, "elsewhere, big")],
)
def test_cells_of_another_study_are_refused(wrong, what):
    with pytest.raises(RecordError, match=what):
        results(run(**{"arm": "none", **wrong}))


def test_results_do_not_depend_on_the_order_nor_on_the_clock_nor_on_ids():
    def played(turn, **more):
        runs = [run(arm, outcomes("+-x+", **more), seed=seed) for arm in ("none", "memory") for seed in (0, 1)]
        return results(*runs[::turn], curve="groups", notes=("kept",), missing=("dev/other",))

    first = played(1)
    later = played(-1, started_at=NOON + timedelta(days=3), recall_id="a1b2")
    assert first.model_dump_json() == later.model_dump_json()
    assert "4711" not in first.model_dump_json()
    assert Results.parse(first.model_dump_json()) == first
    assert (first.notes[0], first.missing, first.cells[0].arm) == ("kept", ("dev/other",), "none")


def test_floats_are_kept_at_ten_digits():
    (cell,) = results(run("none", outcomes("+-+"))).cells
    assert cell.measures["success"].value == 0.6666666667
