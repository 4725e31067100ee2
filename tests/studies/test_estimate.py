"""What a study will take: measured where episodes are near enough, assumed and marked so elsewhere."""

from datetime import UTC, datetime, timedelta
from statistics import stdev

import pytest

from memp.models.base import Reply
from memp.records import Step, Usage
from memp_bench.agents.episode import EpisodeEnd, EpisodeFile, EpisodeStart
from memp_bench.studies import catalog
from memp_bench.studies.assumptions import SHAPES, Use, acting, recalled
from memp_bench.studies.bill import as_text, rows
from memp_bench.studies.cells import cells, config_of
from memp_bench.studies.config import RunConfig
from memp_bench.studies.estimate import estimate, money
from memp_bench.studies.samples import samples
from memp_bench.studies.spec import Arm, Backbone, Learned, Limits, Place, Size, Study

START = datetime(2026, 1, 1, tzinfo=UTC)


def study(*arms: Arm, agent: str = "openai:gpt-4o", games: int | None = 20, **more) -> Study:
    size = Size(
        places=(Place(label="dev", benchmark="alfworld", split="valid_seen", games=games),),
        backbones=(Backbone(label="B", agent=agent, **more),),
        arms=arms or (Arm(label="none", memory="none"),),
        learned={"alfworld": Learned(games=30)},
    )
    return Study(name="s", title="t", question="q", base=(arms or (Arm(label="none"),))[0].label, full=size, smoke=size)


def played(folder, config: RunConfig, usages: list[Usage], *, status: str = "done") -> None:
    """A run as a stream leaves it."""
    config.claim(folder)
    for number, usage in enumerate(usages):
        with EpisodeFile(folder / "episodes" / f"{number:05d}.jsonl") as file:
            file.begin(
                EpisodeStart(
                    task_id=str(number),
                    family="put",
                    model=config.model,
                    simulated=False,
                    memp_version="0",
                    started_at=START,
                )
            )
            file.add(Step(action="look", observation="you see"), Reply(text="look", model="m", usage=usage))
            file.end(EpisodeEnd(status=status, usage={"act": usage}, finished_at=START + timedelta(seconds=30)))  # type: ignore[arg-type]


def only(found):
    assert len(found.lines) == 1
    return found.lines[0]


def test_without_episodes_everything_is_assumed_and_says_so():
    found = estimate(study(), study().full)
    line = only(found)
    assert (line.label, line.total.episodes, line.total.basis) == ("dev / B / none", 20, "assumed")
    steps = SHAPES["alfworld"].steps[0]
    assert line.total.calls == pytest.approx(20 * steps)
    # Every call sends the conversation again: 320 tokens, and 100 more for each turn before.
    assert line.total.input_tokens == pytest.approx(20 * sum(_prompts(steps)), rel=0.01)
    assert line.total.tokens_sd is None
    assert found.assumptions
    assert "assumed" in as_text(found)


def _prompts(steps: float) -> list[float]:
    whole = [320 + 100 * turn for turn in range(int(steps))]
    return [*whole, (steps - int(steps)) * (320 + 100 * int(steps))]


def test_measured_episodes_of_the_same_run_are_used_with_their_spread(tmp_path):
    one = study(games=None)
    config = config_of(cells(one, one.full)[0], one.full)
    usages = [Usage(calls=10, input_tokens=1_000 * n, output_tokens=100) for n in (1, 2, 3)]
    played(tmp_path / "runs" / "a", config, usages)
    played(tmp_path / "runs" / "b", config, [Usage(calls=99, input_tokens=1)], status="stopped")  # does not count
    line = only(estimate(one, one.full, [tmp_path, tmp_path / "nowhere"], workers=7))
    assert (line.total.calls, line.total.input_tokens, line.total.output_tokens) == (1_400, 280_000, 14_000)
    assert line.total.basis == "measured"
    assert line.parts[0].source == "3 episodes of openai:gpt-4o, alfworld valid_seen, no memory"
    assert line.total.hours == pytest.approx(140 * 30 / 7 / 3600)
    spread = stdev([1_100, 2_100, 3_100]) * (140 + 140**2 / 3) ** 0.5
    assert line.total.tokens_sd == pytest.approx(spread)
    assert line.total.cost == pytest.approx((280_000 * 2.5 + 14_000 * 10) / 1e6)  # GPT-4o's list price


def test_another_model_of_its_kind_is_no_measurement_and_a_simulated_one_none_at_all(tmp_path):
    one = study()
    config = config_of(cells(one, one.full)[0], one.full)
    usage = [Usage(calls=5, input_tokens=500, output_tokens=50)] * 2
    played(tmp_path / "other", config.model_copy(update={"model": "anthropic:claude"}), usage)
    line = only(estimate(one, one.full, [tmp_path]))
    assert (line.total.calls, line.total.basis) == (100, "assumed")
    assert "anthropic:claude" in line.parts[0].source
    played(tmp_path / "sim" / "a", config.model_copy(update={"model": "sim:novice"}), usage)
    line = only(estimate(one, one.full, [tmp_path / "sim"]))
    assert (line.total.calls, line.parts[0].source) == (pytest.approx(20 * 23.1), "")


