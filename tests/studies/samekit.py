"""What a memory says, without what every run draws anew: ids and times. Two runs of the same seed must say the same."""

import re
from collections import defaultdict
from contextlib import closing

from memp.stores.connect import connect
from memp.stores.entries import OutcomeEntry, RecallEntry, ReceiptEntry, RevisionEntry, TrajectoryEntry

_TIME = re.compile(r'"\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)"')


def said(spot):
    """Kind -> every entry of a memory of that kind, as a line, sorted: recalls of a group come in any order.

    Procedures are called by the order they were made in; recalls and receipts are not told apart. `served` are the
    recalls that outcomes are about: who was killed recalls for the same task again.
    """
    with closing(connect(spot.place, create=False)) as store, closing(store.dump(spot.namespace)) as dumped:
        entries = list(dumped)
    names, about, lines = {}, set(), defaultdict(list)
    for entry in entries:
        match entry:
            case RevisionEntry(revision=revision):
                names.setdefault(revision.procedure_id, f"procedure-{len(names)}")
            case OutcomeEntry(outcome=outcome):
                about.add(outcome.recall_id)
    names |= dict.fromkeys((entry.recall.id for entry in entries if isinstance(entry, RecallEntry)), "recall")
    names |= dict.fromkeys((entry.receipt.id for entry in entries if isinstance(entry, ReceiptEntry)), "receipt")
    ids = re.compile("|".join(map(re.escape, sorted(names, key=len, reverse=True))) or "(?!)")
    for entry in entries:
        left_out = {"consumed_by"} if isinstance(entry, TrajectoryEntry) else set()
        line = _TIME.sub('"T"', ids.sub(lambda found: names[found[0]], entry.model_dump_json(exclude=left_out)))
        lines[entry.kind].append(line)
        if isinstance(entry, RecallEntry) and entry.recall.id in about:
            lines["served"].append(line)
    return {kind: sorted(found) for kind, found in lines.items()}
