"""What is behind the scores: the rows listed are those that brute force finds."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.workbenches import bench
from scipy.spatial.distance import cdist

from counterproof.metrics.coverage.coverage import coverage
from counterproof.metrics.errors import MetricError
from counterproof.metrics.estimate import Evidence
from counterproof.metrics.fidelity.precision import precision
from counterproof.metrics.metric import Metric
from counterproof.metrics.prdc.scores import QUANTITIES, manifold, quantity_value, within_tolerance
from counterproof.metrics.workbench import Workbench

N, K = 150, 5


@pytest.fixture(scope="module")
def view() -> Workbench:
    """Real rows in two clusters; the release holds one of them, and a few rows far from both."""
    rng = np.random.default_rng(2)
    real = rng.normal(size=(2 * N, 2)) + np.where(np.arange(2 * N) % 2, 8.0, 0.0)[:, None]
    release = rng.normal(size=(N, 2))
    release[:4] += [[30, 0], [40, 0], [20, 0], [0, 50]]
    return bench(real[:N], real[N:], release)


def evidence(metric: Metric, at: Workbench) -> Evidence:
    (found,) = metric.values(at, metric.configure({}))
    (shown,) = found.evidence
    return shown


def radii(real: np.ndarray) -> np.ndarray:
    return np.asarray(np.sort(cdist(real, real), 1)[:, K])


def test_the_strayest_rows_are_those_farthest_in_radii_of_the_nearest_real_row(view: Workbench) -> None:
    real, release = view.reference.features, view.candidate.features
    gap, radius = cdist(release, real), radii(real)
    near = gap.argmin(1)
    ratio = gap.min(1) / radius[near]
    outside = ~(gap <= radius).any(1)
    expected = sorted(np.flatnonzero(outside), key=lambda i: -ratio[i])[:10]
    shown = evidence(precision, view)
    assert [row[0] for row in shown.rows] == [str(view.candidate.names[i]) for i in expected]
    assert {row[0] for row in shown.rows[:4]} == {str(view.candidate.names[i]) for i in range(4)}
    for row, i in zip(shown.rows, expected, strict=True):
        assert row[1:] == pytest.approx((gap[i].min(), radius[near[i]], ratio[i]))
    assert shown.note.startswith(f"{outside.sum()} of {N} ")


def test_left_out_real_rows_are_counted_and_each_region_is_named_once(view: Workbench) -> None:
    real, release = view.reference.features, view.candidate.features
    gap, radius = cdist(real, release), radii(real)
    bare = ~(gap <= radius[:, None]).any(1)
    ratio = gap.min(1) / radius
    shown = evidence(coverage, view)
    assert shown.note.startswith(f"{bare.sum()} of {N} ")
    assert bare.sum() >= N // 2 - 5, "one cluster is missing"
    names = {str(view.reference.names[i]): i for i in range(N)}
    listed = [names[str(row[0])] for row in shown.rows]
    assert all(bare[i] for i in listed)
    assert [row[2] for row in shown.rows] == pytest.approx([ratio[i] for i in listed])
    assert listed[0] == max(np.flatnonzero(bare), key=lambda i: ratio[i])
    assert sum(row[1] for row in shown.rows) <= bare.sum(), "a row stands for itself or is stood for, once"


def test_twins_have_radius_0_and_their_distances_stay_finite() -> None:
    rng = np.random.default_rng(3)
    real = np.repeat(rng.normal(size=(10, 2)), 30, axis=0)
    shown = evidence(precision, bench(real[::2], real[1::2], rng.normal(size=(60, 2)) * 3))
    assert shown.rows
    assert all(np.isfinite(row[3]) for row in shown.rows)


def test_the_order_of_quantities_is_the_order_of_values(view: Workbench) -> None:
    made = manifold(view, K)
    assert manifold(view, K) is made, "made once"
    for name in ("precision", "recall", "density", "coverage"):
        assert made.values[QUANTITIES.index(name)] == getattr(made.balls, name)
    assert len(made.values) == len(made.spread) == len(QUANTITIES)
    assert not manifold(view.resplit(0), K).spread.any(), "a re-split gives values alone"


def test_a_strict_radius_moves_the_four_and_not_the_clipped(view: Workbench) -> None:
    grid = np.repeat(np.arange(12.0), 12)[:, None] + np.zeros((1, 2))
    tied = bench(grid, grid, grid)
    loose, strict = manifold(tied, K), manifold(tied, K, "lt")
    assert loose.balls.density > strict.balls.density == 0, "every neighbour is a twin at distance 0"
    clipped = [QUANTITIES.index(name) for name in ("clipped density", "clipped coverage")]
    assert [loose.values[at] for at in clipped] == [strict.values[at] for at in clipped]


def test_too_few_rows_for_halves_are_not_assessable_and_no_neighbour_is_refused(view: Workbench) -> None:
    few = bench(*np.random.default_rng(0).normal(size=(3, 11, 2)))
    assert quantity_value(few, "recall", 5).status == "not_assessable"
    assert quantity_value(few, "recall", 4).status == "measured"
    with pytest.raises(MetricError, match="k = 0 is no neighbour"):
        quantity_value(view, "recall", 0)


def test_the_default_gate_states_its_limit_and_reason() -> None:
    (gate,) = within_tolerance(0.05, "one real row in twenty is left out")
    assert (gate.field, gate.operator, gate.limit, gate.fail) == ("excess", "<=", 0.05, None)
    assert gate.reason.startswith("one real row in twenty is left out; ")
    assert "within 0.05 of the floor" in gate.reason
