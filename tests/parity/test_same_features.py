"""On the same features every library gives our number, to a millionth."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from counterproof.metrics.engine.mmd import kernel_distance_between
from counterproof.metrics.fidelity.frechet_distance import frechet_distance_between
from counterproof.metrics.integrations.meters import FrechetDistance
from counterproof.metrics.prdc.balls import balls_between

pytestmark = pytest.mark.filterwarnings("ignore")
Peer = Callable[[str], ModuleType]
NEAR = 1e-6
SHAPES = [(1200, 1000, 32), (600, 700, 256)]


def features(n: int, m: int, d: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(d)
    mixed = rng.normal(size=(d, d)) / d**0.5
    left = np.maximum(rng.normal(size=(n, d)) @ mixed, -0.3)
    return left.astype(np.float32).astype(float), (rng.gamma(2.0, size=(m, d)) @ mixed).astype(np.float32).astype(float)


def close(found: float, wanted: float, near: float = NEAR) -> None:
    print(f"{abs(found - wanted) / abs(wanted):.1e} relative")
    assert found == pytest.approx(wanted, rel=near)


@pytest.mark.parametrize("shape", SHAPES)
def test_frechet_distance_of_clean_fid(peer: Peer, shape: tuple[int, int, int]) -> None:
    left, right = features(*shape)
    close(frechet_distance_between(left, right), peer("cleanfid.fid").fid_from_feats(left, right))


@pytest.mark.parametrize("shape", SHAPES)
def test_frechet_distance_of_torch_fidelity(peer: Peer, shape: tuple[int, int, int]) -> None:
    fid = peer("torch_fidelity.metric_fid")
    left, right = features(*shape)
    stats = [fid.fid_features_to_statistics(torch.from_numpy(side)) for side in (left, right)]
    found = fid.fid_statistics_to_metric(*stats, verbose=False)["frechet_inception_distance"]
    close(frechet_distance_between(left, right), found)


@pytest.mark.parametrize("shape", SHAPES)
def test_frechet_distance_of_torchmetrics(shape: tuple[int, int, int]) -> None:
    left, right = features(*shape)
    through: Any = torch.nn.Identity()
    through.num_features = shape[2]
    theirs, ours = FrechetInceptionDistance(feature=through), FrechetDistance()
    for side, real in ((left, True), (right, False)):
        for rows in torch.from_numpy(side).split(100):
            theirs.update(rows, real=real)
            ours.update(rows, real=real)
    close(frechet_distance_between(left, right), float(theirs.compute()))
    close(float(ours.compute()), float(theirs.compute()))


def test_kernel_distance_of_clean_fid(peer: Peer) -> None:
    """One subset of all rows leaves no luck."""
    left, right = features(900, 900, 64)
    found = peer("cleanfid.fid").kernel_distance(left, right, num_subsets=1, max_subset_size=900)
    close(kernel_distance_between(left, right).value, found)


def test_kernel_distance_of_torch_fidelity(peer: Peer) -> None:
    kid = peer("torch_fidelity.metric_kid")
    left, right = features(900, 900, 64)
    found = kid.kid_features_to_metric(
        torch.from_numpy(left), torch.from_numpy(right), kid_subsets=1, kid_subset_size=900, verbose=False
    )
    close(kernel_distance_between(left, right).value, found["kernel_inception_distance_mean"])


def test_kernel_distance_of_torchmetrics() -> None:
    left, right = features(900, 900, 64)
    kid = KernelInceptionDistance(feature=torch.nn.Identity(), subsets=1, subset_size=900)
    kid.update(torch.from_numpy(left), real=True)
    kid.update(torch.from_numpy(right), real=False)
    close(kernel_distance_between(left, right).value, float(kid.compute()[0]))


def test_subsets_of_torch_fidelity_scatter_around_all_pairs(peer: Peer) -> None:
    """Fixture 5: the published 100 subsets of 1,000 of 2,000 rows."""
    rs = np.random.RandomState(7)
    left = rs.randn(2000, 64).astype(np.float32)
    right = (rs.randn(2000, 64) + 0.1).astype(np.float32)
    kid = peer("torch_fidelity.metric_kid")
    found = kid.kid_features_to_metric(torch.from_numpy(left), torch.from_numpy(right), verbose=False)
    mean, deviation = found["kernel_inception_distance_mean"], found["kernel_inception_distance_std"]
    assert mean == pytest.approx(0.033374333, abs=1e-6)
    ours = kernel_distance_between(left.astype(float), right.astype(float)).value
    assert abs(mean - ours) < 3 * deviation / 100**0.5


@pytest.mark.parametrize("k", [3, 5])
def test_precision_recall_density_coverage_of_prdc(peer: Peer, k: int) -> None:
    """Without ties ``<`` and ``<=`` are one; among rows on a lattice, ``<`` is theirs."""
    real, fake = features(700, 600, 24)
    found = peer("prdc").compute_prdc(real_features=real, fake_features=fake, nearest_k=k)
    ours = dict(zip(("precision", "recall", "density", "coverage"), balls_between(real, fake, k).values, strict=True))
    assert ours == pytest.approx(found, rel=NEAR)
    real, fake = (np.random.default_rng(k).integers(0, 4, (2, 300, 3))).astype(float)
    found = peer("prdc").compute_prdc(real_features=real, fake_features=fake, nearest_k=k)
    tied = balls_between(real, fake, k, ties="lt").values
    assert tied == pytest.approx([found[name] for name in ours], rel=NEAR)


@pytest.mark.parametrize("k", [3, 5])
def test_precision_and_recall_of_torch_fidelity(peer: Peer, k: int) -> None:
    real, fake = features(700, 600, 24)
    found = peer("torch_fidelity.metric_prc").prc_features_to_metric(
        torch.from_numpy(fake), torch.from_numpy(real), prc_neighborhood=k, verbose=False
    )
    ours = balls_between(real, fake, k)
    assert (ours.precision, ours.recall) == pytest.approx((found["precision"], found["recall"]), rel=NEAR)


def test_all_the_same_rows_lie_on_each_other_for_torch_fidelity_and_not_for_prdc(peer: Peer) -> None:
    """Fixture 9: the tie rule."""
    same = np.ones((1024, 64))
    theirs = peer("torch_fidelity.metric_prc").prc_features_to_metric(
        torch.from_numpy(same), torch.from_numpy(same), verbose=False
    )
    ours = balls_between(same, same, 3)
    assert (ours.precision, ours.recall) == (theirs["precision"], theirs["recall"]) == (1, 1)
    assert set(peer("prdc").compute_prdc(same, same, 3).values()) == {0.0}
