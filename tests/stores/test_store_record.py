import sqlite3

import pytest
from storekit import NS, add, at, counters, outcome, play, recall, receipt, trajectory

from memp.errors import RecordError, StoreError
from memp.records import MAX_TEXT, Step, Trajectory, Usage


def test_a_trajectory_comes_back_whole(store):
    full = trajectory(
        "t",
        0.25,
        start="you are here",
        steps=(
            Step(action="a\0\x1b[31m", observation="o\u2028é", thought="🍎", reward=-1.5, error="agent", feedback="f"),
        ),
        agent="model",
        source="file",
        feedback="so so",
        facts={"object": "apple"},
        tags={"family": "put"},
        usage={"act": Usage(calls=2, input_tokens=3, cost=0.1)},
        started_at=at(1),
        finished_at=at(2),
    )
    assert store.record(NS, full, None, None, at())
    assert store.trajectory(NS, "t") == full
    assert store.trajectory(NS, "other") is None
    assert store.trajectory("elsewhere", "t") is None


def test_trajectories_come_in_the_order_of_recording(store):
    ids = [f"t{n * 7919 % 500:03d}" for n in range(230)]  # more than one page of the reader
    for id in ids:
        store.record(NS, trajectory(id), None, None, at())
    assert [t.id for t in store.trajectories(NS)] == ids
    assert [w.trajectory.id for w in store.waiting(NS)] == ids
    assert list(store.trajectories("elsewhere")) == []


def test_recording_again_does_nothing(store):
    add(store, "p")
    play(store, "t", "p")
    served, played = recall(store, "r-t", "p"), trajectory("t")
    assert not store.record(NS, played, served, outcome(served, played), at(9))
    assert counters(store, "p") == [(1, 1)]
    assert len(store.outcomes(NS)) == 1


def test_the_same_content_in_another_order_is_the_same(store):
    store.record(NS, trajectory("t", facts={"a": "1", "b": "2"}), None, None, at())
    assert not store.record(NS, trajectory("t", facts={"b": "2", "a": "1"}), None, None, at())


def test_an_id_stands_for_one_trajectory(store):
    store.record(NS, trajectory("t"), None, None, at())
    with pytest.raises(RecordError, match="trajectory t was recorded before with other content"):
        store.record(NS, trajectory("t", 0.0), None, None, at())
    assert store.trajectory(NS, "t").reward == 1.0


def test_a_trajectory_has_one_recall(store):
    add(store, "p")
    play(store, "t", "p")
    served, played = recall(store, "another", "p"), trajectory("t")
    with pytest.raises(RecordError, match="before with recall r-t, now it comes with recall another"):
        store.record(NS, played, served, outcome(served, played), at())
    with pytest.raises(RecordError, match="now it comes with no recall"):
        store.record(NS, played, None, None, at())
    assert counters(store, "p") == [(1, 1)]


def test_every_served_procedure_is_credited_at_its_revision(store):
    add(store, "p", "q", "unserved")
    play(store, "t1", "p", "q", reward=1.0)
    play(store, "t2", "q", reward=0.0)
    assert counters(store, "p") == [(1, 1)]
    assert counters(store, "q") == [(2, 1)]
    assert counters(store, "unserved") == [(0, 0)]
    assert store.waiting(NS)[1].outcome.credited == (("q", 1),)
    assert store.check() == []


def test_credit_to_what_is_not_there_is_refused(store, open_store, tmp_path):
    other = open_store(tmp_path / "other.db")
    add(other, "p", "stranger")
    add(store, "p")
    served, played = recall(other, "r", "p", "stranger"), trajectory("t")
    with pytest.raises(RecordError, match="recall r served procedure stranger revision 1, which namespace 'tests'"):
        store.record(NS, played, served, outcome(served, played), at())
    assert store.trajectory(NS, "t") is None  # nothing of it was kept
    assert counters(store, "p") == [(0, 0)]
    assert store.recalls(NS) == []


def test_requeue_lets_the_next_update_take_it_again(store):
    store.record(NS, trajectory("t"), None, None, at())
    assert store.write(NS, [], consume="t", receipt_id="u1")
    assert store.waiting(NS) == []
    assert not store.write(NS, [], consume="t", receipt_id="u2")
    assert not store.requeue(NS, "unknown")
    assert not store.requeue("elsewhere", "t")
    assert store.requeue(NS, "t")
    assert [w.trajectory.id for w in store.waiting(NS)] == ["t"]
    assert store.write(NS, [], consume="t", receipt_id="u3")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE trajectories SET body = x'00'",
        "UPDATE trajectories SET reward = 0",
        "UPDATE trajectories SET id = 'x'",
        "UPDATE trajectories SET recall_id = 'x'",
        "UPDATE trajectories SET recorded_at = ''",
        "DELETE FROM trajectories",
        "UPDATE revisions SET body = ''",
        "UPDATE revisions SET number = 7",
        "DELETE FROM revisions",
        "UPDATE outcomes SET body = ''",
        "DELETE FROM outcomes",
    ],
)
def test_what_was_recorded_cannot_be_rewritten(store, statement):
    add(store, "p")
    play(store, "t", "p")
    raw = sqlite3.connect(store.path)
    with pytest.raises(sqlite3.IntegrityError, match=r"never change|never lost"):
        raw.execute(statement)
    raw.close()


