"""Export and import: lossless, all or nothing, repeatable, and clear about what is wrong with a file."""

import io
import json
import random
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from storekit import NS, add, at, content, counters, outcome, play, recall, receipt, revise, trajectory

from loopkit import trajectory as played
from memp.errors import RecordError, StoreError, StoreFull, StoreMissing, StoreTooNew
from memp.exchange import Exported, export_jsonl, import_jsonl
from memp.records import Author, Content, Receipt, Revision, Script, Skipped, Step, Trajectory, Usage
from memp.stores.base import Store, Write
from memp.stores.entries import LoggedRecall, RecallEntry
from memp.stores.sqlite import SqliteStore


def exported(store: Store, namespace: str | None = None) -> bytes:
    out = io.BytesIO()
    export_jsonl(store, namespace, out)
    return out.getvalue()


def imported(store: Store, text: bytes, **options: str):
    return import_jsonl(store, io.BytesIO(text), **options)


@pytest.fixture
def other(open_store, tmp_path) -> SqliteStore:
    return open_store(tmp_path / "other.db")


@pytest.fixture
def filled(store) -> SqliteStore:
    """A store in which everything has happened."""
    add(store, "p", "q", content=content("put a mug", "take it", "put it", object="mug"))
    play(store, "t1", "p", "q")
    play(store, "t2", "q", reward=0.25)
    store.record(NS, trajectory("t3", usage={"act": Usage(calls=1, cost=0.1)}), None, None, at(3))
    store.log_recall(recall(store, "unplayed", "p"))
    revise(store, "q", 2, status="retired")
    store.write(NS, [], consume="t2", receipt_id="u1")
    store.log_receipt(NS, receipt("u1"))
    add(store, "p", namespace="another")
    play(store, "t1", "p", namespace="another")
    store.save_draft(NS, "k", "a cache")
    store.save_vectors("space", [])
    return store


def line_of(text: bytes, wanted: Callable[[dict], bool]) -> int:
    return next(n for n, line in enumerate(text.splitlines()) if wanted(json.loads(line)))


def changed(text: bytes, number: int, old: str, new: str) -> bytes:
    lines = text.splitlines(keepends=True)
    assert old.encode() in lines[number]
    lines[number] = lines[number].replace(old.encode(), new.encode(), 1)
    return b"".join(lines)


def of_kind(kind: str, n: int = 0) -> Callable[[dict], bool]:
    left = [n]

    def is_it(line: dict) -> bool:
        if line.get("entry", {}).get("kind") != kind:
            return False
        left[0] -= 1
        return left[0] < 0

    return is_it


# -- lossless --------------------------------------------------------------------------------------


def test_everything_arrives(filled, other):
    text = exported(filled)
    done = imported(other, text)
    assert (done.trajectories, done.revisions, done.recalls, done.outcomes, done.receipts) == (4, 4, 4, 3, 1)
    assert done.skipped == 0
    assert done.namespaces == ("another", NS)
    for namespace in (NS, "another"):
        assert list(other.trajectories(namespace)) == list(filled.trajectories(namespace))
        assert other.waiting(namespace) == filled.waiting(namespace)
        assert other.recalls(namespace) == filled.recalls(namespace)
        assert other.outcomes(namespace) == filled.outcomes(namespace)
        assert other.receipts(namespace) == filled.receipts(namespace)
        for id in ("p", "q"):
            assert other.history(namespace, id) == filled.history(namespace, id)
            assert other.find(namespace, [id]) == filled.find(namespace, [id])
        assert [h[1:] for h in other.heads(namespace, "")] != []
        assert other.search(namespace, "mug", 9) == filled.search(namespace, "mug", 9)
    assert other.built_from(NS, b"o-q") == "q"
    assert counters(other, "q") == [(2, 1), (0, 0)]
    assert other.check() == []
    assert exported(other) == text


def test_the_report_and_the_first_and_last_line(filled, tmp_path):
    file = tmp_path / "memory.jsonl"
    assert export_jsonl(filled, None, file) == Exported(namespaces=("another", NS), entries=16)
    first, *entries, last = file.read_text().splitlines()
    assert json.loads(first)["kind"] == "memp"
    assert json.loads(first)["format"] == 1
    assert json.loads(last) == {"kind": "end", "entries": 16}
    assert len(entries) == 16
    assert [path.name for path in tmp_path.glob("memory.jsonl*")] == ["memory.jsonl"]


