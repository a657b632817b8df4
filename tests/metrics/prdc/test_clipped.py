"""Clipped density and coverage equal the published code and fall in a straight line with bad rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.workbenches import bench
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.spatial.distance import cdist
from scipy.stats import beta, betabinom, binom

from counterproof.metrics.coverage.clipped_coverage import clipped_coverage
from counterproof.metrics.errors import MetricError
from counterproof.metrics.fidelity.clipped_density import clipped_density
from counterproof.metrics.metric import Metric, Value
from counterproof.metrics.prdc.clipped import clipped_between, equivalent_share, expected_cover
from counterproof.metrics.workbench import DRAWS, Workbench

METRICS = (clipped_density, clipped_coverage)


def by_formula(real: Any, fake: Any, k: int) -> tuple[float, float]:
    """Uncalibrated coverage and uncut density, ball by ball, as the paper writes them."""
    rr, rf = cdist(real, real), cdist(real, fake)
    np.fill_diagonal(rr, np.inf)
    radius = np.sort(rr, 1)[:, k - 1]
    short = np.minimum(radius, np.median(radius))
    hits = [min(k, sum(rf[i, j] <= short[i] for i in range(len(real)))) for j in range(len(fake))]
    own = [min(k, sum(rr[i, j] <= short[i] for i in range(len(real)))) for j in range(len(real))]
    held = [min(k, sum(rf[i, j] <= radius[i] for j in range(len(fake)))) for i in range(len(real))]
    return float(np.mean(hits) / np.mean(own)), float(np.mean(held) / k)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 5), st.integers(8, 50), st.integers(8, 50))
def test_both_equal_their_formulas(seed: int, d: int, k: int, n: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    real, fake = rng.normal(size=(n, d)), rng.normal(size=(m, d)) * rng.uniform(0.3, 2)
    found = clipped_between(real, fake, k)
    density, covered = by_formula(real, fake, k)
    assert found.density == pytest.approx(density, rel=1e-12)
    assert found.coverage == pytest.approx(equivalent_share(covered, n, m, k), rel=1e-12)


def published(seed: int) -> tuple[Any, Any]:
    rng = np.random.RandomState(seed)
    real = rng.randn(300, 8)
    return real, np.concatenate([rng.randn(150, 8), rng.randn(100, 8) + 6])


@pytest.mark.parametrize(
    ("seed", "k", "density", "coverage"),
    # what the authors' code (nicolassalvy/ClippedDensityCoverage, 5e477ae) gives; its coverage is a
    # count of rows over m + 1, ours lies between two counts
    [
        (0, 5, 0.5481852315394242, 0.5816733067729084),
        (1, 3, 0.5706293706293707, 0.5657370517928287),
        (2, 5, 0.5267570900123305, 0.5258964143426295),
    ],
)
def test_published_code_agrees(seed: int, k: int, density: float, coverage: float) -> None:
    real, fake = published(seed)
    found = clipped_between(real, fake, k)
    assert found.density == pytest.approx(density, rel=1e-9)
    assert found.coverage == pytest.approx(coverage, abs=1.5 / len(fake))


@pytest.mark.parametrize(("n", "m", "k"), [(50, 40, 5), (200, 30, 3), (12, 60, 1), (2000, 1500, 5)])
def test_the_expected_cover_is_that_of_a_beta_binomial(n: int, m: int, k: int) -> None:
    made = expected_cover(n, m, k)
    for fresh in (0, 1, k, m // 2, m, 2 * m):
        counts = np.arange(fresh + 1)
        exact = (np.minimum(counts, k) * betabinom.pmf(counts, fresh, k, n - k)).sum() / k
        assert made[fresh] == pytest.approx(exact, rel=1e-8, abs=1e-12)
    assert (np.diff(made) >= 0).all()


def test_the_expected_cover_is_the_integral_over_the_balls_mass() -> None:
    def within(mass: float) -> float:
        counts = np.arange(31)
        return float((np.minimum(counts, 3) * binom.pmf(counts, 30, mass)).sum() / 3 * beta.pdf(mass, 3, 37))

    assert expected_cover(40, 30, 3)[30] == pytest.approx(quad(within, 0, 1)[0], rel=1e-8)


def mixed(seed: int, share: float, n: int = 1500, d: int = 8) -> tuple[Any, Any]:
    """Real rows, and a release of which a share lies far off."""
    rng = np.random.default_rng(seed)
    bad = round(share * n)
    return rng.normal(size=(n, d)), np.concatenate([rng.normal(size=(n - bad, d)), rng.normal(size=(bad, d)) + 20])


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.75, 1.0])
def test_both_fall_in_a_straight_line_with_the_share_of_bad_rows(share: float) -> None:
    found = np.mean([clipped_between(*mixed(seed, share)).values[:2] for seed in range(3)], axis=0)
    np.testing.assert_allclose(found, 1 - share, atol=0.06)


def test_real_outliers_do_not_buy_density() -> None:
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(600, 4)), rng.normal(size=(600, 4)) * 6
    outliers = np.concatenate([real, rng.normal(size=(40, 4)) * 20])
    clean, bent = clipped_between(real, fake), clipped_between(outliers, fake)
    assert abs(bent.density - clean.density) < 0.02


def test_collapse_is_dense_and_covers_little() -> None:
    import torch

    generator = torch.Generator().manual_seed(42)
    fake = (torch.randn(200, 16, generator=generator) * 0.1).double().numpy()
    real = (torch.randn(200, 16, generator=generator) * 3).double().numpy()
    found = clipped_between(real, fake, 3)
    assert found.density >= 1  # density says 16.2 of the same rows
    assert found.coverage < 0.5
    assert found.realism == 1.0


def test_rows_that_are_all_the_same_are_good() -> None:
    same = np.ones((128, 8))
    found = clipped_between(same, same, 3)
    assert (found.density, found.realism) == (1.0, 1.0)
    assert found.coverage >= 1


@pytest.mark.parametrize("k", [0, 40])
def test_neighbours_that_are_not_there_are_refused(k: int) -> None:
    rows = np.random.default_rng(0).normal(size=(40, 3))
    with pytest.raises(ValueError, match="rows on each side"):
        clipped_between(rows, rows, k)


def three(n: int, d: int = 5, *, seed: int = 0, scale: float = 1.0) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [*rng.normal(size=(2, n, d)), rng.normal(size=(n - 20, d)) * scale]


def value(metric: Metric, at: Workbench, **options: Any) -> Value:
    (found,) = metric.values(at, metric.configure(options))
    return found


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("scale", [0.5, 1.0, 1.5])
def test_value_interval_and_floor_stay_on_zero_to_one(metric: Metric, scale: float) -> None:
    at = bench(*three(300, scale=scale))
    found = value(metric, at).estimate
    assert found is not None
    assert 0 <= found.low <= found.value <= found.high <= 1
    null = [value(metric, at.resplit(draw)).estimate for draw in range(3)]
    assert all(e is not None and 0.7 < e.value <= 1 for e in null)


@pytest.mark.parametrize("metric", METRICS)
def test_the_measurement_is_the_pure_function_of_the_rows(metric: Metric) -> None:
    train, holdout, release = three(250, scale=1.3)
    found = value(metric, bench(train, holdout, release), k=4).estimate
    pure = clipped_between(holdout, release, 4)
    assert found is not None
    assert found.value == pytest.approx(pure.density if metric is clipped_density else pure.coverage)


@pytest.mark.parametrize("metric", METRICS)
def test_a_resplit_reads_the_pooled_lists_and_gets_what_its_rows_give(metric: Metric) -> None:
    view = bench(*three(200)).resplit(3)
    found = value(metric, view).estimate
    pure = clipped_between(view.reference.features, view.candidate.features, 5)
    assert found is not None
    assert found.value == pytest.approx(min(1, pure.density if metric is clipped_density else pure.coverage))


@pytest.mark.parametrize("metric", METRICS)
def test_too_few_rows_are_not_assessable_and_no_neighbour_is_an_error(metric: Metric) -> None:
    rows = np.random.default_rng(0).normal(size=(9, 2))
    found = value(metric, bench(rows, rows[:5], rows[:1]))
    assert found.status == "not_assessable"
    assert "needs 12 rows on each side" in found.reason
    with pytest.raises(MetricError, match="k = 0: Input should be greater than or equal to 1"):
        value(metric, bench(rows, rows, rows), k=0)


@pytest.mark.parametrize("metric", METRICS)
def test_features_that_are_not_numbers_are_refused(metric: Metric) -> None:
    train, holdout, release = three(60)
    release[3, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        value(metric, bench(train, holdout, release))


@pytest.mark.parametrize("metric", METRICS)
def test_rows_of_one_source_widen_the_interval(metric: Metric) -> None:
    rng = np.random.default_rng(1)
    parts = [np.repeat(rng.normal(size=(60, 4)), 6, axis=0) + rng.normal(size=(360, 4)) * 0.7 for _ in range(3)]
    parts[2] = parts[2] * 1.2
    ids = np.repeat(np.arange(180), 6)
    alone, together = (value(metric, bench(*parts, clusters=c)).estimate for c in (None, ids))
    assert alone is not None
    assert together is not None
    assert together.high - together.low > 1.3 * (alone.high - alone.low)


@pytest.mark.slow
@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (1.25, 0.0), (1.0, 0.6)])
def test_intervals_hold_the_mean_at_this_size(scale: float, shift: float) -> None:
    made: dict[str, list[Any]] = {metric.id: [] for metric in METRICS}
    for seed in range(60):
        rng = np.random.default_rng(seed)
        train, holdout, release = rng.normal(size=(3, 250, 6))
        at = bench(train, holdout, release * scale + shift, seed=seed)
        for metric in METRICS:
            made[metric.id].append(value(metric, at).estimate)
    for found in made.values():  # 60 repeats: 93 % less two standard errors
        target = np.mean([e.value for e in found])
        covered = np.mean([e.low <= target <= e.high for e in found])
        assert covered >= 0.87, covered


def test_floors_come_from_as_many_resplits_as_are_planned() -> None:
    assert {metric.draws for metric in METRICS} == {DRAWS}