def test_not_even_by_replacing(store):
    store.record(NS, trajectory("t"), None, None, at())
    with pytest.raises(StoreError, match="never lost"), store._connection.transaction() as db:
        db.execute(
            """REPLACE INTO trajectories (namespace, id, body, reward, recorded_at) VALUES (?, 't', x'00', 0, '')""",
            (NS,),
        )
    assert store.trajectory(NS, "t") == trajectory("t")


# -- bad input -------------------------------------------------------------------------------------


def parse(**change: object) -> Trajectory:
    return Trajectory.parse({"id": "t", "task": "a task", "steps": [{"action": "a"}], "reward": 1.0, **change})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"steps": []}, r"not a Trajectory: steps: Tuple should have at least 1 item"),
        ({"reward": 1.5}, "reward: Input should be less than or equal to 1"),
        ({"reward": -0.1}, "reward: Input should be greater than or equal to 0"),
        ({"reward": float("nan")}, "reward: Input should be"),
        ({"reward": None}, "reward: Input should be a valid number"),
        ({"task": ""}, "task: String should have at least 1 character"),
        ({"id": ""}, "id: String should have at least 1 character"),
        (
            {"steps": [{"action": "a"}, {"action": "a", "observation": "x" * (MAX_TEXT + 1)}]},
            "steps.1.observation: .*1,000,001 characters, the limit is 1,000,000; keep the part",
        ),
        ({"steps": [{"action": "half \ud83c"}]}, "steps.0.action: "),
        ({"started_at": "2026-01-01T00:00:00"}, "started_at: .*no time zone"),
        ({"unknown": 1}, "unknown: Extra inputs are not permitted"),
    ],
)
def test_a_bad_trajectory_is_refused_with_the_place(change, said):
    with pytest.raises(RecordError, match=said) as caught:
        parse(**change)
    assert len(str(caught.value)) < 400  # the text itself is not in the message


def test_a_bad_trajectory_made_by_hand_names_the_field_too():
    with pytest.raises(ValueError, match=r"steps\n  Tuple should have at least 1 item"):
        Trajectory(task="a task", steps=(), reward=1.0)


def test_a_long_observation_is_kept(store):
    long = parse(steps=[{"action": "cat", "observation": "0123456789\n" * 82_000}])
    assert len(long.steps[0].observation) > 900_000
    store.record(NS, long, None, None, at())
    assert store.trajectory(NS, "t") == long


def test_control_characters_are_kept_and_not_shown(open_sync):
    memory = open_sync(build="trajectory")
    odd = trajectory("t", task="a task\x07", steps=(Step(action="type \x1b[2J\0", observation="bell\x07\x9b31m"),))
    memory.record(odd)
    memory.update()
    shown = memory.retrieve("a task").render()
    assert "Action: type [2J" in shown
    assert not any(c != "\n" and (c < " " or "\x7f" <= c <= "\x9f") for c in shown)
    assert memory.trajectory("t") == odd


def test_a_namespace_that_is_not_text_is_refused(store):
    with pytest.raises(RecordError, match="is not text"):
        store.record("half \ud83c", trajectory("t"), None, None, at())
    with pytest.raises(RecordError, match="is not text"):
        store.search(NS, "half \ud83c", 5)


@pytest.mark.parametrize("namespace", ["", "x" * 201])
def test_a_namespace_that_could_not_be_read_back_is_refused(store, namespace):
    with pytest.raises(RecordError, match="a namespace has 1 to 200 characters"):
        store.record(namespace, trajectory("t"), None, None, at())
    with pytest.raises(RecordError, match="a namespace has 1 to 200 characters"):
        add(store, "p", namespace=namespace)
    with pytest.raises(RecordError, match="a namespace has 1 to 200 characters"):
        store.log_receipt(namespace, receipt("u"))
    assert store.namespaces() == []


def test_what_is_recorded_waits_for_the_disk_and_logs_do_not(store):
    for durable, level in ((True, 2), (False, 1)):
        with store._connection.transaction(durable=durable) as db:
            assert db.execute("PRAGMA synchronous").fetchone() == (level,)
