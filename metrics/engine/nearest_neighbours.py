"""Exact nearest neighbours: of features by one pass over the pairs, otherwise by a search tile by tile.

Float32 finds and float64 decides, see :mod:`counterproof.metrics.engine.pairwise_pass` and
:mod:`counterproof.metrics.engine.blocked_search`. Memory is O(block). Identical rows are searched once, so that
collapsed data stay cheap, and their distance is exactly 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from counterproof.metrics.engine.blocked_search import nearest_of_each, search, spread
from counterproof.metrics.engine.distances import Cityblock, Euclid, directions, distinct, gower_matrix
from counterproof.metrics.engine.gower import FEW, SIDE, Gower, GowerTiles
from counterproof.metrics.engine.pairwise_pass import MEMORY, Lists, pairwise_pass
from counterproof.metrics.engine.shortlist import NeighbourQuery
from counterproof.metrics.engine.tiles import Part
from counterproof.metrics.sample import Floats, Mixed, Rows, Sample

Distance = Literal["euclidean", "cityblock", "cosine"]
QUERIES = 4096


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest base rows of each query row, nearest first, ties by index.

    Attributes:
        distance: ``(nq, k)`` in float64.
        index: ``(nq, k)`` positions in the base.
    """

    distance: Floats
    index: Rows


Search = Callable[[Sample, Sample, int], Neighbours]


def nearest(
    query: Floats,
    base: Floats,
    k: int,
    *,
    metric: Distance = "euclidean",
    own: Rows | None = None,
    memory: int = MEMORY,
    device: str = "cpu",
) -> Neighbours:
    """The ``k`` nearest rows of ``base`` for every row of ``query``, exact.

    Args:
        query: ``(nq, d)``.
        base: ``(nb, d)``.
        k: How many.
        metric: ``euclidean``, ``cityblock`` (sum of absolute differences) or ``cosine`` (one less
            the cosine), as scikit-learn names them.
        own: ``(nq,)`` position of each query in the base, to be left out.
        memory: Budget in bytes for one block.
        device: Where the matrix products run; answers are the same everywhere.

    Raises:
        ValueError: Fewer than ``k`` rows to choose from, features that are not finite, an unknown
            metric, or by cosine a row without a direction.

    >>> found = nearest(np.array([[0.0]]), np.array([[3.0], [1.0], [1.0]]), 2)
    >>> found.index.tolist(), found.distance.tolist()
    ([[1, 2]], [[1.0, 1.0]])
    """
    _refuse_too_few(len(base), k, own)
    if metric == "cosine":
        turned = _directions(query)
        found = nearest(
            turned, turned if base is query else _directions(base), k, own=own, memory=memory, device=device
        )
        return Neighbours(found.distance**2 / 2, found.index)  # |x - y|² = 2 - 2 cos at length 1
    if metric == "cityblock":
        first, node = distinct(base)
        return Neighbours(
            *search(Cityblock(query, base[first], device=device), node, k, own=own, memory=memory, device=device)
        )
    if metric != "euclidean":
        raise ValueError(f"no distance is called {metric!r}: choose from {', '.join(get_args(Distance))}")
    parts = [Part(query, np.arange(len(query))), Part(base, np.arange(len(base)))]
    parts = parts[:1] if query is base else parts
    there = frozenset({len(parts) - 1})
    asked = NeighbourQuery(rows=frozenset({0}), base=there, count_within=there, k=k + 1)
    passed = pairwise_pass(parts, lists=[asked], memory=memory, device=device)
    if passed.lists:
        return neighbours_from_lists(passed.lists[0], passed.nodes.of_row[0], passed.nodes.of_row[-1], k, own=own)[0]
    first, node = distinct(base)  # so many ties that lists do not fit: block by block, each decided at once
    return Neighbours(
        *search(Euclid(query, base[first], device=device), node, k, own=own, memory=memory, device=device)
    )


def _directions(features: Floats) -> Floats:
    """Rows of length 1; a row of zeros has none."""
    zeros = ~features.any(axis=1)
    if zeros.any():
        raise ValueError(f"row {int(np.argmax(zeros))} is all zeros: it has no direction, so no cosine distance")
    return directions(features)


