"""Realism equals its formula, names the least real rows, and its intervals and floors hold together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.workbenches import bench
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from counterproof.metrics.errors import MetricError
from counterproof.metrics.fidelity import realism as module
from counterproof.metrics.fidelity.realism import MOST, realism, realism_between
from counterproof.metrics.metric import Value
from counterproof.metrics.prdc.clipped import clipped_between
from counterproof.metrics.workbench import Workbench


def radii(real: Any, k: int) -> Any:
    return np.sort(cdist(real, real), 1)[:, k]


def by_formula(real: Any, fake: Any, k: int) -> Any:
    """As the paper and dgm-eval write it: real rows with smaller radii, the largest ratio."""
    radius = radii(real, k)
    kept = radius <= np.median(radius)
    return (radius[kept][:, None] / cdist(real[kept], fake)).max(0)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 5), st.integers(8, 80), st.integers(1, 60))
def test_realism_equals_its_formula(seed: int, d: int, k: int, n: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    real, fake = rng.normal(size=(n, d)), rng.normal(size=(m, d)) * 2
    found = realism_between(real, fake, radii(real, k))
    np.testing.assert_allclose(found.score, np.minimum(by_formula(real, fake, k), MOST), rtol=1e-5)
    gap = np.linalg.norm(real[found.nearest] - fake, axis=1)
    np.testing.assert_allclose(radii(real, k)[found.nearest] / gap, found.score, rtol=1e-9)


def test_copies_are_as_real_as_can_be_and_twins_lend_nothing_to_others() -> None:
    real = np.array([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [5.0, 0.0], [9.0, 0.0]])
    found = realism_between(real, np.array([[-0.0, 0.0], [0.1, 0.0]]), radii(real, 2))
    assert found.score.tolist() == [MOST, 0.0]
    assert found.nearest[0] in (0, 1, 2)


def test_the_far_row_is_named_first_with_its_score() -> None:
    at = bench(*parts(120, far=7))
    headline, *_ = values(at)
    (table,) = headline.evidence
    release, real = at.candidate.features, at.reference.features
    scores = by_formula(real, release, 5)
    assert table.rows[0][0] == str(at.candidate.names[7])
    assert [row[1] for row in table.rows] == pytest.approx(np.sort(scores)[:10], rel=1e-5)
    assert str(int((scores < 1).sum())) in table.note


def parts(n: int, d: int = 4, *, seed: int = 0, far: int | None = None, scale: float = 1.0) -> list[Any]:
    made = list(np.random.default_rng(seed).normal(size=(3, n, d)))
    made[2] *= scale
    if far is not None:
        made[2][far] += 30
    return made


def values(at: Workbench, **options: Any) -> list[Value]:
    return list(realism.values(at, realism.configure(options)))


def numbers(at: Workbench, **options: Any) -> dict[str, Any]:
    return {v.field: v.estimate for v in values(at, **options)}


def test_headline_and_quantiles_are_those_of_the_scores() -> None:
    at = bench(*parts(150, scale=1.2))
    found = numbers(at)
    scores = by_formula(at.reference.features, at.candidate.features, 5)
    assert found["value"].value == pytest.approx((scores >= 1).mean())
    for name, share in (("q05", 0.05), ("q25", 0.25), ("median", 0.5)):
        assert found[name].value == pytest.approx(np.quantile(scores, share), rel=1e-5)
        assert 0 <= found[name].low < found[name].value < found[name].high


@pytest.mark.parametrize("queries", [40, 1000])
def test_resplits_ask_as_many_rows_as_they_may(queries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUERIES", queries)
    view = bench(*parts(150)).resplit(2)
    found = numbers(view)
    scores = by_formula(view.reference.features, view.candidate.features, 5)
    assert found["value"].value == pytest.approx((scores >= 1).mean())  # of all rows
    exact = pytest.approx(np.quantile(scores, 0.25), rel=1e-5)
    assert (found["q25"].value == exact) == (queries == 1000)
    assert found["q25"].value == pytest.approx(exact.expected, abs=0.2)


def test_headline_agrees_with_the_clipped_balls() -> None:
    train, holdout, release = parts(200, scale=1.4)
    assert numbers(bench(train, holdout, release))["value"].value == clipped_between(holdout, release).realism


def test_a_real_outliers_neighbourhood_makes_nothing_real() -> None:
    real = np.random.default_rng(0).normal(size=(100, 3))
    real[0] += 100
    found = realism_between(real, real[:1] + 20, radii(real, 5))
    assert found.score[0] < 0.1  # precision counts this row: it lies in the outlier's ball


def test_collapse_is_realistic_and_identical_rows_have_finite_numbers() -> None:
    train, holdout, release = parts(100)
    found = numbers(bench(train, holdout, np.repeat(release[:1] * 0.01, 100, axis=0)))
    assert found["value"].value == 1.0
    same = numbers(bench(*[np.ones((40, 3))] * 3))
    assert same["value"].value == 1.0
    assert same["median"].value == MOST


def test_images_are_pictured_beside_the_real_ones_and_hidden_by_default() -> None:
    for shown in (False, True):
        at = bench(*parts(60, far=3), thumbnail=lambda row: b"png", modality="image", show_real=shown)
        (panel,) = values(at)[0].panels
        assert panel.kind == "pairs"
        assert panel.shows_real == shown
        assert panel.data["pairs"][0]["synthetic"] == str(at.candidate.names[3])
        assert (panel.data["pairs"][0]["real_image"] is not None) == shown


def test_too_few_rows_say_so_and_bad_options_are_errors() -> None:
    rows = np.random.default_rng(0).normal(size=(9, 2))
    (found,) = values(bench(rows, rows[:5], rows[:1]))
    assert found.status == "not_assessable"
    with pytest.raises(MetricError, match="k = 0: Input should be greater than or equal to 1"):
        values(bench(rows, rows, rows), k=0)
    train, holdout, release = parts(60)
    release[0, 0] = np.inf
    with pytest.raises(ValueError, match="NaN or infinity"):
        values(bench(train, holdout, release))


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1.0, 1.3])
def test_intervals_hold_the_mean_at_this_size(scale: float) -> None:
    found = [numbers(bench(*parts(250, 6, seed=seed, scale=scale), seed=seed)) for seed in range(60)]
    for field in ("value", "q05", "q25", "median"):
        target = np.mean([made[field].value for made in found])
        covered = np.mean([made[field].low <= target <= made[field].high for made in found])
        assert covered >= 0.87, (field, covered)
