"""Influences agree with leaving rows out; the interval in all dimensions holds; FD∞ meets the truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.records import measured
from helpers.workbenches import bench

from counterproof.metrics.errors import MetricError
from counterproof.metrics.fidelity.frechet_distance import frechet_distance, frechet_distance_between
from counterproof.metrics.frechet.bias_corrected import (
    both_estimates,
    grouped_side,
    plain_and_corrected,
    unbiased_frechet_distance,
)
from counterproof.metrics.frechet.extrapolation import frechet_infinity, shares_of
from counterproof.metrics.frechet.influence import influence
from counterproof.metrics.metric import Value
from counterproof.metrics.sample import Floats


def pair(n: int, m: int, d: int, seed: int = 0, shift: float = 0.3) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(d, d)) / d**0.5 + np.eye(d)
    return rng.normal(size=(n, d)) @ mix, rng.normal(size=(m, d)) + shift


def singular(n: int, m: int) -> tuple[Floats, Floats]:
    """A constant column on each side, and one column twice on both."""
    left, right = pair(n, m, 6)
    left[:, 0] = 0.0
    right[:, 1] = 2.0
    left[:, 3], right[:, 3] = left[:, 2], right[:, 2]
    return left, right


@pytest.mark.parametrize(
    ("left", "right"), [pair(900, 700, 5), singular(900, 700)], ids=["full rank", "singular on both sides"]
)
def test_influence_is_leave_one_out_to_first_order(left: Floats, right: Floats) -> None:
    found = influence(left, right)
    plain = frechet_distance_between(left, right)
    assert found.value == pytest.approx(plain, abs=1e-6)
    for values, side in ((found.left, 0), (found.right, 1)):
        assert abs(values.sum()) < 1e-6
        for row in range(0, 40, 3):
            sides = [left, right]
            sides[side] = np.delete(sides[side], row, 0)
            fall = (plain - frechet_distance_between(*sides)) * (len(values) - 1)
            assert values[row] == pytest.approx(fall, abs=0.02 * values.std() + 0.02 * abs(fall))


def test_influence_of_fewer_rows_than_dimensions_is_that_of_the_span() -> None:
    """Dimensions that no row enters change nothing; the way by rows and the way by moments agree."""
    left, right = pair(90, 80, 5)
    wide = [np.hstack([side, np.zeros((len(side), 200))]) for side in (left, right)]
    narrow, by_rows = influence(left, right), influence(wide[0], wide[1])
    assert by_rows.value == pytest.approx(narrow.value, rel=1e-9)
    np.testing.assert_allclose(by_rows.left, narrow.left, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(by_rows.right, narrow.right, rtol=1e-7, atol=1e-8)


def test_float32_products_of_wide_features_keep_three_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    left, right = pair(200, 200, 40)
    exact = influence(left, right)
    monkeypatch.setattr("counterproof.metrics.frechet.influence.WIDE", 8)
    rough = influence(1e3 * left, 1e3 * right)
    np.testing.assert_allclose(rough.right / 1e6, exact.right, atol=1e-3 * exact.right.std())


def test_rows_that_do_not_vary_have_no_influence() -> None:
    found = influence(np.ones((20, 3)), np.ones((30, 3)) + 1)
    assert found.value == pytest.approx(3.0)
    assert not found.left.any()
    assert not found.right.any()


def test_planted_outliers_are_named() -> None:
    rng = np.random.default_rng(0)
    train, holdout, release = (rng.normal(size=(400, 20)) for _ in range(3))
    planted = [7, 123, 350]
    release[planted] += 6.0
    at = bench(train, holdout, release)
    found = next(frechet_distance.values(at, {}))
    (evidence,) = [e for e in found.evidence if "push the Fréchet distance up" in e.title]
    assert {row[0] for row in evidence.rows[:3]} == {str(800 + i) for i in planted}
    assert evidence.rows[2][1] > 10 * abs(evidence.rows[4][1])
    without = np.delete(release, int(evidence.rows[0][0]) - 800, 0)
    fall = frechet_distance_between(holdout, release) - frechet_distance_between(holdout, without)
    assert evidence.rows[0][2] == pytest.approx(fall, rel=0.25)


def fields(at: Any, **options: int) -> dict[str, Value]:
    return {v.field: v for v in frechet_distance.values(at, frechet_distance.configure(options))}


def test_three_conventions_beside_the_headline() -> None:
    rng = np.random.default_rng(1)
    train, holdout = rng.normal(size=(2, 300, 20))
    release = 1.2 * rng.normal(size=(300, 20)) + 0.1
    truth = 20 * (0.1**2 + 0.2**2)
    found = fields(bench(train, holdout, release))
    assert list(found) == ["value", "full", "uncorrected", "infinity"]
    for field in ("value", "full", "infinity"):
        estimate = found[field].estimate
        assert estimate is not None
        assert estimate.low < truth < estimate.high
    plain = found["uncorrected"].estimate
    assert plain is not None
    assert plain.value == pytest.approx(frechet_distance_between(holdout, release), rel=1e-9)
    assert plain.low > truth
    assert "not removed" in plain.method


def test_few_rows_for_the_dimensions_say_how_many_would_do() -> None:
    rng = np.random.default_rng(2)
    found = fields(bench(*rng.normal(size=(3, 100, 80))))
    for field in ("full", "infinity"):
        assert found[field].status == "not_assessable"
        assert "120 rows on each side" in found[field].reason
    plain = found["uncorrected"].estimate
    assert plain is not None
    assert plain.low < plain.value < plain.high
    clusters = np.arange(1200) // 4  # 400 rows of 100 sources a side
    found = fields(bench(*rng.normal(size=(3, 400, 80)), clusters=clusters))
    assert "640 sources" in found["full"].reason


def test_dimensions_that_would_take_long_are_left_out() -> None:
    at = bench(*np.random.default_rng(3).normal(size=(3, 100, 20)))
    found = fields(at, full_dimensions=19)
    assert all(found[field].status == "not_assessable" for field in ("full", "uncorrected", "infinity"))
    assert "full_dimensions = 20" in found["full"].reason
    assert list(fields(at.resplit(0), full_dimensions=19)) == ["value"]
    with pytest.raises(MetricError, match="full_dimensions = 0"):
        fields(at, full_dimensions=0)


def test_wide_features_draw_only_the_first_floors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("counterproof.metrics.frechet.full_dimensions.CHEAP", 10)
    at = bench(*np.random.default_rng(4).normal(size=(3, 100, 20)))
    assert list(fields(at.resplit(0))) == ["value", "full", "uncorrected"]
    assert list(fields(at.permuted())) == ["value", "full", "uncorrected"]
    assert list(fields(at.resplit(3))) == ["value"]


def test_the_engine_gives_floors_and_no_excess_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("counterproof.metrics.frechet.full_dimensions.CHEAP", 2)
    rng = np.random.default_rng(5)
    shared = rng.normal(size=(3, 300, 1))
    found = measured(frechet_distance, bench(*(shared + rng.normal(size=(3, 300, 4)))))
    assert ("full_excess", ()) in found
    assert ("infinity", ()) in found
    assert ("infinity_excess", ()) not in found
    full = found["full", ()]
    assert full.floor is not None
    assert full.floor.draws == 3
    assert abs(full.floor.value) < 0.1


def test_rows_of_one_source_widen_the_interval() -> None:
    rng = np.random.default_rng(6)
    sides = [np.repeat(rng.normal(size=(100, 5)), 4, axis=0) for _ in range(2)]
    sources = np.repeat(np.arange(100), 4)
    alone = both_estimates(*(grouped_side(s, np.random.default_rng(0)) for s in sides), level=0.95)[1]
    together = both_estimates(*(grouped_side(s, np.random.default_rng(0), sources) for s in sides), level=0.95)[1]
    # Four copies of each row carry the information of one: twice the error.
    assert together.high - together.low == pytest.approx(2 * (alone.high - alone.low), rel=0.05)


def test_values_alone_are_those_of_the_measurement() -> None:
    sides = [grouped_side(side, np.random.default_rng(0)) for side in pair(90, 80, 5)]
    plain, full = plain_and_corrected(sides[0], sides[1])
    estimates = both_estimates(sides[0], sides[1], level=0.95)
    assert plain == pytest.approx(estimates[0].value, rel=1e-9)
    assert full == pytest.approx(estimates[1].value, rel=1e-9)


def test_arrays_alone() -> None:
    left, right = (np.random.default_rng(s).normal(size=(400, 6)) for s in (0, 1))
    one, other = (unbiased_frechet_distance(left, right + 0.5, seed=seed) for seed in (3, 3))
    assert one == other
    assert one.low < 1.5 < one.high
    with pytest.raises(ValueError, match="450 rows on each side, not 400 and 400"):
        unbiased_frechet_distance(np.ones((400, 300)), np.ones((400, 300)))
    with pytest.raises(ValueError, match=r"\(n, d\) and \(m, d\)"):
        unbiased_frechet_distance(left, right[:, :3])


def test_infinity_is_exact_on_the_line_of_the_bias() -> None:
    """Copies of rows: the distance of the subsets scatters, the intercept stays near the truth."""
    rng = np.random.default_rng(7)
    left, right = rng.normal(size=(2, 2000, 10))
    found = frechet_infinity(left, right + 0.2, np.random.default_rng(0), rows=influence(left, right + 0.2))
    again = frechet_infinity(left, right + 0.2, np.random.default_rng(0), rows=influence(left, right + 0.2))
    assert found == again
    assert found.low < 0.4 < found.high
    assert found.high - found.low < 0.25


def test_sizes_are_those_of_dgm_eval_but_never_below_the_dimensions() -> None:
    assert (shares_of(100_000, 64)[0], len(shares_of(100_000, 64))) == (0.05, 15)
    assert shares_of(20_000, 64)[0] * 20_000 == 2000
    assert shares_of(1500, 1000)[0] * 1500 == 1000


def test_equal_rows_are_at_nought() -> None:
    x = np.random.default_rng(8).normal(size=(600, 200)) * np.geomspace(1, 1e-4, 200)
    for rows in (x, x[:150], np.hstack([x, x[:, :5]])):
        shuffled = np.random.default_rng(0).permutation(rows)
        scale = float(np.trace(np.cov(rows.T)))
        assert abs(frechet_distance_between(rows, rows)) < 1e-12 * scale
        assert abs(frechet_distance_between(rows, shuffled)) < 1e-12 * scale


@pytest.mark.slow
@pytest.mark.parametrize(("n", "d", "shift"), [(96, 64, 0.1), (96, 64, 0.0), (400, 16, 0.1), (400, 16, 0.0)])
def test_the_intervals_cover_the_closed_form(n: int, d: int, shift: float) -> None:
    truth, hits = d * (shift**2 + 0.2**2), np.zeros(2)
    for seed in range(100):
        rng = np.random.default_rng([seed, n])
        left, right = rng.normal(size=(n, d)), rng.normal(size=(n, d)) * 1.2 + shift
        sides = grouped_side(left, rng), grouped_side(right, rng)
        _, full, rows = both_estimates(*sides, level=0.95)
        for place, found in enumerate((full, frechet_infinity(left, right, rng, rows=rows))):
            hits[place] += found.low <= truth <= found.high
    assert hits.min() >= 89  # 93 and more in longer runs: tests/simulations/simulate_frechet_coverage.py
