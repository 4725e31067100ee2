"""Stores that break rules of recording, procedures and catching up."""

import itertools
import threading
import time

from sabotage import Broken, after, around, changed, quiet, racing

from memp.errors import Conflict, RecordError, StoreBusy
from memp.testing._loading import Loading
from memp.testing.store import MemoryStore

THREADS = ("threads_lose_nothing", "tasks_lose_nothing", "threads_credit_once", "threads_revise_in_turn")
CLIENTS = ("clients_lose_nothing", "clients_credit_once", "clients_revise_in_turn", "clients_take_once")


def space(store, namespace):
    """What the store holds, to be changed behind its back."""
    return store._data.spaces.setdefault(namespace, store._space(namespace))


# -- recording -------------------------------------------------------------------------------------


def credits_twice(original, store, namespace, trajectory, recall, outcome, at):
    new = original(namespace, trajectory, recall, outcome, at)
    if not new and outcome:
        space(store, namespace).credit(outcome, store._data.number)
    return new


def compares_text(original, store, namespace, trajectory, *rest):
    known = store.trajectory(namespace, trajectory.id)
    if known == trajectory and known.model_dump_json() != trajectory.model_dump_json():
        raise RecordError("other content")
    return original(namespace, trajectory, *rest)


def credits_the_current(original, store, namespace, trajectory, recall, outcome, at):
    if outcome:
        heads = {id: origin.head for id, origin in space(store, namespace).procedures.items()}
        credited = tuple((id, max(number, heads.get(id, 0))) for id, number in outcome.credited)
        outcome = changed(outcome, credited=credited)
    return original(namespace, trajectory, recall, outcome, at)


def credits_the_withheld(original, store, namespace, trajectory, recall, outcome, at):
    if outcome:
        outcome = changed(outcome, credited=outcome.credited + outcome.withheld)
    return original(namespace, trajectory, recall, outcome, at)


def keeps_half(original, store, namespace, trajectory, recall, outcome, at):
    try:
        return original(namespace, trajectory, recall, outcome, at)
    except RecordError as error:
        if "does not hold" in str(error):
            original(namespace, trajectory, recall, None, at)
        raise


def logs_of_the_loser(original, store, namespace, writes, *, consume, receipt_id, receipt=None):
    done = original(namespace, writes, consume=consume, receipt_id=receipt_id, receipt=receipt)
    if not done and receipt:
        store.log_receipt(namespace, receipt)
    return done


def requeues_at_the_end(original, store, namespace, id):
    done = original(namespace, id)
    if done:
        told = space(store, namespace).trajectories
        told[id] = told.pop(id)
    return done


def to_seconds(at):
    return at.replace(microsecond=0)


def cuts_tasks(original, store, namespace, trajectory, *rest):
    return original(namespace, changed(trajectory, task=trajectory.task[:65_535]), *rest)


def reads_live(original, store, namespace):
    return (told.trajectory for told in space(store, namespace).trajectories.values())


def writes_live(store):
    """Its trajectories are those of a dictionary that is being written to."""

    def record(self, namespace, trajectory, recall, outcome, at):
        kept = self._space(namespace).trajectories
        done = MemoryStore.record(self, namespace, trajectory, recall, outcome, at)
        if done:
            kept[trajectory.id] = self._space(namespace).trajectories[trajectory.id]
        return done

    store.store.record = record
    return store


RECORDING = {
    "trajectories_may_be_read_while_writing": writes_live(
        around("trajectories", reads_live, "a_dump_is_of_one_moment")
    ),
    "times_are_exact": around("record", lambda original, store, *given: original(*given[:-1], to_seconds(given[-1]))),
    "a_trajectory_comes_back_whole": after("trajectory", lambda t, *_: t and changed(t, source="")),
    "trajectories_keep_their_order": after("trajectories", lambda found, *_: iter(sorted(found, key=lambda t: t.id))),
    "recording_again_does_nothing": around("record", credits_twice, "threads_credit_once", "clients_credit_once"),
    "equal_records_are_the_same": around("record", compares_text),
    "an_id_stands_for_one_trajectory": quiet("record", "other content", False),
    "a_trajectory_has_one_recall": quiet("record", "before with recall", False),
    "credit_goes_to_what_was_served": around("record", credits_the_current),
    "what_was_withheld_is_not_credited": around("record", credits_the_withheld),
    "record_is_all_or_nothing": around("record", keeps_half),
    "waiting_comes_with_its_outcome": after("waiting", lambda found, *_: [changed(w, outcome=None) for w in found]),
    "a_trajectory_is_taken_once": around("write", logs_of_the_loser),
    "requeue_lets_it_be_taken_again": around("requeue", requeues_at_the_end),
    "odd_texts_are_kept": after("trajectory", lambda t, *_: t and changed(t, task=t.task.replace("\0", ""))),
    "long_texts_are_kept": around("record", cuts_tasks),
    "what_is_not_text_is_refused": around(
        "save_draft", lambda original, store, ns, key, text: original(ns, key, text.encode(errors="replace").decode())
    ),
}

