"""C_T against a written-out search and scipy's Mann-Whitney U on the same cells; cells that cannot be told are said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers.workbenches import bench
from numpy.testing import assert_allclose
from scipy.spatial.distance import cdist
from scipy.stats import mannwhitneyu

from counterproof.metrics.leakage._distances.known_neighbours import members_of, pool_of
from counterproof.metrics.leakage.data_copying import area, cells_of, copying_test, mann_whitney_z
from counterproof.metrics.metric import Value
from counterproof.metrics.workbench import Workbench

Array = Any


def parts(*sizes: int, d: int = 5, seed: int = 0) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(n, d)) for n in sizes]


def published_z(made: Array, others: Array, train: Array) -> float:
    """The z of one cell: U of the release against the test rows, with the published continuity correction."""
    to_made, to_others = cdist(made, train).min(1), cdist(others, train).min(1)
    m, n = len(made), len(others)
    u = mannwhitneyu(to_made, to_others, alternative="less").statistic
    return float((u - (n * m / 2 - 0.5)) / np.sqrt(n * m * (n + m + 1) / 12))


def published(view: Workbench, cells: int, tau: int) -> tuple[float, list[float]]:
    """C_T and the z of every cell, row by row."""
    of_made, of_pool = cells_of(view, cells)
    member, known, made = members_of(view), pool_of(view).features, view.release.features
    z = [
        published_z(made[of_made == c], known[~member & (of_pool == c)], known[member & (of_pool == c)])
        for c in range(cells)
    ]
    weight = np.array([(~member & (of_pool == c)).mean() for c in range(cells)])
    kept = np.bincount(of_made, minlength=cells) > tau
    return float(weight[kept] @ np.array(z)[kept] / weight[kept].sum()), z


def told(view: Workbench, **options: Any) -> list[Value]:
    return list(copying_test.values(view, copying_test.configure(options)))


@pytest.mark.parametrize("cells", [1, 3, 6])
@pytest.mark.parametrize("leak", [0, 60])
def test_the_value_is_that_of_the_published_statistic(cells: int, leak: int) -> None:
    train, holdout, made = parts(300, 250, 280, seed=cells)
    made[:leak] = train[:leak] + 0.01 * made[:leak]
    view = bench(train, holdout, made)
    value, z = published(view, cells, 20)
    found = told(view, cells=cells)
    assert found[0].estimate is not None
    assert found[0].estimate.value == pytest.approx(value)
    for v, expected in zip(found[1:], z, strict=True):
        assert v.estimate is not None
        assert v.estimate.value == pytest.approx(expected)


def test_every_deal_of_membership_is_the_published_statistic_too() -> None:
    view = bench(*parts(200, 200, 200, seed=8)).membership(3)
    value, _ = published(view, 3, 20)
    found = told(view)[0].estimate
    assert found is not None
    assert found.value == pytest.approx(value)


def test_tied_distances_count_one_half() -> None:
    rng = np.random.default_rng(0)
    made, others = rng.integers(0, 5, 80).astype(float), rng.integers(0, 5, 60).astype(float)
    u = mannwhitneyu(made, others, alternative="less").statistic
    assert area(made, others) == pytest.approx(u / (80 * 60))
    assert_allclose(mann_whitney_z(made, made), 0.5 / np.sqrt(80 * 80 * 161 / 12))


def test_cells_that_cannot_be_told_are_said_and_do_not_count() -> None:
    train, holdout, made = parts(200, 200, 200, seed=9)
    for side, at in ((train, 0), (holdout, 0)):
        side[:50, at] += 40  # a place that the release does not reach
    train[50:100, 1] += 80  # a place of training rows alone
    made[:60, 1] += 80
    found = told(bench(train, holdout, made), cells=3)
    assert found[0].estimate is not None
    assert "2 of 3 cells lack rows" in found[0].reason
    reasons = sorted(v.reason for v in found[1:] if v.status == "not_assessable")
    assert reasons == ["the cell has no holdout rows", "the cell has no release rows"]
    assert [row[5] for row in found[0].evidence[0].rows].count("yes") == 1


def test_more_cells_than_distinct_rows_are_no_error() -> None:
    grid = np.random.default_rng(1).integers(0, 2, size=(3, 100, 1)).astype(float)
    view = bench(grid[0], grid[1], grid[2])
    assert "100 release rows stand at 2 places" in told(view, cells=5)[0].reason
    found = told(replace(view, draw=0), cells=5)  # as on a re-split
    assert len([v for v in found if v.estimate]) == 3
