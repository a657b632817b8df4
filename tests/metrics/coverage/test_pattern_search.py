"""Maximal uncovered patterns against a closed form and brute force; remedies against all others."""

from __future__ import annotations

from itertools import product
from math import comb

import numpy as np
import pytest

from counterproof.metrics.coverage._patterns.lattice import (
    OPEN,
    Cells,
    Codes,
    Uncovered,
    cube_of,
    matches,
    narrowest,
    uncovered_patterns,
)
from counterproof.metrics.coverage._patterns.remedy import EXACT, WEIGHED, greedy, remedy


def search(codes: Codes, sizes: tuple[int, ...], threshold: float, order: int | None = None) -> Uncovered:
    """The search of a data set against itself."""
    distinct, counts = np.unique(codes, axis=0, return_counts=True)
    cells = Cells(codes=distinct, sizes=sizes)
    order = len(sizes) if order is None else order
    return uncovered_patterns(
        cells, counts, counts, threshold=threshold, covering=threshold, asked=threshold, order=order
    )


def as_set(patterns: Codes) -> set[tuple[int, ...]]:
    return {tuple(map(int, pattern)) for pattern in patterns}


def rows_of(codes: Codes, pattern: tuple[int, ...]) -> int:
    return int(np.all([(codes[:, c] == v) | (v == OPEN) for c, v in enumerate(pattern)], axis=0).sum())


def by_brute_force(codes: Codes, sizes: tuple[int, ...], threshold: float, order: int) -> set[tuple[int, ...]]:
    """Every pattern, and every parent of it, counted one by one."""
    found = set()
    for pattern in product(*[range(-1, size) for size in sizes]):
        given = [c for c, v in enumerate(pattern) if v != OPEN]
        if len(given) > order or rows_of(codes, pattern) >= threshold:
            continue
        parents = [tuple(OPEN if c == dropped else v for c, v in enumerate(pattern)) for dropped in given]
        if all(rows_of(codes, parent) >= threshold for parent in parents):
            found.add(pattern)
    return found


