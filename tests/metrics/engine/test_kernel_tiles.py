"""Sums of the cubic kernel over tiles are the sums of the whole kernel matrix."""

from __future__ import annotations

import numpy as np
import pytest

from counterproof.metrics.engine.kernel_tiles import KernelSumQuery, KernelTileSums
from counterproof.metrics.engine.tiles import Nodes, Part, Products, make_blocks

SIDE = 16


def tiled(features: np.ndarray, parts: list[np.ndarray], queries: list[KernelSumQuery]) -> list[dict[int, np.ndarray]]:
    """Every tile once, as the pass over all pairs reads them."""
    nodes = Nodes.of([Part(features, rows) for rows in parts])
    products = Products(nodes)
    sums = KernelTileSums(nodes, products, queries)
    tiles = make_blocks(nodes, SIDE)
    for at, rows in enumerate(tiles):
        for columns in tiles[at:]:
            if sums.wants(rows.part, columns.part):
                sums.add_tile(products.tile(rows, columns), rows, columns)
    return sums.finish()


def kernel(features: np.ndarray) -> np.ndarray:
    """The whole matrix in float64, without its diagonal."""
    made = (features @ features.T / features.shape[1] + 1) ** 3
    np.fill_diagonal(made, 0.0)
    return np.asarray(made)


@pytest.mark.parametrize("shift", [0.0, 30.0])
@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_sums_of_weighted_rows_equal_the_kernel_matrix(shift: float, scale: float) -> None:
    rng = np.random.default_rng(5)
    features = shift + scale * rng.normal(size=(90, 7))
    features[10:20] = features[0:10]  # twins
    parts = [np.arange(50), np.arange(50, 90)]
    weights = {0: rng.random((50, 3)) < 0.5, 1: rng.random((40, 3)) < 0.5}
    (found,) = tiled(features, parts, [KernelSumQuery(rows=frozenset({0, 1}), weights=weights)])
    whole = kernel(features) @ np.concatenate([weights[0], weights[1]]).astype(np.float64)
    np.testing.assert_allclose(np.concatenate([found[0], found[1]]), whole, rtol=2e-6)


def test_far_features_lose_nothing_to_float32() -> None:
    # The kernel is 1e15 here and its spread 1e3 times smaller: float32 alone would lose the spread.
    rng = np.random.default_rng(6)
    features = 300 + rng.normal(size=(60, 5))
    weights = np.ones((60, 1), dtype=bool)
    (found,) = tiled(features, [np.arange(60)], [KernelSumQuery(rows=frozenset({0}), weights={0: weights})])
    whole = kernel(features).sum(1)
    np.testing.assert_allclose(found[0][:, 0] - found[0].mean(), whole - whole.mean(), atol=1e-6 * whole.std())


def test_each_query_gets_its_own_rows_and_columns() -> None:
    rng = np.random.default_rng(7)
    features = rng.normal(size=(60, 4))
    parts = [np.arange(25), np.arange(25, 60)]
    across = KernelSumQuery(rows=frozenset({1}), weights={0: np.ones((25, 1), dtype=bool)})
    within = KernelSumQuery(rows=frozenset({0}), weights={0: np.ones((25, 2), dtype=bool)})
    found = tiled(features, parts, [across, within])
    whole = kernel(features)
    assert [sorted(sums) for sums in found] == [[1], [0]]
    np.testing.assert_allclose(found[0][1][:, 0], whole[25:, :25].sum(1), rtol=2e-6)
    np.testing.assert_allclose(found[1][0], np.repeat(whole[:25, :25].sum(1)[:, None], 2, axis=1), rtol=2e-6)


def test_pairs_that_no_sum_uses_are_not_wanted() -> None:
    features = np.random.default_rng(8).normal(size=(20, 2))
    nodes = Nodes.of([Part(features, np.arange(10)), Part(features, np.arange(10, 20))])
    query = KernelSumQuery(rows=frozenset({0}), weights={0: np.ones((10, 1), dtype=bool)})
    sums = KernelTileSums(nodes, Products(nodes), [query])
    assert query.columns == 1
    assert sums.wants(0, 0)
    assert not sums.wants(0, 1)
    assert not sums.wants(1, 1)
