"""Search: the nearest base rows of each query in one space, tile by tile: float32 finds, float64 decides.

No certificate is left to chance: every pair is kept whose float32 value lies within a proven error
bound of an upper bound on the k-th value, and the exact distances of those few pairs decide. A tile
is read while it is in the cache, and no block of values is ever written to memory. Ties cost time
and memory of one block of queries only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.engine.distances import Space
from counterproof.metrics.engine.shortlist import NeighbourQuery, Shortlist
from counterproof.metrics.engine.tiles import Block
from counterproof.metrics.sample import Floats, Rows

QUERIES = 192
TILE = 1024  # base rows of a tile: with its work space it takes 1.5 MB
TILE_ON_DEVICE = 2**16


@dataclass(frozen=True, eq=False)
class _Bounds:
    """The bounds of a space in the form that shortlists need."""

    space: Space

    def reach(self, rows: Block, upper: Floats) -> NDArray[np.float32]:
        return self.space.reach(slice(rows.start, rows.stop), upper)


def search(
    space: Space, node: Rows, k: int, *, own: Rows | None, memory: int, device: str = "cpu"
) -> tuple[Floats, Rows]:
    """``(nq, k)`` distances of the nearest base rows of every query, nearest first, and which they are.

    Args:
        space: Queries against the distinct base rows.
        node: ``(nb,)`` which distinct row each base row is.
        k: How many, no more than there are; ties go to the lower index.
        own: ``(nq,)`` position of each query among the base rows, to be left out.
        memory: Budget in bytes for one block.
        device: Where the values are made.
    """
    members = np.argsort(node, kind="stable")
    size = np.bincount(node)
    start = np.cumsum(size) - size
    tile = TILE if device == "cpu" else TILE_ON_DEVICE
    distance, index = np.empty((space.shape[0], k)), np.empty((space.shape[0], k), dtype=np.intp)
    for rows in blocks(0, space.shape[0], space.shape[1], memory):
        i, j = _within_reach(space, rows, k + 1, tile)
        gap = space.exact(i, j)
        count = np.minimum(size[j], k + 1)  # of twins, the k + 1 first can matter
        row, gap = np.repeat(i, count), np.repeat(gap, count)
        found = members[spread(start[j], count)]
        if own is not None:
            others = found != own[row]
            row, gap, found = row[others], gap[others], found[others]
        _, gap, found = nearest_of_each(row, gap, found, k)
        distance[rows], index[rows] = gap.reshape(-1, k), found.reshape(-1, k)
    return distance, index


def _within_reach(space: Space, rows: slice, k: int, tile: int) -> tuple[Rows, Rows]:
    """Pairs that may be no farther than the ``k``-th nearest."""
    width = space.shape[1]
    query = NeighbourQuery(rows=frozenset({0}), base=frozenset({0}), count_within=frozenset({0}), k=k)
    short = Shortlist(Block(0, rows.start, rows.stop), [query], _Bounds(space), np.zeros(width, dtype=np.uint8))
    for start in range(0, width, tile):
        columns = Block(0, start, min(start + tile, width))
        short.add_tile(space.values(rows, slice(columns.start, columns.stop)), columns)
    row, column, _ = short.pairs()
    return row + rows.start, column


def blocks(low: int, high: int, width: int, memory: int) -> Iterator[slice]:
    """Rows ``low`` to ``high`` in blocks against ``width`` others, within a budget of bytes."""
    most = min(QUERIES, memory // (16 * max(1, width)), 2**31 // max(1, width))  # a pair must fit in 32 bits
    step = max(1, most)
    for start in range(low, high, step):
        yield slice(start, min(high, start + step))


def nearest_of_each(row: Rows, gap: Floats, found: Rows, k: int) -> tuple[Rows, Floats, Rows]:
    """The ``k`` nearest of each row, ties by index."""
    order = np.lexsort((found, gap, row))
    row = row[order]
    top = np.arange(len(row)) - np.searchsorted(row, row) < k
    return row[top], gap[order[top]], found[order[top]]


def spread(start: Rows, count: Rows) -> Rows:
    """The positions ``start, start + 1, …`` of each of many ranges, one after the other.

    >>> spread(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    end = np.cumsum(count)
    return np.arange(end[-1] if len(end) else 0) + np.repeat(start - end + count, count)
