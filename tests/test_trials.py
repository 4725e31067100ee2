"""Trials: what was erased for good decides nothing."""

import pytest

from memp.stores.sqlite import SqliteStore
from memp.testing.store import MemoryStore
from trialkit import promoted_by_what_was_erased


@pytest.mark.parametrize("store", [MemoryStore, SqliteStore])
def test_a_candidate_does_not_inherit_the_outcomes_of_an_erased_one(tmp_path, store):
    opened = store(tmp_path / "m.db") if store is SqliteStore else store()
    assert promoted_by_what_was_erased(opened) == [False, False, False, False, True]
    opened.close()