# -- procedures ------------------------------------------------------------------------------------


def created_when_revised(found, *_):
    return [changed(p, created_at=p.revision.at) for p in found]


def forgets_old_counters(found, store, namespace, *_):
    heads = store._space(namespace).procedures
    return [p if p.revision.number == heads[p.id].head else changed(p, served=0) for p in found]


def newest_of(original, store, namespace, origin):
    known = space(store, namespace).procedures
    return next((id for id in reversed(known) if known[id].key == origin), None)


def drops_orphans(original, store, namespace, writes, **named):
    known = {*space(store, namespace).procedures, *(w.revision.procedure_id for w in writes if w.revision.number == 1)}
    kept = [w for w in writes if w.revision.procedure_id in known or w.revision.parent is None]
    return original(namespace, kept, **named)


def writes_one_by_one(original, store, namespace, writes, **named):
    try:
        return original(namespace, writes, **named)
    except Conflict:
        try:
            for write in writes:
                original(namespace, [write], consume=None, receipt_id="")
        except Conflict:
            pass
        raise


def refuses_twice(original, store, namespace, writes, **named):
    if len({write.revision.procedure_id for write in writes}) < len(writes):
        raise RecordError("twice")
    return original(namespace, writes, **named)


def names_the_part(original, store, namespace, writes, *, consume, receipt_id, receipt=None):
    by = receipt.id if receipt else receipt_id
    return original(namespace, writes, consume=consume, receipt_id=by, receipt=receipt)


PROCEDURES = {
    "a_procedure_is_found_as_it_was_written": after(
        "find", lambda found, *_: [changed(p, built_from_success=True) for p in found]
    ),
    "every_field_of_a_revision_is_kept": after(
        "at", lambda found, *_: [changed(p, revision=changed(p.revision, tainted=())) for p in found]
    ),
    "every_status_is_kept": after("find", lambda found, *_: [p for p in found if p.status != "proposed"]),
    "find_keeps_the_order_asked_for": after("find", lambda found, *_: found[:1_000]),
    "counters_are_those_of_the_current_revision": after("find", created_when_revised),
    "history_is_whole": after("history", lambda found, *_: [(r, 0 if r.number > 11 else s, w) for r, s, w in found]),
    "any_revision_can_be_read": after("at", forgets_old_counters),
    "built_from_finds_the_oldest": around("built_from", newest_of),
    "a_stale_parent_is_a_conflict": around("write", drops_orphans),
    "numbers_follow_their_parents": quiet("write", "cannot follow", True),
    "write_is_all_or_nothing": around("write", writes_one_by_one),
    "one_write_may_revise_twice": around("write", refuses_twice),
    "writing_nothing_is_fine": after(
        "write", lambda done, store, ns, writes, *, consume, **_: done and bool(writes or consume)
    ),
    "an_update_and_its_receipt_are_one": around("write", names_the_part),
}

# -- catching up -----------------------------------------------------------------------------------


class OwnVersion(MemoryStore):
    """Its version tells of its own writes only."""

    own = 0

    def write(self, *arguments, **named):
        self.own += 1
        return super().write(*arguments, **named)

    def load(self, entries):
        self.own += 1
        return super().load(entries)

    def forget(self, *arguments, **named):
        self.own += 1
        return super().forget(*arguments, **named)

    def version(self, namespace=""):
        return self.own


def numbered_early(kind):
    """A load whose changes are numbered when it begins, and become visible when it ends."""

    class NumberedEarly(MemoryStore):
        def load(self, entries):
            if self._data.last == 0 or "slow" not in str(self._data.spaces):
                return super().load(entries)
            with self._data.lock:
                first = self._data.last
                self._data.last += 1_000
            numbers = itertools.count(first + 1)
            taken = list(entries)  # others commit meanwhile
            if not any(entry.kind == kind for _, entry in taken):
                return super().load(taken)
            with self._transaction(*{namespace for namespace, _ in taken}) as spaces:
                loading = Loading(spaces, lambda: next(numbers))
                for namespace, entry in taken:
                    loading.take(namespace, entry)
                self._data.number()
                return loading.finish()

    return Broken(NumberedEarly)


