"""CMMD equals the published formula, its unbiased twin equals double loops, and the interval holds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from helpers.records import measured
from helpers.workbenches import bench

from counterproof.metrics.fidelity.cmmd import biased_discrepancy, cmmd, cmmd_between, gaussian_sums
from counterproof.metrics.sample import Floats
from counterproof.metrics.workbench import DRAWS


def published(left: Floats, right: Floats) -> float:
    """The formula of the published code: means over all pairs, a row with itself too."""
    one, other = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (left, right))

    def mean(x: Floats, y: Floats) -> float:
        return float(np.exp(-((x[:, None] - y[None]) ** 2).sum(-1) / (2 * 10**2)).mean())

    return 1000 * (mean(one, one) + mean(other, other) - 2 * mean(one, other))


def by_loops(left: Floats, right: Floats) -> float:
    """Unbiased, pair by pair."""

    def kernel(x: Any, y: Any) -> float:
        x, y = x / math.hypot(*x), y / math.hypot(*y)
        return math.exp(-sum((a - b) ** 2 for a, b in zip(x, y, strict=True)) / 200)

    n, m = len(left), len(right)
    one = sum(kernel(left[i], left[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    other = sum(kernel(right[i], right[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return 1000 * (one + other - 2 * sum(kernel(x, y) for x in left for y in right) / (n * m))


def fixture() -> tuple[Floats, Floats]:
    rs = np.random.RandomState(3)
    left, right = rs.randn(300, 32).astype(np.float32), (rs.randn(300, 32) + 0.3).astype(np.float32)
    return left.astype(np.float64), right.astype(np.float64)


def test_the_published_value() -> None:
    left, right = fixture()
    _, biased = cmmd_between(left, right)
    assert biased == pytest.approx(published(left, right), rel=1e-9)
    assert biased == pytest.approx(1.0424114018, abs=1e-9)
    assert biased == pytest.approx(1.0426044, abs=5e-4)  # the notes' value is float32 arithmetic, off by so much
    assert abs(cmmd_between(left, left)[1]) < 1e-12


def test_unbiased_against_double_loops() -> None:
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(31, 4)), rng.normal(size=(19, 4)) + 0.4
    assert cmmd_between(left, right)[0].value == pytest.approx(by_loops(left, right), rel=1e-9)


def test_only_directions_count_and_zero_rows_are_allowed() -> None:
    rng = np.random.default_rng(1)
    left, right = rng.normal(size=(40, 4)), rng.normal(size=(30, 4)) + 0.4
    far = left * rng.uniform(0.1, 9, (40, 1))
    assert cmmd_between(left, right)[1] == pytest.approx(cmmd_between(far, right)[1], rel=1e-10)
    left[0] = 0
    assert np.isfinite(cmmd_between(left, right)[1])


def test_blocks_and_splits_change_nothing() -> None:
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(150, 5))
    masks = rng.random((3, 150)) < 0.4
    splits = np.stack([masks, ~masks], axis=1)
    for (reference, candidate), large, small in zip(
        splits, gaussian_sums(rows, splits), gaussian_sums(rows, splits, memory=2**13), strict=True
    ):
        alone = cmmd_between(rows[reference], rows[candidate])[1]
        assert 1000 * biased_discrepancy(large) == pytest.approx(alone, rel=1e-9)
        assert 1000 * biased_discrepancy(small) == pytest.approx(alone, rel=1e-9)


def test_the_engine_makes_excess_of_it() -> None:
    rng = np.random.default_rng(3)
    good, bad = (
        measured(cmmd, bench(rng.normal(size=(300, 5)), rng.normal(size=(300, 5)), rng.normal(size=(300, 5)) + shift))
        for shift in (0.0, 0.5)
    )
    for found, fine in ((good, True), (bad, False)):
        excess, floor = found["excess", ()].estimate, found["value", ()].floor
        assert excess is not None
        assert floor is not None
        assert (excess.low <= 0) is fine
        assert abs(floor.value) < 3 * floor.spread
    floors = good["biased", ()].floor, good["value", ()].floor
    assert floors[0] is not None
    assert floors[1] is not None
    # What the likeness of rows to themselves adds: 2 / n of what two rows at right angles lose.
    assert floors[0].value - floors[1].value == pytest.approx(1000 * 2 / 300 * (1 - np.exp(-0.01)), rel=0.1)


@pytest.mark.parametrize("extra", [0, 4000])
def test_every_re_split_equals_a_pass_of_its_own(extra: int) -> None:
    rng = np.random.default_rng(4)
    at = bench(rng.normal(size=(100 + extra, 4)), rng.normal(size=(100, 4)), rng.normal(size=(90, 4)))
    assert at.pools_real == (extra == 0)
    for draw in (0, DRAWS - 1):
        view = at.resplit(draw)
        value = next(cmmd.values(view, {})).estimate
        assert value is not None
        alone = cmmd_between(view.reference.features, view.candidate.features)[0].value
        assert value.value == pytest.approx(alone, rel=1e-7, abs=1e-10)


def test_the_evidence_names_the_crowd() -> None:
    rng = np.random.default_rng(5)
    fake = rng.normal(size=(200, 4))
    fake[:60] = 3.0 + 0.01 * rng.normal(size=(60, 4))
    found = next(cmmd.values(bench(rng.normal(size=(200, 4)), rng.normal(size=(200, 4)), fake), {}))
    named = [int(row[0]) - 400 for row in found.evidence[0].rows]
    directions = fake[named] / np.linalg.norm(fake[named], axis=1, keepdims=True)
    assert (directions @ np.full(4, 0.5) > 0.95).all()


def test_rows_of_one_source_widen_the_interval() -> None:
    rng = np.random.default_rng(6)
    parts = [np.repeat(rng.normal(size=(60, 3)), 5, 0) for _ in range(3)]
    plain = next(cmmd.values(bench(*parts), {})).estimate
    grouped = next(cmmd.values(bench(*parts, clusters=np.arange(900) // 5), {})).estimate
    assert plain is not None
    assert grouped is not None
    assert 1.8 < (grouped.high - grouped.low) / (plain.high - plain.low) < 2.7


def test_bad_input_is_one_sentence() -> None:
    with pytest.raises(ValueError, match="two rows or more"):
        cmmd_between(np.zeros((1, 2)), np.zeros((5, 2)))
    with pytest.raises(ValueError, match="positive number"):
        cmmd_between(np.ones((3, 2)), np.ones((5, 2)), width=0.0)
    rng = np.random.default_rng(7)
    clusters = np.append(np.arange(120), np.full(60, 120))
    for found in cmmd.values(bench(*rng.normal(size=(3, 60, 3)), clusters=clusters), {}):
        assert (found.status, found.estimate) == ("not_assessable", None)


@pytest.mark.slow
@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_the_interval_covers_the_truth(shift: float) -> None:
    rng = np.random.default_rng(8)
    far = cmmd_between(rng.normal(size=(8000, 8)), rng.normal(size=(8000, 8)) + shift)[0].value
    truth, hits = far if shift else 0.0, 0
    for _ in range(200):
        found, _ = cmmd_between(rng.normal(size=(200, 8)), rng.normal(size=(200, 8)) + shift)
        hits += found.low <= truth <= found.high
    assert hits >= 182
