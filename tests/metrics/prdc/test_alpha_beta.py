"""α-precision and β-recall equal a naive reading of the published code; curves and floors hold together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.workbenches import bench
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from counterproof.metrics.coverage.beta_recall import beta_recall
from counterproof.metrics.errors import MetricError
from counterproof.metrics.fidelity.alpha_precision import alpha_precision
from counterproof.metrics.metric import Metric, Value
from counterproof.metrics.prdc.alpha_beta import LEVELS, alpha_precision_curve
from counterproof.metrics.workbench import Workbench

METRICS = (alpha_precision, beta_recall)


def naive(real: Any, fake: Any, k: int = 1) -> tuple[float, float]:
    """Row by row, as synthcity's eval_statistical.py defines the naive variant."""
    alphas = np.linspace(0, 1, 30)
    centre, other = real.mean(0), fake.mean(0)
    far = np.array([np.linalg.norm(x - centre) for x in fake])
    radii = np.quantile([np.linalg.norm(x - centre) for x in real], alphas) * (1 + 1e-9)
    rr, rf = cdist(real, real), cdist(real, fake)
    nearest = rf.argmin(1)
    reached = rf.min(1) <= np.sort(rr, 1)[:, k]
    typical = np.linalg.norm(fake[nearest] - other, axis=1)
    ranks = np.quantile(typical, alphas) * (1 + 1e-9)
    precision = np.array([(far <= radius).mean() for radius in radii])
    recall = np.array([(reached & (typical <= rank)).mean() for rank in ranks])
    return tuple(float(1 - abs(alphas - curve).sum() / alphas.sum()) for curve in (precision, recall))  # type: ignore[return-value]


def value(metric: Metric, at: Workbench, **options: Any) -> Value:
    (found,) = metric.values(at, metric.configure(options))
    return found


def number(metric: Metric, at: Workbench, **options: Any) -> float:
    found = value(metric, at, **options).estimate
    assert found is not None
    return found.value


def three(n: int, d: int = 5, *, seed: int = 0, scale: float = 1.0, shift: float = 0.0) -> list[Any]:
    made = list(np.random.default_rng(seed).normal(size=(3, n, d)))
    made[2] = made[2] * scale + shift
    return made


