"""Tiles of the matrix of squared distances: one product each, on any device, in bounded memory.

A product of a tile of ``b × b`` pairs takes ``2 b² (d + 2)`` operations and moves ``8 b d + 4 b²``
bytes, so from ``d = 64`` on the multiplier is the bound and not the memory; the tile is read again
by its consumers from the cache (4 MB at ``b = 1024``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from counterproof.metrics.engine.distances import UNIT, distinct
from counterproof.metrics.engine.exact_distances import distances
from counterproof.metrics.engine.one_thread import torch_on_one_thread
from counterproof.metrics.sample import Floats, Rows

if TYPE_CHECKING:
    import torch


LARGEST = 1024
LARGEST_ON_DEVICE = 4096
SMALLEST = 16
THREADED = 2**18  # pairs of a tile from which on it is worth more than one thread
PIECE = 2**18  # numbers converted at once
MIDDLING = 32  # rows of each part that the centre is computed from


@dataclass(frozen=True, eq=False)
class Part:
    """Rows that play the same roles.

    Attributes:
        source: ``(N, d)`` features, of any float type.
        rows: Which of them.
    """

    source: NDArray[np.floating[Any]]
    rows: Rows


@dataclass(frozen=True)
class Block:
    """A range of nodes of one part."""

    part: int
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, eq=False)
class Nodes:
    """The distinct rows of each part, shuffled, so that any block of them is a fair sample.

    Attributes:
        parts: Where the rows stand.
        first: Per part, the source row of each node.
        of_row: Per part, the node of each row.
        bounds: ``(parts + 1,)`` nodes of part ``p`` are ``bounds[p]`` to ``bounds[p + 1]``.
    """

    parts: Sequence[Part]
    first: Sequence[Rows]
    of_row: Sequence[Rows]
    bounds: Rows

    @classmethod
    def of(cls, parts: Sequence[Part]) -> Nodes:
        """Find the distinct rows of each part."""
        firsts, of_row, bounds = [], [], [0]
        for part in parts:
            first, node = distinct(part.source, part.rows)
            order = np.random.default_rng(len(first)).permutation(len(first))
            place = np.empty(len(first), dtype=np.intp)
            place[order] = np.arange(len(first))
            firsts.append(part.rows[first[order]])
            of_row.append(place[node] + bounds[-1])
            bounds.append(bounds[-1] + len(first))
        return cls(parts, firsts, of_row, np.array(bounds, dtype=np.intp))

    def __len__(self) -> int:
        return int(self.bounds[-1])

    @property
    def width(self) -> int:
        """Dimensions."""
        return int(self.parts[0].source.shape[1])

    def part_of(self) -> NDArray[np.uint8]:
        """``(m,)`` part of each node."""
        return np.repeat(np.arange(len(self.parts), dtype=np.uint8), np.diff(self.bounds))

    def pieces(self) -> Iterator[tuple[slice, Floats]]:
        """Features of all nodes in float64, a piece at a time."""
        step = max(1, PIECE // max(1, self.width))
        for part, first, low in zip(self.parts, self.first, self.bounds, strict=False):
            for start in range(0, len(first), step):
                rows = first[start : start + step]
                yield slice(low + start, low + start + len(rows)), np.asarray(part.source[rows], dtype=np.float64)

    def fetch(self, rows: Rows, out: Floats) -> None:
        """Features in float64 of nodes that ascend, or that are all of one part."""
        first, last = np.searchsorted(self.bounds, (rows.min(), rows.max()), side="right") - 1 if len(rows) else (0, 0)
        cuts = [0, len(rows)] if first == last else np.searchsorted(rows, self.bounds[first : last + 2]).tolist()
        for part, (low, high) in enumerate(pairwise(cuts), start=int(first)):
            source, at = self.parts[part].source, self.first[part][rows[low:high] - self.bounds[part]]
            if source.dtype == np.float64:
                np.take(source, at, axis=0, out=out[low:high], mode="clip")  # the other modes copy
            else:
                out[low:high] = source[at]


def block_side(nodes: Nodes, memory: int, *, device: str = "cpu", largest: int = LARGEST) -> int:
    """Rows of a block, so that a tile and its work space take a quarter of the budget."""
    most = largest if device == "cpu" else LARGEST_ON_DEVICE
    bits = 32 - max(1, (len(nodes) - 1).bit_length())  # a row and a node share 32 bits of a key
    return int(min(most, max(SMALLEST, (memory / 64) ** 0.5), 2 ** max(0, bits)))


def make_blocks(nodes: Nodes, side: int) -> list[Block]:
    """Every part in blocks of about equal length."""
    made = []
    for part, (low, high) in enumerate(pairwise(nodes.bounds.tolist())):
        count = -(-(high - low) // side)
        edges = [low + (high - low) * at // max(1, count) for at in range(count + 1)]
        made += [Block(part, start, stop) for start, stop in pairwise(edges)]
    return made


class Products:
    """Squared distances of centred, scaled rows by one product of ``[-2x, |x|², 1]`` and ``[y, 1, |y|²]``.

    In float32 a value is off by at most ``slack (|x| + |y|)²`` with ``slack = (d + 8) 2⁻²⁴`` for
    any order of summation (Higham, Accuracy and Stability, section 3.1).

    Attributes:
        centre: Subtracted from every row.
        scale: Rows are divided by it; a power of two.
        unit: The scale where squares of features would overflow or vanish, else 1.
        norms: ``(m,)`` squared norms of the centred, scaled rows.
        device: Where the products run.

    Raises:
        ValueError: The features are not finite.
    """

    def __init__(self, nodes: Nodes, *, device: str = "cpu") -> None:
        import torch

        self.device, self._nodes = device, nodes
        with np.errstate(invalid="ignore"):
            self.centre = _middle(nodes)
            largest = float(np.max([abs(piece - self.centre).max(initial=0.0) for _, piece in nodes.pieces()]))
        if not np.isfinite(largest):
            raise ValueError("features hold NaN or infinity: encode missing values before searching neighbours")
        self.scale = float(2.0 ** np.ceil(np.log2(largest))) if largest > 0 else 1.0
        self.unit = 1.0 if 1e-100 < self.scale < 1e100 else self.scale
        d = nodes.width
        made = np.empty((len(nodes), d + 2), dtype=np.float32)
        made[:, d] = 1.0
        for rows, piece in nodes.pieces():
            piece -= self.centre
            piece /= self.scale
            made[rows, :d] = piece
            made[rows, d + 1] = np.einsum("ij,ij->i", piece, piece)
        self.norms = made[:, d + 1].astype(np.float64)
        self._right = torch.from_numpy(made).to(device)
        self._slack = (d + 8) * UNIT * 1.01
        self._left: tuple[Block, torch.Tensor] | None = None
        self._buffer = self._right.new_empty(0)

    def tile(self, rows: Block, columns: Block) -> torch.Tensor:
        """``(b, c)`` squared distances in units of the scale; good until the next call.

        Args:
            rows: Block of nodes.
            columns: Another, or the same.
        """
        import torch

        size = len(rows) * len(columns)
        if self._buffer.numel() < size:
            self._buffer = self._right.new_empty(size)
        out = self._buffer[:size].view(len(rows), len(columns))
        right = self._right[columns.start : columns.stop]
        # small products may be split along their sums
        with torch_on_one_thread() if size < THREADED else nullcontext():
            return torch.mm(self._doubled(rows), right.T, out=out)

    def _doubled(self, rows: Block) -> torch.Tensor:
        """``[-2x, |x|², 1]`` of a block."""
        if self._left is None or self._left[0] != rows:
            made = self._right[rows.start : rows.stop] * -2.0
            made[:, -2] = self._right[rows.start : rows.stop, -1]
            made[:, -1] = 1.0
            self._left = rows, made
        return self._left[1]

    def reach(self, rows: Block, upper: Floats) -> NDArray[np.float32]:
        """A value that no node exceeds which is as near as one of value ``upper``.

        Since ``(|x| + |y|)² <= 16 |x|² + 4 dist²`` for any y (either ``|y| < 3|x|``, or the
        distance is at least ``(|x| + |y|) / 2``), the bound needs the norm of the row alone: one
        far outlier does not spoil it.
        """
        slack = self._slack
        tiny = slack * 2.0**-100  # products below the smallest float32 are lost
        error = 16 * slack * self.norms[rows.start : rows.stop] * (1 + 1e-6) + tiny
        most = (upper + error) / (1 - 4 * slack)
        return np.asarray((most * (1 + 4 * slack) + error) * (1 + 1e-6), dtype=np.float32)

    def exact(self, left: Rows, right: Rows) -> Floats:
        """Distances of pairs of nodes in float64; the right ones ascend."""
        return distances(self._nodes, left, right, unit=self.unit)


def _middle(nodes: Nodes) -> Floats:
    """Medians of a few rows: any centre will do, and this one no outlier moves."""
    kept = [
        np.asarray(part.source[first[:MIDDLING]], dtype=np.float64)
        for part, first in zip(nodes.parts, nodes.first, strict=True)
        if len(first)
    ]
    return np.asarray(np.median(np.concatenate(kept), axis=0)) if kept else np.zeros(nodes.width)


@contextmanager
def matmul_precision(name: str) -> Iterator[None]:
    """Products in a stated precision, whatever the program around chose."""
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(name)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
