"""Exact nearest neighbours in blocks: float32 finds, float64 decides.

No certificate is left to chance: per block every pair is taken whose float32 value lies within a
proven error bound of an upper bound on the k-th value, and the exact distances of those few pairs
decide. Memory is O(block). Identical rows are searched once, so that collapsed data stay cheap,
and their distance is exactly 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from counterproof.metrics.distances import Euclid, Gower, Space, distinct, gower_matrix
from counterproof.metrics.sample import Floats, Mixed, Rows

MEMORY = 256 * 2**20
TIE = 1e-9  # distances equal to one part in 10⁹ are ties: sums of the same terms in another order
SHALLOWEST = 8


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest base rows of each query row, nearest first, ties by index.

    Attributes:
        distance: ``(nq, k)`` in float64.
        index: ``(nq, k)`` positions in the base.
    """

    distance: Floats
    index: Rows


@dataclass(frozen=True, eq=False)
class Graph:
    """Who lies near whom, among the distinct rows ("nodes") of each side.

    The list of a node holds every node (itself included) up to the distance of its ``depth``-th
    other node of its own side, nearest first.

    Attributes:
        node: ``(n,)`` node of each row.
        indptr: ``(m + 1,)`` where the list of each node starts.
        index: Nodes of the lists.
        distance: Their distances.
        depth: How many neighbours of its own side a list reaches.
        remark: What a reader should know of how it was made.
    """

    node: Rows
    indptr: Rows
    index: Rows
    distance: Floats
    depth: int
    remark: str = ""

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @cached_property
    def runs(self) -> Rows:
        """Where runs of equal distances end, ascending positions in the lists."""
        last = np.ones(len(self.index), dtype=bool)
        last[:-1] = self.distance[1:] > self.distance[:-1] * (1 + TIE)
        last[self.indptr[1:] - 1] = True
        return np.flatnonzero(last) + 1


class TooDense(ValueError):
    """So many rows are equally far apart that neighbour lists would not fit in memory."""


def nearest(
    query: Floats,
    base: Floats,
    k: int,
    *,
    own: Rows | None = None,
    memory: int = MEMORY,
    device: str = "cpu",
) -> Neighbours:
    """The ``k`` nearest rows of ``base`` for every row of ``query`` by Euclidean distance, exact.

    Args:
        query: ``(nq, d)``.
        base: ``(nb, d)``.
        k: How many.
        own: ``(nq,)`` position of each query in the base, to be left out.
        memory: Budget in bytes for one block.
        device: Where the matrix products run; answers are the same everywhere.

    Raises:
        ValueError: Fewer than ``k`` rows to choose from, or features that are not finite.

    >>> found = nearest(np.array([[0.0]]), np.array([[3.0], [1.0], [1.0]]), 2)
    >>> found.index.tolist(), found.distance.tolist()
    ([[1, 2]], [[1.0, 1.0]])
    """
    _enough(len(base), k, own)
    first, node = distinct(base)
    space = Euclid(query, base[first], device=device)
    return _search(space, node, k, own, memory)


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
    _enough(len(base), k, own)
    matrix = gower_matrix(mixed)
    rows = matrix[base]
    first, node = distinct(rows)
    return _search(Gower(matrix[query], rows[first], device=device), node, k, own, memory)


def _enough(n: int, k: int, own: Rows | None) -> None:
    there = n - (own is not None)
    if not 1 <= k <= there:
        raise ValueError(f"{k} neighbours were asked for and there are {there} other rows: ask for fewer or add rows")


def _search(space: Space, node: Rows, k: int, own: Rows | None, memory: int) -> Neighbours:
    members = np.argsort(node, kind="stable")
    size = np.bincount(node)
    start = np.cumsum(size) - size
    distance, index = np.empty((space.shape[0], k)), np.empty((space.shape[0], k), dtype=np.intp)
    for rows in _blocks(0, space.shape[0], space.shape[1], memory):
        i, j = _within(space, rows, 0, space.shape[1], k + 1)
        gap = space.exact(i, j)
        count = np.minimum(size[j], k + 1)  # of twins, the k + 1 first can matter
        row, gap = np.repeat(i, count), np.repeat(gap, count)
        found = members[spread(start[j], count)]
        if own is not None:
            others = found != own[row]
            row, gap, found = row[others], gap[others], found[others]
        order = np.lexsort((found, gap, row))
        row = row[order]
        top = order[np.arange(len(row)) - np.searchsorted(row, row) < k]
        distance[rows], index[rows] = gap[top].reshape(-1, k), found[top].reshape(-1, k)
    return Neighbours(distance, index)


