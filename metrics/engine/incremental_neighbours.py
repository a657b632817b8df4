"""Neighbour lists of samples that gained or lost a few rows, from the lists of the samples as they were."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from counterproof.metrics.engine.nearest_neighbours import Neighbours
from counterproof.metrics.sample import Sample

Search = Callable[[Sample, Sample, int], Neighbours]


def grown(found: Neighbours, query: Sample, base: Sample, old: tuple[int, int], search: Search) -> Neighbours:
    """The neighbours of ``query`` in ``base``, of which only what the new rows change is searched for.

    Args:
        found: Neighbours of the samples as they were.
        query: Rows of the grown sample; the new ones stand last.
        base: Rows to search; the new ones stand last.
        old: How many queries and rows there were.
        search: Searches from scratch.
    """
    with_base = _with_base(found, query.take(np.arange(old[0]), "old queries"), base, old[1], search)
    if old[0] == len(query):
        return with_base
    return _with_queries(with_base, query, base, old[0], search)


def shrunken(found: Neighbours, query: Sample, base: Sample, before: Sample, search: Search) -> Neighbours:
    """The neighbours of ``query`` in a base that lost rows; only lists that lost some are searched for anew.

    Args:
        found: Neighbours in the base as it was.
        query: The queries.
        base: Rows to search.
        before: The base as it was.
        search: Searches from scratch.
    """
    left = np.isin(before.rows, base.rows)
    place = np.cumsum(left) - 1
    distance, index = found.distance.copy(), place[found.index]
    lost = np.flatnonzero(~left[found.index].all(1))
    if len(lost):
        again = search(query.take(lost, "queries that lost a neighbour"), base, found.distance.shape[1])
        distance[lost], index[lost] = again.distance, again.index
    return Neighbours(distance, index)


def _with_base(found: Neighbours, query: Sample, base: Sample, old: int, search: Search) -> Neighbours:
    if old == len(base):
        return found
    new = base.take(np.arange(old, len(base)), "new rows")
    more = search(query, new, min(len(new), found.distance.shape[1]))
    distance = np.concatenate([found.distance, more.distance], axis=1)
    index = np.concatenate([found.index, more.index + old], axis=1)
    order = np.argsort(distance, axis=1, kind="stable")[:, : found.distance.shape[1]]
    return Neighbours(np.take_along_axis(distance, order, 1), np.take_along_axis(index, order, 1))


def _with_queries(found: Neighbours, query: Sample, base: Sample, old: int, search: Search) -> Neighbours:
    """Lists of the new queries below those of the old ones; a row is not its own neighbour."""
    new = query.take(np.arange(old, len(query)), "new queries")
    k = found.distance.shape[1]
    same = query.content == base.content
    more = search(new, base, min(k + same, len(base)))
    kept = more.index != np.arange(old, len(query))[:, None] if same else np.ones(more.index.shape, dtype=bool)
    order = np.argsort(~kept, axis=1, kind="stable")[:, :k]
    return Neighbours(
        np.concatenate([found.distance, np.take_along_axis(more.distance, order, 1)]),
        np.concatenate([found.index, np.take_along_axis(more.index, order, 1)]),
    )
