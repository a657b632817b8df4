"""Nearest neighbours equal a brute-force search in float64, whatever the data do."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestNeighbors

from counterproof.metrics.engine.distances import Euclid, distinct
from counterproof.metrics.engine.knn_graph import TooDense, neighbour_graph
from counterproof.metrics.engine.nearest_neighbours import Neighbours, gower_neighbours, nearest
from counterproof.metrics.sample import Mixed


def holds(found: Neighbours, distance: Any, *, rtol: float = 1e-12) -> None:
    """Distances are the smallest there are, and belong to the indices."""
    k = found.distance.shape[1]
    np.testing.assert_allclose(found.distance, np.sort(distance, 1)[:, :k], rtol=rtol, atol=0)
    np.testing.assert_allclose(np.take_along_axis(distance, found.index, 1), found.distance, rtol=rtol, atol=0)
    assert all(len(set(row)) == k for row in found.index.tolist())


def without_own(distance: Any) -> Any:
    np.fill_diagonal(distance, np.inf)
    return distance


def data(name: str) -> Any:
    rng = np.random.default_rng(5)
    plain = rng.normal(size=(700, 6))
    return {
        "plain": plain,
        "one column": plain[:, :1],
        "wide": rng.normal(size=(300, 900)),
        "a lattice with many ties": rng.integers(0, 3, size=(700, 5)).astype(float),
        "collapsed": np.repeat(plain[:7], 100, 0),
        "all the same": np.full((400, 3), 0.1),
        "far from the origin": plain * 1e-6 + 1e6,
        "one far outlier": np.vstack([plain, np.full((1, 6), 1e13)]),
        "collapsed but for a jitter": plain[:3].repeat(200, 0) + 1e-9 * rng.normal(size=(600, 6)),
        "huge": plain * 1e120,
        "scales apart": plain * 10.0 ** -np.arange(6),
    }[name]


NAMES = (
    "plain",
    "one column",
    "wide",
    "a lattice with many ties",
    "collapsed",
    "all the same",
    "far from the origin",
    "one far outlier",
    "collapsed but for a jitter",
    "huge",
    "scales apart",
)


@pytest.mark.parametrize("name", NAMES)
def test_nearest_rows_of_the_same_sample(name: str) -> None:
    x = data(name)
    scale = abs(x).max() if name == "huge" else 1.0
    holds(nearest(x / scale, x / scale, 6, own=np.arange(len(x))), without_own(cdist(x / scale, x / scale)))
    if name == "huge":
        found = nearest(x, x, 6, own=np.arange(len(x)))
        np.testing.assert_allclose(found.distance / scale, nearest(x / scale, x / scale, 7).distance[:, 1:], rtol=1e-12)


def test_nearest_rows_of_another_sample_against_sklearn() -> None:
    rng = np.random.default_rng(1)
    query, base = rng.normal(size=(500, 40)), rng.normal(size=(3000, 40))
    distance, index = NearestNeighbors(n_neighbors=9, algorithm="brute").fit(base).kneighbors(query)
    found = nearest(query, base, 9)
    np.testing.assert_allclose(found.distance, distance, rtol=1e-10)
    np.testing.assert_array_equal(found.index, index)


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.float64, st.tuples(st.integers(3, 40), st.integers(1, 4)), elements=st.sampled_from([-1.0, 0, 0.5, 2])),
    st.integers(1, 2),
)
def test_ties_go_to_the_lower_index(x: Any, k: int) -> None:
    found = nearest(x, x, k, own=np.arange(len(x)))
    exact = without_own(np.sqrt(((x[:, None] - x[None]) ** 2).sum(-1)))
    np.testing.assert_array_equal(found.index, np.argsort(exact, axis=1, kind="stable")[:, :k])


def test_twins_are_at_exactly_zero_and_a_row_is_not_its_own_neighbour() -> None:
    x = np.random.default_rng(0).normal(size=(200, 50)) * 1e3 + 0.1
    twice = np.vstack([x, x])
    found = nearest(twice, twice, 1, own=np.arange(400))
    assert (found.distance == 0).all()
    np.testing.assert_array_equal(found.index[:, 0], (np.arange(400) + 200) % 400)


def test_blocks_and_threads_change_nothing() -> None:
    x = np.random.default_rng(0).normal(size=(900, 12)).round(1)
    once = nearest(x, x, 5)
    small = nearest(x, x, 5, memory=1)
    threads = torch.get_num_threads()
    torch.set_num_threads(3 - min(threads, 2))
    try:
        other = nearest(x, x, 5)
    finally:
        torch.set_num_threads(threads)
    for made in (small, other):
        assert made.distance.tobytes() == once.distance.tobytes()
        assert made.index.tobytes() == once.index.tobytes()


def test_the_float32_error_stays_within_its_bound() -> None:
    """The bound that exactness rests on, against exact rational arithmetic on hostile scales."""
    rng = np.random.default_rng(3)
    base = rng.normal(size=(60, 7)) * 10.0 ** rng.integers(-4, 4, size=(60, 1))
    space = Euclid(base, base)
    values = space.values(slice(0, 60)).double().numpy()
    for i in range(0, 60, 7):
        exact = np.array(
            [float(sum((Fraction(a) - Fraction(b)) ** 2 for a, b in zip(base[i], y, strict=True))) for y in base]
        )
        order = np.argsort(exact)
        for k in (1, 5, 30):
            reach = space.reach(slice(i, i + 1), np.sort(values[i])[k - 1 : k])
            assert (values[i][order[:k]] <= reach[0]).all()


def test_too_few_rows_and_missing_values_are_refused_in_words() -> None:
    x = np.zeros((3, 2))
    with pytest.raises(ValueError, match="3 neighbours were asked for and there are 2 other rows"):
        nearest(x, x, 3, own=np.arange(3))
    with pytest.raises(ValueError, match="NaN or infinity"):
        nearest(np.array([[np.nan]]), np.array([[1.0], [2.0]]), 1)


def test_distinct_rows() -> None:
    x = np.random.default_rng(0).integers(0, 3, size=(500, 4)).astype(float)
    x[::7] *= -0.0
    first, node = distinct(x)
    np.testing.assert_array_equal(x[first][node], x)
    assert len(first) == len(np.unique(x + 0.0, axis=0))


# -- Gower ------------------------------------------------------------------------------------------


def mixed_table(n: int = 400, *, missing: float = 0.2) -> Mixed:
    rng = np.random.default_rng(2)
    numeric = rng.choice(np.linspace(-0.4, 1.4, 12), size=(n, 3)).astype(np.float32)
    numeric[rng.random((n, 3)) < missing] = np.nan
    return Mixed(
        numeric=numeric, codes=rng.integers(-1, 4, size=(n, 2)).astype(np.int32), columns=("a", "b", "c", "d", "e")
    )


def gower_by_hand(mixed: Mixed) -> Any:
    x = mixed.numeric.astype(np.float64)
    gap = np.minimum(abs(x[:, None] - x[None]), 1.0)
    lost = np.isnan(x)
    gap = np.where(lost[:, None] & lost[None], 0.0, np.where(lost[:, None] | lost[None], 1.0, gap))
    return (gap.sum(-1) + (mixed.codes[:, None] != mixed.codes[None]).sum(-1)) / 5


def test_gower_against_the_definition() -> None:
    mixed = mixed_table()
    query, base = np.arange(0, 150), np.arange(100, 400)
    own = np.full(150, -1)
    own[100:] = np.arange(50)
    distance = gower_by_hand(mixed)[np.ix_(query, base)]
    holds(gower_neighbours(mixed, query, base, 4), distance)
    distance[np.arange(100, 150), np.arange(50)] = np.inf
    holds(gower_neighbours(mixed, query, base, 4, own=own), distance)


# -- lists ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES[:8])
@pytest.mark.parametrize("sided", [True, False])
def test_lists_hold_all_rows_up_to_the_depth_and_no_others(name: str, sided: bool) -> None:
    x = data(name)
    sides = (np.arange(len(x)) % 3 > 0).astype(np.int8) if sided else None
    graph = neighbour_graph(x, sides, depth=10)
    sides = np.zeros(len(x), dtype=np.int8) if sides is None else sides
    exact = cdist(x, x)
    for row in range(0, len(x), 37):
        own = np.unique(x[sides == sides[row]] + 0.0, axis=0)
        rim = np.sort(cdist(x[row : row + 1], own)[0])[min(10, len(own) - 1)]
        start, end = graph.indptr[graph.node[row]], graph.indptr[graph.node[row] + 1]
        neighbours_from_lists = np.isin(graph.node, graph.index[start:end])
        np.testing.assert_array_equal(neighbours_from_lists, exact[row] <= rim * (1 + 1e-9))
        assert (np.diff(graph.distance[start:end]) >= 0).all()


def test_lists_survive_collapse_and_say_when_they_were_cut() -> None:
    rng = np.random.default_rng(0)
    heap = np.vstack([np.zeros((20_000, 8)), rng.normal(size=(300, 8))])
    graph = neighbour_graph(heap, None, depth=20)
    assert len(graph) == 301
    ties = np.eye(400)  # all rows equally far apart: no depth helps
    with pytest.raises(TooDense, match="equally far apart"):
        neighbour_graph(ties, None, depth=40, memory=100_000)
    cut = neighbour_graph(rng.normal(size=(500, 3)), None, depth=64, memory=300_000)
    assert cut.depth == 32
    assert "cut from 64 to 32" in cut.remark


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_graphics_card_gives_the_same_bytes() -> None:
    x = np.random.default_rng(0).normal(size=(3000, 64)).round(2)
    here, there = nearest(x, x, 5), nearest(x, x, 5, device="cuda")
    assert here.distance.tobytes() == there.distance.tobytes()
    assert here.index.tobytes() == there.index.tobytes()
