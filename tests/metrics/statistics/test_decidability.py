"""Whether cells are called decidable that a faithful release passes as often as is promised."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import t as student

from counterproof.metrics.statistics.decidability import (
    largest_decidable_set,
    pass_probability,
    rows_to_decide,
)


@pytest.mark.parametrize(("limit", "sigma", "sides"), [(0.02, 0.006, 1), (0.02, 0.012, 1), (0.1, 0.03, 2)])
def test_faithful_releases_pass_as_often_as_is_said(limit: float, sigma: float, sides: int) -> None:
    estimates = np.random.default_rng(0).normal(0, sigma, 200_000)
    bound = (estimates if sides == 1 else np.abs(estimates)) + 1.6449 * sigma
    told = float(pass_probability(limit, sigma, sides=1 if sides == 1 else 2))
    assert np.mean(bound <= limit) == pytest.approx(told, abs=0.004)


def test_few_draws_of_the_error_pass_less_often() -> None:
    rng = np.random.default_rng(1)
    draws = 10
    error = np.sqrt(rng.chisquare(draws, 200_000) / draws)
    passed = np.mean(rng.normal(0, 1, 200_000) + student.ppf(0.95, draws) * error <= 4)
    assert float(pass_probability(4, 1, freedom=draws)) == pytest.approx(passed, abs=0.02)
    assert float(pass_probability(4, 1, freedom=draws)) < float(pass_probability(4, 1))


def test_an_error_that_is_unknown_or_endless_decides_nothing() -> None:
    assert float(pass_probability(0.1, math.inf)) < 0.06
    assert float(pass_probability(0.1, math.nan)) == 0.0


def test_cells_pass_together_as_often_as_is_promised() -> None:
    rng = np.random.default_rng(2)
    sigma = rng.uniform(0.005, 0.06, 40)
    kept = largest_decidable_set(1 - pass_probability(0.1, sigma))
    assert 5 < kept.sum() < 40
    assert sigma[kept].max() < sigma[~kept].min()
    estimates = rng.normal(0, sigma[kept], (50_000, int(kept.sum())))
    assert np.mean((estimates + 1.6449 * sigma[kept] <= 0.1).all(1)) >= 0.969


def test_no_cell_is_decidable_where_none_is_reliable() -> None:
    assert not largest_decidable_set([0.5, 0.4]).any()
    assert largest_decidable_set([]).shape == (0,)


def test_the_rows_that_are_named_decide() -> None:
    rows = rows_to_decide(0.02, 0.03, 500)
    assert rows is not None
    assert float(pass_probability(0.02, 0.03 * math.sqrt(500 / rows))) == pytest.approx(0.9, abs=0.001)
    assert rows_to_decide(0.02, 0.0, 500) == 1
    assert rows_to_decide(-0.1, 0.03, 500) is None
    assert rows_to_decide(0.1, math.inf, 500) is None