def test_one_namespace_of_several(filled, other):
    text = exported(filled, NS)
    assert imported(other, text).namespaces == (NS,)
    assert list(other.namespaces()) == [NS]
    assert exported(other) == text


def test_into_another_namespace(filled, other):
    done = imported(other, exported(filled, NS), namespace="new")
    assert done.namespaces == ("new",)
    assert list(other.namespaces()) == ["new"]
    assert other.find("new", ["p"])[0].namespace == "new"
    assert exported(other).replace(b'"namespace":"new"', b'"namespace":"tests"') == exported(filled, NS)


def test_an_empty_store(store, other):
    text = exported(store)
    assert imported(other, text).namespaces == ()
    assert exported(other) == text


def test_the_index_and_the_loop_go_on_after_an_import(open_sync, tmp_path):
    one, two = open_sync(), open_sync(tmp_path / "two.db")
    one.record(played())
    one.update()
    assert two.retrieve("put a clean mug on the shelf").ranked == ()
    imported(two.store, exported(one.store))
    (hit,) = two.retrieve("put a clean mug on the shelf").ranked
    assert "clean mug 1" in two.retrieve("put a clean mug on the shelf").render()
    assert hit.procedure.id == next(one.procedures()).id
    assert two.update().added == ()  # what was taken before stays taken


def test_scores_that_are_not_numbers_survive():
    odd = LoggedRecall(
        id="r",
        task="t",
        policy="p",
        facts={},
        at=at(),
        ranked=(("p", 1, float("nan"), ""),),
        left_out=(("q", 1e-7, ""),),
    )
    text = RecallEntry(recall=odd).model_dump_json()
    assert RecallEntry.parse(text).model_dump_json() == text


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
FILLED = TEXT.filter(bool)
REWARD = st.floats(0, 1)
NAMESPACE = st.sampled_from(["a", "b", "\0", "名"])
CONTENT = st.builds(
    Content,
    task=FILLED,
    facts=st.dictionaries(FILLED, TEXT, max_size=2),
    trajectory_id=FILLED,
    script=st.none()
    | st.builds(Script, goal=FILLED, steps=st.lists(FILLED.filter(str.strip), min_size=1, max_size=2).map(tuple)),
)
STEP = st.builds(
    Step, action=TEXT, observation=TEXT, reward=st.none() | st.floats(allow_nan=False, allow_infinity=False)
)
TRAJECTORY = st.builds(
    Trajectory,
    id=FILLED,
    task=FILLED,
    start=TEXT,
    steps=st.lists(STEP, min_size=1, max_size=2).map(tuple),
    reward=REWARD,
    facts=st.dictionaries(FILLED, TEXT, max_size=2),
    usage=st.dictionaries(FILLED, st.builds(Usage, calls=st.integers(0, 2**70)), max_size=1),
    started_at=st.none() | st.datetimes(timezones=st.timezones()).filter(lambda d: 1900 < d.year < 3000),
)


