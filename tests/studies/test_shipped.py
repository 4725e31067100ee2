"""The shipped studies: they load, their smoke sizes need nothing, and the paper's figures stand where they belong."""

import pytest

from memp_bench.agents.registry import is_simulated
from memp_bench.studies import catalog
from memp_bench.studies.cells import cells, config_of, memory_of
from memp_bench.studies.estimate import TASKS
from memp_bench.studies.spec import Study

NAMES = ("baselines", "build", "quantity", "recall", "retrieve", "shift", "tokens", "transfer", "update")


@pytest.fixture(scope="module")
def shipped() -> dict[str, Study]:
    return {name: catalog.load(name) for name in catalog.names()}


def test_all_nine_are_there_under_their_own_names(shipped):
    assert tuple(shipped) == NAMES
    assert all(study.name == name for name, study in shipped.items())


@pytest.mark.parametrize("name", NAMES)
def test_a_smoke_size_needs_no_data_and_no_key(name, monkeypatch):
    for variable in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "MEMP_DATA"):
        monkeypatch.delenv(variable, raising=False)
    size = catalog.load(name).smoke
    for place in size.places:
        assert place.benchmark == "household" or (place.benchmark == "travelplanner" and place.generated)
        assert place.games is not None
        assert place.games <= 18
    for backbone in size.backbones:
        assert is_simulated(backbone.agent)
        assert backbone.teacher is None or is_simulated(backbone.teacher)
        assert backbone.builder in (None, "rules")
        assert backbone.embedder == "static"
    assert size.embedders == ("static",)


@pytest.mark.parametrize("name", NAMES)
def test_both_sizes_ask_the_same_question(name):
    """The same kinds of arms: what is tried out in a minute is what is run for real."""
    study = catalog.load(name)

    def kinds(arms):
        return {(arm.memory, arm.build, arm.retrieve, arm.update) for arm in arms}

    assert kinds(study.smoke.arms) == kinds(study.full.arms)
    assert study.smoke.policies == study.full.policies
    assert study.smoke.wordings == study.full.wordings


@pytest.mark.parametrize("name", NAMES)
def test_the_full_size_is_the_paper_s(name):
    size = catalog.load(name).full
    assert all(place.games is None and not place.generated for place in size.places)
    assert all(place.max_steps == 30 for place in size.places)
    assert size.temperature == 1.0
    for learned in size.learned.values():
        assert learned.split == "train"
    if "alfworld" in size.learned:
        assert (size.learned["alfworld"].source, size.learned["alfworld"].games) == ("expert", 300)


@pytest.mark.parametrize("name", NAMES)
def test_figures_of_the_paper_land_on_cells_that_exist(name):
    study = catalog.load(name)
    there = {(cell.place.label, cell.backbone.label, cell.arm.label) for cell in cells(study, study.full)}
    seen = set()
    for figure in study.paper_figures:
        assert (figure.place, figure.backbone, figure.arm) in there
        assert figure.measure == "steps" or 0 < figure.value < 1
        key = (figure.place, figure.backbone, figure.arm, figure.measure)
        assert key not in seen
        seen.add(key)


def test_all_figures_of_tables_1_and_2_are_there(shipped):
    """Sums of the columns, added up on the tables themselves."""

    def total(name, measure):
        return sum(figure.value for figure in shipped[name].paper_figures if figure.measure == measure)

    # Table 1: 12 rows of #CS, #HC, TravelPlanner steps, dev, test, and ALFWorld steps, which stand at both splits.
    assert len(shipped["build"].paper_figures) == 12 * 7
    assert total("build", "success") == pytest.approx((768.72 + 735.67) / 100)
    assert total("build", "commonsense_micro") == pytest.approx(799.15 / 100)
    assert total("build", "hard_micro") == pytest.approx(200.34 / 100)
    assert total("build", "steps") == pytest.approx(2 * 219.27 + 206.86)
    # Table 2: 12 cells of three.
    assert len(shipped["retrieve"].paper_figures) == 12 * 3
    assert total("retrieve", "commonsense_micro") == pytest.approx(795.54 / 100)
    assert len(shipped["transfer"].paper_figures) == 6


def test_the_paper_s_curve_over_k_is_the_mean_of_what_stands_there(shipped):
    figures = [figure for figure in shipped["quantity"].paper_figures if figure.arm == "k = 10"]
    assert sum(figure.value for figure in figures) / 2 == pytest.approx(0.825)


def test_table_1_was_retrieved_by_avefact_on_travelplanner_and_by_query_on_alfworld(shipped):
    study = shipped["build"]
    for plan in cells(study, study.full):
        config = config_of(plan, study.full)
        if config.memory:
            on_houses = config.benchmark == "alfworld"
            assert (config.retrieve, config.floor) == (("query", 0.75) if on_houses else ("avefact", 0.0))
            learned = memory_of(plan, study.full)
            assert learned is not None
            assert learned.retrieve == config.retrieve  # so facts are extracted where they are needed


def test_splits_have_the_sizes_that_estimates_count_with():
    from memp_bench.envs.alfworld import ALIASES
    from memp_bench.envs.alfworld_data import SPLITS as ALFWORLD
    from memp_bench.envs.household.goals import SPLITS as HOUSEHOLD
    from memp_bench.envs.travelplanner.generated_tasks import DAYS, LEVELS, PER_CELL

    assert TASKS["household"] == dict(HOUSEHOLD)
    assert TASKS["travelplanner"] == {split: n * len(LEVELS) * len(DAYS) for split, n in PER_CELL.items()}
    assert set(TASKS["alfworld"]) == {*ALFWORLD, *ALIASES}
