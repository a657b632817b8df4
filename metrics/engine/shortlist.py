"""Shortlists: the pairs of a block of rows that may belong to a neighbour list, kept tile by tile.

Every query has an upper bound on the k-th value of each row: the k-th smallest among values seen
so far, which only falls. A pair beyond all bounds can be in no list, so it is
never kept; about ``k (1 + ln tiles)`` pairs of a row are. A pair is one 64-bit key (row, value,
node: non-negative float32 values sort as their bits do), so that keeping order is one sort.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.engine.tiles import Block
from counterproof.metrics.sample import Floats, Rows

if TYPE_CHECKING:
    import torch


Keys = NDArray[np.uint64]
ROOM = 4096  # keys up to which nothing is dropped


class Bounds(Protocol):
    """Error bounds of fast values, known by what computed them."""

    def reach(self, rows: Block, upper: Floats) -> NDArray[np.float32]:
        """A value that no node exceeds which is as near as one of value ``upper``."""
        ...


@dataclass(frozen=True)
class NeighbourQuery:
    """For each node of some parts: all nodes of others up to the ``k``-th nearest of some of them, ties included.

    Attributes:
        rows: Parts whose nodes get a list.
        base: Parts that are listed.
        count_within: Parts of the base among which the ``k``-th is counted, the node itself included.
        k: How many.
    """

    rows: frozenset[int]
    base: frozenset[int]
    count_within: frozenset[int]
    k: int


class Shortlist:
    """Pairs of one block that are within the bound of some query.

    Attributes:
        block: The rows.
        numbers: Which queries ask for lists of these rows.
        queries: These queries.
        held: Keys in memory.
    """

    def __init__(
        self, block: Block, queries: Sequence[NeighbourQuery], bounds: Bounds, part_of: NDArray[np.uint8]
    ) -> None:
        self.block = block
        self.numbers = [at for at, query in enumerate(queries) if block.part in query.rows]
        self.queries = [queries[at] for at in self.numbers]
        self.held = 0
        self._bounds, self._part_of = bounds, part_of
        self._bits = np.uint64(max(1, (len(part_of) - 1).bit_length()))
        self._upper = np.full((len(self.queries), len(block)), np.inf)
        self._keys: list[Keys] = []
        self._kept = 0
        self._reach: dict[int, NDArray[np.float32]] = {}
        parts = int(part_of.max(initial=0)) + 1
        self._counted = [np.isin(np.arange(parts), list(query.count_within)) for query in self.queries]
        self._in_base = [np.isin(np.arange(parts), list(query.base)) for query in self.queries]

    def wants(self, part: int) -> bool:
        """Whether pairs with nodes of this part can be in a list."""
        return any(part in query.base for query in self.queries)

    def add_tile(self, values: torch.Tensor, columns: Block, *, transposed: bool = False) -> None:
        """Keep the pairs of a tile that may be in a list.

        Args:
            values: ``(b, c)`` squared distances of this block to ``columns``, or of those to this block.
            columns: The other block.
            transposed: The rows of this block are the columns of the tile.
        """
        self._seed(values.T if transposed else values, columns)
        at, found = _at_most(values, self._threshold(columns.part), transposed)
        row, column = np.divmod(at, values.shape[1])
        if transposed:
            row, column = column, row
        key = row.astype(np.uint64) << (self._bits + np.uint64(32))
        key |= _ordered(found) << self._bits
        key |= (column + columns.start).astype(np.uint64)
        self._keys.append(key)
        self.held += len(key)
        if self.held > 2 * self._kept + ROOM:
            self.reduce_pairs()

    def _seed(self, values: torch.Tensor, columns: Block) -> None:
        """First bounds from a first tile."""
        for at, query in enumerate(self.queries):
            if columns.part in query.count_within and query.k < len(columns) and np.isinf(self._upper[at]).any():
                found = kth_at_most(values, query.k).double().cpu().numpy()
                np.minimum(self._upper[at], np.maximum(found, 0.0), out=self._upper[at])
                self._reach.clear()

    def _threshold(self, part: int) -> NDArray[np.float32]:
        """Values above it are beyond the bound of every query that lists the part."""
        if part not in self._reach:
            uppers = [self._upper[at] for at, query in enumerate(self.queries) if part in query.base]
            self._reach[part] = self._bounds.reach(self.block, np.max(uppers, axis=0))
        return self._reach[part]

    def reduce_pairs(self) -> None:
        """Lower the bounds by the values seen so far, and drop the pairs beyond them."""
        keys, row, node, value = self._sorted()
        part = self._part_of[node]
        first = np.searchsorted(row, np.arange(len(self.block)))
        for at, query in enumerate(self.queries):
            inside = self._counted[at][part]
            seen = np.cumsum(inside)
            before = np.concatenate([[0], seen])[first]
            kth = np.flatnonzero(inside & (seen - before[row] == query.k))
            self._upper[at, row[kth]] = np.minimum(self._upper[at, row[kth]], value[kth])
        self._reach.clear()
        keys = keys[self._within(row, part, value).any(0)]
        self._keys, self._kept, self.held = [keys], len(keys), len(keys)

    def _sorted(self) -> tuple[Keys, Rows, Rows, NDArray[np.float32]]:
        """The keys in order, and their rows, nodes and values."""
        keys = np.sort(np.concatenate(self._keys)) if self._keys else np.empty(0, dtype=np.uint64)
        row = (keys >> (self._bits + np.uint64(32))).astype(np.intp)
        node = (keys & ((np.uint64(1) << self._bits) - np.uint64(1))).astype(np.intp)
        value = ((keys >> self._bits) & np.uint64(0xFFFFFFFF)).astype(np.uint32).view(np.float32)
        return keys, row, node, value

    def _within(self, row: Rows, part: NDArray[np.uint8], value: NDArray[np.float32]) -> NDArray[np.bool_]:
        """``(queries, pairs)`` which pairs are within the bound of each query."""
        made = np.empty((len(self.queries), len(row)), dtype=bool)
        for at in range(len(self.queries)):
            reach = self._bounds.reach(self.block, self._upper[at])
            made[at] = self._in_base[at][part] & (value <= reach[row])
        return made

    def free(self) -> None:
        """Free the memory."""
        self._keys, self.held = [], 0

    def pairs(self) -> tuple[Rows, Rows, NDArray[np.bool_]]:
        """Row of the block, node, and ``(queries, pairs)`` which queries it is within the bound of."""
        self.reduce_pairs()
        _, row, node, value = self._sorted()
        return row, node, self._within(row, self._part_of[node], value)


def _ordered(values: NDArray[np.float32]) -> Keys:
    """Bits that sort as the values do; what rounding left below 0 counts as 0."""
    return (np.maximum(values, 0.0) + np.float32(0.0)).view(np.uint32).astype(np.uint64)


def _at_most(
    values: torch.Tensor, threshold: NDArray[np.float32], transposed: bool
) -> tuple[Rows, NDArray[np.float32]]:
    """Flat positions of values up to their row's (column's) threshold, and the values."""
    if values.device.type == "cpu":  # numpy finds set positions several times as fast as torch
        tile = values.numpy()
        at = np.flatnonzero(tile <= (threshold if transposed else threshold[:, None]))
        return at, tile.ravel()[at]
    import torch

    limit = torch.from_numpy(threshold).to(values.device)
    found = torch.nonzero((values <= (limit if transposed else limit[:, None])).view(-1)).view(-1)
    return found.cpu().numpy().astype(np.intp), values.reshape(-1)[found].cpu().numpy()


def kth_at_most(values: torch.Tensor, k: int) -> torch.Tensor:
    """A little more than the ``k``-th smallest value of each row, or just that.

    The k-th smallest of the minima of groups has k values at or below it; minima of strided groups
    cost a tenth of a full top-k.
    """
    import torch

    width = values.shape[1]
    group = max(1, min(32, width // (4 * k)))
    whole = width - width % group
    lows = values[:, :whole].reshape(len(values), group, whole // group).amin(1)
    lows = torch.cat([lows, values[:, whole:]], dim=1)
    return lows.kthvalue(k, dim=1).values
