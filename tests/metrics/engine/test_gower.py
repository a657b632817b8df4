"""Gower's nearest rows equal a float64 search of all pairs, however the columns are summed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers.records import desk, normal_rows
from scipy.special import logsumexp

from counterproof.metrics.engine.distances import gower_matrix
from counterproof.metrics.engine.gower import LEVELS, WIDEST, Gower, Layout
from counterproof.metrics.engine.nearest_neighbours import gower_neighbours, nearest
from counterproof.metrics.leakage._membership.domias import log_density
from counterproof.metrics.sample import Mixed
from counterproof.metrics.workbench import Workbench

GRID = 64  # sums of multiples of 1/64 are exact, so that ties are ties


def table(numeric: Any, codes: Any) -> Mixed:
    n = max(len(numeric), len(codes))
    numeric = np.asarray(numeric, dtype=np.float32).reshape(n, -1)
    codes = np.asarray(codes, dtype=np.int32).reshape(n, -1)
    return Mixed(numeric=numeric, codes=codes, columns=tuple(map(str, range(numeric.shape[1] + codes.shape[1]))))


def data(name: str) -> Mixed:
    rng = np.random.default_rng(7)
    n = 700
    numbers = rng.integers(0, GRID + 1, size=(n, 4)) / GRID
    codes = rng.integers(-1, 5, size=(n, 5))
    lost = np.where(rng.random((n, 4)) < 0.3, np.nan, numbers)
    nothing = np.empty((n, 0))
    wide = rng.integers(0, GRID + 1, size=(300, 100)) / GRID
    wide[:, :20][rng.random((300, 20)) < 0.1] = np.nan
    return {
        "numbers and codes": table(numbers, codes),
        "codes alone, with many ties": table(nothing, codes[:, :2]),
        "missing numbers": table(lost, codes),
        "nothing but missing in a column": table(np.hstack([numbers, np.full((n, 1), np.nan)]), codes),
        "constant columns": table(np.hstack([numbers, np.full((n, 2), 0.25)]), np.hstack([codes, np.ones((n, 2))])),
        "300 columns": table(wide, rng.integers(0, 3, size=(300, 200))),
        "one column of numbers": table(numbers[:, :1], nothing),
        "one column of codes": table(nothing, codes[:, :1]),
        "numbers beyond the range of real rows": table(4 * numbers - 1.5, codes),
        "numbers far beyond": table(numbers * [1, 1e3, 1e30, 1], codes),
        "infinite numbers": table(np.where(rng.random((n, 4)) < 0.1, np.inf, numbers), codes),
        "more levels than a product takes": table(numbers, rng.integers(0, 3 * LEVELS, size=(n, 3))),
        "a column of ids": table(numbers, np.column_stack([codes, rng.permutation(n)])),
        "numbers that are yes or no": table(np.round(numbers), codes),
        "twins": table(np.repeat(numbers[:70], 10, 0), np.repeat(codes[:70], 10, 0)),
        "all rows equal": table(np.full((n, 3), 0.5), np.ones((n, 2))),
    }[name]


NAMES = (
    "numbers and codes",
    "codes alone, with many ties",
    "missing numbers",
    "nothing but missing in a column",
    "constant columns",
    "300 columns",
    "one column of numbers",
    "one column of codes",
    "numbers beyond the range of real rows",
    "numbers far beyond",
    "infinite numbers",
    "more levels than a product takes",
    "a column of ids",
    "numbers that are yes or no",
    "twins",
    "all rows equal",
)


def by_hand(mixed: Mixed, query: Any, base: Any) -> Any:
    """Column by column in float64: infinite is like one far value, missing unlike any."""
    total = np.zeros((len(query), len(base)))
    for column in mixed.numeric.T.astype(np.float64):
        x, y = column[query][:, None], column[base][None]
        with np.errstate(invalid="ignore"):
            gap = np.where(x == y, 0.0, np.minimum(abs(x - y), 1.0))
        total += np.where(np.isnan(x) & np.isnan(y), 0.0, np.where(np.isnan(x) | np.isnan(y), 1.0, gap))
    for column in mixed.codes.T:
        total += column[query][:, None] != column[base][None]
    return total / len(mixed.columns)


@pytest.mark.parametrize("name", NAMES)
def test_nearest_rows_and_their_order(name: str) -> None:
    mixed = data(name)
    n = len(mixed.numeric)
    query, base = np.arange(0, n // 2), np.arange(n // 3, n)
    exact = by_hand(mixed, query, base)
    found = gower_neighbours(mixed, query, base, 9)
    np.testing.assert_array_equal(found.index, np.argsort(exact, axis=1, kind="stable")[:, :9])
    np.testing.assert_allclose(found.distance, np.sort(exact, 1)[:, :9], rtol=1e-12, atol=0)
    everything = np.arange(n)
    exact = by_hand(mixed, everything, everything)
    np.fill_diagonal(exact, np.inf)
    found = gower_neighbours(mixed, everything, everything, 5, own=everything)
    np.testing.assert_array_equal(found.index, np.argsort(exact, axis=1, kind="stable")[:, :5])
    np.testing.assert_allclose(found.distance, np.sort(exact, 1)[:, :5], rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_no_row_that_belongs_lies_out_of_reach(name: str) -> None:
    mixed = data(name)
    matrix = gower_matrix(mixed)
    rng = np.random.default_rng(1)
    jitter = np.float32(1e-4) * rng.random(matrix[:, : mixed.numeric.shape[1]].shape, dtype=np.float32)
    matrix[:, : mixed.numeric.shape[1]] += jitter  # off the grid
    space = Gower(matrix[:200], matrix)
    values = space.values(slice(0, 200)).double().numpy().copy()
    i, j = np.divmod(np.arange(values.size), len(matrix))
    exact = space.exact(i, j).reshape(values.shape) * matrix.shape[1]
    expected = np.minimum(abs(matrix[:200, None].astype(np.float64) - matrix[None]), 1).sum(2)
    np.testing.assert_allclose(exact, expected, rtol=1e-12, atol=1e-12)
    slack = space.reach(slice(0, 200), np.zeros(200)).max()
    assert abs(values - exact).max() <= slack / 2
    order = np.argsort(exact, axis=1)
    for k in (1, 6, 40):
        reach = space.reach(slice(0, 200), np.sort(values, 1)[:, k - 1])
        assert (np.take_along_axis(values, order[:, :k], 1) <= reach[:, None]).all()


def test_columns_are_summed_the_cheapest_way() -> None:
    rng = np.random.default_rng(0)
    kinds = table(
        np.column_stack([rng.random(200), 3 * rng.random(200), np.where(rng.random(200) < 0.2, np.nan, 0.5)]),
        np.column_stack([rng.integers(0, 4, 200), rng.permutation(200)]),
    )
    matrix = gower_matrix(kinds)
    found = Layout.of(matrix, matrix)
    assert sorted(found.levels) == [2, 3]
    assert list(found.spans) == [0]
    assert found.others == [1, 4]
    assert Layout.of(matrix[:3], matrix).others == [0, 1, 2, 3, 4]
    many = gower_matrix(table(np.empty((200, 0)), rng.integers(0, 8, size=(200, 100))))
    found = Layout.of(many, many)
    assert sum(map(len, found.levels.values())) <= WIDEST
    assert len(found.levels) + len(found.others) == 100


def test_budget_and_threads_change_nothing() -> None:
    mixed, rows = data("missing numbers"), np.arange(700)
    once = gower_neighbours(mixed, rows, rows, 4, own=rows)
    small = gower_neighbours(mixed, rows, rows, 4, own=rows, memory=1)
    threads = torch.get_num_threads()
    torch.set_num_threads(3 - min(threads, 2))
    try:
        other = gower_neighbours(mixed, rows, rows, 4, own=rows)
    finally:
        torch.set_num_threads(threads)
    for made in (small, other):
        assert made.distance.tobytes() == once.distance.tobytes()
        assert made.index.tobytes() == once.index.tobytes()


def test_more_base_rows_than_a_tile_holds() -> None:
    rng = np.random.default_rng(3)
    mixed = table(rng.integers(0, GRID + 1, size=(2900, 3)) / GRID, rng.integers(0, 3, size=(2900, 2)))
    query, base = np.arange(0, 250), np.arange(100, 2900)
    found = gower_neighbours(mixed, query, base, 7)
    expected = np.argsort(by_hand(mixed, query, base), axis=1, kind="stable")[:, :7]
    np.testing.assert_array_equal(found.index, expected)


@pytest.mark.parametrize("metric", ["cityblock", "euclidean"])
def test_other_distances_are_searched_tile_by_tile_as_well(metric: Any) -> None:
    rng = np.random.default_rng(4)
    base = rng.integers(0, 3, size=(2500, 4)).astype(float)
    query = base[:130] + 0.25
    order = {"cityblock": 1, "euclidean": 2}[metric]
    exact = np.linalg.norm(query[:, None] - base[None], ord=order, axis=2)
    found = nearest(query, base, 5, metric=metric, memory=3 * 10**6)  # so many ties that lists do not fit
    np.testing.assert_allclose(found.distance, np.sort(exact, 1)[:, :5], rtol=1e-12)
    np.testing.assert_array_equal(found.index, np.argsort(exact.round(9), axis=1, kind="stable")[:, :5])


# -- what the attacks share -------------------------------------------------------------------------


def test_densities_equal_sums_in_float64() -> None:
    rng = np.random.default_rng(5)
    base = rng.normal(size=(3000, 6))
    query, own = base[:600], np.arange(600)
    exponent = -((query[:, None] - base[None]) ** 2).sum(2) / (2 * 0.3**2)
    np.testing.assert_allclose(log_density(query, base, 0.3), logsumexp(exponent, 1) - np.log(3000), atol=1e-4)
    base[7] = 40.0  # nothing near it but itself
    exponent = -((query[:, None] - base[None]) ** 2).sum(2) / (2 * 0.3**2)
    exponent[own, own] = -np.inf
    found = log_density(query, base, 0.3, own=own)
    np.testing.assert_allclose(found, logsumexp(exponent, 1) - np.log(2999), rtol=1e-4, atol=1e-4)


def test_a_table_finds_release_and_real_rows_in_the_shared_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = {role: normal_rows(300, seed) for seed, role in enumerate(("train", "holdout", "synthetic"))}
    at = desk(sources=frames)
    pairs = [(at.real, at.release, 6), (at.release, at.real, 6), (at.real, at.real, 5)]
    expected = [nearest(q.features, b.features, k, own=np.arange(600) if q is b else None) for q, b, k in pairs]

    def alone(*_: Any, **__: Any) -> Any:
        raise AssertionError("a search of its own")

    monkeypatch.setattr(Workbench, "_searched", alone)
    for (query, base, k), same in zip(pairs, expected, strict=True):
        found = at.neighbours(query, base, k)
        np.testing.assert_array_equal(found.index, same.index)
        np.testing.assert_allclose(found.distance, same.distance, rtol=1e-12)
