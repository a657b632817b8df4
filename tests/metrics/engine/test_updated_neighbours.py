"""Lists of samples that gained rows are the lists of a search from scratch."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.workbenches import bench

from counterproof.metrics.engine.nearest_neighbours import Neighbours, nearest, updated_neighbours
from counterproof.metrics.sample import Sample

K = 4


def from_scratch(query: Sample, base: Sample, k: int) -> Neighbours:
    own = np.arange(len(base)) if query.content == base.content else None
    return nearest(query.features, base.features, k, own=own)


def first(sample: Sample, rows: int) -> Sample:
    return sample.take(np.arange(rows), "as it was")


@pytest.fixture(scope="module")
def samples() -> tuple[Sample, Sample]:
    rng = np.random.default_rng(1)
    view = bench(rng.normal(size=(80, 3)), rng.normal(size=(60, 3)), rng.normal(size=(70, 3)))
    return view.reference, view.candidate


@pytest.mark.parametrize(("queries", "rows"), [(60, 70), (60, 50), (40, 70), (40, 50), (40, 69)])
def test_added_rows_and_queries_give_the_lists_of_a_new_search(
    queries: int, rows: int, samples: tuple[Sample, Sample]
) -> None:
    query, base = samples
    before = from_scratch(first(query, queries), first(base, rows), K)
    found = updated_neighbours(before, query, base, (queries, rows), from_scratch)
    expected = from_scratch(query, base, K)
    np.testing.assert_array_equal(found.index, expected.index)
    np.testing.assert_array_equal(found.distance, expected.distance)


@pytest.mark.parametrize("rows", [50, 69, 70])
def test_a_row_of_a_sample_that_grew_is_not_its_own_neighbour(rows: int, samples: tuple[Sample, Sample]) -> None:
    whole = samples[1]
    before = from_scratch(first(whole, rows), first(whole, rows), K)
    found = updated_neighbours(before, whole, whole, (rows, rows), from_scratch)
    expected = from_scratch(whole, whole, K)
    assert (found.index != np.arange(len(whole))[:, None]).all()
    np.testing.assert_array_equal(found.index, expected.index)


def test_only_what_the_new_rows_change_is_searched_for(samples: tuple[Sample, Sample]) -> None:
    query, base = samples
    asked: list[tuple[int, int]] = []

    def search(left: Sample, right: Sample, k: int) -> Neighbours:
        asked.append((len(left), len(right)))
        return from_scratch(left, right, k)

    before = from_scratch(first(query, 55), first(base, 67), K)
    updated_neighbours(before, query, base, (55, 67), search)
    assert asked == [(55, 3), (5, 70)]