@settings(max_examples=12, deadline=None)
@given(
    st.integers(0, 10**6), st.integers(1, 8), st.integers(1, 6), st.integers(14, 60), st.integers(14, 60),
    st.floats(0.2, 3.0),
)  # fmt: skip
def test_both_equal_the_naive_code(seed: int, d: int, k: int, n: int, m: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    real, fake = rng.normal(size=(n, d)), rng.normal(size=(m, d)) * scale + 0.2
    at = bench(rng.normal(size=(n, d)), real, fake)
    precision, recall = naive(real, fake, k)
    assert number(alpha_precision, at) == pytest.approx(precision, rel=1e-9)
    assert number(beta_recall, at, k=k) == pytest.approx(recall, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("wide", [False, True])
def test_resplits_equal_the_naive_code_whether_lists_are_pooled_or_not(wide: bool) -> None:
    rng = np.random.default_rng(3)
    real = rng.normal(size=(1000 if wide else 150, 3))
    at = bench(real, real[:60] + 1, rng.normal(size=(60, 3)))
    assert at.pools_real != wide
    for draw in range(2):
        view = at.resplit(draw)
        precision, recall = naive(view.reference.features, view.candidate.features)
        assert number(alpha_precision, view) == pytest.approx(precision, rel=1e-9)
        assert number(beta_recall, view) == pytest.approx(recall, rel=1e-9)


def test_curves_of_gaussians_have_their_closed_form() -> None:
    from scipy.stats import chi2

    rng = np.random.default_rng(0)
    real, fake = (np.linalg.norm(rng.normal(size=(40_000, 6)), axis=1) for _ in range(2))
    found = alpha_precision_curve(real, fake * 1.5).share
    expected = chi2(6).cdf(chi2(6).ppf(LEVELS) / 1.5**2)
    np.testing.assert_allclose(found[:-1], expected[:-1], atol=0.012)  # the last one ends at the farthest real row


@pytest.mark.parametrize(("scale", "side"), [(0.6, 1), (1.6, -1)])
def test_the_curve_tells_on_which_side_a_release_errs(scale: float, side: int) -> None:
    (panel,) = value(alpha_precision, bench(*three(400, scale=scale))).panels
    middle = slice(8, 22)
    gap = (np.array(panel.data["release"]) - LEVELS)[middle] * side
    assert (gap > 0.1).all()
    edge = np.array(panel.data["high" if side > 0 else "low"])[middle]
    assert ((np.array(panel.data["release"])[middle] - edge) * side > 0).all()


@pytest.mark.parametrize("metric", METRICS)
def test_the_panel_holds_the_floor_of_the_resplits_and_fresh_rows_stay_in_it(metric: Metric) -> None:
    at = bench(*three(300))
    (panel,) = value(metric, at).panels
    low, release, high = (np.array(panel.data[key]) for key in ("low", "release", "high"))
    assert panel.kind == "curves"
    assert panel.data["x"] == LEVELS.tolist()
    assert (low <= high).all()
    assert ((low <= release + 1e-12) & (release <= high + 1e-12)).mean() > 0.6
    assert value(metric, at.resplit(0)).panels == ()


@pytest.mark.parametrize("metric", METRICS)
def test_real_rows_too_few_to_be_split_leave_a_value_without_a_band(metric: Metric) -> None:
    train, holdout, release = three(40)
    found = value(metric, bench(train[:5], holdout, release))
    assert found.estimate is not None
    assert found.panels == ()


def test_fresh_rows_reach_a_half_at_the_first_neighbour_in_any_dimension() -> None:
    for d in (2, 32):
        found = np.mean([number(beta_recall, bench(*three(400, d, seed=seed)).resplit(seed)) for seed in range(4)])
        assert found == pytest.approx(0.5, abs=0.05)


def test_collapse_is_typical_and_reaches_few() -> None:
    import torch

    generator = torch.Generator().manual_seed(42)
    fake = (torch.randn(200, 16, generator=generator) * 0.1).double().numpy()
    real = (torch.randn(200, 16, generator=generator) * 3).double().numpy()
    at = bench(real[:100], real[100:], fake)
    assert number(alpha_precision, at) < 0.05
    assert number(beta_recall, at) == pytest.approx(naive(real[100:], fake)[1])


def test_rows_that_are_all_the_same_reach_each_other() -> None:
    at = bench(*[np.ones((40, 3))] * 3)
    assert number(alpha_precision, at) == pytest.approx(0.0)  # every ball has radius 0 and holds all
    assert number(beta_recall, at) == pytest.approx(0.0)


def test_evidence_names_the_outermost_synthetic_rows_and_unreached_real_rows() -> None:
    train, holdout, release = three(80)
    release[11] += 50
    holdout[5] -= 50
    at = bench(train, holdout, release)
    (outer,) = value(alpha_precision, at).evidence
    assert outer.rows[0][0] == str(at.candidate.names[11])
    (bare,) = value(beta_recall, at).evidence
    reached = cdist(holdout, release).min(1) <= np.sort(cdist(holdout, holdout), 1)[:, 1]
    assert bare.note.startswith(f"{int((~reached).sum())} of 80 real rows")


@pytest.mark.parametrize("metric", METRICS)
def test_too_few_rows_say_so_and_broken_features_are_refused(metric: Metric) -> None:
    rows = np.random.default_rng(0).normal(size=(30, 2))
    few = value(metric, bench(rows, rows[:5], rows[:1]))
    assert few.status == "not_assessable"
    assert "needs 12 rows on each side" in few.reason
    train, holdout, release = three(40)
    release[0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN or infinity"):
        value(metric, bench(train, holdout, release))


def test_no_neighbour_is_an_error() -> None:
    with pytest.raises(MetricError, match="k = 0: Input should be greater than or equal to 1"):
        value(beta_recall, bench(*three(40)), k=0)


@pytest.mark.parametrize("metric", METRICS)
def test_rows_of_one_source_widen_the_interval(metric: Metric) -> None:
    rng = np.random.default_rng(1)
    parts = [np.repeat(rng.normal(size=(50, 4)), 6, axis=0) + rng.normal(size=(300, 4)) * 0.7 for _ in range(3)]
    parts[2] = parts[2] * 1.2
    ids = np.repeat(np.arange(150), 6)
    alone, together = (value(metric, bench(*parts, clusters=c)).estimate for c in (None, ids))
    assert alone is not None
    assert together is not None
    # whether a row's nearest neighbours are near depends little on the other rows of its source
    factor = 1.2 if metric is alpha_precision else 1.0
    assert together.high - together.low > factor * (alone.high - alone.low)


@pytest.mark.slow
@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (1.25, 0.0), (1.0, 0.6)])
def test_intervals_hold_the_mean_at_this_size(scale: float, shift: float) -> None:
    made: dict[str, list[Any]] = {metric.id: [] for metric in METRICS}
    for seed in range(60):
        at = bench(*three(250, 6, seed=seed, scale=scale, shift=shift), seed=seed)
        for metric in METRICS:
            made[metric.id].append(value(metric, at).estimate)
    for name, found in made.items():
        target = np.mean([e.value for e in found])
        covered = np.mean([e.low <= target <= e.high for e in found])
        assert covered >= 0.87, (name, covered)
