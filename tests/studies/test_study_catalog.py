"""Study files: the shipped ones load, and a mistake is named with its place and the nearest names."""

import pytest

from memp.errors import MempError, UnknownName
from memp_bench.studies import catalog
from memp_bench.studies.cells import cells, config_of, distinct, memory_of

SIZE = """
[[{size}.places]]
label = "seen"
benchmark = "household"
split = "seen"
games = 4

[[{size}.backbones]]
label = "novice"
agent = "sim:novice"

[[{size}.arms]]
label = "none"
memory = "none"

[[{size}.arms]]
label = "script"
build = "script"
every = 2

[{size}.learned.household]
games = 4
"""
STUDY = 'name = "own"\ntitle = "Own"\nquestion = "Is it read?"\n' + SIZE.format(size="full") + SIZE.format(size="smoke")


@pytest.fixture
def load(tmp_path):
    def load_(*changes, text=STUDY):
        for old, new in changes:
            assert old in text
            text = text.replace(old, new, 1)
        file = tmp_path / "own.toml"
        file.write_text(text)
        return catalog.load(str(file))

    return load_


@pytest.mark.parametrize("name", catalog.names())
def test_every_shipped_study_loads_under_its_name(name):
    study = catalog.load(name)
    assert study.name == name
    for size in (study.full, study.smoke):
        plans = cells(study, size)
        assert (not plans) == (study.kind == "recall")
        assert len({plan.label for plan in plans}) == len(plans)


def test_the_issues_studies_are_shipped():
    wanted = {"build", "retrieve", "update", "baselines", "transfer", "quantity", "tokens", "shift", "recall"}
    assert wanted <= set(catalog.names())


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            'build = "script"',
            'biuld = "script"',
            r"full\.arms\[1\] \(script\)\.biuld: unknown key; did you mean build\?",
        ),
        ('build = "script"', 'build = "scrpt"', r"full\.arms\[1\] \(script\)\.build: .*'scrpt'. Did you mean script"),
        ('build = "script"', 'retrieve = "quary"', r"full\.arms\[1\] \(script\)\.retrieve: .*Did you mean query"),
        ('build = "script"', 'update = "ajustment"', r"\.update: .*Did you mean adjustment"),
        ('"sim:novice"', '"sim:novize"', r"full\.backbones\[0\] \(novice\)\.agent: .*Did you mean sim:novice"),
        ('"sim:novice"', '"opena:gpt-4o"', r"\.agent: unknown provider .*Did you mean openai"),
        ('"sim:novice"', '"sim:novice"\nembedder = "statik"', r"\.embedder: .*static"),
        ('"household"', '"houshold"', r"full\.places\[0\] \(seen\)\.benchmark: .*Did you mean household"),
        ('split = "seen"', 'split = "sen"', r"split of household 'sen'. Did you mean seen or unseen"),
        ('split = "seen"', 'split = "seen"\nwording = "synonym"', r"wording 'synonym'. Did you mean synonyms"),
        ('split = "seen"', 'split = "seen"\ngenerated = true', r"generated is for travelplanner"),
        ("games = 4\n\n[[smoke", "source = 'gold'\n\n[[smoke", r"learned\.household: source gold is for travelplanner"),
        ("[full.learned.household]\ngames = 4", "", r"full\.learned says nothing about household"),
        ('memory = "none"', 'memory = "nothing"', r"full\.arms\[0\] \(none\)\.memory: Input should be 'none', 'new'"),
        ('label = "script"', 'label = "none"', r"full\.arms: every label may be used once"),
        ('name = "own"', 'nam = "own"', r"nam: unknown key; did you mean name\?"),
        ('name = "own"', "name = own", r"cannot be read as TOML: Invalid value .*line 1"),
    ],
)
def test_a_mistake_is_named_with_its_place(load, old, new, said):
    with pytest.raises(MempError, match=said) as caught:
        load((old, new))
    assert "own.toml" in str(caught.value)


def test_a_name_that_is_no_study_names_the_nearest():
    with pytest.raises(UnknownName, match=r"unknown study .*'bild'. Did you mean build"):
        catalog.load("bild")
    with pytest.raises(MempError, match=r"there is no study file nowhere\.toml"):
        catalog.load("nowhere.toml")