def neighbours_from_lists(
    lists: Lists, query: Rows, base: Rows, k: int, *, own: Rows | None = None
) -> tuple[Neighbours, Rows]:
    """The ``k`` nearest rows read from neighbour lists, and the queries whose lists hold fewer.

    Args:
        lists: Lists of the queries' nodes that hold the base rows' nodes.
        query: ``(nq,)`` node of each query row.
        base: ``(nb,)`` node of each base row.
        k: How many.
        own: ``(nq,)`` position of each query in the base, to be left out.
    """
    members = np.argsort(base, kind="stable")
    size = np.bincount(base, minlength=max(int(lists.node.max(initial=0)), int(base.max(initial=0))) + 1)
    start = np.cumsum(size) - size
    distance, index = np.full((len(query), k), np.nan), np.zeros((len(query), k), dtype=np.intp)
    short: list[Rows] = []
    for low in range(0, len(query), QUERIES):
        node = query[low : low + QUERIES]
        length = lists.start[node + 1] - lists.start[node]
        at = spread(lists.start[node], length)
        count = np.minimum(size[lists.node[at]], k + 1)  # of twins, the k + 1 first can matter
        row = np.repeat(np.repeat(np.arange(len(node)), length), count)
        gap = np.repeat(lists.distance[at], count)
        found = members[spread(start[lists.node[at]], count)]
        if own is not None:
            others = found != own[low + row]
            row, gap, found = row[others], gap[others], found[others]
        row, gap, found = nearest_of_each(row, gap, found, k)
        rank = np.arange(len(row)) - np.searchsorted(row, row)
        distance[low + row, rank], index[low + row, rank] = gap, found
        short.append(low + np.flatnonzero(np.bincount(row, minlength=len(node)) < k))
    return Neighbours(distance, index), np.concatenate(short) if short else np.empty(0, dtype=np.intp)


def gower_neighbours(
    mixed: Mixed,
    query: Rows,
    base: Rows,
    k: int,
    *,
    own: Rows | None = None,
    memory: int = MEMORY,
    device: str = "cpu",
) -> Neighbours:
    """The ``k`` nearest base rows of a mixed table by Gower distance, exact.

    The distance is the mean over columns of ``min(1, |x - y|)`` for numbers (missing against
    missing 0, against a value 1) and of a mismatch for categories.

    Args:
        mixed: The table.
        query: Rows of the table to search for.
        base: Rows of the table to search in.
        k: How many.
        own: Position of each query in ``base``, to be left out.
        memory: Budget in bytes for one block.
        device: Where the sums run.

    Raises:
        ValueError: Fewer than ``k`` rows to choose from.
    """
    _refuse_too_few(len(base), k, own)
    matrix = gower_matrix(mixed)
    if own is not None and len(query) > FEW and np.array_equal(query, base):  # half of all pairs tells the rest
        both = frozenset({0})
        asked = NeighbourQuery(rows=both, base=both, count_within=both, k=k + 1)
        how: dict[str, Any] = {"memory": memory, "device": device, "space": GowerTiles, "largest": SIDE}
        passed = pairwise_pass([Part(matrix, base)], lists=[asked], **how)
        if passed.lists:
            return neighbours_from_lists(passed.lists[0], passed.nodes.of_row[0], passed.nodes.of_row[0], k, own=own)[0]
    rows = matrix[base]
    first, node = distinct(rows)
    space = Gower(matrix[query], rows[first], device=device)
    return Neighbours(*search(space, node, k, own=own, memory=memory, device=device))


def _refuse_too_few(n: int, k: int, own: Rows | None) -> None:
    there = n - (own is not None)
    if not 1 <= k <= there:
        raise ValueError(f"{k} neighbours were asked for and there are {there} other rows: ask for fewer or add rows")


# -- samples that gained rows -------------------------------------------------------------------


def updated_neighbours(
    found: Neighbours, query: Sample, base: Sample, old: tuple[int, int], search: Search
) -> Neighbours:
    """The neighbours of ``query`` in ``base`` after both gained rows; only what the new rows change is searched.

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


def remaining_neighbours(found: Neighbours, query: Sample, base: Sample, before: Sample, search: Search) -> Neighbours:
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
