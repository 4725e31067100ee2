"""The exact top-k, against a plain scan."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from memp.stores.vectors import VectorTable, kth_largest


def unit(rows):
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(lengths > 0, lengths, 1)).astype(np.float32)


def scan(vectors, query, k, hidden):
    """What the answer must be: every row scored, sorted, ties in row order."""
    scores = np.round((vectors @ query).astype(np.float64), 6)
    rows = [row for row in np.lexsort((np.arange(len(scores)), -scores)) if hidden is None or not hidden[row]]
    return rows[:k], [scores[row] for row in rows[:k]]


@st.composite
def tables(draw):
    rows, dimensions = draw(st.integers(1, 400)), draw(st.sampled_from([1, 3, 16, 64]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    vectors = rng.normal(size=(rows, dimensions))
    if draw(st.booleans()):  # few distinct rows: ties
        vectors = vectors[rng.integers(0, draw(st.integers(1, 5)), rows) % rows]
    if draw(st.booleans()):  # near ties, closer than int8 can tell
        vectors = vectors[:1] + rng.normal(size=(rows, dimensions)) * 1e-3
    vectors[rng.random(rows) < draw(st.sampled_from([0, 0.3, 1]))] = 0
    query = vectors[rng.integers(rows)] if draw(st.booleans()) else rng.normal(size=dimensions)
    hidden = None if draw(st.booleans()) else rng.random(rows) < draw(st.sampled_from([0, 0.5, 0.97, 1]))
    return unit(vectors), unit(query[None, :])[0], draw(st.integers(1, 30)), hidden


@settings(max_examples=300, deadline=None)
@given(tables())
def test_top_is_what_a_plain_scan_finds(case):
    vectors, query, k, hidden = case
    table = VectorTable(vectors.shape[1])
    middle = len(vectors) // 2
    table.extend(vectors[:middle])
    table.extend(vectors[middle:])
    rows, scores = table.top(query, k, hidden)
    wanted, wanted_scores = scan(vectors, query, k, hidden)
    # A float32 sum depends on the order of its terms: in the sixth digit two rows may change places.
    np.testing.assert_allclose(scores, wanted_scores, atol=2e-6)
    exact = (vectors @ query).astype(np.float64)
    np.testing.assert_allclose(exact[rows], exact[wanted], atol=2e-6)
    assert len(set(rows)) == len(rows)
    assert hidden is None or not hidden[rows].any()


@settings(max_examples=100, deadline=None)
@given(arrays.arrays(np.float64, st.integers(1, 500), elements=st.floats(-1, 1)), st.integers(1, 20))
def test_the_bound_never_exceeds_the_kth_largest(scores, k):
    k = min(k, len(scores))
    assert kth_largest(scores, k) <= np.sort(scores)[-k]


def test_equal_scores_come_in_row_order():
    table = VectorTable(4)
    table.extend(np.tile(unit(np.ones((1, 4))), (200, 1)))
    assert table.top(unit(np.ones((1, 4)))[0], 5)[0] == [0, 1, 2, 3, 4]


def test_a_replaced_row_is_found_as_what_it_is_now():
    table = VectorTable(2)
    table.extend(np.array([[1, 0], [0, 1]], dtype=np.float32))
    table.replace(0, np.array([0, -1], dtype=np.float32))
    assert table.top(np.array([1, 0], dtype=np.float32), 2) == ([0, 1], [0.0, 0.0])
    assert table.top(np.array([0, -1], dtype=np.float32), 1) == ([0], [1.0])


def test_rows_that_came_after_the_mask_was_made_are_not_served():
    table = VectorTable(2)
    table.extend(np.array([[1, 0], [0, 1], [1, 0]], dtype=np.float32))
    assert table.top(np.array([1, 0], dtype=np.float32), 3, np.array([False, False])) == ([0, 1], [1.0, 0.0])


def test_an_empty_table_finds_nothing():
    assert VectorTable(3).top(np.ones(3, dtype=np.float32), 5) == ([], [])
