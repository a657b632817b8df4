"""Interval methods against closed forms, published examples and brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers.reference_statistics import delong_change, newcombe_sidak
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import binom, norm, poisson
from scipy.stats import t as student

from counterproof.metrics.statistics.auc import auc_parts, delong_auc
from counterproof.metrics.statistics.proportions import (
    clopper_pearson,
    newcombe,
    paired_error,
    poisson_upper,
    wilson,
)
from counterproof.metrics.statistics.variance import parts_error, with_refits

Z = norm.ppf(0.975)


@pytest.mark.parametrize(("k", "n"), [(1, 10), (7, 10), (3, 400), (399, 400), (50, 100)])
def test_wilson_ends_solve_the_score_equation(k: int, n: int) -> None:
    e = wilson(k, n)
    for end in (e.low, e.high):
        assert abs(k / n - end) == pytest.approx(Z * math.sqrt(end * (1 - end) / n), rel=1e-9)


def test_wilson_keeps_the_ends_of_the_unit_interval() -> None:
    assert wilson(0, 5).low == 0.0
    assert wilson(5, 5).high == 1.0
    assert wilson(5, 5).low == pytest.approx(5 / (5 + Z * Z))


@pytest.mark.parametrize(("k", "n"), [(1, 10), (7, 10), (3, 400), (10, 10)])
def test_clopper_pearson_ends_leave_half_of_alpha_in_each_tail(k: int, n: int) -> None:
    e = clopper_pearson(k, n)
    assert binom.sf(k - 1, n, e.low) == pytest.approx(0.025)
    if k < n:
        assert binom.cdf(k, n, e.high) == pytest.approx(0.025)
    else:
        assert e.high == 1.0


def test_clopper_pearson_at_zero_is_the_rule_of_three() -> None:
    e = clopper_pearson(0, 1000)
    assert e.low == 0.0
    assert e.high == pytest.approx(1 - 0.025 ** (1 / 1000))


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [
        ((56, 70, 48, 80), 0.0524, 0.3339),  # Newcombe 1998, table II, method 10, examples (a) to (h)
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((6, 7, 2, 7), 0.0582, 0.8062),
        ((5, 56, 0, 29), -0.0381, 0.1926),
        ((0, 10, 0, 20), -0.1611, 0.2775),
        ((0, 10, 0, 10), -0.2775, 0.2775),
        ((10, 10, 0, 20), 0.6791, 1.0000),
        ((10, 10, 0, 10), 0.6075, 1.0000),
    ],
)
def test_newcombe_gives_the_published_examples(counts: tuple[int, int, int, int], low: float, high: float) -> None:
    e = newcombe(*counts)
    assert (round(e.low, 4), round(e.high, 4)) == (low, high)


def test_the_gap_of_two_groups_is_the_absolute_newcombe_interval() -> None:
    e, pair = newcombe_sidak([30, 60], [100, 100]), newcombe(60, 100, 30, 100)
    assert (e.value, e.low, e.high) == pytest.approx((pair.value, pair.low, pair.high))


def test_the_gap_of_many_groups_is_the_envelope_of_all_pairs() -> None:
    hits, sizes = [30, 45, 8, 2], [100, 90, 10, 40]
    pairs = [
        newcombe(hits[i], sizes[i], hits[j], sizes[j], 0.95 ** (1 / 6)) for i in range(4) for j in range(4) if i != j
    ]
    e = newcombe_sidak(hits, sizes)
    assert e.value == pytest.approx(max(p.value for p in pairs))
    assert e.low == pytest.approx(max(p.low for p in pairs))
    assert e.high == pytest.approx(min(1.0, max(p.high for p in pairs)))


def test_a_tiny_group_never_gives_a_point_interval() -> None:
    e = newcombe_sidak([5, 5], [5, 5])
    assert (e.value, e.low) == (0.0, 0.0)
    assert e.high > 0.4
    assert paired_error(0, 0, 5) > 0.2


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 30), st.integers(1, 30))
def test_newcombe_holds_its_value_and_turns_with_its_sides(a: int, b: int, m: int, n: int) -> None:
    k1, k2 = min(a, m), min(b, n)
    e, turned = newcombe(k1, m, k2, n), newcombe(k2, n, k1, m)
    assert -1 - 1e-12 <= e.low <= e.value <= e.high <= 1 + 1e-12
    assert (e.low, e.high) == pytest.approx((-turned.high, -turned.low))


@pytest.mark.parametrize("bad", [(-1, 5), (6, 5), (0, 0)])
def test_impossible_counts_are_refused(bad: tuple[int, int]) -> None:
    for method in (wilson, clopper_pearson):
        with pytest.raises(ValueError, match="no proportion"):
            method(*bad)
    with pytest.raises(ValueError, match="at least two groups"):
        newcombe_sidak([1], [2])


def _brute_force(scores: np.ndarray, positive: np.ndarray) -> tuple[float, float]:
    wins = np.where(
        scores[positive][:, None] == scores[~positive][None, :],
        0.5,
        (scores[positive][:, None] > scores[~positive][None, :]).astype(float),
    )
    m, n = wins.shape
    return wins.mean(), math.sqrt(wins.mean(1).var(ddof=1) / m + wins.mean(0).var(ddof=1) / n)


def test_delong_equals_brute_force_with_ties() -> None:
    rng = np.random.default_rng(3)
    scores, positive = np.round(rng.normal(size=120), 1), rng.random(120) < 0.3
    assert delong_auc(scores, positive) == pytest.approx(_brute_force(scores, positive))


def test_the_paired_change_uses_the_covariance_of_placements() -> None:
    rng = np.random.default_rng(4)
    positive = rng.random(200) < 0.4
    base = rng.normal(size=200) + positive
    first, second = base + 0.3 * rng.normal(size=200), base + 0.3 * rng.normal(size=200)

    def placements(s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        wins = (s[positive][:, None] > s[~positive][None, :]).astype(float)
        return wins.mean(1), wins.mean(0)

    (a10, a01), (b10, b01) = placements(first), placements(second)
    s10, s01 = np.cov(np.stack([a10, b10])), np.cov(np.stack([a01, b01]))
    covariance = s10 / positive.sum() + s01 / (~positive).sum()
    change, error = delong_change(first, second, positive)
    assert change == pytest.approx(a10.mean() - b10.mean())
    assert error == pytest.approx(math.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]))
    assert delong_change(first, first, positive) == (0.0, 0.0)


def test_parts_of_an_area_sum_to_zero_and_turn_with_the_labels() -> None:
    rng = np.random.default_rng(5)
    scores, positive = rng.normal(size=50), rng.random(50) < 0.5
    auc, parts = auc_parts(scores, positive)
    turned, turned_parts = auc_parts(-scores, ~positive)
    assert parts.sum() == pytest.approx(0.0, abs=1e-12)
    assert turned == pytest.approx(auc)
    assert turned_parts == pytest.approx(parts)


def test_one_class_has_no_area() -> None:
    with pytest.raises(ValueError, match="both classes"):
        delong_auc([0.1, 0.2], [True, True])


@pytest.mark.parametrize("count", [0, 3, 40])
def test_the_poisson_bound_leaves_five_percent_below(count: int) -> None:
    mean = brentq(lambda mu: poisson.cdf(count, mu) - 0.05, 1e-9, 200)
    assert poisson_upper(count) == pytest.approx(mean)


def test_errors_from_parts_are_the_error_of_a_mean_and_respect_clusters() -> None:
    x = np.random.default_rng(6).normal(size=40)
    parts = (x - x.mean()) / 40
    assert parts_error(parts) == pytest.approx(x.std(ddof=1) / math.sqrt(40))
    twice = np.repeat(parts, 2) / 2  # every row stands twice: no new information
    assert parts_error(twice, np.repeat(np.arange(40), 2)) == pytest.approx(parts_error(parts))
    assert parts_error(twice) < parts_error(parts)


def test_refits_widen_the_interval_by_student() -> None:
    alone = with_refits(0.0, sampling=1.0, refit=0.0, draws=10)
    assert alone.high == pytest.approx(Z)
    refit = with_refits(0.0, sampling=0.0, refit=1.0, draws=10)
    assert refit.high == pytest.approx(student.ppf(0.975, 10))
    both = with_refits(0.0, sampling=1.0, refit=1.0, draws=10)
    assert both.high == pytest.approx(student.ppf(0.975, 40) * math.sqrt(2))


@pytest.mark.slow
@pytest.mark.parametrize("groups", [2, 5, 10])
@pytest.mark.parametrize("gap", [0.0, 0.1])
def test_the_simultaneous_gap_covers_the_true_gap(groups: int, gap: float) -> None:
    rng = np.random.default_rng([groups, int(gap * 10)])
    truth = np.full(groups, 0.3)
    truth[0] += gap
    sizes = [1000 // groups] * groups
    runs = [newcombe_sidak(list(rng.binomial(sizes, truth)), sizes) for _ in range(2000)]
    covered = np.mean([e.low <= gap <= e.high for e in runs])
    assert covered >= 0.93
