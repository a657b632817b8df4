"""Precision, recall, density and coverage equal their formulas; intervals and floors hold together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers.workbenches import bench
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from counterproof.metrics.coverage.coverage import coverage
from counterproof.metrics.coverage.recall import recall
from counterproof.metrics.errors import MetricError
from counterproof.metrics.fidelity.density import density
from counterproof.metrics.fidelity.precision import precision
from counterproof.metrics.metric import Metric
from counterproof.metrics.prdc.balls import balls_between
from counterproof.metrics.workbench import DRAWS, Workbench

METRICS = (precision, recall, density, coverage)


def by_formula(real: Any, fake: Any, k: int) -> tuple[float, float, float, float]:
    """The four as prdc 0.2 writes them, with ``<=``."""
    rr, ff, rf = cdist(real, real), cdist(fake, fake), cdist(real, fake)
    # A coincidence of decimals must tie as the numbers do.
    rr, ff, rf = rr.round(9), ff.round(9), rf.round(9)
    radius, other = np.sort(rr, 1)[:, k], np.sort(ff, 1)[:, k]
    return (
        float((rf <= radius[:, None]).any(0).mean()),
        float((rf <= other[None]).any(1).mean()),
        float((rf <= radius[:, None]).sum() / (k * len(fake))),
        float((rf.min(1) <= radius).mean()),
    )


def value(metric: Metric, at: Workbench, **options: Any) -> float:
    (found,) = metric.values(at, metric.configure(options))
    assert found.estimate is not None
    return found.estimate.value


@pytest.mark.parametrize(("k", "expected"), [(3, (0.960, 0.402, 2.164667, 0.932)), (5, (0.984, 0.468, 2.1296, 0.982))])
def test_published_values(k: int, expected: tuple[float, ...]) -> None:
    rs = np.random.RandomState(42)
    real = rs.randn(500, 16).astype(np.float32).astype(float)
    fake = (rs.randn(500, 16) * 0.8 + 0.2).astype(np.float32).astype(float)
    found = balls_between(real, fake, k).values
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(found, by_formula(real, fake, k), rtol=1e-12)
    assert balls_between(real, real, k).values[:2] == (1.0, 1.0)


def test_collapse_is_precise_and_recalls_nothing() -> None:
    generator = torch.Generator().manual_seed(42)
    fake = (torch.randn(200, 16, generator=generator) * 0.1).double().numpy()
    real = (torch.randn(200, 16, generator=generator) * 3).double().numpy()
    found = balls_between(real, fake, 3)
    assert (found.precision, found.recall) == (1.0, 0.0)
    assert found.density == pytest.approx(16.2367, abs=1e-4)
    assert found.coverage == pytest.approx(0.315)


def test_rows_that_are_all_the_same_lie_on_each_other() -> None:
    same = np.ones((1024, 64))
    assert balls_between(same, same, 3).values == (1.0, 1.0, 1024 / 3, 1.0)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 4), st.integers(5, 60), st.integers(5, 60))
def test_lattices_full_of_ties_and_twins(seed: int, d: int, k: int, n: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    real, fake = rng.integers(0, 4, (n, d)) * 0.1, rng.integers(0, 4, (m, d)) * 0.1
    np.testing.assert_allclose(balls_between(real, fake, k).values, by_formula(real, fake, k), rtol=1e-12)


def three(n: int = 400, d: int = 6, *, seed: int = 0, extra: int = 0) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(size, d)) for size in (n + extra, n, n - 50)]


@pytest.mark.parametrize(("extra", "memory"), [(0, 2**28), (900, 2**28), (900, 200_000), (12_000, 2**28)])
def test_every_re_split_equals_a_search_of_its_own(extra: int, memory: int) -> None:
    """Whether the re-splits share one set of lists, find them cut too short, or each make their own."""
    at = bench(*three(200, 3, extra=extra), memory=memory)
    assert at.pools_real == (extra < 5000)
    for draw in (0, 7, DRAWS - 1):
        view = at.resplit(draw)
        expected = by_formula(view.reference.features, view.candidate.features, 5)
        np.testing.assert_allclose([value(metric, view) for metric in METRICS], expected, rtol=1e-12)


def test_the_measurement_equals_the_formula_and_is_the_same_twice() -> None:
    parts = three()
    expected = by_formula(parts[1], parts[2], 3)
    first = [next(metric.values(bench(*parts), {"k": 3})) for metric in METRICS]
    again = [next(metric.values(bench(*parts, memory=2**22), {"k": 3})) for metric in METRICS]
    for found, other, wanted in zip(first, again, expected, strict=True):
        assert found.estimate is not None
        assert found.estimate == other.estimate
        assert found.estimate.value == pytest.approx(wanted, rel=1e-12)
        assert 0 < found.estimate.high - found.estimate.low < 0.4


def test_the_interval_matches_the_scatter_of_fresh_samples() -> None:
    widths, values = [], []
    for seed in range(12):
        found = next(coverage.values(bench(*three(300, 4, seed=seed)), {"k": 5}))
        assert found.estimate is not None
        widths.append((found.estimate.high - found.estimate.low) / 2 / 1.96)
        values.append(found.estimate.value)
    assert 0.6 < np.mean(widths) / np.std(values, ddof=1) < 2.5


def test_rows_of_one_source_widen_the_interval() -> None:
    rng = np.random.default_rng(0)
    parts = [np.repeat(rng.normal(size=(60, 4)), 5, 0) + 0.3 * rng.normal(size=(300, 4)) for _ in range(3)]
    clusters = np.arange(900) // 5
    plain = next(coverage.values(bench(*parts), {"k": 5})).estimate
    grouped = next(coverage.values(bench(*parts, clusters=clusters), {"k": 5})).estimate
    assert plain is not None
    assert grouped is not None
    assert grouped.value == plain.value
    assert grouped.high - grouped.low > plain.high - plain.low


def test_evidence_names_the_strays_and_the_bare_regions() -> None:
    rng = np.random.default_rng(0)
    real = rng.normal(size=(600, 3))
    real[300:340] = rng.normal(size=(40, 3)) * 0.1 + 9  # a mode in the holdout that the release lacks
    fake = rng.normal(size=(300, 3))
    fake[17] = 50.0
    at = bench(real[:300], real[300:], fake)
    strays = next(precision.values(at, {"k": 5})).evidence[0]
    assert strays.rows[0][0] == str(600 + 17)
    assert not strays.shows_real
    bare = next(coverage.values(at, {"k": 5})).evidence[0]
    assert "of 300 real rows" in bare.note
    assert any(300 <= int(row[0]) < 340 and row[1] >= 28 for row in bare.rows[:3])
    assert next(precision.values(at.resplit(0), {"k": 5})).evidence == ()


def test_the_map_hides_small_cells_and_caps_points() -> None:
    rng = np.random.default_rng(0)
    at = bench(rng.normal(size=(900, 5)), rng.normal(size=(900, 5)), rng.normal(size=(2500, 5)), small_cell=4)
    (panel,) = next(precision.values(at, {"k": 5})).panels
    cells = [cell for row in panel.data["real"] for cell in row]
    assert panel.kind == "map"
    assert len(panel.data["x"]) == len(panel.data["y"]) == 2000
    assert None in cells
    assert 0 in cells
    assert min(cell for cell in cells if cell) >= 4
    assert len(panel.data["real"]) == len(panel.data["y_edges"]) - 1
    assert len(panel.data["real"][0]) == len(panel.data["x_edges"]) - 1


def test_what_cannot_be_measured_says_so() -> None:
    few = next(recall.values(bench(*three(55)), {"k": 5}))
    assert few.status == "not_assessable"
    assert "12 rows" in few.reason
    tied = [np.eye(300)[i : i + 100] for i in (0, 100, 200)]
    found = next(recall.values(bench(*tied, memory=100_000), {"k": 5}))
    assert found.status == "not_assessable"
    assert "equally far apart" in found.reason
    with pytest.raises(MetricError, match="k = 0"):
        next(recall.values(bench(*three()), {"k": 0}))


@pytest.mark.parametrize("metric", METRICS)
def test_rows_at_the_radius_are_left_out_on_demand_as_prdc_does(metric: Metric) -> None:
    same = np.ones((60, 3))
    assert value(metric, bench(same, same, same), ties="lt") == 0.0
    assert value(metric, bench(same, same, same)) >= 1.0
    parts = three(100)
    assert value(metric, bench(*parts), ties="lt") <= value(metric, bench(*parts))
    with pytest.raises(MetricError, match="ties"):
        metric.configure({"ties": "eq"})