def spread(start: Rows, count: Rows) -> Rows:
    """The positions ``start, start + 1, …`` of each of many ranges, one after the other.

    >>> spread(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    end = np.cumsum(count)
    return np.arange(end[-1] if len(end) else 0) + np.repeat(start - end + count, count)


def _blocks(low: int, high: int, width: int, memory: int) -> Iterator[slice]:
    step = int(min(192, max(1, memory // (16 * max(1, width)))))
    for start in range(low, high, step):
        yield slice(start, min(high, start + step))


def _within(space: Space, rows: slice, low: int, high: int, k: int) -> tuple[Rows, Rows]:
    """Pairs that may be no farther than the ``k``-th nearest of the base rows ``low`` to ``high``."""
    values = space.values(rows)
    if k < high - low:
        upper = _kth_at_most(values[:, low:high], k).double().cpu().numpy()
        reach = space.reach(rows, upper)
    else:
        reach = np.full(len(values), np.inf, dtype=np.float32)
    chosen = np.flatnonzero(values.cpu().numpy() <= reach[:, None])
    row, column = np.divmod(chosen, values.shape[1])
    return row + rows.start, column


def _kth_at_most(values: torch.Tensor, k: int) -> torch.Tensor:
    """A little more than the ``k``-th smallest value of each row, or just that.

    The k-th smallest of the minima of groups has k values at or below it; minima of strided groups
    cost a tenth of a full top-k.
    """
    width = values.shape[1]
    group = max(1, min(32, width // (4 * k)))
    whole = width - width % group
    lows = values[:, :whole].view(len(values), group, whole // group).amin(1)
    lows = torch.cat([lows, values[:, whole:]], dim=1)
    return lows.kthvalue(k, dim=1).values


def neighbour_graph(
    features: Floats, sides: NDArray[np.int8] | None, *, depth: int, memory: int = MEMORY, device: str = "cpu"
) -> Graph:
    """Neighbour lists among all rows, each as far as the ``depth``-th neighbour of its own side.

    Args:
        features: ``(n, d)``.
        sides: ``(n,)`` side of each row; None when all are on one.
        depth: How many neighbours of its own side a list reaches. Lowered, with a remark, when
            ties would make the lists longer than the memory allows.
        memory: Budget in bytes for a block, and for the lists.
        device: Where the matrix products run.

    Raises:
        TooDense: Even shallow lists do not fit.
        ValueError: The features are not finite.
    """
    sides = np.zeros(len(features), dtype=np.int8) if sides is None else sides
    first, node, bounds = _nodes(features, sides)
    rows = features[first]
    space = Euclid(rows, rows, device=device)
    asked = depth
    while True:
        lists = _lists(space, bounds, depth, memory)
        if lists is not None:
            remark = "" if depth == asked else f"neighbour lists cut from {asked} to {depth}: many rows are tied"
            return replace(lists, node=node, remark=remark)
        if depth <= SHALLOWEST:
            raise TooDense("so many rows are equally far apart that their neighbours cannot be told from the rest")
        depth = max(SHALLOWEST, depth // 2)


def _nodes(features: Floats, sides: NDArray[np.int8]) -> tuple[Rows, Rows, list[tuple[int, int]]]:
    """Distinct rows side by side: representatives, node of each row, range of nodes of each side."""
    firsts: list[Rows] = []
    node, bounds, made = np.empty(len(features), dtype=np.intp), [], 0
    for side in np.unique(sides):
        rows = np.flatnonzero(sides == side)
        first, within = distinct(features[rows])
        firsts.append(rows[first])
        node[rows] = within + made
        bounds.append((made, made + len(first)))
        made += len(first)
    return np.concatenate(firsts), node, bounds


def _lists(space: Space, bounds: list[tuple[int, int]], depth: int, memory: int) -> Graph | None:
    """The lists of all nodes, or None when they outgrow the memory."""
    index: list[Rows] = []
    distance: list[Floats] = []
    counts: list[Rows] = []
    held = 0
    for low, high in bounds:
        for rows in _blocks(low, high, space.shape[1], memory):
            i, j = _within(space, rows, low, high, depth + 1)
            count, column, gap = _trimmed(i - rows.start, j, space.exact(i, j), low, high, depth)
            index.append(column)
            distance.append(gap)
            counts.append(count)
            held += 16 * len(column)
            if held > memory:
                return None
    indptr = np.concatenate([[0], np.cumsum(np.concatenate(counts))]).astype(np.intp)
    return Graph(np.empty(0, dtype=np.intp), indptr, np.concatenate(index), np.concatenate(distance), depth)


def _trimmed(i: Rows, j: Rows, gap: Floats, low: int, high: int, depth: int) -> tuple[Rows, Rows, Floats]:
    """Lists sorted by distance, cut after ``depth`` others of the own side and their ties; their lengths first."""
    order = np.argsort(gap, kind="stable")  # with ties in the order of j, as they came
    order = order[np.argsort(i[order].astype(np.uint16), kind="stable")]  # by radix: thrice as fast as a lexsort
    column, gap = j[order], gap[order]
    count = np.bincount(i)
    start = np.cumsum(count) - count
    own = (column >= low) & (column < high)
    total = np.cumsum(own)
    seen = total - np.repeat(total[start] - own[start], count)
    inside = own & (seen <= depth + 1)
    rim = np.empty(len(count))
    rim[i[inside]] = gap[inside]  # ascending, so the last to be written is the largest
    keep = gap <= np.repeat(rim * (1 + TIE), count)
    return np.bincount(i[keep], minlength=len(count)), column[keep], gap[keep]
