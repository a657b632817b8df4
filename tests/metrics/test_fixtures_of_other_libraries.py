"""Thirteen values that other libraries publish or were seen to give, to their stated digits.

Numbers as in the notes on image metrics, section 5; what the libraries are is said at each.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.workbenches import bench
from numpy.typing import NDArray
from torchmetrics.image.mifid import _compute_cosine_distance

from counterproof.metrics.coverage.vendi_score import vendi_of
from counterproof.metrics.engine.mmd import kernel_distance_between
from counterproof.metrics.fidelity.cmmd import cmmd_between
from counterproof.metrics.fidelity.frechet_distance import frechet_distance_between
from counterproof.metrics.frechet.moments import Moments, frechet_of_moments, moments_of
from counterproof.metrics.leakage.copies import copies
from counterproof.metrics.prdc.balls import balls_between

Floats = NDArray[np.float64]


def both_ways(left: Floats, right: Floats) -> tuple[float, float]:
    """From rows and from moments: two ways to the same number."""
    return frechet_distance_between(left, right), frechet_of_moments(moments_of(left), moments_of(right))


def test_01_means_of_nought_and_one() -> None:
    """pytorch-fid's own test."""
    d, unit = 2048, np.eye(2048)
    zero, one = Moments(10_000, np.zeros(d), unit), Moments(10_000, np.ones(d), unit)
    assert frechet_of_moments(zero, one) == pytest.approx(2048, abs=1e-9)


def test_02_frechet_distance_of_normal_rows() -> None:
    """clean-fid, pytorch-fid, torch-fidelity and torchmetrics agree to nine decimals."""
    rs = np.random.RandomState(2023)
    for found in both_ways(rs.randn(1024, 64), rs.randn(1024, 64)):
        assert found == pytest.approx(2.216407743, abs=1e-9)


def test_03_four_rows_of_four() -> None:
    """A regression of NaN in torch-fidelity."""
    rs = np.random.RandomState(1)
    for found in both_ways(rs.randn(4, 4), rs.randn(4, 4)):
        assert found == pytest.approx(4.753837617, abs=1e-6)


@pytest.mark.parametrize(("n", "d"), [(2, 4), (16, 256), (64, 8), (1024, 32), (4096, 16)])
def test_03_rows_and_moments_agree_over_the_grid(n: int, d: int) -> None:
    """torch-fidelity's grid of rows and columns, to its five places."""
    rs = np.random.RandomState(2023)
    rows, moments = both_ways(rs.randn(n, d), rs.randn(n, d))
    assert rows == pytest.approx(moments, abs=5e-6)


@pytest.mark.parametrize(("kept", "expected"), [(slice(0), 94.42979), (slice(128), 30.14380)])
def test_04_more_dimensions_than_rows(kept: slice, expected: float) -> None:
    rs = np.random.RandomState(0)
    left, right = np.abs(rs.randn(100, 256)), np.abs(rs.randn(100, 256)) + 0.05
    left[:, kept] = right[:, kept] = 0.0
    for found in both_ways(left, right):
        assert found == pytest.approx(expected, abs=1e-5)
    for found in both_ways(left, left):
        assert found == pytest.approx(0, abs=1e-5)
    assert frechet_distance_between(left, left) == pytest.approx(0, abs=1e-12)


def test_05_kernel_distance_over_all_pairs() -> None:
    """What torch-fidelity (0.033374) and clean-fid (0.033277) come near to with 100 subsets."""
    rs = np.random.RandomState(7)
    left, right = rs.randn(2000, 64).astype(np.float32), (rs.randn(2000, 64) + 0.1).astype(np.float32)
    found = kernel_distance_between(left.astype(float), right.astype(float))
    assert found.value == pytest.approx(0.033323734, abs=2e-9)
    assert found.low < 0.033277385 < 0.033374333 < found.high


@pytest.mark.parametrize(("k", "expected"), [(3, (0.960, 0.402, 2.164667, 0.932)), (5, (0.984, 0.468, 2.1296, 0.982))])
def test_06_precision_recall_density_coverage(k: int, expected: tuple[float, ...]) -> None:
    """prdc; torch-fidelity gives the same precision and recall."""
    rs = np.random.RandomState(42)
    real = rs.randn(500, 16).astype(np.float32)
    fake = (rs.randn(500, 16) * 0.8 + 0.2).astype(np.float32)
    np.testing.assert_allclose(balls_between(real.astype(float), fake.astype(float), k).values, expected, atol=5e-7)
    assert balls_between(real.astype(float), real.astype(float), k).values[:2] == (1.0, 1.0)


