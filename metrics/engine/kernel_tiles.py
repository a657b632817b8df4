"""Sums of the cubic kernel over tiles of squared distances: read from the same products as the neighbours.

With ``t = x·y / d + 1 = m + u`` the cube is ``m³ + 3m²u + u²(u + 3m)``. Its constant and linear
parts are summed in closed form in float64; ``u`` is a rank-one term less a multiple of the squared
distance, and only ``u²(u + 3m)`` is summed tile by tile in float32, the tiles in float64. Features
far from the origin (large ``m``) therefore lose nothing to float32. Per pair: four operations and
two for each column of weights and direction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.engine.one_thread import torch_on_one_thread
from counterproof.metrics.engine.tiles import Block, Nodes, Products
from counterproof.metrics.sample import Floats

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, eq=False)
class KernelSumQuery:
    """Sums of the kernel from each row of some parts to the *other* rows of weighted others.

    Attributes:
        rows: Parts whose rows get sums.
        weights: By part, ``(rows of the part, c)`` weight of each row in each of ``c`` sums.
    """

    rows: frozenset[int]
    weights: dict[int, NDArray[np.bool_]]

    @property
    def columns(self) -> int:
        """How many sums."""
        return int(next(iter(self.weights.values())).shape[1])


class KernelTileSums:
    """The sums that all queries ask for, over one pass.

    Args:
        nodes: The distinct rows.
        products: Where the tiles come from.
        queries: What is summed.
    """

    def __init__(self, nodes: Nodes, products: Products, queries: Sequence[KernelSumQuery]) -> None:
        import torch

        self._nodes, self._products, self._queries = nodes, products, queries
        width = sum(query.columns for query in queries)
        self._columns = np.cumsum([0, *(query.columns for query in queries)])
        self._weights = np.zeros((len(nodes), width), dtype=np.float32)
        for query, at in zip(queries, self._columns, strict=False):
            for part, weights in query.weights.items():
                for column in range(query.columns):
                    counted = np.bincount(nodes.of_row[part], weights=weights[:, column], minlength=len(nodes))
                    self._weights[:, at + column] += counted.astype(np.float32)
        self._sums = np.zeros(self._weights.shape)
        self._level = float(products.centre @ products.centre / nodes.width + 1.0)
        self._along = np.empty(len(nodes))  # (x - c)·c, in float64
        for rows, piece in nodes.pieces():
            self._along[rows] = (piece - products.centre) @ products.centre
        half = self._along + products.scale**2 * products.norms / 2
        self._unit = max(self._level, float(2 * abs(half).max(initial=0.0) / nodes.width))
        self._half = torch.from_numpy((half / (nodes.width * self._unit)).astype(np.float32)).to(products.device)
        self._slope = float(products.scale**2 / (2 * nodes.width * self._unit))
        self._active: dict[tuple[int, int], tuple[NDArray[np.intp], torch.Tensor]] = {}
        self._spare = [self._half.new_empty(0), self._half.new_empty(0)]

    def wants(self, one: int, other: int) -> bool:
        """Whether pairs of two parts are summed."""
        return len(self._columns_of(one, other)) > 0 or len(self._columns_of(other, one)) > 0

    def _columns_of(self, rows: int, base: int) -> NDArray[np.intp]:
        """Columns of the sums of one part's rows over another's."""
        used = [
            np.arange(low, low + query.columns)
            for query, low in zip(self._queries, self._columns, strict=False)
            if rows in query.rows and base in query.weights
        ]
        return np.concatenate(used) if used else np.empty(0, dtype=np.intp)

    def add_tile(self, values: torch.Tensor, rows: Block, columns: Block) -> None:
        """Add a tile, in both directions unless it is on the diagonal."""
        cube = self._cubed(values, rows, columns)
        if rows == columns:
            cube.fill_diagonal_(0.0)
        else:
            self._add(columns, rows, cube.T)
        self._add(rows, columns, cube)

    def _cubed(self, values: torch.Tensor, rows: Block, columns: Block) -> torch.Tensor:
        """``u² (u + 3m)`` of a tile, in units."""
        import torch

        if self._spare[0].numel() < values.numel():
            self._spare = [values.new_empty(values.numel()) for _ in range(2)]
        u, cube = (spare[: values.numel()].view(values.shape) for spare in self._spare)
        torch.add(self._half[rows.start : rows.stop, None], self._half[columns.start : columns.stop], out=u)
        u.sub_(values, alpha=self._slope)
        torch.mul(u, u, out=cube)
        return cube.mul_(u.add_(3 * self._level / self._unit))

    def _add(self, rows: Block, base: Block, cube: torch.Tensor) -> None:
        import torch

        key = rows.part, base.part
        if key not in self._active:
            used, bounds = self._columns_of(*key), self._nodes.bounds
            weights = np.ascontiguousarray(self._weights[bounds[base.part] : bounds[base.part + 1], used])
            self._active[key] = used, torch.from_numpy(weights).to(cube.device)
        used, weights_there = self._active[key]
        if len(used):
            low = int(self._nodes.bounds[base.part])
            with torch_on_one_thread():  # products with few columns are split along their sums, by threads
                made = torch.mm(cube, weights_there[base.start - low : base.stop - low])
            self._sums[rows.start : rows.stop, used] += made.double().cpu().numpy()

    def finish(self) -> list[dict[int, Floats]]:
        """For each query, by part, ``(rows of the part, c)`` sums over the other rows."""
        level, products = self._level, self._products
        total = self._weights.sum(0, dtype=np.float64)
        along = self._along @ self._weights
        weighted = np.zeros((self._nodes.width, len(total)))
        for rows, piece in self._nodes.pieces():
            weighted += (piece - products.centre).T @ self._weights[rows].astype(np.float64)
        own = (self._along * 2 + products.scale**2 * products.norms) / self._nodes.width  # u of a row and itself
        for rows, piece in self._nodes.pieces():
            u = np.outer(self._along[rows], total) + along + (piece - products.centre) @ weighted
            self._sums[rows] = (
                self._sums[rows] * self._unit**3 + level**3 * total + 3 * level**2 * u / self._nodes.width
            )
            self._sums[rows] -= self._weights[rows] * (level**3 + 3 * level**2 * own[rows, None])
        self_kernel = (level + own) ** 3
        return [self._of_rows(at, query, self_kernel) for at, query in zip(self._columns, self._queries, strict=False)]

    def _of_rows(self, at: int, query: KernelSumQuery, self_kernel: Floats) -> dict[int, Floats]:
        """Sums of rows from those of nodes: a row's twins count, the row itself does not."""
        made = {}
        for part in query.rows:
            node = self._nodes.of_row[part]
            columns = slice(at, at + query.columns)
            twins = self._weights[node, columns].astype(np.float64)
            if part in query.weights:
                twins -= query.weights[part]
            made[part] = self._sums[node, columns] + twins * self_kernel[node, None]
        return made
