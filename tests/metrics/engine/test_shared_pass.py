"""One survey of the rows answers what separate float64 passes would, whatever the budget, device or precision."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from helpers.workbenches import bench
from scipy.spatial.distance import cdist

from counterproof.metrics.engine import pairwise_pass as passes
from counterproof.metrics.engine.exact_distances import distances
from counterproof.metrics.engine.kernel_sums import kernel_sums, split_sums
from counterproof.metrics.engine.nearest_neighbours import nearest
from counterproof.metrics.engine.shared_pass import SharedPass
from counterproof.metrics.engine.tiles import Nodes, Part, Products, make_blocks
from counterproof.metrics.prdc.balls import balls_between
from counterproof.metrics.workbench import GEOMETRY, Workbench


def geometry(at: Workbench) -> SharedPass:
    return next(found for _, found in at.work.results(GEOMETRY))


def sides(n: int = 260, m: int = 190, d: int = 9, *, seed: int = 0) -> tuple[Any, Any, Any]:
    """Train, holdout and release with twins inside and across roles."""
    rng = np.random.default_rng(seed)
    train, holdout, made = rng.normal(size=(n, d)), rng.normal(size=(n, d)), rng.normal(size=(m, d)) * 0.9
    train[:9] = holdout[5:14]
    made[:12] = train[20:32]
    made[40:50] = made[60:70]
    return train, holdout, made


# -- what the workbench tells -----------------------------------------------------------------------


def test_all_standard_requests_are_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int, int, int]] = []
    tile = Products.tile

    def counted(self: Products, rows: Any, columns: Any, **how: Any) -> Any:
        seen.append((rows.part, rows.start, columns.part, columns.start))
        return tile(self, rows, columns, **how)

    monkeypatch.setattr(Products, "tile", counted)
    at = bench(*sides(), memory=2**20)
    at.graph()
    at.kernel()
    views = [at.resplit(draw) for draw in range(4)]
    for view in views:
        view.graph()
        view.kernel()
    for query, base in ((at.reference, at.candidate), (at.candidate, at.reference), (at.real, at.real)):
        at.neighbours(query, base, 3)
    assert at.train is not None
    at.neighbours(at.train, at.release, 2)
    assert len(seen) == len(set(seen)) == len({frozenset([one[:2], one[2:]]) for one in seen})


def test_neighbours_of_any_roles_equal_a_search_of_their_own() -> None:
    train, holdout, made = sides()
    at = bench(train, holdout, made)
    assert at.train is not None
    some = at.real.take(np.arange(0, len(at.real), 3), "some real rows")
    view = at.resplit(3)
    pairs = [
        (at.reference, at.candidate, 6),
        (at.candidate, at.reference, 1),
        (at.real, at.real, 5),
        (some, some, 5),
        (at.train, at.release, 2),
        (some, at.release.take(np.arange(0, 190, 7), "some of the release"), 6),
        (at.release, at.release, 3),
        (at.reference, at.real, 40),
        (view.candidate, view.reference, 4),
    ]
    for query, base, k in pairs:
        found = at.neighbours(query, base, k)
        same = query.name == base.name
        own = np.arange(len(base)) if same else None
        alone = nearest(query.features, base.features, k, own=own)
        np.testing.assert_array_equal(found.index, alone.index)
        np.testing.assert_allclose(found.distance, alone.distance, rtol=1e-12)


def test_kernels_equal_float64_passes() -> None:
    train, holdout, made = sides()
    offset = 40.0  # far from the origin, where float32 alone would lose the differences
    at = bench(train + offset, holdout + offset, made + offset)
    alone = kernel_sums(at.reference.features, at.candidate.features)
    for name, expected in vars(alone).items():
        np.testing.assert_allclose(getattr(at.kernel(), name), expected, rtol=1e-9)
    splits = at.splits()
    for draw, expected_sums in enumerate(split_sums(at.real.features, splits)):
        for name, expected in vars(expected_sums).items():
            np.testing.assert_allclose(getattr(at.resplit(draw).kernel(), name), expected, rtol=1e-9)
    anchor = at.permuted()
    alone = kernel_sums(anchor.reference.features, anchor.candidate.features)
    for name, expected in vars(alone).items():
        np.testing.assert_allclose(getattr(anchor.kernel(), name), expected, rtol=1e-9)


def test_a_view_of_membership_asks_no_other_pass() -> None:
    at = bench(*sides())
    at.membership(0).neighbours(at.reference, at.candidate, 1)
    at.graph()
    assert len(list(at.work.results(GEOMETRY))) == 1


def test_a_budget_changes_nothing_but_the_tiles() -> None:
    wide, small = bench(*sides()), bench(*sides(), memory=2**20)
    one, other = wide.graph()[0], small.graph()[0]
    for name in ("node", "indptr", "index", "distance"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes()
    np.testing.assert_allclose(wide.kernel().reference_across, small.kernel().reference_across, rtol=1e-7)
    again = bench(*sides(), memory=2**20)
    assert again.kernel().reference_across.tobytes() == small.kernel().reference_across.tobytes()


def test_threads_change_no_byte() -> None:
    threads = torch.get_num_threads()
    made = []
    for number in (1, 2, 3):
        torch.set_num_threads(number)
        try:
            at = bench(*sides(700, 650, 40))
            sums = (*vars(at.kernel()).values(), *vars(at.resplit(3).kernel()).values())
            assert torch.get_num_threads() == number
        finally:
            torch.set_num_threads(threads)
        made.append([each.tobytes() for each in sums])
    assert made[0] == made[1] == made[2]


def test_lists_that_outgrow_the_budget_leave_the_kernel() -> None:
    rng = np.random.default_rng(0)
    at = bench(*(rng.normal(size=(400, 4)) for _ in range(3)), memory=250_000)
    graph, _ = at.graph()
    assert "cut from" in graph.remark
    assert np.isfinite(at.kernel().candidate_across).all()
    found = at.neighbours(at.reference, at.candidate, 3)
    np.testing.assert_allclose(
        found.distance, np.sort(cdist(at.reference.features, at.candidate.features), 1)[:, :3], rtol=1e-12
    )


# -- devices and rounding ------------------------------------------------------------------------------


def test_products_stay_within_their_bound() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(300, 40)) * 10.0 ** rng.integers(-3, 3, size=(300, 1))
    nodes = Nodes.of([Part(x, np.arange(300))])
    (block,) = make_blocks(nodes, 300)
    exact = cdist(x, x, "sqeuclidean")[np.ix_(nodes.first[0], nodes.first[0])]
    products = Products(nodes)
    values = products.tile(block, block).double().numpy()
    order = np.argsort(exact, axis=1)
    for k in (1, 7, 100):
        reach = products.reach(block, np.sort(values, 1)[:, k - 1])
        assert (np.take_along_axis(values, order[:, :k], 1) <= reach[:, None]).all()


def test_a_device_out_of_memory_gets_smaller_blocks_and_then_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[tuple[str, int]] = []
    passed = passes._passed

    def allocator(nodes: Any, lists: Any, sums: Any, side: int, memory: int, device: str, precision: Any) -> Any:
        tried.append((device, side))
        if device != "cpu" and side > allowed:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return passed(nodes, lists, sums, side, memory, "cpu", precision)

    monkeypatch.setattr(passes, "_passed", allocator)
    here = bench(*sides()).graph()[0]
    for allowed, remark in ((600, "in smaller blocks"), (0, "on the CPU")):
        tried.clear()
        there = replace(bench(*sides()), device="cuda")
        graph, _ = there.graph()
        assert graph.distance.tobytes() == here.distance.tobytes()
        assert remark in graph.remark
        assert remark in there.remark
        assert [side for device, side in tried if device == "cuda"] == sorted({s for d, s in tried if d == "cuda"})[
            ::-1
        ]
        assert (tried[-1][0] == "cpu") == (allowed == 0)


def test_other_failures_of_a_device_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("illegal memory access")

    monkeypatch.setattr(passes, "_passed", broken)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        nearest(np.zeros((3, 1)), np.zeros((3, 1)), 1, device="cuda")


def test_what_the_program_around_chose_for_products_neither_matters_nor_changes() -> None:
    x = np.random.default_rng(0).normal(size=(500, 80))
    before = nearest(x, x, 4)
    chosen = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        found = nearest(x, x, 4)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(chosen)
    assert found.index.tobytes() == before.index.tobytes()


# -- distances --------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["euclidean", "cityblock", "cosine"])
@pytest.mark.parametrize("d", [4, 150])
def test_named_distances_equal_scipy(metric: Any, d: int) -> None:
    rng = np.random.default_rng(3)
    query, base = rng.normal(size=(150, d)) + 0.3, rng.normal(size=(400, d))
    base[:10] = query[:10]
    base[10:20] = query[:10]
    found, expected = nearest(query, base, 5, metric=metric), cdist(query, base, metric)
    np.testing.assert_allclose(found.distance, np.sort(expected, 1)[:, :5], rtol=1e-9, atol=1e-15)
    assert (found.distance[:10, :2] == 0).all()
    np.testing.assert_array_equal(found.index[:10, :2], np.stack([np.arange(10), np.arange(10, 20)], 1))


def test_wide_rows_are_as_exact_as_narrow_ones() -> None:
    rng = np.random.default_rng(4)
    x = (rng.normal(size=(300, 500)) + 5.0).astype(np.float32)
    x[100:200] = x[:100] * (1 + 1e-6)  # so near that inner products would lose them
    x[200:250] = x[:50]
    source = Nodes.of([Part(x, np.arange(180)), Part(x.astype(np.float64), np.arange(180, 300))])
    row = np.concatenate(source.first)  # of each node
    right = np.sort(rng.integers(0, len(row), 5000))
    for low, high in ((0, 180), (180, len(row))):
        left = rng.integers(low, high, 5000)
        expected = np.sqrt(((x[row[left]].astype(np.float64) - x[row[right]]) ** 2).sum(1))
        found = distances(source, left, right)
        np.testing.assert_allclose(found, expected, rtol=1e-9)
        assert (found[expected == 0] == 0).all()
        assert (expected == 0).sum() > 5


def test_an_unknown_distance_and_a_row_without_direction_are_refused_in_words() -> None:
    x = np.ones((4, 2))
    with pytest.raises(ValueError, match="choose from euclidean, cityblock, cosine"):
        nearest(x, x, 1, metric="manhattan")  # type: ignore[arg-type]
    x[2] = 0
    with pytest.raises(ValueError, match="row 2 is all zeros"):
        nearest(x, x, 1, metric="cosine")
    for metric in ("euclidean", "cityblock"):
        with pytest.raises(ValueError, match="NaN or infinity"):
            nearest(np.array([[np.inf]]), np.array([[1.0], [2.0]]), 1, metric=metric)


# -- balls: fixtures of published code --------------------------------------------------------------


@pytest.mark.parametrize("ties", ["le", "lt"])
def test_values_of_prdc(ties: Any) -> None:
    rs = np.random.RandomState(42)
    real = rs.randn(500, 16).astype(np.float32).astype(float)
    fake = (rs.randn(500, 16) * 0.8 + 0.2).astype(np.float32).astype(float)
    for k, expected in ((3, (0.960, 0.402, 2.164667, 0.932)), (5, (0.984, 0.468, 2.1296, 0.982))):
        assert balls_between(real, fake, k, ties=ties).values == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("ties", ["le", "lt"])
def test_values_of_torch_fidelity_on_collapse(ties: Any) -> None:
    generator = torch.Generator().manual_seed(42)
    narrow = (torch.randn(200, 16, generator=generator) * 0.1).double().numpy()
    wide = (torch.randn(200, 16, generator=generator) * 3).double().numpy()
    found = balls_between(wide, narrow, 3, ties=ties)
    assert (found.precision, found.recall) == (1.0, 0.0)
    assert (found.density, found.coverage) == pytest.approx((16.2367, 0.315), abs=1e-4)


def test_all_rows_identical() -> None:
    same = np.ones((1024, 64))
    assert balls_between(same, same, 5).values == (1.0, 1.0, 1024 / 5, 1.0)
    assert balls_between(same, same, 5, ties="lt").values == (0.0, 0.0, 0.0, 0.0)


def test_rows_at_the_radius_count_by_the_rule() -> None:
    real, fake = np.array([[0.0], [1.0], [2.0]]), np.array([[3.0], [4.0], [5.0]])
    assert balls_between(real, fake, 1).values == (1 / 3, 1 / 3, 1 / 3, 1 / 3)
    assert balls_between(real, fake, 1, ties="lt").values == (0.0, 0.0, 0.0, 0.0)
    assert balls_between(real, fake, 1, ties="lt").radius[:3].tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(("n", "d"), [(1, 3), (4, 1)])
def test_few_rows_and_one_dimension(n: int, d: int) -> None:
    x = np.arange(n * d, dtype=float).reshape(n, d)
    found = nearest(x, x, 1)
    assert (found.distance == 0).all()
    assert found.index[:, 0].tolist() == list(range(n))
    with pytest.raises(ValueError, match=f"k = {n} neighbours need {n + 1} rows on each side"):
        balls_between(x, x, n)