@pytest.mark.parametrize(("n", "expected"), [(4, 10), (6, 26), (8, 78)])
def test_diagonal_data_have_as_many_as_the_paper_proves(n: int, expected: int) -> None:
    found = search(np.eye(n, dtype=np.intp), (2,) * n, n / 2 + 1)
    assert found.maximal.sum() == expected == n + comb(n, n // 2)


@pytest.mark.parametrize("seed", range(12))
def test_brute_force_finds_the_same(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = tuple(int(s) for s in rng.integers(2, 5, rng.integers(2, 5)))
    # The last code of a column is a value that no pattern asks for.
    codes = np.column_stack([rng.integers(0, s + (seed % 2), 60) for s in sizes]).astype(np.intp)
    for threshold in (1, 4, 12):
        for order in range(1, len(sizes) + 1):
            found = search(codes, sizes, threshold, order)
            expected = by_brute_force(codes, sizes, threshold, order)
            assert as_set(found.patterns[found.maximal]) == expected
            for pattern, made, real in zip(found.patterns, found.made, found.real, strict=True):
                assert made == real == rows_of(codes, tuple(pattern))


def test_every_uncovered_pattern_that_real_rows_match_is_listed() -> None:
    rng = np.random.default_rng(1)
    codes = np.array(list(product(range(2), range(3), range(2))), dtype=np.intp)
    made, real = rng.integers(0, 9, len(codes)), rng.integers(0, 9, len(codes))
    cells = Cells(codes=codes, sizes=(2, 3, 2))
    found = uncovered_patterns(cells, made, real, threshold=7, covering=9, asked=5, order=3)
    every = list(product(range(-1, 2), range(-1, 3), range(-1, 2)))
    of = {p: [int(n[matches(np.array([p]), codes)[0]].sum()) for n in (made, real)] for p in every}
    assert {p for p, (m, r) in of.items() if m < 7 and r >= 5} <= as_set(found.patterns)
    assert as_set(found.patterns[~found.maximal]) <= {p for p, (m, r) in of.items() if m < 7 and r >= 5}
    assert found.covered == sum(r >= 9 for _, r in of.values())
    assert {tuple(p): [m, r] for p, m, r in zip(found.patterns, found.made, found.real, strict=True)} == {
        p: of[p] for p in as_set(found.patterns)
    }


def test_a_lower_order_finds_the_same_patterns_but_those_of_more_columns() -> None:
    codes = np.random.default_rng(2).integers(0, 3, (200, 4)).astype(np.intp)
    whole, pairs = search(codes, (3,) * 4, 5), search(codes, (3,) * 4, 5, order=3)
    patterns = whole.patterns[whole.maximal]
    few = patterns[(patterns != OPEN).sum(1) <= 3]
    assert 0 < len(few) < len(patterns)
    assert as_set(pairs.patterns[pairs.maximal]) == as_set(few)


def test_a_cube_counts_open_columns() -> None:
    codes = np.array([[0, 1], [1, 0], [1, 2]], dtype=np.intp)  # 2 is a value of the second column that none asks for
    cube = cube_of(codes, np.array([3, 4, 5]), (2, 2))
    assert cube.tolist() == [[0, 3, 3], [4, 0, 9], [4, 3, 12]]


def test_thirteen_columns_of_two_values_are_searched() -> None:
    rng = np.random.default_rng(3)
    codes = (rng.random((20_000, 13)) < rng.uniform(0.2, 0.8, 13)).astype(np.intp)
    cells = Cells(codes=np.unique(codes, axis=0), sizes=(2,) * 13)
    assert cells.patterns(13) == 3**13
    found = search(codes, (2,) * 13, 400)
    for pattern in found.patterns[found.maximal][:: len(found) // 20]:
        assert rows_of(codes, tuple(pattern)) < 400
        for column in np.flatnonzero(pattern != OPEN):
            parent = pattern.copy()
            parent[column] = OPEN
            assert rows_of(codes, tuple(parent)) >= 400


def test_the_narrowest_patterns_hold_no_other() -> None:
    codes = np.random.default_rng(4).integers(0, 3, (150, 4)).astype(np.intp)
    distinct, counts = np.unique(codes, axis=0, return_counts=True)
    cells = Cells(codes=distinct, sizes=(3,) * 4)
    found = uncovered_patterns(cells, counts, counts, threshold=20, covering=3, asked=3, order=4)
    patterns = found.patterns[found.real >= 3]
    assert narrowest(patterns).tolist() == [matches(p[None], patterns).sum() == 1 for p in patterns]


# -- remedies -----------------------------------------------------------------------------------


def enough(patterns: Codes, requests: Codes, rows: np.ndarray, lacking: np.ndarray) -> bool:
    return bool((matches(patterns, requests).astype(int) @ rows >= lacking).all())


@pytest.mark.parametrize("seed", range(8))
def test_no_smaller_remedy_exists(seed: int) -> None:
    rng = np.random.default_rng(seed)
    every = np.array(list(product(range(-1, 2), repeat=3)), dtype=np.intp)
    patterns = every[1:][rng.random(len(every) - 1) < 0.3]
    patterns = patterns[narrowest(patterns)]
    lacking = rng.integers(1, 4, len(patterns))
    offers = every[(every != OPEN).all(1)][rng.random(8) < 0.7]
    found = remedy(patterns, lacking, offers)
    assert found.exact
    assert enough(patterns, found.requests, found.rows, lacking)
    requests = np.concatenate([patterns, offers])
    served = matches(patterns, requests).astype(int)
    best = smallest(served, lacking)
    assert found.total == best


def smallest(served: np.ndarray, lacking: np.ndarray) -> int:
    """The fewest rows by trying all, one after the other."""
    seen, level, rows = {tuple(lacking)}, {tuple(lacking)}, 0
    while not any(max(left) <= 0 for left in level):
        level = {tuple(np.maximum(np.array(left) - column, 0)) for left in level for column in served.T} - seen
        seen |= level
        rows += 1
    return rows


def test_one_row_serves_all_that_it_matches() -> None:
    patterns = np.array([[0, OPEN, OPEN], [OPEN, 1, OPEN], [OPEN, OPEN, 2]], dtype=np.intp)
    lacking = np.array([5, 3, 4])
    together = remedy(patterns, lacking, np.array([[0, 1, 2]], dtype=np.intp))
    assert (together.total, together.least, together.exact) == (5, 5, True)
    apart = remedy(patterns, lacking, np.array([[0, 0, 0]], dtype=np.intp))
    assert (apart.total, apart.exact) == (12, True)
    assert as_set(apart.requests) == as_set(patterns)


def test_a_request_names_no_more_than_it_must() -> None:
    patterns = np.array([[0, OPEN, OPEN], [OPEN, 1, OPEN]], dtype=np.intp)
    found = remedy(patterns, np.array([2, 2]), np.array([[0, 1, 3]], dtype=np.intp))
    assert found.requests.tolist() == [[0, 1, OPEN]]


def test_what_nothing_lacks_needs_no_rows() -> None:
    nothing = np.zeros((0, 3), dtype=np.intp)
    assert remedy(nothing, np.zeros(0, dtype=np.int64), nothing).total == 0


@pytest.mark.parametrize("p", [400, 9000])
def test_large_remedies_are_enough_and_say_that_they_may_not_be_the_fewest(p: int) -> None:
    rng = np.random.default_rng(6)
    patterns = np.unique(rng.integers(0, 60, (p, 3)), axis=0).astype(np.intp)
    patterns[::2, 0] = OPEN
    patterns = np.unique(patterns, axis=0)
    patterns = patterns[narrowest(patterns)]
    lacking = rng.integers(1, 30, len(patterns))
    offers = rng.integers(0, 60, (800, 3)).astype(np.intp)
    size = len(patterns) * (len(offers) + len(patterns))
    assert size > (EXACT if p == 400 else WEIGHED)
    found = remedy(patterns, lacking, offers)
    assert enough(patterns, found.requests, found.rows, lacking)
    assert lacking.max() == found.least <= found.total <= lacking.sum()
    assert not found.exact


def test_greedy_takes_what_serves_most() -> None:
    served = np.array([[True, False, True], [False, True, True]])
    assert greedy(served, np.array([2, 5])).tolist() == [0, 3, 2]