def test_a_real_backbone_needs_no_key_to_be_read(load, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    study = load(('agent = "sim:novice"', 'agent = "openai:gpt-4o"\nembedder = "openai:text-embedding-3-small"'))
    assert study.full.backbones[0].agent == "openai:gpt-4o"


def test_playing_without_memory_is_run_once_for_all_settings_that_do_not_matter(load):
    other = '[[full.backbones]]\nlabel = "other builder"\nagent = "sim:novice"\nbuilder = "sim:able"\n\n[[full.arms]]'
    more = '[[full.arms]]\nlabel = "none, k 3"\nmemory = "none"\nk = 3\n\n[full.learned'
    study = load(("[[full.arms]]", other), ("[full.learned", more))
    plans = cells(study, study.full)
    none = [plan for plan in plans if plan.arm.memory == "none"]
    assert (len(plans), len(none), len(distinct(none)), len(distinct(plans))) == (6, 4, 1, 3)
    assert config_of(none[0], study.full).every is None


def test_cells_that_need_the_same_memory_share_it(load):
    more = '[[full.arms]]\nlabel = "script, k 3"\nbuild = "script"\nk = 3\n\n[full.learned'
    study = load(("[full.learned", more))
    plans = {plan.arm.label: plan for plan in cells(study, study.full)}
    first, second = (memory_of(plans[label], study.full) for label in ("script", "script, k 3"))
    assert first == second
    assert memory_of(plans["none"], study.full) is None
    assert plans["script"].slug != plans["script, k 3"].slug


def test_travelplanners_validation_is_never_learned_from(load):
    study = load(
        ('benchmark = "household"\nsplit = "seen"', 'benchmark = "travelplanner"\nsplit = "validation"'),
        ("[full.learned.household]\ngames = 4", '[full.learned.travelplanner]\nsource = "gold"'),
    )
    (cell,) = [plan for plan in cells(study, study.full) if plan.arm.label == "script"]
    config = config_of(cell, study.full)
    assert (config.every, config.max_tokens, config.options["mode"]) == (None, 3_000, "two-stage")


def test_who_writes_memories_may_be_asked_elsewhere(load):
    """Figure 5a: the strong model at its provider's, the weak one on a server of one's own."""
    own = "http://localhost:1/v1"
    strong = 'agent = "openai:weak"\nbuilder = "openai:strong"\nteacher = "openai:strong"'
    played = ("games = 4\n\n[[smoke", "source = 'played'\ngames = 4\n\n[[smoke")
    for said, address in (("provider", None), ("http://localhost:2/v1", "http://localhost:2/v1")):
        addresses = f'\nbase_url = "{own}"\nbuilder_base_url = "{said}"'
        study = load(('agent = "sim:novice"', strong + addresses), played)
        without, plan = cells(study, study.full)[:2]
        config, learned = config_of(plan, study.full), memory_of(plan, study.full)
        assert (config.base_url, config.builder_address) == (own, address)
        assert (learned.base_url, learned.teacher_base_url) == (address, address)
        assert config_of(without, study.full).builder_base_url is None, "the same run, whoever writes memories"
    plain = load(('agent = "sim:novice"', f'{strong}\nbase_url = "{own}"'), played)
    config, learned = (made(cells(plain, plain.full)[1], plain.full) for made in (config_of, memory_of))
    assert config.builder_address == learned.base_url == learned.teacher_base_url == own
    assert "builder_base_url" not in config.model_dump(exclude_none=True)


def test_an_agent_that_writes_its_own_memories_is_asked_where_it_plays(load):
    addresses = 'agent = "openai:weak"\nbase_url = "http://localhost:1/v1"\nbuilder_base_url = "provider"'
    study = load(('agent = "sim:novice"', addresses))
    plan = cells(study, study.full)[1]
    assert config_of(plan, study.full).builder_address == "http://localhost:1/v1"
    assert memory_of(plan, study.full).base_url == "http://localhost:1/v1"
