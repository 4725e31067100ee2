"""Stores that break rules of logs, search, namespaces, transfer, forgetting and closing."""

import numpy as np
from broken_procedures import space
from sabotage import Broken, after, around, changed, quiet

from memp.errors import RecordError, StoreBusy, StoreError
from memp.records import Author, Step
from memp.stores.entries import Loaded, LoggedRecall
from memp.testing.store import MemoryStore

# -- logs ------------------------------------------------------------------------------------------


def shows_the_current(found, store, namespace, *_):
    def now(item):
        return changed(item, procedure=store.find(namespace, [item.procedure.id])[0])

    return [changed(recall, ranked=tuple(map(now, recall.ranked))) for recall in found]


def logs_again(original, store, recall):
    if recall.id in space(store, recall.namespace).recalls:
        space(store, recall.namespace).recalls[f"{recall.id} again"] = LoggedRecall.of(recall)
    original(recall)


def logs_bare(original, store, namespace, trajectory, recall, outcome, at):
    known = recall and recall.id in store._space(namespace).recalls
    done = original(namespace, trajectory, recall, outcome, at)
    if done and recall and not known:
        space(store, namespace).recalls[recall.id] = LoggedRecall.of(changed(recall, ranked=()))
    return done


def takes_away_too_much(original, store, namespace, receipt):
    kept = space(store, namespace)
    kept.receipts = {id: one for id, one in kept.receipts.items() if id == receipt.id or not id.startswith(receipt.id)}
    original(namespace, receipt)


def no_nan(score):
    return 0.0 if score is not None and np.isnan(score) else score


def overwrites(original, store, namespace, receipt):
    space(store, namespace).receipts.pop(receipt.id, None)
    original(namespace, receipt)


LOGS = {
    "a_receipt_is_not_overwritten": around("log_receipt", overwrites),
    "a_recall_comes_back_as_it_was_served": after("recalls", shows_the_current),
    "odd_scores_are_kept": after(
        "recalls",
        lambda found, *_: [
            changed(r, ranked=tuple(changed(item, score=no_nan(item.score)) for item in r.ranked)) for r in found
        ],
    ),
    "logs_are_newest_first": after(
        "outcomes", lambda found, *_: sorted(found, key=lambda o: o.trajectory_id, reverse=True)
    ),
    "a_recall_is_logged_once": around("log_recall", logs_again),
    "recording_logs_the_recall": around(
        "record", logs_bare, "counters_stay_those_of_outcomes", "what_was_erased_meanwhile_gets_no_credit"
    ),
    "a_receipt_comes_back_whole": after("receipts", lambda found, *_, **__: [changed(r, queue=0) for r in found]),
    "a_receipt_takes_the_place_of_its_parts": around("log_receipt", takes_away_too_much),
    "drafts_live_until_they_are_dropped": around(
        "save_draft",
        lambda original, store, ns, key, text: original(ns, key, store._space(ns).drafts.get(key, text)),
    ),
    "drafts_go_when_nothing_waits": around(
        "drop_drafts", lambda original, store, ns, keys: [space(store, ns).drafts.pop(key, None) for key in keys]
    ),
    "vectors_are_exact": after(
        "vectors", lambda found, *_: {text: np.where(np.isnan(v), np.float32(0), v) for text, v in found.items()}
    ),
    "vectors_are_of_a_space": around(
        "save_vectors",
        lambda original, store, fp, vectors, namespace="": original(
            fp, [(text, v) for text, v in vectors if (fp, text) not in store._data.vectors], namespace
        ),
    ),
    "stats_count_what_is_there": after("stats", lambda stats, *_: changed(stats, waiting=stats.trajectories)),
}

# -- search ----------------------------------------------------------------------------------------


def said(procedure):
    script = procedure.script
    lines = (script.goal, *script.steps, *script.pitfalls) if script else ()
    return " ".join((procedure.task, *lines)).casefold()


def finds_old_ones(found, store, namespace, words, limit):
    if found:
        return found
    older = space(store, namespace).revisions.values()
    ids = [s.revision.procedure_id for s in older if words and words.casefold() in s.revision.content.task.casefold()]
    return store.find(namespace, ids) if words.strip().isalpha() else []


def trips(original, store, namespace, words, limit):
    if "OR 1=1" in words:
        raise StoreError("syntax error")
    return original(namespace, words, limit)