class Story:
    """Random, valid use of a store."""

    def __init__(self, data: st.DataObject) -> None:
        self.store = SqliteStore(":memory:")
        self._draw = data.draw
        self._heads: dict[str, dict[str, int]] = {}
        self._seen: set[tuple[str, str]] = set()

    def tell(self) -> None:
        for n in range(self._draw(st.integers(0, 8))):
            namespace = self._draw(NAMESPACE)
            self._draw(st.sampled_from([self.write, self.play, self.log]))(namespace, n)

    def write(self, namespace: str, n: int) -> None:
        heads = self._heads.setdefault(namespace, {})
        id = self._draw(st.sampled_from([f"p{n}", *heads]))
        number = heads[id] = heads.get(id, 0) + 1
        revision = Revision(
            procedure_id=id,
            number=number,
            parent=number - 1 or None,
            content=self._draw(CONTENT),
            status=self._draw(st.sampled_from(["active", "retired"])),
            reason=self._draw(FILLED),
            author=Author(policy=self._draw(FILLED)),
            at=at(n),
        )
        write = Write(revision=revision, origin=self._draw(st.binary(max_size=4)), success=self._draw(st.booleans()))
        self.store.write(namespace, [write], consume=None, receipt_id="")

    def play(self, namespace: str, n: int) -> None:
        trajectory = self._draw(TRAJECTORY)
        if (namespace, trajectory.id) in self._seen:
            return
        self._seen.add((namespace, trajectory.id))
        served = credited = None
        if self._draw(st.booleans()):
            served = recall(self.store, f"r{n}", *self._heads.get(namespace, {}), namespace=namespace)
            credited = outcome(served, trajectory)
        self.store.record(namespace, trajectory, served, credited, at(n))
        if self._draw(st.booleans()):
            self.store.write(namespace, [], consume=trajectory.id, receipt_id=self._draw(TEXT))

    def log(self, namespace: str, n: int) -> None:
        skipped = (Skipped(subject=self._draw(TEXT), reason=self._draw(TEXT)),)
        self.store.log_recall(recall(self.store, f"l{n}", namespace=namespace))
        self.store.log_receipt(
            namespace, Receipt(id=f"u{n}", operation="o", policy="p", skipped=skipped, at=at(n), usage={"x": Usage()})
        )


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_export_import_export_gives_the_same_bytes(data):
    story, other = Story(data), SqliteStore(":memory:")
    try:
        story.tell()
        text = exported(story.store)
        imported(other, text)
        assert exported(other) == text
        assert other.check() == []
        again = imported(other, text)
        assert again.skipped == text.count(b"\n") - 2
        assert exported(other) == text
    finally:
        story.store.close()
        other.close()


# -- repeated and merged ---------------------------------------------------------------------------


def test_importing_again_changes_nothing(filled, other):
    text = exported(filled)
    imported(other, text)
    again = imported(other, text)
    assert (again.trajectories, again.revisions, again.recalls, again.outcomes, again.receipts) == (0, 0, 0, 0, 0)
    assert again.skipped == 16
    assert exported(other) == text


def test_an_old_export_is_part_of_what_grew_from_it(filled):
    text = exported(filled)
    play(filled, "t9", "p", reward=0.0)
    revise(filled, "q", 3)
    filled.write(NS, [], consume="t3", receipt_id="u2")
    grown = exported(filled)
    assert imported(filled, text).skipped == 16
    assert exported(filled) == grown  # nothing is counted twice, nothing goes back


def test_a_grown_memory_is_taken_over(filled, other):
    imported(other, exported(filled))
    play(filled, "t9", "p", reward=0.0)
    revise(filled, "q", 3)
    filled.write(NS, [], consume="t3", receipt_id="u2")
    done = imported(other, exported(filled))
    assert (done.trajectories, done.revisions, done.outcomes) == (1, 1, 1)
    assert counters(other, "p") == [(2, 1)]
    assert [w.trajectory.id for w in other.waiting(NS)] == ["t1", "t9"]
    assert other.check() == []


def test_the_receipt_of_a_whole_stays_when_that_of_a_part_arrives(store, other):
    store.write(NS, [], consume=None, receipt_id="u", receipt=receipt("u/1"))
    text = exported(store)
    imported(other, text)
    assert other.receipts(NS) == [receipt("u/1")]
    store.log_receipt(NS, receipt("u"))
    assert imported(store, text).skipped == 1
    imported(other, exported(store))
    assert store.receipts(NS) == other.receipts(NS) == [receipt("u")]


def test_what_was_taken_here_stays_taken_by_the_update_that_took_it(filled):
    text = exported(filled)
    number = line_of(text, lambda line: line.get("entry", {}).get("consumed_by") is not None)
    assert imported(filled, changed(text, number, '"consumed_by":"u1"', '"consumed_by":"u9"')).skipped == 16
    assert exported(filled) == text