def test_07_mode_collapse() -> None:
    """torch-fidelity's convention: the small set is precise and recalls nothing."""
    generator = torch.Generator().manual_seed(42)
    fake = (torch.randn(200, 16, generator=generator) * 0.1).double().numpy()
    real = (torch.randn(200, 16, generator=generator) * 3).double().numpy()
    found = balls_between(real, fake, 3)
    assert (found.precision, found.recall) == (1.0, 0.0)
    assert (round(found.density, 4), round(found.coverage, 3)) == (16.2367, 0.315)


@pytest.mark.slow
def test_08_the_readme_of_prdc() -> None:
    """Unseeded there: the values of one draw, met within three times the scatter of draws.

    Over eight seeds the four spread by 0.0125, 0.0125, 0.065 and 0.007.
    """
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(2, 10_000, 1000)).astype(np.float32)
    found = balls_between(rows[0], rows[1], 5)  # type: ignore[arg-type]
    gap = np.abs(np.subtract(found.values, (0.4772, 0.4705, 1.0555, 0.9735)))
    assert (gap < 3 * np.array([0.0125, 0.0125, 0.065, 0.007])).all()


def test_09_rows_that_are_all_the_same() -> None:
    """A row at exactly the radius lies in the ball, as in Kynkäänniemi's code and torch-fidelity; not in prdc."""
    same = np.ones((1024, 64))
    assert balls_between(same, same, 3, ties="lt").values == (0.0, 0.0, 0.0, 0.0)
    assert balls_between(same, same, 3).values[:2] == (1.0, 1.0)
    assert balls_between(same, same, 3).coverage == 1.0


def test_10_vendi_scores() -> None:
    """vendi-score's readme."""
    points = np.array([0.0, 0, 10, 10, 20, 20])
    assert vendi_of(np.exp(-np.abs(points[:, None] - points))) == pytest.approx(2.9999999959, abs=1e-9)
    kernel = np.array([[1, 0.9, 0], [0.9, 1, 0], [0, 0, 1]])
    assert vendi_of(kernel) == pytest.approx(2.1573004834, abs=1e-9)


def test_11_cmmd() -> None:
    """cmmd-pytorch computes in float32."""
    rs = np.random.RandomState(3)
    x = rs.randn(300, 32).astype(np.float32)
    y = (rs.randn(300, 32) + 0.3).astype(np.float32)
    left, right = x.astype(float), y.astype(float)
    assert cmmd_between(left, right)[1] == pytest.approx(1.0426044, abs=2e-4)
    assert cmmd_between(left, left)[1] == pytest.approx(0, abs=1e-12)


def test_12_few_rows_bias_the_plain_distance() -> None:
    """Every library: the distance of equal distributions falls like 1/n."""
    rng = np.random.default_rng(0)
    found = []
    for n in (64, 128, 256, 512, 1024, 2048):
        found.append(frechet_distance_between(rng.normal(size=(n, 256)), rng.normal(size=(n, 256))))
    np.testing.assert_allclose(found, (304.6, 227.6, 131.1, 66.5, 33.1, 16.5), atol=0.05)


def test_13_a_hundred_copies_of_four_thousand_rows() -> None:
    """torchmetrics' MiFID averages over the real rows, so that copies drown; leakage asks the release's."""
    rng = np.random.default_rng(0)
    train, holdout, fresh = rng.normal(size=(4000, 32)), rng.normal(size=(4000, 32)), rng.normal(size=(100, 32))
    copied = train[rng.permutation(4000)[:100]]

    def mifid(rows: Floats) -> float:
        return float(_compute_cosine_distance(torch.from_numpy(train), torch.from_numpy(rows), 1.0))

    assert mifid(copied) == pytest.approx(mifid(fresh), rel=0.05)
    assert "100" in alarms(train, holdout, copied)[0]
    assert alarms(train[:600], holdout[:600], fresh) == []


def alarms(train: Floats, holdout: Floats, release: Floats) -> list[str]:
    digests = np.array([row.tobytes() for row in np.concatenate([train, holdout, release])])
    found = copies.values(bench(train, holdout, release, digests=digests), {})
    return [value.alarm for value in found if value.alarm]