def minds_accents(found, store, namespace, words, limit):
    plain = [word.casefold() for word in words.split() if word.isalpha()]
    return [p for p in found if all(word in said(p) for word in plain)]


SEARCH = {
    "search_looks_into_task_and_script": after(
        "search", lambda found, *_: [p for p in found if not (p.script and p.script.pitfalls)]
    ),
    "search_gives_the_best_first": after("search", lambda found, *_: found[::-1]),
    "search_sees_the_current_revision": after("search", finds_old_ones),
    "search_takes_anything": around("search", trips),
    "search_for_nothing_finds_nothing": around(
        "search",
        lambda original, store, ns, words, limit: (
            store.find(ns, list(space(store, ns).procedures)) if words == "%" else original(ns, words, limit)
        ),
    ),
    "search_finds_odd_words": after(
        "search", lambda found, store, ns, words, limit: [] if words.startswith("col:") else found
    ),
    "search_finds_other_forms": Broken(MemoryStore, lacks=()),
    "search_does_not_mind_accents": after("search", minds_accents),
}

# -- similarity ------------------------------------------------------------------------------------


def misses_some(found, *_, status, **__):
    """Of many, one in five is not found."""
    return [hit for hit in found if int(hit[0][1:]) < 40 or int(hit[0][1:]) % 5 or status != "any"]


def finds_too_few(original, store, namespace, fingerprint, vector, k, *, status, only_success):
    """Filters what it has found, as an index that knows nothing of filters does."""
    allowed = dict(original(namespace, fingerprint, vector, 1_000, status=status, only_success=only_success))
    found = original(namespace, fingerprint, vector, k, status="any", only_success=False)
    return [hit for hit in found if hit[0] in allowed]


def sees_all(original, store, namespace, fingerprint, vector, k, **named):
    found = [original(ns, fp, vector, k, **named) for ns, fp in store._data.near if fp == fingerprint]
    return sorted({hit for one in found for hit in one}, key=lambda hit: -hit[1])[:k]


def keeps_the_first(original, store, namespace, fingerprint, heads, vectors):
    known = store._data.near.get((namespace, fingerprint))
    before = dict(known.kept) if known else {}
    original(namespace, fingerprint, heads, vectors)
    store._data.near[namespace, fingerprint].kept.update(before)


def notes_near(original, store, namespace, **named):
    kept = {known: dict(held.kept) for known, held in store._data.near.items()}
    erased = original(namespace, **named)
    for known, held in kept.items():
        store._data.near[known].kept.update(held)
    return erased


def shows_the_hidden(found, store, namespace, fingerprint, vector, k, **_):
    if found:
        return found
    return store._data.near[namespace, fingerprint].nearest(vector, k, "any", False)


class SearchesAlone(MemoryStore):
    """Only the first client searches."""

    def __init__(self, data=None):
        super().__init__(data)
        self._first = data is None

    def searched(self, namespace, fingerprint):
        return super().searched(namespace, fingerprint) if self._first else None


SIMILARITY = {
    "the_nearest_are_found": after("nearest", misses_some),
    "filters_leave_enough": around("nearest", finds_too_few),
    "nearest_stays_behind_the_wall": around("nearest", sees_all),
    "the_search_keeps_up": around("keep_near", keeps_the_first),
    "what_was_erased_is_not_near": around("forget", notes_near),
    "filters_that_hide_all_are_an_end": after("nearest", shows_the_hidden, "what_was_erased_is_not_near"),
    "clients_search_alike": Broken(SearchesAlone),
}

# -- namespaces ------------------------------------------------------------------------------------


def looks_through(original, store, namespace, origin):
    found = [original(name, origin) for name in (namespace, *store.namespaces())]
    return next((id for id in found if id), None)


def requeues_everywhere(original, store, namespace, id):
    done = original(namespace, id)
    if done:
        for other in store.namespaces():
            original(other, id)
    return done


def takes_elsewhere(original, store, namespace, writes, *, consume, **named):
    own = consume is None or consume in store._space(namespace).trajectories
    where = [name for name in store.namespaces() if not own and consume in store._space(name).trajectories]
    return original(where[0] if where else namespace, writes, consume=consume, **named)


