"""Moments of parts merge to the moments of the whole, in any order and grouping."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from counterproof.metrics.frechet.moments import Moments, RunningMoments

CUTS = some.lists(some.integers(0, 60), max_size=6)


def rows(seed: int, offset: float = 0.0) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    rng = np.random.default_rng(seed)
    made: np.ndarray[tuple[int, int], np.dtype[np.float64]] = rng.normal(size=(60, 4)) * [1, 10, 0.1, 0] + offset
    return made


def same(one: RunningMoments, other: RunningMoments, scale: float = 1.0) -> None:
    assert one.n == other.n
    np.testing.assert_allclose(one.mean, other.mean, rtol=1e-13, atol=1e-12)
    np.testing.assert_allclose(one.scatter, other.scatter, rtol=1e-11, atol=1e-9 * scale)


@settings(max_examples=60, deadline=None)
@given(cuts=CUTS, seed=some.integers(0, 9), offset=some.sampled_from([0.0, -3.0, 1e5]))
def test_parts_of_any_size_give_the_whole(cuts: list[int], seed: int, offset: float) -> None:
    x = rows(seed, offset)
    parts = np.split(x, sorted(cuts))
    shards = [Moments.empty(4).add(part) for part in parts]
    streamed = reduce(lambda state, part: state.add(part), parts, Moments.empty(4))
    merged = reduce(RunningMoments.merge, shards)
    backwards = reduce(RunningMoments.merge, shards[::-1])
    for found in (streamed, merged, backwards):
        same(found, Moments.empty(4).add(x), 1 + abs(offset) ** 0.5)
    moments = merged.finish()
    np.testing.assert_allclose(moments.mean, x.mean(0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(moments.covariance, np.cov(x.T), rtol=1e-9, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(seeds=some.tuples(*[some.integers(0, 50)] * 3), sizes=some.tuples(*[some.integers(0, 60)] * 3))
def test_merging_is_associative_and_commutes(seeds: tuple[int, int, int], sizes: tuple[int, int, int]) -> None:
    a, b, c = (Moments.empty(4).add(rows(s)[:n]) for s, n in zip(seeds, sizes, strict=True))
    same(a.merge(b).merge(c), a.merge(b.merge(c)))
    same(a.merge(b), b.merge(a))
    assert a.merge(Moments.empty(4)) is a


def test_adding_leaves_the_state_before_as_it_was() -> None:
    before = Moments.empty(4).add(rows(0))
    mean, scatter = before.mean.copy(), before.scatter.copy()
    before.add(rows(1))
    assert np.array_equal(before.mean, mean)
    assert np.array_equal(before.scatter, scatter)


def test_float32_rows_are_summed_in_float64() -> None:
    x = (np.random.default_rng(0).normal(size=(5000, 3)) + 1000).astype(np.float32)
    found = Moments.empty(3).add(x).finish()
    np.testing.assert_allclose(found.covariance, np.cov(x.astype(np.float64).T), rtol=1e-12)
    assert found.mean.dtype == found.covariance.dtype == np.float64


def test_what_cannot_be_added_is_said() -> None:
    with pytest.raises(ValueError, match=r"\(k, 4\)"):
        Moments.empty(4).add(np.ones((2, 3)))
    with pytest.raises(ValueError, match="NaN"):
        Moments.empty(1).add(np.array([[1.0], [np.nan]]))
    with pytest.raises(ValueError, match="4 and 3"):
        Moments.empty(4).merge(Moments.empty(3))
    for n in (0, 1):
        with pytest.raises(ValueError, match="two rows"):
            Moments.empty(4).add(rows(0)[:n]).finish()
