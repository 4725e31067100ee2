"""Trials on PostgreSQL: what was erased for good decides nothing."""

from trialkit import promoted_by_what_was_erased


def test_a_candidate_does_not_inherit_the_outcomes_of_an_erased_one(store):
    assert promoted_by_what_was_erased(store) == [False, False, False, False, True]
