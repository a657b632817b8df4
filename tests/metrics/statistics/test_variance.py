"""Rows that share their nearest training record count as one; quantiles have Woodruff's ends; by closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.workbenches import bench
from scipy.stats import beta, binom, t

from counterproof.metrics.estimate import Estimate
from counterproof.metrics.leakage._distances.effective_rows import place_of, source_of, too_crowded
from counterproof.metrics.leakage._distances.known_neighbours import pool_of, proximity_of
from counterproof.metrics.statistics.proportions import difference
from counterproof.metrics.statistics.variance import (
    clustered_error,
    effective_sample_size,
    quantile_of,
    student_estimate,
)


def test_rows_repeated_tell_no_more_than_once() -> None:
    values = np.random.default_rng(0).random(200)
    once = quantile_of(values, 0.5, np.arange(200), level=0.95)
    thrice = quantile_of(np.repeat(values, 3), 0.5, np.repeat(np.arange(200), 3), level=0.95)
    assert thrice.low == pytest.approx(once.low, abs=0.02)
    assert thrice.high == pytest.approx(once.high, abs=0.02)
    parts = values - values.mean()
    assert clustered_error(np.repeat(parts, 3) / 3, np.repeat(np.arange(200), 3)) == pytest.approx(
        clustered_error(parts, np.arange(200))
    )


def test_the_larger_error_counts() -> None:
    parts = np.array([1.0, 1.0, -1.0, -1.0])
    assert clustered_error(parts, np.arange(4), np.array([0, 0, 1, 1])) == pytest.approx(np.sqrt(8 * 2))


def test_ends_of_a_quantile_are_the_exact_order_statistics() -> None:
    values, rows = np.sort(np.random.default_rng(1).random(1001)), 1001
    found = quantile_of(values, 0.5, np.arange(rows), level=0.95)
    hits = 0.5 * rows
    expected = np.quantile(values, [beta.ppf(0.025, hits, rows - hits + 1), beta.ppf(0.975, hits + 1, rows - hits)])
    assert [found.low, found.high] == pytest.approx(expected, abs=2e-3)
    ranks = np.searchsorted(values, [found.low, found.high])
    assert binom.cdf(ranks[1] - 1, rows, 0.5) - binom.cdf(ranks[0] - 1, rows, 0.5) >= 0.945


def test_where_few_rows_may_all_lie_above_a_quantile_its_low_end_is_nought() -> None:
    values = np.linspace(0.4, 0.9, 60)  # 0.95 ** 60 = 4.6 %
    assert quantile_of(values, 0.05, np.arange(60), level=0.95).low == 0.0
    assert quantile_of(np.linspace(0.4, 0.9, 600), 0.05, np.arange(600), level=0.95).low > 0.4
    assert quantile_of(values, 0.95, np.arange(60), level=0.95).high == 1.0


def test_equal_values_have_an_interval_that_holds_them() -> None:
    found = quantile_of(np.ones(50), 0.05, np.arange(50), level=0.95)
    assert found.low <= 1.0 == found.value == found.high


def test_the_ends_of_a_quantile_hold_it() -> None:
    rng, held = np.random.default_rng(2), 0
    for _ in range(300):
        values = np.repeat(rng.random(150), 4)
        found = quantile_of(values, 0.05, np.repeat(np.arange(150), 4), level=0.95)
        held += found.low <= 0.05 <= found.high
    assert held / 300 >= 0.93


def test_few_places_are_told() -> None:
    assert effective_sample_size(np.repeat(np.arange(25), 8)) == 25
    assert too_crowded(np.repeat(np.arange(20), 10), "it") == ""
    told = too_crowded(np.repeat(np.arange(20), 10), "it", 3)
    assert told.startswith("the 200 release rows stand at 20 places")
    assert "it needs 22" in told


def test_students_quantile_and_the_difference() -> None:
    e = student_estimate(1.0, 0.5, 4, level=0.9, method="m")
    assert e.high == pytest.approx(1 + 0.5 * t.ppf(0.95, 4))
    left, right = Estimate(value=0.6, low=0.3, high=0.7), Estimate(value=0.5, low=0.1, high=0.6)
    made = difference(left, right)
    assert (made.value, made.low, made.high) == pytest.approx((0.1, 0.1 - np.hypot(0.3, 0.1), 0.1 + np.hypot(0.1, 0.4)))


def test_records_of_one_source_are_one_place() -> None:
    rng = np.random.default_rng(3)
    clusters = np.concatenate([np.repeat(np.arange(20), 4), np.arange(20, 120)])
    view = bench(rng.normal(size=(80, 2)), rng.normal(size=(60, 2)), rng.normal(size=(40, 2)), clusters=clusters)
    near = proximity_of(view, "release", gower=False)
    place, records = place_of(near, near.index[:, 0]), pool_of(view).rows[near.index[:, 0]]
    same = clusters[records][:, None] == clusters[records]
    assert ((place[:, None] == place) == same).all()
    assert source_of(view.release).tolist() == list(range(80, 120))