def test_two_memories_become_one(store, other):
    for one, name in ((store, "a"), (other, "b")):
        add(one, f"p-{name}")
        play(one, f"t-{name}", f"p-{name}")
    imported(other, exported(store))
    assert [h.id for h in other.heads(NS, "")] == ["p-b", "p-a"]
    assert [t.id for t in other.trajectories(NS)] == ["t-b", "t-a"]
    assert other.check() == []


# -- refused, with nothing imported ----------------------------------------------------------------


def refused(store: Store, text: bytes, said: str, kind: type[Exception] = RecordError, **options: str) -> None:
    before = exported(store)
    with pytest.raises(kind, match=said):
        imported(store, text, **options)
    assert exported(store) == before


CONFLICTS = [
    ("trajectory", '"reward":1.0', '"reward":0.9', "trajectory t1 was recorded before with other content"),
    ("trajectory", '"recall_id":"r-t1"', '"recall_id":"r-x"', "trajectory t1 was recorded before with recall r-t1"),
    ("revision", '"reason 1"', '"reason x"', "revision 1 of procedure p is there with other content"),
    ("revision", '"origin":"6f', '"origin":"70', "revision 1 of procedure p is there with other content"),
    ("revision", '"built_from_success":true', '"built_from_success":false', "revision 1 of procedure p is there"),
    ("recall", "0.5", "0.6", "recall r-t1 is there with other content"),
    ("outcome", '"reward":1.0', '"reward":0.9', "trajectory t1 is there with another outcome"),
    ("receipt", '"operation":"update"', '"operation":"x"', "receipt u1 is there with other content"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "old", "new", "said"), CONFLICTS)
def test_a_contradiction_names_the_line_and_the_id(filled, kind, old, new, said):
    text = exported(filled, NS)
    number = line_of(text, of_kind(kind))
    refused(filled, changed(text, number, old, new), f"the file, line {number + 1}: {said}.*nothing was imported")


BROKEN = [
    ("trajectory", '"reward":1.0', '"reward":7.0', r"entry.trajectory.trajectory.reward: Input should be less than"),
    ("trajectory", '"steps":[', '"steps":[{}, ', "steps.0.action: Field required"),
    ("trajectory", '"kind":"trajectory"', '"kind":"dream"', "'dream' .* does not match any of the expected tags"),
    ("trajectory", "{", "{{", "Invalid JSON"),
    ("trajectory", '"namespace":"tests"', '"namespace":""', "namespace: String should have at least 1 character"),
    ("revision", '"number":1', '"number":3', "revision 3 of procedure p: .*belong to revision 1"),
    ("revision", '"origin":"6f', '"origin":"xy', "origin: String should match pattern"),
    ("revision", '"origin"', '"extra":1,"origin"', "extra: Extra inputs are not permitted"),
    ("outcome", '[["p",1]', '[["p",99999999999999999999]', "a number is too large to be stored"),
    ("outcome", '"r-t1"', '"r-nowhere"', "an outcome is of recall r-nowhere, which is not there"),
    ("outcome", '"trajectory_id":"t1"', '"trajectory_id":"t-x"', "an outcome is of trajectory t-x, which is not there"),
    ("outcome", '"credited":[["p"', '"credited":[["x"', "served procedure x revision 1, which namespace 'tests'"),
]


@pytest.mark.parametrize(("kind", "old", "new", "said"), BROKEN)
def test_a_broken_line_is_named(filled, other, kind, old, new, said):
    text = exported(filled, NS)
    number = line_of(text, of_kind(kind))
    refused(other, changed(text, number, old, new), f"the file, line {number + 1}: .*{said}")
    assert other.namespaces() == []


def test_counters_that_are_not_those_of_the_outcomes(filled, other):
    text = exported(filled, NS)
    number = line_of(text, of_kind("revision"))
    said = "procedure p revision 1 comes with counters 1/5, but its outcomes say 1/1; outcomes are missing"
    refused(other, changed(text, number, '"served":1', '"served":5'), said)


def without(text: bytes, number: int) -> bytes:
    lines = text.splitlines(keepends=True)
    del lines[number]
    return b"".join(lines)


def test_a_missing_line_is_noticed(filled, other):
    text = exported(filled, NS)
    for number in range(len(text.splitlines())):
        with pytest.raises((RecordError, StoreError)):
            imported(other, without(text, number))
        assert other.namespaces() == []


