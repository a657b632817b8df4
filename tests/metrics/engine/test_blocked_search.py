"""The tile-by-tile search and its shortlists find what sorting all distances finds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from counterproof.metrics.engine.blocked_search import blocks, nearest_of_each, search, spread
from counterproof.metrics.engine.distances import Euclid, distinct
from counterproof.metrics.engine.shortlist import kth_at_most


def sorted_distances(
    query: np.ndarray, base: np.ndarray, k: int, own: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """All distances sorted, ties by index."""
    gap = np.sqrt(((query[:, None] - base[None]) ** 2).sum(2))
    if own is not None:
        gap[np.arange(len(query)), own] = np.inf
    order = np.argsort(gap, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(gap, order, 1), order


@pytest.mark.parametrize("memory", [2**10, 2**28])
@pytest.mark.parametrize("itself", [False, True])
def test_the_search_equals_sorting_all_distances(memory: int, itself: bool) -> None:
    rng = np.random.default_rng(3)
    base = rng.integers(0, 4, size=(1500, 3)).astype(np.float64)  # many twins and ties; more than one tile of rows
    base[:40] += rng.normal(scale=1e-9, size=(40, 3))  # and rows that float32 cannot tell apart
    query = base if itself else rng.normal(1.5, 1, size=(60, 3))
    own = np.arange(len(base)) if itself else None
    first, node = distinct(base)
    found = search(Euclid(query, base[first]), node, 6, own=own, memory=memory)
    distance, index = sorted_distances(query, base, 6, own)
    np.testing.assert_allclose(found[0], distance, rtol=1e-14, atol=1e-300)
    np.testing.assert_array_equal(found[1], index)


@given(st.integers(0, 50), st.integers(0, 300), st.integers(1, 10**6), st.integers(0, 2**22))
def test_blocks_cover_every_row_once(low: int, more: int, width: int, memory: int) -> None:
    made = list(blocks(low, low + more, width, memory))
    assert [row for part in made for row in range(part.start, part.stop)] == list(range(low, low + more))
    assert all((part.stop - part.start) * 16 * width <= memory or part.stop - part.start == 1 for part in made)


def test_the_nearest_of_each_row_with_ties_by_index() -> None:
    row, gap, found = np.array([1, 0, 1, 0, 1]), np.array([2.0, 5.0, 1.0, 5.0, 1.0]), np.array([4, 9, 7, 3, 6])
    kept = nearest_of_each(row, gap, found, 2)
    assert [part.tolist() for part in kept] == [[0, 0, 1, 1], [5.0, 5.0, 1.0, 1.0], [3, 9, 6, 7]]


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 5)), max_size=8))
def test_spread_lists_the_positions_of_ranges(ranges: list[tuple[int, int]]) -> None:
    start, count = (np.array([pair[at] for pair in ranges], dtype=np.intp) for at in (0, 1))
    assert spread(start, count).tolist() == [at + i for at, many in ranges for i in range(many)]


@given(st.integers(1, 5), st.integers(0, 200), st.integers(0, 10**6))
def test_a_first_bound_is_never_below_the_kth_smallest_value(k: int, more: int, seed: int) -> None:
    values = np.random.default_rng(seed).random((4, k + more)).astype(np.float32)
    bound = kth_at_most(torch.from_numpy(values), k).numpy()
    assert (bound >= np.sort(values, 1)[:, k - 1]).all()
    assert np.isin(bound, values).all()
    if more < 4 * k:  # groups of one: the value itself
        np.testing.assert_array_equal(bound, np.sort(values, 1)[:, k - 1])


def test_features_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="NaN or infinity"):
        Euclid(np.zeros((2, 2)), np.array([[0.0, np.nan]]))


def test_distances_of_far_rows_lose_nothing() -> None:
    rng = np.random.default_rng(0)
    base = 1e6 + rng.normal(size=(200, 5))
    base[0] = -1e9  # one outlier
    _, node = distinct(base)
    first, _ = distinct(base)
    gap, index = search(Euclid(base, base[first]), node, 1, own=np.arange(200), memory=2**26)
    exact = cdist(base, base)
    np.fill_diagonal(exact, np.inf)
    np.testing.assert_array_equal(index[:, 0], exact.argmin(1))
    np.testing.assert_allclose(gap[:, 0], exact.min(1), rtol=1e-9)
