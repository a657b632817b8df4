"""The Fréchet distance equals published values and closed forms; its bias is gone and its interval holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.workbenches import bench
from scipy.linalg import sqrtm

from counterproof.metrics.errors import MetricError
from counterproof.metrics.fidelity.frechet_distance import frechet_distance, frechet_distance_between
from counterproof.metrics.frechet.moments import (
    Moments,
    frechet_of_moments,
    grouped_moments,
    moments_of,
    random_groups,
    shared_root,
)
from counterproof.metrics.workbench import Workbench


def value(at: Workbench, **options: Any) -> float:
    found = next(iter(frechet_distance.values(at, frechet_distance.configure(options))))
    assert found.estimate is not None
    return found.estimate.value


def test_published_values() -> None:
    ones, eye = np.ones(2048), np.eye(2048)
    assert frechet_of_moments(Moments(2, 0 * ones, eye), Moments(2, ones, eye)) == pytest.approx(2048, abs=1e-8)
    rs = np.random.RandomState(2023)
    assert frechet_distance_between(rs.randn(1024, 64), rs.randn(1024, 64)) == pytest.approx(2.216407743, abs=1e-9)
    rs = np.random.RandomState(1)
    assert frechet_distance_between(rs.randn(4, 4), rs.randn(4, 4)) == pytest.approx(4.753837617, abs=1e-6)
    rs = np.random.RandomState(0)
    left, right = abs(rs.randn(100, 256)), abs(rs.randn(100, 256)) + 0.05
    assert frechet_distance_between(left, right) == pytest.approx(94.42979, abs=1e-5)
    assert abs(frechet_distance_between(left, left)) < 1e-10
    left[:, :128] = right[:, :128] = 0
    assert frechet_distance_between(left, right) == pytest.approx(30.14380, abs=1e-5)


def test_the_bias_of_small_samples_as_published() -> None:
    rng = np.random.default_rng(0)
    found = [frechet_distance_between(rng.normal(size=(n, 256)), rng.normal(size=(n, 256))) for n in (64, 2048)]
    np.testing.assert_allclose(found, [304.6, 16.5], rtol=0.05)


def test_against_a_matrix_square_root() -> None:
    rng = np.random.default_rng(1)
    left, right = rng.normal(size=(300, 7)) @ rng.normal(size=(7, 7)), rng.normal(size=(200, 7)) + 0.3
    one, other = np.cov(left.T), np.cov(right.T)
    gap = left.mean(0) - right.mean(0)
    expected = gap @ gap + np.trace(one + other - 2 * sqrtm(one @ other).real)
    assert frechet_distance_between(left, right) == pytest.approx(expected, rel=1e-9)
    assert frechet_of_moments(moments_of(left), moments_of(right)) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance_between(right, left) == pytest.approx(expected, rel=1e-9)


def test_singular_covariances_stay_exact() -> None:
    """Indicator columns that sum to one, and a category that only the candidate has."""
    rng = np.random.default_rng(2)
    left = np.hstack([np.eye(4)[rng.integers(0, 3, 400)], rng.normal(size=(400, 2))])
    right = np.hstack([np.eye(4)[rng.integers(0, 4, 400)], rng.normal(size=(400, 2))])
    one, other = moments_of(left), moments_of(right)
    values, vectors = np.linalg.eigh(one.covariance)
    root = vectors @ np.diag(np.sqrt(values.clip(min=0))) @ vectors.T
    shared = np.sqrt(np.linalg.eigvalsh(root @ other.covariance @ root).clip(min=0)).sum()
    gap = one.mean - other.mean
    expected = gap @ gap + np.trace(one.covariance + other.covariance) - 2 * shared
    assert frechet_of_moments(one, other) == pytest.approx(expected, abs=1e-7)


def test_sides_that_share_no_direction_share_nothing() -> None:
    assert shared_root(np.zeros((3, 3)), np.eye(3)) == 0.0
    assert shared_root(np.diag([1.0, 0.0]), np.diag([0.0, 2.0])) == 0.0
    assert shared_root(np.ones((2, 2)), np.array([[1.0, -1.0], [-1.0, 1.0]])) == 0.0


@pytest.mark.parametrize("ranks", [(40, 90), (90, 40), (40, 40), (60, 61), (100, 100)])
def test_low_ranks_and_dead_columns_are_those_of_a_singular_value_decomposition(ranks: tuple[int, int]) -> None:
    """Dead units of a network, fewer rows than dimensions, and variances over twelve decades."""
    rng = np.random.default_rng(4)
    scale = np.logspace(0, -6, 100)
    roots = [rng.normal(size=(100, rank)) * scale[:, None] / np.sqrt(rank) for rank in ranks]
    roots[0][[3, 50]] = roots[1][[50, 99]] = 0.0
    expected = np.linalg.svd(roots[0].T @ roots[1], compute_uv=False).sum()
    assert shared_root(*(root @ root.T for root in roots)) == pytest.approx(expected, rel=1e-9)


def test_a_group_is_left_out_by_subtraction() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(203, 5)) + 1e4
    group = random_groups(203, 20, rng)
    sums = grouped_moments(x, group, 20)
    for left_out in (None, 0, 19):
        expected = moments_of(x[group != left_out] if left_out is not None else x)
        found = sums.without(left_out)
        assert found.n == expected.n
        np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-13)
        np.testing.assert_allclose(found.covariance, expected.covariance, rtol=1e-9, atol=1e-12)


def test_rows_of_one_source_are_left_out_together() -> None:
    clusters = np.random.default_rng(0).integers(0, 90, 1000)
    group = random_groups(1000, 20, np.random.default_rng(1), clusters)
    assert all(len(set(group[clusters == c])) == 1 for c in range(90))
    assert set(group) == set(range(20))
    assert np.bincount(group).max() < 110


def draws(n: int, d: int, shift: float, seed: int) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(n, d)), rng.normal(size=(n, d)), rng.normal(size=(n, d)) * 1.2 + shift]


def test_bias_is_gone_where_plain_values_are_far_off() -> None:
    truth = 20 * (0.1**2 + 0.2**2)
    found = [value(bench(*draws(200, 20, 0.1, seed))) for seed in range(12)]
    plain = [frechet_distance_between(*draws(200, 20, 0.1, seed)[1:]) for seed in range(12)]
    assert np.mean(plain) > truth + 0.8
    assert abs(np.mean(found) - truth) < 4 * np.std(found, ddof=1) / 12**0.5


def test_a_release_equal_to_the_reference_is_at_nought_or_below() -> None:
    x = np.random.default_rng(0).normal(size=(400, 5))
    found = next(frechet_distance.values(bench(x[::-1] + 0.0, x, x), {"components": 256}))
    assert found.estimate is not None
    assert -0.1 < found.estimate.value <= 0.0
    assert abs(frechet_distance_between(x, x)) < 1e-9


def test_wide_features_are_seen_through_principal_components() -> None:
    parts = draws(90, 300, 0.0, 0)
    at = bench(*parts)
    found = next(frechet_distance.values(at, {"components": 256}))
    assert found.reason == "60 principal components"  # 90 rows at 1.5 a dimension
    assert next(frechet_distance.values(at, {"components": 8})).reason == "8 principal components"
    _, vectors = np.linalg.eigh(np.cov(np.vstack(parts).T))
    axes = vectors[:, -8:]
    rotated = bench(*(part @ axes for part in parts))
    for one, other in ((at, rotated), (at.resplit(3), rotated.resplit(3))):
        assert value(one, components=8) == pytest.approx(value(other), rel=1e-6)
    assert np.isfinite(value(at.permuted(), components=8))


def test_what_cannot_be_measured_says_so() -> None:
    found = next(frechet_distance.values(bench(*draws(30, 3, 0.0, 0)), {"components": 256}))
    assert found.status == "not_assessable"
    assert "40 rows" in found.reason
    with pytest.raises(MetricError, match="components = 0"):
        next(frechet_distance.values(bench(*draws(60, 3, 0.0, 0)), {"components": 0}))


def test_parts_name_the_column_and_the_broken_dependence() -> None:
    rng = np.random.default_rng(5)
    covariance = [[1, 0.9, 0], [0.9, 1, 0], [0, 0, 1]]
    real = rng.multivariate_normal([0, 0, 0], covariance, 2000)
    fake = rng.normal(loc=[0, 0, 1.0], size=(1000, 3))
    names = ("age", "<b>pay</b>", "hours")
    at = bench(real[:1000], real[1000:], fake, blocks=tuple(np.array([[0], [1], [2]])), block_names=names)
    found = next(frechet_distance.values(at, {"components": 256}))
    rows = {row[0]: row for row in found.evidence[0].rows}
    assert found.evidence[0].rows[0][0] == "hours"
    assert rows["hours"][2] == pytest.approx(1.0, abs=0.15)
    exact = 4 - 2 * (np.sqrt(1.9) + np.sqrt(0.1))  # independent against correlation .9, standard normal
    assert rows["between columns"][1] == pytest.approx(exact, abs=0.1)
    (panel,) = found.panels
    assert panel.data["labels"][-1] == "between columns"
    assert len(panel.data["values"]) == 4


@pytest.mark.parametrize("columns", [None, tuple(np.array([i]) for i in range(5))])
def test_the_anchor_is_far_in_tables_and_in_feature_spaces(columns: Any) -> None:
    root = np.random.default_rng(4).normal(size=(900, 1))
    rows = root + 0.5 * np.random.default_rng(5).normal(size=(900, 5))
    at = bench(rows[:300], rows[300:600], rows[600:], blocks=columns)
    nulls = [value(at.resplit(draw)) for draw in range(20)]
    assert value(at.permuted()) > np.mean(nulls) + 10 * np.std(nulls)


def test_every_view_gives_the_same_bytes_twice() -> None:
    parts = draws(120, 6, 0.1, 9)
    one, other = bench(*parts), bench(*parts)
    for first, second in ((one, other), (one.resplit(2), other.resplit(2)), (one.permuted(), other.permuted())):
        assert value(first) == value(second)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "d", "shift"), [(400, 16, 0.1), (96, 64, 0.1), (400, 16, 0.0)])
def test_the_interval_covers_the_closed_form(n: int, d: int, shift: float) -> None:
    truth = d * (shift**2 + 0.2**2)
    hits = 0
    for seed in range(150):
        found = next(frechet_distance.values(bench(*draws(n, d, shift, seed)), {"components": 256})).estimate
        assert found is not None
        hits += found.low <= truth <= found.high
    assert hits >= 150 * 0.91


@pytest.mark.parametrize("seed", range(3))
def test_fresh_rows_of_more_features_than_rows_do_not_look_small(seed: int) -> None:
    # axes of the real rows alone fitted them better than fresh ones: 38 against a floor of -2 +- 4
    at = bench(*(np.random.default_rng([seed, part]).normal(size=(60, 300)) for part in range(3)))
    floor = np.array([value(at.resplit(draw)) for draw in range(20)])
    assert abs(value(at) - floor.mean()) < 4 * floor.std()