def test_a_missing_revision_is_noticed(filled, other):
    text = exported(filled, NS)
    first = line_of(text, lambda line: line.get("entry", {}).get("revision", {}).get("procedure_id") == "q")
    refused(other, without(text, first), "procedure q is at revision None, not at 1")


def test_a_cut_off_file_is_noticed_wherever_it_was_cut(filled, other):
    text = exported(filled, NS)
    for end in (*range(1, len(text), 97), len(text) - 1):
        refused(other, text[:end], "cut off")
    refused(other, b"".join(text.splitlines(keepends=True)[:-1]), r"line 14: .*before its closing line; it was cut off")
    assert other.namespaces() == []


def test_twice_the_same_file_in_one(filled, other):
    text = exported(filled, NS)
    refused(other, text + text, "there is something after the closing line")


def test_a_line_that_comes_twice(filled, other):
    text = exported(filled, NS)
    number = line_of(text, of_kind("revision"))
    lines = text.splitlines(keepends=True)
    refused(other, b"".join([*lines[: number + 1], *lines[number:]]), "revision 1 of procedure p comes twice")


@pytest.mark.parametrize("text", [b"hello\n", b'{"kind":"other"}\n', b"{}\n[]\n", b"\xff\xfe\n", b"\0\n", b"\n"])
def test_not_an_export(store, text):
    refused(store, text, 'line 1: this is not an export of memp; its first line would be {"kind":"memp"')


def test_an_empty_file(store):
    refused(store, b"", "line 1: the file ends here")


def test_an_export_of_a_newer_version(filled, other):
    text = changed(exported(filled), 0, '"format":1', '"format":2,"novelty":true')
    refused(other, text, r"written by memp .* in format 2, this one knows 1; upgrade memp", StoreTooNew)


def test_several_namespaces_do_not_go_into_one(filled, other):
    said = r"the file holds several namespaces \(another, tests, ...\); import it without naming one"
    refused(other, exported(filled), said, namespace="new")


# -- files -----------------------------------------------------------------------------------------


def test_no_such_namespace(filled, tmp_path):
    with pytest.raises(StoreMissing, match="there is no namespace 'nowhere'; there is: 'another', 'tests'"):
        export_jsonl(filled, "nowhere", tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_files_that_are_not_there(store, tmp_path):
    with pytest.raises(StoreMissing, match=r"there is no file .*nowhere to import"):
        import_jsonl(store, tmp_path / "nowhere")
    with pytest.raises(StoreError, match=r"nowhere.*could not be written: No such file"):
        export_jsonl(store, None, tmp_path / "nowhere" / "x")
    with pytest.raises(StoreError, match="could not be read: Is a directory"):
        import_jsonl(store, tmp_path)


def test_an_export_does_not_replace_a_memory(filled):
    filled.close()
    store = SqliteStore(filled.path)
    with pytest.raises(StoreError, match=r"memory\.db is a database; export to another file"):
        export_jsonl(store, None, store.path)
    assert store.check() == []
    store.close()


def test_an_export_that_fails_leaves_the_old_one(filled, small_disk):
    disk = small_disk("size=16k")
    file = disk / "memory.jsonl"
    file.write_text("the old one")
    play(filled, "big", "p")
    filled.record(NS, trajectory("huge", feedback="x" * 100_000), None, None, at())
    with pytest.raises(StoreFull, match=r"memory\.jsonl could not be written: No space left"):
        export_jsonl(filled, None, file)
    assert [path.name for path in disk.iterdir()] == ["memory.jsonl"]
    assert file.read_text() == "the old one"


def test_an_import_onto_a_full_disk_imports_nothing(filled, open_store, small_disk):
    filled.record(NS, trajectory("huge", feedback=random.Random(0).randbytes(300_000).hex()), None, None, at())
    for n in range(60):
        play(filled, f"more{n}", "p")
    text = exported(filled)
    other = open_store(small_disk("size=300k") / "memory.db")
    with pytest.raises(StoreFull, match="nothing was written"):
        imported(other, text)
    assert other.namespaces() == []
    assert other.check() == []
