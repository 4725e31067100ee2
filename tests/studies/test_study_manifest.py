"""A study's folder is resumed only as what it was."""

import pytest

from memp.errors import MempError
from memp.models.base import Message, Reply
from memp.records import Step, Usage, now
from memp.testing.chat import ScriptedChat
from memp_bench.agents.episode import Episode, EpisodeEnd, EpisodeFile, EpisodeStart
from memp_bench.studies.cells import cells
from memp_bench.studies.collect import collect
from memp_bench.studies.laboratory import Laboratory, Settings
from memp_bench.studies.manifest import Changed, Manifest, differences
from memp_bench.studies.outcome import Noted, Outcome, Watch, useless, written
from memp_bench.studies.overrides import overridden
from memp_bench.studies.players import Interrupted
from memp_bench.studies.spec import Arm, Backbone, Limits, Place, Size, Study

SIZE = Size(
    places=(Place(label="seen", benchmark="household", split="seen"),),
    backbones=(Backbone(label="novice", agent="sim:novice"),),
    arms=(Arm(label="none", memory="none"), Arm(label="new", memory="new", k=10)),
)
STUDY = Study(name="own", title="Own", question="?", full=SIZE, smoke=SIZE)


def manifest(size=SIZE, study=STUDY, **changes):
    made = Manifest.of(study, size, smoke=False, file="own", overrides={}, data={"alfworld dev": "aa"})
    return made.model_copy(update=changes)


def other_k(k):
    return SIZE.model_copy(update={"arms": (SIZE.arms[0], SIZE.arms[1].model_copy(update={"k": k}))})


def test_a_folder_is_claimed_once_and_again_by_the_same_study(tmp_path):
    first = manifest().claim(tmp_path / "out")
    assert manifest().claim(tmp_path / "out") == first == Manifest.read(tmp_path / "out")


def test_higher_caps_and_other_words_are_no_change(tmp_path):
    manifest().claim(tmp_path)
    capped = SIZE.model_copy(update={"limits": Limits(cost=5.0)})
    titled = STUDY.model_copy(update={"title": "A better title"})
    manifest(capped, titled).claim(tmp_path)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (manifest(other_k(5)), r"study size\.arms\[new\]\.k: was 10, is 5"),
        (manifest(study=STUDY.model_copy(update={"base": "new"})), r"study base: was 'none', is 'new'"),
        (manifest(data={"alfworld dev": "bb"}), r"data alfworld dev: was 'aa', is 'bb'"),
        (manifest(versions={"python": "3.11.0", "textworld": "9"}), r"package textworld: was .*, is '9'"),
        (manifest(code={**manifest().code, "memp/records.py": "x"}), r"code memp/records\.py: changed"),
        (manifest(code={**manifest().code, "memp/new.py": "x"}), r"code memp/new\.py: is new"),
    ],
)
def test_what_changed_is_refused_and_shown(tmp_path, changed, said):
    begun = manifest().claim(tmp_path)
    with pytest.raises(Changed, match=said) as caught:
        changed.claim(tmp_path)
    assert "--accept-change" in str(caught.value)
    assert Manifest.read(tmp_path) == begun


def test_data_that_was_not_there_when_other_cells_were_run_is_added(tmp_path):
    manifest().claim(tmp_path)
    more = {"alfworld dev": "aa", "travelplanner": "cc"}
    assert manifest(data={"travelplanner": "cc"}).claim(tmp_path).data == more
    assert Manifest.read(tmp_path).data == more
    with pytest.raises(Changed, match=r"data travelplanner: was 'cc', is 'dd'"):
        manifest(data=more | {"travelplanner": "dd"}).claim(tmp_path)


def test_a_change_may_be_accepted_and_stays_on_record(tmp_path):
    manifest().claim(tmp_path)
    accepted = manifest(other_k(5)).claim(tmp_path, accept=True)
    assert accepted.accepted == ("study size.arms[new].k: was 10, is 5",)
    assert manifest(other_k(5)).claim(tmp_path) == accepted


def test_of_many_changed_files_some_are_listed_and_the_rest_counted():
    now = manifest()
    was = now.model_copy(update={"code": dict.fromkeys(now.code, "x")})
    lines = differences(was, now)
    assert len(lines) == 13
    assert lines[-1] == f"code: and {len(now.code) - 12} more files"


def test_the_folder_of_another_study_or_of_something_else_is_left_alone(tmp_path):
    manifest().claim(tmp_path / "own")
    with pytest.raises(Changed, match=r"holds the study own \(full size\), not own \(smoke size\)"):
        manifest(smoke=True).claim(tmp_path / "own", accept=True)
    with pytest.raises(Changed, match=r"holds the study own \(full size\), not build"):
        manifest(name="build").claim(tmp_path / "own")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    with pytest.raises(MempError, match=r"holds something else than a study \(run\.json\)"):
        manifest().claim(tmp_path / "run")
    (tmp_path / "own" / "study.json").write_text('{"name"')
    with pytest.raises(MempError, match=r"study\.json is damaged"):
        manifest().claim(tmp_path / "own")


# -- models instead of the study's ---------------------------------------------------------------------


def test_an_agent_of_ones_own_takes_the_place_of_all_backbones():
    size = SIZE.model_copy(
        update={
            "backbones": (
                Backbone(label="a", agent="openai:a", builder="openai:big"),
                Backbone(label="b", agent="openai:b"),
            )
        }
    )
    own = {"agent": "openai:mine", "base_url": "http://127.0.0.1:1/v1"}
    (one,) = overridden(size, own).backbones
    assert one == Backbone(label="openai:mine", agent="openai:mine", base_url="http://127.0.0.1:1/v1")
    built = overridden(size, {"builder": "openai:other"}).backbones
    assert [(b.label, b.agent, b.builder) for b in built] == [
        ("a", "openai:a", "openai:other"),
        ("b", "openai:b", "openai:other"),
    ]
    assert overridden(size, {}) == size


