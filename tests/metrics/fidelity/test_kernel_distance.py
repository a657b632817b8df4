"""The kernel distance equals double loops and published values, and its interval holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.workbenches import bench

from counterproof.metrics.engine.kernel_sums import kernel_sums, split_sums, within_sums
from counterproof.metrics.engine.mmd import kernel_distance_between
from counterproof.metrics.fidelity.kernel_distance import kernel_distance
from counterproof.metrics.workbench import DRAWS, Workbench


def by_loops(left: Any, right: Any) -> float:
    """Unbiased squared MMD, pair by pair."""

    def kernel(x: Any, y: Any) -> float:
        return float((sum(a * b for a, b in zip(x, y, strict=True)) / len(x) + 1) ** 3)

    n, m = len(left), len(right)
    one = sum(kernel(left[i], left[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    other = sum(kernel(right[i], right[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return one + other - 2 * sum(kernel(x, y) for x in left for y in right) / (n * m)


def value(at: Workbench) -> float:
    (found,) = kernel_distance.values(at, {})
    assert found.estimate is not None
    return found.estimate.value


def test_published_value() -> None:
    rs = np.random.RandomState(7)
    left = rs.randn(2000, 64).astype(np.float32)
    right = (rs.randn(2000, 64) + 0.1).astype(np.float32)
    assert kernel_distance_between(left.astype(float), right.astype(float)).value == pytest.approx(
        0.033323734, abs=2e-9
    )


def test_against_double_loops() -> None:
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(37, 3)), rng.normal(size=(23, 3)) + 0.4
    assert kernel_distance_between(left, right).value == pytest.approx(by_loops(left, right), rel=1e-11)
    assert kernel_distance_between(left, right).value == pytest.approx(kernel_distance_between(right, left).value)


def test_against_torchmetrics() -> None:
    torch = pytest.importorskip("torch")
    kid = pytest.importorskip("torchmetrics.image.kid")
    rng = np.random.default_rng(1)
    left, right = rng.normal(size=(300, 8)), rng.normal(size=(300, 8)) * 1.2
    theirs = kid.poly_mmd(torch.from_numpy(left), torch.from_numpy(right))
    assert kernel_distance_between(left, right).value == pytest.approx(float(theirs), rel=1e-10)


def test_one_pass_serves_any_mask_and_any_block() -> None:
    rng = np.random.default_rng(2)
    x, masks = rng.normal(size=(130, 5)), rng.random((130, 7)) < 0.4
    kernel = (x @ x.T / 5 + 1) ** 3
    np.fill_diagonal(kernel, 0)
    np.testing.assert_allclose(within_sums(x, masks), kernel @ masks, rtol=1e-12)
    np.testing.assert_allclose(within_sums(x, masks, memory=2**15), kernel @ masks, rtol=1e-12)
    splits = np.stack([masks.T[:3], ~masks.T[:3]], axis=1)
    for (reference, candidate), sums in zip(splits, split_sums(x, splits), strict=True):
        alone = kernel_sums(x[reference], x[candidate])
        for name in vars(sums):
            np.testing.assert_allclose(getattr(sums, name), getattr(alone, name), rtol=1e-11)


@pytest.mark.parametrize("extra", [0, 9000])
def test_every_re_split_equals_a_pass_of_its_own(extra: int) -> None:
    rng = np.random.default_rng(3)
    at = bench(rng.normal(size=(150 + extra, 4)), rng.normal(size=(150, 4)), rng.normal(size=(120, 4)))
    assert at.pools_real == (extra == 0)
    for draw in (0, DRAWS - 1):
        view = at.resplit(draw)
        assert value(view) == pytest.approx(
            kernel_distance_between(view.reference.features, view.candidate.features).value, abs=1e-6
        )


def test_the_anchor_is_far_and_the_null_is_near() -> None:
    rng = np.random.default_rng(4)
    root = rng.normal(size=(900, 1))
    rows = np.hstack([root + 0.2 * rng.normal(size=(900, 1)) for _ in range(5)])
    columns = tuple(np.array([i]) for i in range(5))
    at = bench(rows[:300], rows[300:600], rows[600:], blocks=columns)
    nulls = [value(at.resplit(draw)) for draw in range(DRAWS)]
    assert value(at.permuted()) > np.mean(nulls) + 5 * np.std(nulls)
    assert abs(value(at) - np.mean(nulls)) < 4 * np.std(nulls)


def test_the_evidence_names_the_crowd() -> None:
    rng = np.random.default_rng(5)
    fake = rng.normal(size=(300, 4))
    fake[:12] = 3.0
    (found,) = kernel_distance.values(bench(rng.normal(size=(300, 4)), rng.normal(size=(300, 4)), fake), {})
    assert {row[0] for row in found.evidence[0].rows} <= {str(600 + i) for i in range(12)}
    assert not found.evidence[0].shows_real


def test_rows_of_one_source_widen_the_interval() -> None:
    rng = np.random.default_rng(6)
    parts = [np.repeat(rng.normal(size=(60, 3)), 5, 0) for _ in range(3)]
    plain = next(kernel_distance.values(bench(*parts), {})).estimate
    grouped = next(kernel_distance.values(bench(*parts, clusters=np.arange(900) // 5), {})).estimate
    assert plain is not None
    assert grouped is not None
    assert 1.8 < (grouped.high - grouped.low) / (plain.high - plain.low) < 2.7  # about the root of 5


def test_a_side_of_one_source_has_no_interval() -> None:
    rng = np.random.default_rng(6)
    clusters = np.append(np.arange(120), np.full(60, 120))
    (found,) = kernel_distance.values(bench(*rng.normal(size=(3, 60, 3)), clusters=clusters), {})
    assert (found.status, found.estimate) == ("not_assessable", None)
    assert "one source" in found.reason


def test_one_row_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="two rows or more"):
        kernel_distance_between(np.zeros((1, 2)), np.zeros((5, 2)))


@pytest.mark.slow
@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_the_interval_covers_the_truth(shift: float) -> None:
    """Truth by the same U-statistic on 12,000 rows a side; 95 % of the intervals hold it, give or take."""
    rng = np.random.default_rng(8)
    truth = kernel_distance_between(rng.normal(size=(12_000, 8)), rng.normal(size=(12_000, 8)) + shift).value
    truth = truth if shift else 0.0
    hits = 0
    for _ in range(200):
        found = kernel_distance_between(rng.normal(size=(300, 8)), rng.normal(size=(300, 8)) + shift)
        hits += found.low <= truth <= found.high
    assert hits >= 180