@pytest.mark.parametrize(
    "change", [{"build": "script"}, {"k": 3}, {"memory": False}, {"benchmark": "household"}, {"source": None}]
)
def test_another_kind_of_memory_is_not_near_enough(tmp_path, change):
    one = study(Arm(label="m", build="trajectory"))
    config = config_of(cells(one, one.full)[0], one.full)
    usage = [Usage(calls=5, input_tokens=500)]
    played(tmp_path / "other", config.model_copy(update=change), usage)
    assert estimate(one, one.full, [tmp_path]).lines[-1].total.basis == "assumed"
    played(tmp_path / "same", config.model_copy(update={"split": "valid_unseen"}), usage)
    assert estimate(one, one.full, [tmp_path]).lines[-1].total.calls == 100


def test_a_price_that_nobody_knows_is_none_and_never_0():
    one = study(agent="openai:my-own", base_url="http://localhost:8000/v1")
    found = estimate(one, one.full)
    assert found.total.cost is None
    assert "unknown" in rows(found)[-1]
    priced = estimate(one, one.full, price=(1.0, 2.0))
    assert priced.total.cost == pytest.approx(
        (priced.total.input_tokens + 2 * priced.total.output_tokens) / 1e6, abs=1e-9
    )


def test_what_is_simulated_costs_nothing():
    assert estimate(study(), study(agent="sim:novice").full).total.cost == 0
    assert money("rules", Use(5, 100, 100)) == 0
    assert money("openai:simulated-novice", Use(5, 100, 100), base_url="http://localhost:1/v1") == 0


def test_learning_costs_a_script_and_facts_for_each_trajectory():
    arms = (Arm(label="s", build="script", retrieve="avefact"), Arm(label="t", build="trajectory", retrieve="query"))
    one = study(*arms)
    found = estimate(one, one.full)
    memories = {line.label: {part.purpose: part.calls for part in line.parts} for line in found.lines[:2]}
    assert memories == {
        "memory: alfworld script, 30 expert, written by openai:gpt-4o": {"script": 30, "facts": 30},
        "memory: alfworld trajectory, 30 expert, written by openai:gpt-4o": {},
    }
    assert {part.purpose for part in found.lines[2].parts} == {"act", "facts"}
    by_rules = study(*arms, agent="sim:novice")
    assert [line.total.calls for line in estimate(by_rules, by_rules.full).lines[:2]] == [0, 0]


def test_what_a_teacher_played_is_shared_by_the_memories_made_of_it():
    build = catalog.load("build")
    found = estimate(build, build.full)
    lines = [line for line in found.lines if line.label.startswith("memory: travelplanner")]
    assert len(lines) == 9
    assert [line.total.episodes for line in lines].count(45) == 3  # one for each backbone


def test_learning_on_the_job_writes_and_corrects():
    one = study(Arm(label="a", memory="new", update="adjustment", every=5), embedder="openai:text-embedding-3-small")
    parts = {part.purpose: part for part in only(estimate(one, one.full)).parts}
    assert set(parts) == {"act", "embed", "script", "adjust"}
    assert parts["adjust"].calls > parts["script"].calls > 0
    assert parts["embed"].cost is not None
    assert 0 < parts["embed"].cost < 0.01


def test_a_recall_stays_within_its_budget():
    config = RunConfig(benchmark="alfworld", split="valid_seen", build="trajectory", k=10)
    assert recalled(config) == 2_950
    assert recalled(config.model_copy(update={"max_tokens": 1_000})) == 1_000
    assert acting(config).input_tokens > acting(config.model_copy(update={"memory": False})).input_tokens


def test_the_sum_is_the_sum_of_the_lines():
    for name in catalog.names():
        loaded = catalog.load(name)
        found = estimate(loaded, loaded.full)
        for what in ("episodes", "calls", "input_tokens", "output_tokens", "known_cost", "hours"):
            assert getattr(found.total, what) == pytest.approx(sum(getattr(line.total, what) for line in found.lines))
        assert len(rows(found)) == len(found.lines) + 1
        assert type(found).parse(found.model_dump(mode="json")) == found


def test_cells_that_are_one_run_are_counted_once():
    transfer = catalog.load("transfer")
    found = estimate(transfer, transfer.full)
    assert found.total.episodes == 3 * 180 + 2 * 45
    assert any("1 cell is" in note for note in found.notes)


def test_a_limit_that_will_be_reached_is_named():
    one = study()
    size = one.full.model_copy(update={"limits": Limits(calls=10, hours=1000)})
    notes = estimate(one, size).notes
    assert len(notes) == 1
    assert "limit of 10 calls" in notes[0]


def test_files_that_are_no_runs_are_passed_over(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "run.json").write_text("{")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "run.json").write_text('{"benchmark": "alfworld", "split": "train"}')
    (tmp_path / "b" / "episodes").mkdir()
    (tmp_path / "b" / "episodes" / "00000.jsonl").write_text("torn")
    assert samples([tmp_path]) == []
