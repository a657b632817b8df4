"""Exact distances of chosen pairs of rows in float64: what float32 found is decided here.

Narrow rows are subtracted pair by pair. Wide rows would cost six passes over memory that way: their
inner products are formed at the chosen places alone (a sampled product, one pass), with
``|x - y|² = |x|² + |y|² - 2 x·y``, whose relative error is at most ``2 (d + 4) 2⁻⁵³ (|x|² + |y|²) /
|x - y|²``; pairs so near that it could reach ``10⁻⁹`` are subtracted after all. So identical rows
are at distance 0 however wide they are.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import pairwise
from typing import Protocol

import numpy as np

from counterproof.metrics.sample import Floats, Rows

WIDE = 128
NEAR = 2.0**-9
PIECE = 2**22  # numbers of the rows that are held in float64 at once


class Rows64(Protocol):
    """Rows in float64 on demand."""

    @property
    def width(self) -> int:
        """Dimensions."""
        ...

    def fetch(self, rows: Rows, out: Floats) -> None:
        """Write some rows to an array."""
        ...


def distances(source: Rows64, left: Rows, right: Rows, *, unit: float = 1.0) -> Floats:
    """Distances of pairs of rows.

    Args:
        source: Where the rows are from.
        left: ``(p,)`` rows.
        right: ``(p,)`` rows, ascending.
        unit: A power of two that keeps squares from overflowing or vanishing.
    """
    if source.width < WIDE or unit != 1.0 or not len(left):
        return _by_subtraction(source, left, right, unit)
    out, near = _by_products(source, left, right)
    out[near] = _by_subtraction(source, left[near], right[near], unit)
    return out


def _by_subtraction(source: Rows64, left: Rows, right: Rows, unit: float) -> Floats:
    out = np.empty(len(left))
    step = max(1, 2**16 // max(1, source.width))  # the differences stay in cache
    one, other = (np.empty((min(step, len(left)), source.width)) for _ in range(2))
    for start in range(0, len(left), step):
        part = slice(start, min(start + step, len(left)))
        gap, there = one[: part.stop - start], other[: part.stop - start]
        source.fetch(left[part], gap)
        source.fetch(right[part], there)
        gap -= there
        if unit != 1.0:
            gap /= unit
        np.einsum("ij,ij->i", gap, gap, out=out[part])
    return np.asarray(np.sqrt(out) * unit)


def _by_products(source: Rows64, left: Rows, right: Rows) -> tuple[Floats, Rows]:
    """Distances by inner products, and the pairs too near for them, ascending."""
    rows, row = np.unique(left, return_inverse=True)
    out, near = np.empty(len(left)), np.zeros(len(left), dtype=bool)
    limit = max(1, PIECE // source.width)
    x, buffer = np.empty((len(rows), source.width)), np.empty((limit, source.width))
    xx = _fetched(source, rows, x)
    for pairs, columns, column in _pieces(right, limit):
        y = buffer[: len(columns)]
        yy = _fetched(source, columns, y)
        order = np.argsort(row[pairs], kind="stable")
        at, there = row[pairs][order], column[order]
        both = xx[at] + yy[there]
        square = both - 2.0 * _products_at(x, y, at, there)
        made = pairs.start + order
        out[made] = np.sqrt(np.maximum(square, 0.0))
        near[made] = square < NEAR * both
    return out, np.flatnonzero(near)


def _fetched(source: Rows64, rows: Rows, out: Floats) -> Floats:
    """Rows written to ``out``, and their squared norms."""
    source.fetch(rows, out)
    return np.asarray(np.einsum("ij,ij->i", out, out))


def _pieces(right: Rows, limit: int) -> Iterator[tuple[slice, Rows, Rows]]:
    """Runs of pairs with up to ``limit`` different rows: the pairs, those rows, and which of them each pair has."""
    new = np.ones(len(right), dtype=bool)
    new[1:] = right[1:] != right[:-1]
    rank = np.cumsum(new) - 1
    edges = np.searchsorted(rank, np.arange(0, int(rank[-1]) + limit + 1, limit))
    for low, high in pairwise(edges.tolist()):
        if low < high:
            yield slice(low, high), right[low:high][new[low:high]], rank[low:high] - rank[low]


def _products_at(x: Floats, y: Floats, row: Rows, column: Rows) -> Floats:
    """Inner products at the given places, sorted by row."""
    import torch

    start = torch.from_numpy(np.searchsorted(row, np.arange(len(x) + 1)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # "sparse CSR tensor support is in beta state"
        places = torch.sparse_csr_tensor(
            start, torch.from_numpy(column), torch.zeros(len(row), dtype=torch.float64), size=(len(x), len(y))
        )
        made = torch.sparse.sampled_addmm(places, torch.from_numpy(x), torch.from_numpy(y).T, beta=0.0)
    return np.asarray(made.values().numpy())
