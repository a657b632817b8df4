"""Gower's distance on tiles that stay in the cache: a product for mismatches, maxima for numbers.

Codes are integers, so that ``min(1, |a - b|)`` *is* the mismatch, and missing numbers get a value far
from all others: one rule for every column. How a column is summed is a matter of cost alone:

* values that are all 1 or more apart, and few: matches are one product of one-hot rows;
* values no more than 1 apart: ``|a - b| = max(2a, 2b) - a - b``, two operations a pair, of which the
  last two terms ride on the product;
* all others: the rule itself, in four.

Floor at ``q`` levels and ``p`` numbers: ``2 q`` operations of the multiplier and ``2 p`` passes over a
tile in the cache, against ``4`` passes through memory for every column.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.engine.distances import ALL, UNIT
from counterproof.metrics.engine.tiles import Block, Nodes
from counterproof.metrics.sample import Floats, Rows

if TYPE_CHECKING:
    import torch


Matrix = NDArray[np.float32]
LEVELS = 40  # from here on a product costs more than the rule
WIDEST = 512  # columns of the product, which bounds its memory
SIDE = 512  # rows of a square tile that stays in the cache
FEW = 64  # queries below which looking at the columns does not pay


@dataclass(frozen=True, eq=False, kw_only=True)
class Layout:
    """How each column is summed.

    Attributes:
        levels: Values of the columns whose matches are counted by a product.
        spans: Least value of the columns whose values are no more than 1 apart.
        others: The other columns.
    """

    levels: dict[int, Matrix]
    spans: dict[int, float]
    others: list[int]

    @classmethod
    def of(cls, query: Matrix, base: Matrix) -> Layout:
        """Look at the values of every column."""
        width = base.shape[1]
        if len(query) < FEW:
            return cls(levels={}, spans={}, others=list(range(width)))
        levels, spans = {}, {}
        for at in range(width):
            values = np.unique(np.concatenate([np.unique(query[:, at]), np.unique(base[:, at])]))
            if len(values) <= LEVELS and (np.diff(values) >= 1).all():
                levels[at] = values
            elif values[-1] - values[0] <= 1:
                spans[at] = float(values[0])
        room = np.cumsum(sorted(len(values) for values in levels.values())) <= WIDEST
        kept = sorted(levels, key=lambda at: len(levels[at]))[: int(room.sum())]
        levels = {at: levels[at] for at in kept}
        return cls(levels=levels, spans=spans, others=[at for at in range(width) if at not in {*levels, *spans}])

    def hot(self, rows: Matrix) -> Matrix:
        """``(n, q + 2)`` one-hot rows, 1, and what a row adds whatever the other: half the columns less its spans."""
        made = np.zeros((len(rows), sum(map(len, self.levels.values())) + 2), dtype=np.float32)
        low = 0
        for at, values in self.levels.items():
            made[np.arange(len(rows)), low + np.searchsorted(values, rows[:, at])] = 1.0
            low += len(values)
        made[:, -2] = 1.0
        made[:, -1] = len(self.levels) / 2 - self.doubled(rows).sum(0, dtype=np.float64) / 2
        return made

    def doubled(self, rows: Matrix) -> Matrix:
        """``(p, n)`` twice the spans' numbers above their least."""
        least = np.array(list(self.spans.values()), dtype=np.float32)[:, None]
        return np.ascontiguousarray(2 * (rows[:, list(self.spans)].T - least))


class Gower:
    """Mean over columns of ``min(1, |x - y|)``, or of a mismatch for codes.

    A value sums ``c`` columns, each at most 1, in terms of which no partial sum exceeds ``2 c``: it is
    off by at most ``2 c (c + 4) u`` for rounded sums and ``6 c u`` for rounded terms, ``u = 2⁻²⁴``,
    in any order of summation; products with a zero round nothing. Source: Gower (1971),
    doi:10.2307/2528823.
    """

    def __init__(self, query: Matrix, base: Matrix, *, device: str = "cpu") -> None:
        import torch

        self.shape = (len(query), len(base))
        self._query, self._base = query, base
        layout = Layout.of(query, base)

        def held(rows: Matrix) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(rows)).to(device)

        left = layout.hot(query)
        left[:, :-2] *= -1.0
        left[:, -2:] = left[:, :-3:-1]
        self._hot = held(left), held(layout.hot(base)).T
        self._spans = list(zip(held(layout.doubled(query)), held(layout.doubled(base)), strict=True))
        self._others = list(zip(*(held(rows[:, layout.others].T) for rows in (query, base)), strict=True))
        self._work = self._hot[0].new_empty((2, 0))

    def values(self, rows: slice, columns: slice = ALL) -> torch.Tensor:
        """Sums over columns."""
        import torch

        hot = self._hot[0][rows], self._hot[1][:, columns]
        size = len(hot[0]) * hot[1].shape[1]
        if self._work.shape[1] < size:
            self._work = self._work.new_empty((2, size))
        total, gap = self._work[0, :size].view(len(hot[0]), -1), self._work[1, :size].view(len(hot[0]), -1)
        torch.mm(*hot, out=total)
        for left, right in self._spans:
            total.add_(torch.maximum(left[rows, None], right[columns], out=gap))
        for left, right in self._others:
            total.add_(torch.sub(left[rows, None], right[columns], out=gap).abs_().clamp_(max=1.0))
        return total

    def reach(self, rows: slice, upper: Floats) -> NDArray[np.float32]:
        """See :class:`~counterproof.metrics.engine.distances.Space`."""
        return np.asarray(upper + 4.04 * UNIT * (self._base.shape[1] + 4) ** 2, dtype=np.float32)

    def exact(self, query: Rows, base: Rows) -> Floats:
        """See :class:`~counterproof.metrics.engine.distances.Space`."""
        columns = max(1, self._query.shape[1])
        out = np.empty(len(query))
        step = max(1, 2**17 // columns)
        for start in range(0, len(query), step):
            part = slice(start, start + step)
            gap = self._query[query[part]].astype(np.float64)
            gap -= self._base[base[part]]
            np.abs(gap, out=gap)
            out[part] = np.minimum(gap, 1.0, out=gap).sum(1)
        return np.asarray(out / columns)


class GowerTiles:
    """The same among nodes, for a pass over all pairs."""

    def __init__(self, nodes: Nodes, device: str) -> None:
        rows = [part.source[first] for part, first in zip(nodes.parts, nodes.first, strict=True)]
        matrix = np.concatenate(rows).astype(np.float32, copy=False)
        self._space = Gower(matrix, matrix, device=device)

    def tile(self, rows: Block, columns: Block) -> torch.Tensor:
        """Sums over columns."""
        return self._space.values(slice(rows.start, rows.stop), slice(columns.start, columns.stop))

    def reach(self, rows: Block, upper: Floats) -> NDArray[np.float32]:
        """See :class:`~counterproof.metrics.engine.pairwise_pass.Space`."""
        return self._space.reach(slice(rows.start, rows.stop), upper)

    def exact(self, left: Rows, right: Rows) -> Floats:
        """See :class:`~counterproof.metrics.engine.pairwise_pass.Space`."""
        return self._space.exact(left, right)
