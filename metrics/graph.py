"""Neighbour lists: for every row all rows up to its ``depth``-th neighbour, exact and bounded in memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.distances import Euclid, Space, distinct
from counterproof.metrics.neighbours import MEMORY, blocks, within_reach
from counterproof.metrics.sample import Floats, Rows

TIE = 1e-9  # distances equal to one part in 10⁹ are ties: sums of the same terms in another order
SHALLOWEST = 8


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
        for rows in blocks(low, high, space.shape[1], memory):
            i, j = within_reach(space, rows, low, high, depth + 1)
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
