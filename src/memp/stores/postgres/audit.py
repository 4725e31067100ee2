"""What can be wrong with a database that still answers: what is kept against what follows from it."""

from collections import Counter
from collections.abc import Collection, Iterator

from memp.records import Revision
from memp.stores.entries import OutcomeEntry, RecallEntry, RevisionEntry, TrajectoryEntry
from memp.stores.postgres import statements as sql
from memp.stores.postgres.texts import plain
from memp.stores.postgres.transaction import Transaction
from memp.stores.postgres.transfer import entries


def problems(transaction: Transaction, namespace: str) -> Iterator[str]:
    """Counters against the logged outcomes, current revisions against the history, names of what is not there."""
    current = {plain(id): head for id, head in transaction.send(sql.ALL_CURRENT).rows()}
    texts = {plain(id) for (id,) in transaction.send(sql.TEXT_IDS).rows()}
    counters: dict[tuple[str, int], tuple[int, int]] = {}
    served: Counter[tuple[str, int]] = Counter()
    succeeded: Counter[tuple[str, int]] = Counter()
    known: set[tuple[str, str]] = set()
    for entry in entries(transaction):
        match entry:
            case TrajectoryEntry(trajectory=trajectory):
                known.add(("trajectory", trajectory.id))
            case RevisionEntry(revision=revision):
                counters[_key(revision)] = (entry.served, entry.succeeded)
            case RecallEntry(recall=recall):
                known.add(("recall", recall.id))
            case OutcomeEntry(outcome=outcome):
                served.update(outcome.credited)
                succeeded.update(outcome.credited if outcome.success else ())
                for kind, id in (("trajectory", outcome.trajectory_id), ("recall", outcome.recall_id)):
                    if (kind, id) not in known:
                        yield f"{namespace}: an outcome is of {kind} {id}, which is not there"
            case _:
                pass
    for key in sorted(counters.keys() | served.keys()):
        said, counted = counters.get(key, (0, 0)), (served[key], succeeded[key])
        if said != counted:
            where = f"{namespace}/{key[0]} revision {key[1]}"
            yield f"{where}: counters {said[1]}/{said[0]}, outcomes say {counted[1]}/{counted[0]}"
    yield from _heads(namespace, current, texts, list(counters))


def _heads(
    namespace: str, current: dict[str, int], texts: set[str], keys: Collection[tuple[str, int]]
) -> Iterator[str]:
    last, count = dict[str, int](), Counter(id for id, _ in keys)
    for id, number in sorted(keys):
        last[id] = number
    for id in sorted(current.keys() | last.keys()):
        if (current.get(id), count[id]) != (last.get(id), last.get(id)):
            yield f"{namespace}/{id}: at revision {current.get(id)}, but has {count[id]} revisions up to {last.get(id)}"
    for id in sorted(current.keys() - texts):
        yield f"{namespace}/{id}: procedure that cannot be found by text"


def _key(revision: Revision) -> tuple[str, int]:
    return (revision.procedure_id, revision.number)