class NumbersInBlocks(MemoryStore):
    """Each client takes a hundred numbers at a time, so that they do not follow the order of commits."""

    def __init__(self, data=None):
        super().__init__(data)
        self._block = iter(())

    @property
    def _data(self):
        return self._shared

    @_data.setter
    def _data(self, data):
        self._shared = data

    def write(self, *arguments, **named):
        with self._data.lock:
            return self._with_block(super().write, *arguments, **named)

    def _with_block(self, call, *arguments, **named):
        data = self._data

        def number():
            try:
                return next(self._block)
            except StopIteration:
                self._block = iter(range(data.last + 1, data.last + 101))
                data.last += 100
                return next(self._block)

        data.number = number
        try:
            return call(*arguments, **named)
        finally:
            del data.number
            data.last += 1  # the version


def limited(original, store, namespace, fingerprint, since=0):
    found = original(namespace, fingerprint, since)
    return found[:10] if since else found


_ticks = itertools.count()

CATCHING_UP = {
    "heads_are_in_order_of_creation": after("heads", lambda found, *_: [h._replace(seq=h.changed) for h in found]),
    "heads_say_what_changed_since": around(
        "heads",
        lambda original, store, ns, fingerprint, since=0: original(ns, fingerprint, since - 1),
        "heads_carry_the_vectors_of_their_space",
        "the_search_keeps_up",
    ),
    "a_head_says_what_an_index_needs": after("heads", lambda found, *_: [h._replace(success=True) for h in found]),
    "heads_carry_the_vectors_of_their_space": after(
        "heads", lambda found, store, ns, fp, since=0: [h._replace(vector=None) for h in found] if since else found
    ),
    "the_version_changes_with_procedures": after("version", lambda version, *_, **__: version * 10**6 + next(_ticks)),
    "the_version_tells_of_other_clients": Broken(
        OwnVersion, frozenset({"an_index_is_not_overtaken", "catching_up_beside_clients_misses_nothing"})
    ),
    "outcomes_are_numbered": around(
        "outcomes_since",
        lambda original, store, ns, seq=0: [(n - 10**6, o) for n, o in original(ns, seq and seq + 10**6)],
    ),
    "an_index_is_not_overtaken": numbered_early("revision"),
    "a_ledger_is_not_overtaken": numbered_early("outcome"),
    "catching_up_beside_threads_misses_nothing": around("heads", limited, "catching_up_beside_clients_misses_nothing"),
    "catching_up_beside_clients_misses_nothing": Broken(NumbersInBlocks),
}

# -- together --------------------------------------------------------------------------------------


def takes_late(original, store, namespace, writes, *, consume, **named):
    """Looks whether the trajectory waits before its transaction, and takes it after."""
    told = store._space(namespace).trajectories
    if consume is not None and (consume not in told or told[consume].consumed_by is not None):
        return False
    if consume is not None:
        time.sleep(0.001)
        original(namespace, writes, consume=None, **named)
        with store._transaction(namespace) as spaces:
            spaces[namespace].take(consume, named["receipt_id"])
        return True
    return original(namespace, writes, consume=None, **named)


BESIDE = ("catching_up_beside_threads_misses_nothing", "catching_up_beside_clients_misses_nothing")
TAKING = ("threads_take_once", "clients_take_once")

TOGETHER = {
    "threads_lose_nothing": racing("log_receipt", "tasks_lose_nothing", "clients_lose_nothing"),
    "tasks_lose_nothing": racing("log_receipt", "threads_lose_nothing", "clients_lose_nothing"),
    "clients_lose_nothing": racing("log_receipt", per_client=True),
    "threads_credit_once": racing("record", *THREADS, *CLIENTS, *BESIDE),
    "clients_credit_once": racing("record", *CLIENTS, BESIDE[1], per_client=True),
    "threads_revise_in_turn": racing("write", *CLIENTS, *BESIDE, *TAKING),
    "clients_revise_in_turn": racing("write", *CLIENTS, BESIDE[1], per_client=True),
    "threads_take_once": around("write", takes_late, "clients_take_once"),
    "clients_take_once": racing("write", *CLIENTS, BESIDE[1], per_client=True),
}

busy = threading.Lock()


def in_each_others_way(original, store, fingerprint, vectors, namespace=""):
    if not busy.acquire(blocking=False):
        raise StoreBusy("deadlock detected")
    try:
        time.sleep(0.002)
        original(fingerprint, vectors, namespace)
    finally:
        busy.release()


TOGETHER["clients_save_the_same_vectors"] = around("save_vectors", in_each_others_way)

BROKEN: dict[str, Broken] = RECORDING | PROCEDURES | CATCHING_UP | TOGETHER