# -- what is kept of a cell ----------------------------------------------------------------------------


def episode(*texts, action="", stop="stop"):
    steps = tuple(Step(action=action, observation="?") for _ in texts)
    replies = tuple(Reply(text=text, usage=Usage(calls=1), model="m", stop=stop) for text in texts)
    return Episode(
        task_id="t",
        family="f",
        task="do it",
        model="openai:m",
        simulated=False,
        memp_version="0",
        started_at=now(),
        status="done",
        steps=steps,
        replies=replies,
    )


@pytest.mark.parametrize(
    ("reply", "stop", "expected"),
    [
        ("I'm sorry, but I can't help with that.", "stop", True),
        ("I cannot assist with this request.", "stop", True),
        ("As an AI, I do not enter kitchens.", "stop", True),
        ("", "stop", True),
        ("fine", "refusal", True),
        ("Thought: look\nAction: look", "stop", False),
        ("I'm sorry for the detour.\nAction: go to shelf 1", "stop", False),
        ("I can take the mug.", "stop", False),
    ],
)
def test_refusals_and_empty_replies_are_known(reply, stop, expected):
    assert useless(Reply(text=reply, usage=Usage(), model="m", stop=stop)) is expected


def test_a_backbone_that_only_refuses_is_stopped_after_a_few_games():
    watch = Watch(tasks=140)
    for _ in range(4):
        watch.add(episode("I'm sorry, I can't.", "I'm sorry, I can't."))
    with pytest.raises(Interrupted, match=r"openai:m gave nothing but refusals or empty replies in the first 5 games"):
        watch.add(episode("I'm sorry, I can't."))


def test_one_good_reply_is_enough_to_go_on():
    watch = Watch(tasks=2)
    watch.add(episode("Thought: a\nAction: look", action="look"))
    for _ in range(9):
        watch.add(episode("I'm sorry, I can't."))


def test_replies_without_any_action_stop_too():
    with pytest.raises(
        Interrupted, match=r"nothing but replies without an action in the first 1 games, e\.g\. 'lalala'"
    ):
        Watch(tasks=1).add(episode("lalala"))


async def test_a_request_that_was_asked_twice_counts_once(tmp_path):
    model = Noted(ScriptedChat(lambda messages: "ok"), tmp_path / "written.jsonl")
    hello, there = ((Message(role="user", content=text),) for text in ("hello", "there"))
    await model.complete(hello, purpose="script")
    once = written(tmp_path / "written.jsonl")
    await model.complete(hello, purpose="script")
    assert written(tmp_path / "written.jsonl") == once
    with (tmp_path / "written.jsonl").open("ab") as file:
        file.write(b'\n{"request": "to')  # torn by a kill
    await model.complete(there, purpose="script")
    assert written(tmp_path / "written.jsonl").calls == 2 * once.calls == 2


def test_a_cell_is_not_finished_before_its_outcome_is_whole(tmp_path):
    assert Outcome.read(tmp_path) is None
    Outcome(simulated=True, groups=(2, 2)).write(tmp_path)
    assert Outcome.read(tmp_path).groups == (2, 2)
    (tmp_path / "outcome.json").write_text('{"simulated": tr')
    assert Outcome.read(tmp_path) is None


# -- what is bought ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("backbone", "buys"),
    [
        ({}, False),
        ({"builder": "sim:able"}, False),
        ({"builder": "openai:gpt-4o"}, True),
        ({"teacher": "openai:gpt-4o"}, True),
        ({"embedder": "openai:text-embedding-3-small"}, True),
        ({"agent": "openai:gpt-4o"}, True),
        ({"agent": "openai:simulated-novice"}, False),
    ],
)
def test_a_cap_in_money_holds_for_real_models_only(tmp_path, backbone, buys):
    size = SIZE.model_copy(update={"backbones": (SIZE.backbones[0].model_copy(update=backbone),)})
    assert Laboratory(STUDY, size, Settings(tmp_path)).buys() is buys


def test_damaged_games_and_learning_on_a_measuring_split_are_noted(tmp_path):
    place = Place(label="trips", benchmark="travelplanner", split="validation")
    arms = (SIZE.arms[0], SIZE.arms[1].model_copy(update={"every": 2}))
    size = SIZE.model_copy(update={"places": (place,), "arms": arms})
    for plan in cells(STUDY, size):
        folder = tmp_path / "runs" / plan.slug
        (folder / "episodes").mkdir(parents=True)
        file = EpisodeFile(folder / "episodes" / "00000.jsonl")
        played = episode("Thought: a\nAction: look", action="look")
        file.begin(EpisodeStart(**{name: getattr(played, name) for name in EpisodeStart.model_fields}))
        file.add(played.steps[0], played.replies[0])
        file.end(EpisodeEnd(status="done"))
        Outcome(simulated=True, groups=(1,), damaged=3).write(folder)
    results = collect(STUDY, size, manifest(size), tmp_path)
    assert results.missing == ()
    assert results.notes[:2] == (
        "trips: 3 games of the data are damaged and were left out",
        "travelplanner validation is for measuring only: memories are read there and do not change, whatever the "
        "arm's updates",
    )