NAMESPACES = {
    "nothing_is_read_through_the_wall": around("built_from", looks_through),
    "nothing_is_changed_through_the_wall": around("requeue", requeues_everywhere),
    "walls_stand_against_strangers": around("write", takes_elsewhere),
    "odd_names_are_names": after("namespaces", lambda found, *_: sorted({name.strip() for name in found})),
    "names_have_a_length": around(
        "log_receipt", lambda original, store, ns, receipt: original(ns, receipt) if ns else None
    ),
    "namespaces_are_listed": after(
        "namespaces",
        lambda found, store: [n for n in found if any(e.kind != "recall" for e in store._space(n).entries())],
    ),
}

# -- transfer --------------------------------------------------------------------------------------


def loads(change):
    """`change(store, namespace, entry)` gives the entry that is loaded in the place of one."""

    def body(original, store, entries):
        return original((namespace, change(store, namespace, entry)) for namespace, entry in entries)

    return around("load", body)


def then(behind):
    """`behind(store, before, entries)` works on what was loaded; `before` are copies of the spaces as they were."""

    def body(original, store, entries):
        before = {name: held.copy() for name, held in store._data.spaces.items()}
        seen = []

        def watched():
            for item in entries:
                seen.append(item)
                yield item

        loaded = original(watched())
        behind(store, before, seen)
        return loaded

    return around("load", body)


def waits_again(store, before, entries):
    for namespace, entry in entries:
        if entry.kind == "trajectory" and entry.consumed_by is None:
            space(store, namespace).take(entry.trajectory.id, None)


def old_counters(store, before, entries):
    for namespace, held in before.items():
        space(store, namespace).revisions.update(held.revisions)


def parts_again(store, before, entries):
    for namespace, entry in entries:
        if entry.kind == "receipt":
            space(store, namespace).receipts[entry.receipt.id] = entry.receipt


def taken_by_the_last(store, before, entries):
    for namespace, entry in entries:
        if entry.kind == "trajectory" and entry.consumed_by is not None:
            space(store, namespace).take(entry.trajectory.id, None)
            space(store, namespace).take(entry.trajectory.id, entry.consumed_by)


def keeps_what_came(original, store, entries):
    taken = []

    def watched():
        for item in entries:
            taken.append(item)
            yield item

    try:
        return original(watched())
    except (RecordError, StoreError):
        raise
    except Exception:
        original(iter(taken))
        raise


def known_recall(store, namespace, entry):
    if entry.kind == "recall":
        return changed(entry, recall=store._space(namespace).recalls.get(entry.recall.id, entry.recall))
    return entry


def dumps_in_pieces(original, store, namespace):
    first = list(original(namespace))
    yield from first[:1]
    yield from list(original(namespace))[1:]


def holds_on(original, store, namespace):
    store.open = getattr(store, "open", 0) + 1
    if store.open > 30:
        raise StoreBusy("too many connections")
    yield from original(namespace)
    store.open -= 1


TRANSFER = {
    "an_abandoned_dump_holds_nothing": around("dump", holds_on),
    "a_dump_holds_everything_in_order": around(
        "dump",
        lambda original, store, ns: (
            changed(e, recorded_at=e.recorded_at.replace(year=2000)) if e.kind == "trajectory" else e
            for e in original(ns)
        ),
        "times_are_exact",
    ),
    "dump_and_load_lose_nothing": after("load", lambda loaded, *_: changed(loaded, receipts=0)),
    "loading_again_skips_everything": then(waits_again),
    "a_grown_memory_is_taken_over": then(old_counters),
    "load_is_all_or_nothing": around("load", keeps_what_came),
    "a_contradiction_is_refused": loads(known_recall),
    "what_is_missing_is_noticed": quiet("load", "which is not there", Loaded()),
    "counters_follow_from_outcomes": quiet("load", "its outcomes say", Loaded()),
    "first_revisions_say_where_they_come_from": quiet("load", "belong to revision 1", Loaded()),
    "parts_do_not_come_back": then(parts_again),
    "what_was_taken_stays_taken": then(taken_by_the_last),
    "a_dump_is_of_one_moment": around("dump", dumps_in_pieces),
}

# -- forgetting ------------------------------------------------------------------------------------


def forgets(behind, *also):
    """`behind(store, namespace, before, erased)` works on what was left; `before` is a copy of the space."""

    def body(original, store, namespace, **named):
        before, vectors = store._space(namespace).copy(), dict(store._data.vectors)
        erased = original(namespace, **named)
        behind(store, namespace, before, erased, vectors)
        return erased

    return around("forget", body, *also)


def by_another(store, namespace, before, erased, vectors):
    held = space(store, namespace).revisions
    for key in erased.returned:
        held[key] = held[key]._replace(revision=changed(held[key].revision, author=Author(policy="nobody")))


def back_in_service(store, namespace, before, erased, vectors):
    held = space(store, namespace).revisions
    for key in erased.returned:
        held[key] = held[key]._replace(revision=changed(held[key].revision, status="active"))


def counters_as_before(store, namespace, before, erased, vectors):
    held = space(store, namespace).revisions
    held.update({key: state for key, state in before.revisions.items() if key in held and key not in erased.returned})


def drafts_of_all(store, namespace, before, erased, vectors):
    for other in store.namespaces():
        space(store, other).drafts.clear()


def all_wait(store, namespace, before, erased, vectors):
    for id in space(store, namespace).trajectories if not erased.trajectories else ():
        space(store, namespace).take(id, None)


def by_their_tasks(original, store, namespace, *, trajectories=(), task=None, at):
    told = [kept.trajectory for kept in store._space(namespace).trajectories.values()]
    tasks = {t.task for t in told if t.id in trajectories}
    return original(namespace, trajectories=[*trajectories, *(t.id for t in told if t.task in tasks)], task=task, at=at)


def returned_first(original, store, namespace):
    found = list(original(namespace))
    back = [e for e in found if e.kind == "revision" and "erased on request" in e.revision.reason]
    yield from (*back, *(e for e in found if e not in back)) if len(back) == 1 else found


def loses_steps(original, store, namespace, *, before):
    done, held = original(namespace, before=before), space(store, namespace).trajectories
    for id, told in held.items():
        held[id] = told._replace(trajectory=changed(told.trajectory, steps=(Step(action="..."),)))
    return done


def forgets_when(original, store, *given):
    kept, store._data.erasures = store._data.erasures, []
    try:
        return original(*given)
    finally:
        store._data.erasures = kept


FORGETTING = {
    "what_was_erased_meanwhile_gets_no_credit": around("record", forgets_when),
    "what_is_erased_leaves_no_trace": forgets(lambda store, ns, b, e, vectors: store._data.vectors.update(vectors)),
    "procedures_go_on_from_the_last_clean_revision": forgets(by_another),
    "counters_stay_those_of_outcomes": forgets(
        counters_as_before, "what_is_left_can_be_moved", "erasing_by_id_spares_the_task"
    ),
    "erasing_by_id_spares_the_task": around("forget", by_their_tasks),
    "erasing_keeps_out_what_was_out": forgets(back_in_service),
    "erasing_stays_behind_the_wall": forgets(drafts_of_all),
    "views_notice_that_something_was_erased": after("erasures", lambda *_: 0),
    "what_is_left_can_be_moved": around("dump", returned_first),
    "erasing_nothing_changes_nothing": forgets(all_wait),
    "compacted_trajectories_read_the_same": around("compact", loses_steps),
}

# -- closing ---------------------------------------------------------------------------------------


class OwnVectors(MemoryStore):
    """A client has the vectors only that it saved itself."""

    def __init__(self, data=None):
        super().__init__(data)
        self._mine = set()

    def save_vectors(self, fingerprint, vectors, namespace=""):
        vectors = list(vectors)
        self._mine |= {(fingerprint, text) for text, _ in vectors}
        super().save_vectors(fingerprint, vectors, namespace)

    def vectors(self, fingerprint, texts, namespace=""):
        return super().vectors(fingerprint, [text for text in texts if (fingerprint, text) in self._mine], namespace)


class ClosesAll(MemoryStore):
    """Closing one client closes those that are open beside it."""

    def __init__(self, data=None):
        super().__init__(data)
        if not hasattr(self._data, "clients"):
            self._data.clients = []
        self._data.clients.append(self)

    def close(self):
        for client in self._data.clients:
            client._closed = True
        self._data.clients.clear()


def loses_drafts(original, store):
    for held in store._data.spaces.values():
        held.drafts.clear()
    original()


def closes_once(original, store):
    store._must_be_open()
    original()


LASTING = {
    "what_was_written_stays": around("close", loses_drafts),
    "clients_see_each_other": Broken(OwnVectors),
    "a_closed_store_says_so": around("close", closes_once, "closing_leaves_others_alone"),
    "closing_leaves_others_alone": Broken(ClosesAll),
}

BROKEN: dict[str, Broken] = LOGS | SEARCH | SIMILARITY | NAMESPACES | TRANSFER | FORGETTING | LASTING
